/* The row before a service. */
#include "upstream/queue.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/states.h"
#include "upstream/service.h"

enum slot_state { SLOT_UNUSED, SLOT_WAITING, SLOT_GRANTED, SLOT_GONE };

enum { TRIES_MAX = 64, RETURNS_MAX = 3 };

/* --- configuration --- */

const struct field queue_fields[] = {
    FIELD_INTEGER(struct queue_config, requests, "requests", "0", 0, 1000000,
                  "Most requests at once to the service, from all workers; 0 is no limit."),
    FIELD_INTEGER(struct queue_config, per_endpoint, "per_endpoint", "0", 0, 1000000,
                  "Most requests at once to each endpoint; 0 is no limit."),
    FIELD_INTEGER(
        struct queue_config, waiting, "queue", "100", 0, 65536,
        "Most requests that wait for their turn; a further one is answered 503 with `Retry-After`."),
    FIELD_DURATION(struct queue_config, timeout_ms, "timeout", "1s", 1, 3600000,
                   "Longest wait; then 503 with `Retry-After`."),
    FIELD_END,
};

static void unref(void *queue_)
{
    struct queue *queue = queue_;
    if (atomic_fetch_sub(&queue->references, 1) != 1)
        return;
    memory_free(queue->row.cells);
    memory_free(queue->unused.cells);
    memory_free(queue->slots);
    memory_free(queue);
}

/* As many slots again as may wait: those who gave up leave theirs in the row until it has moved on. */
static void *new_queue(void *waiting_max)
{
    uint32_t count = 2;
    while (count < 2 * *(const uint32_t *)waiting_max)
        count *= 2;
    struct queue *queue = memory_aligned(alignof(struct queue), sizeof *queue);
    if (!queue)
        return NULL;
    memset(queue, 0, sizeof *queue);
    queue->references = 1;
    queue->slots_count = count;
    queue->slots = memory_array(count, sizeof *queue->slots);
    struct row_cell *row = memory_array(count, sizeof *row), *unused = memory_array(count, sizeof *unused);
    if (!queue->slots || !row || !unused) {
        queue->row.cells = row;
        queue->unused.cells = unused;
        unref(queue);
        return NULL;
    }
    row_init(&queue->row, row, count);
    row_init(&queue->unused, unused, count);
    for (uint32_t i = 0; i < count; i++) {
        queue->slots[i].index = i;
        queue->slots[i].queue = queue;
        CHECK(row_push(&queue->unused, i));
    }
    return queue;
}

bool queue_rules_build(struct binder *binder, struct states *states, struct text service,
                       const struct queue_config *config, const struct node *node, struct queue_rules *rules)
{
    *rules = (struct queue_rules){.requests_max = (int32_t)config->requests,
                                  .per_endpoint_max = (int32_t)config->per_endpoint,
                                  .waiting_max = (int32_t)config->waiting,
                                  .timeout_ms = config->timeout_ms};
    if (config->requests == 0 && config->per_endpoint == 0)
        return true;
    uint32_t waiting_max = (uint32_t)config->waiting;
    rules->queue = states_claim(states, binder->arena, "service-queue", service, hash_mix(waiting_max),
                                new_queue, unref, &waiting_max);
    return rules->queue || bind_error(binder, node, NULL, "out of memory");
}

/* --- permits --- */

static bool take_permit(const struct queue_rules *rules)
{
    _Atomic int32_t *in_flight = &rules->queue->in_flight;
    int32_t seen = atomic_load(in_flight);
    while (!rules->requests_max || seen < rules->requests_max)
        if (atomic_compare_exchange_weak(in_flight, &seen, seen + 1))
            return true;
    return false;
}

/* Is there an endpoint that nobody was promised? */
static bool has_room(const struct service *service)
{
    const struct queue_rules *rules = &service->queue;
    return !rules->per_endpoint_max || service_free_slots(service) > atomic_load(&rules->queue->promised);
}

static void recycle(struct queue_slot *slot)
{
    struct queue *queue = slot->queue;
    slot->place = NULL;
    atomic_store(&slot->state, SLOT_UNUSED);
    CHECK(row_push(&queue->unused, slot->index));
}

/* --- turns --- */

/* On the waiter's thread. */
static void on_letter(struct task *letter)
{
    struct queue_slot *slot = CONTAINER_OF(letter, struct queue_slot, letter);
    struct queue_place *place = slot->place;
    struct queue *queue = slot->queue;
    recycle(slot);
    unref(queue);
    if (!place)
        return; /* it has gone, and passed its turn on */
    place->slot = NULL;
    place->admitted = place->promised = true;
    place->on_turn(place);
}

