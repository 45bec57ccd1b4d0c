/* Which endpoint next: smooth weighted round-robin and least requests, over state that all workers share. */
#include "base/check.h"
#include "base/random.h"
#include "upstream/health.h"

enum { TURNS_MAX = 4096, SCAN_MAX = 64 };

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
    while (b) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Weights in lowest terms, their sum within TURNS_MAX as far as every endpoint still gets a turn. */
static uint64_t reduce(const struct service_endpoint *endpoints, uint32_t count, uint32_t *weights)
{
    uint32_t divisor = 0;
    uint64_t total = 0, reduced = 0;
    for (uint32_t i = 0; i < count; i++) {
        divisor = common_divisor(endpoints[i].weight, divisor);
        total += endpoints[i].weight;
    }
    total /= MAX_OF(divisor, 1u);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t weight = endpoints[i].weight / MAX_OF(divisor, 1u);
        if (total > TURNS_MAX && weight)
            weight = MAX_OF((weight * TURNS_MAX + total / 2) / total, 1u);
        weights[i] = (uint32_t)weight;
        reduced += weight;
    }
    return reduced;
}

const uint16_t *service_turns(struct arena *arena, const struct service_endpoint *endpoints, uint32_t count,
                              uint32_t *ret_count)
{
    uint32_t *weights = arena_array(arena, count, sizeof *weights);
    int64_t *current = arena_array(arena, count, sizeof *current);
    uint64_t total = weights ? reduce(endpoints, count, weights) : 0;
    uint16_t *turns = arena_array(arena, total, sizeof *turns);
    *ret_count = (uint32_t)total;
    if (!weights || !current || !turns)
        return NULL;
    for (uint64_t turn = 0; turn < total; turn++) {
        uint32_t best = 0;
        for (uint32_t i = 0; i < count; i++) {
            current[i] += weights[i];
            if (current[i] > current[best])
                best = i;
        }
        current[best] -= (int64_t)total;
        turns[turn] = (uint16_t)best;
    }
    return turns;
}

/* How welcome an endpoint is: 2 usable and fresh, 1 usable but tried, 0 not usable. */
static int rank(const struct service *service, uint32_t index, uint64_t tried, int64_t now_ms)
{
    bool was_tried = index < 64 && (tried >> index & 1);
    return !endpoint_usable(service, service->endpoints[index].endpoint, now_ms) ? 0 : was_tried ? 1 : 2;
}

static int pick_round_robin(const struct service *service, uint64_t tried, int64_t now_ms)
{
    uint64_t turn = atomic_fetch_add_explicit(&service->turn->next, 1, memory_order_relaxed);
    int best = -1, best_rank = 0;
    for (uint32_t i = 0; i < service->turns_count && best_rank < 2; i++) {
        uint32_t index = service->turns[(turn + i) % service->turns_count];
        int this_rank = rank(service, index, tried, now_ms);
        if (this_rank > best_rank) {
            best = (int)index;
            best_rank = this_rank;
        }
    }
    return best;
}

/* Requests in flight for each unit of weight, compared without division. */
static bool less_loaded(const struct service_endpoint *a, const struct service_endpoint *b)
{
    int64_t of_a = atomic_load_explicit(&a->endpoint->in_flight, memory_order_relaxed) + 1;
    int64_t of_b = atomic_load_explicit(&b->endpoint->in_flight, memory_order_relaxed) + 1;
    return of_a * b->weight < of_b * a->weight;
}

/* All are looked at while they are few, else two at random (Mitzenmacher 2001) and as many again as are out of service. */
static int pick_least(const struct service *service, uint64_t tried, int64_t now_ms)
{
    uint32_t count = service->endpoints_count, start = (uint32_t)random_below(count);
    bool scan = count <= 8;
    uint32_t looks = scan ? count : MIN_OF(count, (uint32_t)SCAN_MAX), good = 0;
    int best = -1, best_rank = 0;
    for (uint32_t i = 0; i < looks && (scan || good < 2); i++) {
        uint32_t index = scan ? (start + i) % count : (uint32_t)random_below(count);
        if (service->endpoints[index].weight == 0)
            continue;
        int this_rank = rank(service, index, tried, now_ms);
        good += this_rank == 2;
        if (this_rank > best_rank
            || (best >= 0 && this_rank == best_rank
                && less_loaded(&service->endpoints[index], &service->endpoints[best]))) {
            best = (int)index;
            best_rank = this_rank;
        }
    }
    return best >= 0 ? best
                     : pick_round_robin(service, tried, now_ms); /* chance met nobody that can be used */
}

int service_pick(const struct service *service, uint64_t tried, int64_t now_ms)
{
    if (service->turns_count == 0)
        return -1;
    if (service->endpoints_count == 1)
        return endpoint_usable(service, service->endpoints[0].endpoint, now_ms) ? 0 : -1;
    switch (service->balance) {
    case BALANCE_ROUND_ROBIN: return pick_round_robin(service, tried, now_ms);
    case BALANCE_LEAST_REQUESTS: return pick_least(service, tried, now_ms);
    }
    UNREACHABLE();
}

bool service_occupy(const struct service *service, struct endpoint *endpoint)
{
    int32_t before = atomic_fetch_add_explicit(&endpoint->in_flight, 1, memory_order_relaxed);
    if (LIKELY(!service->queue.per_endpoint_max) || before < service->queue.per_endpoint_max)
        return true;
    atomic_fetch_sub_explicit(&endpoint->in_flight, 1, memory_order_relaxed);
    return false;
}

int64_t service_free_slots(const struct service *service)
{
    int64_t slots = 0;
    for (uint32_t i = 0; i < service->endpoints_count; i++) {
        const struct service_endpoint *at = &service->endpoints[i];
        int32_t in_flight = atomic_load_explicit(&at->endpoint->in_flight, memory_order_relaxed);
        if (at->weight > 0)
            slots += MAX_OF(service->queue.per_endpoint_max - in_flight, 0);
    }
    return slots;
}