/* The first in the row who still waits gets the turn. False: nobody does. */
static bool grant(struct queue *queue)
{
    uint32_t index;
    while (row_pop(&queue->row, &index)) {
        struct queue_slot *slot = &queue->slots[index];
        uint32_t state = SLOT_WAITING;
        if (!atomic_compare_exchange_strong(&slot->state, &state, SLOT_GRANTED)) {
            recycle(slot);
            continue;
        }
        atomic_fetch_sub(&queue->waiting, 1);
        slot->letter.run = on_letter;
        loop_mail(slot->loop, &slot->letter);
        return true;
    }
    return false;
}

/* Gives one turn, if there is one to give and somebody to take it. A row that looks empty is looked at again: who is about to join it may have
 * found the permit taken by this very look. */
static void give_turn(const struct service *service)
{
    struct queue *queue = service->queue.queue;
    for (int i = 0; i < TRIES_MAX && atomic_load(&queue->waiting) > 0; i++) {
        if (!has_room(service) || !take_permit(&service->queue))
            return;
        atomic_fetch_add(&queue->promised, 1);
        if (grant(queue))
            return;
        atomic_fetch_sub(&queue->promised, 1);
        atomic_fetch_sub(&queue->in_flight, 1);
        if (row_is_empty(&queue->row))
            return;
    }
}

static bool admit_at_once(const struct service *service)
{
    const struct queue *queue = service->queue.queue;
    return atomic_load(&queue->waiting) == 0 && has_room(service) && take_permit(&service->queue);
}

static bool has_gone(uint32_t index, void *queue)
{
    return atomic_load(&((struct queue *)queue)->slots[index].state) == SLOT_GONE;
}

/* Who gives up has waited longest, as a rule: their slots are in front. */
static void sweep(struct queue *queue)
{
    uint32_t index;
    while (row_pop_if(&queue->row, has_gone, queue, &index))
        recycle(&queue->slots[index]);
}

static enum queue_result join_row(const struct service *service, struct queue_place *place, struct loop *loop)
{
    struct queue *queue = service->queue.queue;
    uint32_t index;
    sweep(queue);
    if (atomic_fetch_add(&queue->waiting, 1) >= service->queue.waiting_max
        || !row_pop(&queue->unused, &index)) {
        atomic_fetch_sub(&queue->waiting, 1);
        atomic_fetch_add(&queue->refused, 1);
        return QUEUE_FULL;
    }
    struct queue_slot *slot = &queue->slots[index];
    atomic_fetch_add(&queue->references, 1);
    slot->loop = loop;
    slot->place = place;
    place->slot = slot;
    atomic_store(&slot->state, SLOT_WAITING);
    CHECK(row_push(&queue->row, index));
    /* A permit may have come back meanwhile. Do not go round and round, but where nobody is left who would pass a turn on. */
    if (place->returned <= RETURNS_MAX || atomic_load(&queue->in_flight) == 0)
        give_turn(service);
    return QUEUE_WAIT;
}

enum queue_result queue_enter(const struct service *service, struct queue_place *place, struct loop *loop)
{
    if (LIKELY(!service->queue.queue))
        return QUEUE_ADMITTED;
    if (place->admitted) {
        if (place->returned <= RETURNS_MAX)
            place->returned++;
        queue_leave(service, place);
    }
    if (place->returned == 0 && admit_at_once(service)) {
        place->admitted = true;
        return QUEUE_ADMITTED;
    }
    return join_row(service, place, loop);
}

void queue_started(const struct service *service, struct queue_place *place)
{
    if (!place->promised)
        return;
    place->promised = false;
    atomic_fetch_sub(&service->queue.queue->promised, 1);
}

/* Leaves the row; who was given a turn meanwhile passes it on. */
static void give_up_place(const struct service *service, struct queue_place *place)
{
    struct queue *queue = service->queue.queue;
    struct queue_slot *slot = place->slot;
    uint32_t state = SLOT_WAITING;
    place->slot = NULL;
    slot->place = NULL;
    if (atomic_compare_exchange_strong(&slot->state, &state, SLOT_GONE)) {
        atomic_fetch_sub(&queue->waiting, 1);
        unref(queue); /* no letter is on its way; the slot goes back when its turn comes */
        return;
    }
    place->admitted = place->promised = true;
}

void queue_leave(const struct service *service, struct queue_place *place)
{
    if (place->slot)
        give_up_place(service, place);
    if (!place->admitted)
        return;
    queue_started(service, place);
    place->admitted = false;
    atomic_fetch_sub(&service->queue.queue->in_flight, 1);
    give_turn(service);
}

void queue_endpoint_freed(const struct service *service)
{
    if (service->queue.per_endpoint_max && atomic_load(&service->queue.queue->waiting) > 0)
        give_turn(service);
}
