/* Which endpoints are checked and when; what follows from a check. */
#include "upstream/health_checker.h"

#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/states.h"
#include "telemetry/metrics.h"
#include "upstream/health_private.h"

static void count(const struct health_checker *checker, enum metric_id id)
{
    if (checker->metrics)
        metric_add(checker->metrics, id, 1);
}

const struct service *service_health_service(const struct service_health *health)
{
    return list_is_empty(&health->registrations)
               ? NULL
               : CONTAINER_OF(health->registrations.next, struct registration, link)->service;
}

/* --- turns: bounded concurrency --- */

static void leave_turn(struct probe *probe)
{
    if (probe->state == PROBE_RUNNING)
        probe->checker->running_count--;
    probe->state = PROBE_IDLE;
    list_remove(&probe->turn);
}

static void start(struct probe *probe)
{
    struct health_checker *checker = probe->checker;
    const struct service *service = service_health_service(probe->group);
    if (!service || !service->check) { /* the rules have just changed: sync() says what becomes of it */
        leave_turn(probe);
        return;
    }
    list_remove(&probe->turn);
    list_push_back(&checker->running, &probe->turn);
    checker->running_count++;
    probe->state = PROBE_RUNNING;
    count(checker, METRIC_HEALTH_CHECKS);
    health_probe_run(probe, service);
}

/* A check may be over before it has begun to wait, and then this is called from below itself. */
static void start_those_that_wait(struct health_checker *checker)
{
    if (checker->starting)
        return;
    checker->starting = true;
    while (checker->running_count < checker->at_once && !list_is_empty(&checker->waiting))
        start(CONTAINER_OF(checker->waiting.next, struct probe, turn));
    checker->starting = false;
}

static void due(struct timer *timer)
{
    struct probe *probe = CONTAINER_OF(timer, struct probe, due);
    struct health_checker *checker = probe->checker;
    if (checker->running_count >= checker->at_once)
        count(checker, METRIC_HEALTH_CHECKS_DELAYED);
    probe->state = PROBE_WAITING;
    list_push_back(&checker->waiting, &probe->turn);
    start_those_that_wait(checker);
}

static void schedule(struct probe *probe, const struct health_check *check)
{
    struct loop *loop = probe->checker->loop;
    bool down = atomic_load(&probe->endpoint->checked) == CHECKED_DOWN;
    int64_t pause_ms = down ? check->unhealthy_interval_ms : check->interval_ms;
    uint64_t spread = (uint64_t)((double)pause_ms * check->jitter);
    timer_set(loop, &probe->due,
              loop->now_ms + pause_ms - (int64_t)spread + (int64_t)random_below(2 * spread + 1));
}

static void stop(struct probe *probe)
{
    timer_clear(probe->checker->loop, &probe->due);
    if (probe->state == PROBE_RUNNING)
        health_probe_cancel(probe);
    leave_turn(probe);
}

/* --- what a check comes to --- */

static enum checked judge(struct probe *probe, const struct health_check *check, enum checked before,
                          bool passed)
{
    if (!probe->decided)
        return passed ? CHECKED_UP : CHECKED_DOWN;
    if (passed && before == CHECKED_DOWN && probe->in_a_row >= check->rise)
        return CHECKED_UP;
    if (!passed && before == CHECKED_UP && probe->in_a_row >= check->fall)
        return CHECKED_DOWN;
    return before;
}

void health_probe_over(struct probe *probe, bool passed)
{
    const struct service *service = probe->service;
    struct endpoint *endpoint = probe->endpoint;
    enum checked before = (enum checked)atomic_load(&endpoint->checked), after;
    leave_turn(probe);
    probe->in_a_row = passed == probe->last_passed ? probe->in_a_row + 1 : 1;
    probe->last_passed = passed;
    probe->checked_at_ms = probe->checker->loop->now_ms;
    if (passed) {
        probe->passed++;
    } else {
        probe->failed++;
        count(probe->checker, METRIC_HEALTH_CHECKS_FAILED);
        log_debug("health check failed", LOG_TEXT("service", endpoint->service),
                  LOG_TEXT("endpoint", endpoint->url), LOG_STRING("reason", probe->said),
                  LOG_INT("in a row", probe->in_a_row));
    }
    after = judge(probe, service->check, before, passed);
    probe->decided = true;
    atomic_store(&endpoint->checked, after);
    if (before == CHECKED_DOWN && after == CHECKED_UP)
        passive_forgive(&endpoint->passive);
    if (before >= CHECKED_DOWN && after == CHECKED_UP)
        atomic_store(&endpoint->began_ms, probe->checker->loop->now_ms);
    if (after != before) {
        service_health_changed(service);
        health_announce(probe->group);
    }
    schedule(probe, service->check);
    start_those_that_wait(probe->checker);
}

/* --- latencies --- */

static void compare(struct timer *timer)
{
    struct service_health *health = CONTAINER_OF(timer, struct service_health, compare);
    const struct service *service = service_health_service(health);
    struct loop *loop = health->checker->loop;
    if (!service || service->passive.latency_factor <= 0)
        return;
    const struct passive_rules *rules = &service->passive;
    const struct endpoint_set *set = service_set(service);
    struct latency_of *all = memory_array(set->count, sizeof *all);
    uint32_t count_all = 0;
    for (uint32_t i = 0; all && i < set->count; i++) {
        struct latency_of one = {.index = i};
        struct endpoint *endpoint = set->endpoints[i].endpoint;
        if (latency_take(&endpoint->passive.latencies, rules->latency_percentile, &one.us) >= rules->requests)
            all[count_all++] = one;
    }
    uint32_t above_us = (uint32_t)MIN_OF(rules->latency_above_ms * 1000, (int64_t)UINT32_MAX);
    uint32_t outliers = all ? latency_compare(all, count_all, rules->latency_factor, above_us) : 0;
    for (uint32_t i = 0; i < outliers; i++)
        if (passive_eject(service, set->endpoints[all[i].index].endpoint, EJECTED_BY_LATENCY,
                          all[i].us / 1000, all[i].others_us / 1000, loop->now_ms))
            service_health_changed(service);
    memory_free(all);
    timer_set(loop, timer, loop->now_ms + rules->window_ms);
}

/* --- which are checked --- */

/* Nothing that an active check has said holds any longer. */
static void forget_checks(struct probe *probe)
{
    stop(probe);
    atomic_store(&probe->endpoint->checked, CHECKED_NOT);
    probe->decided = false;
    probe->in_a_row = 0;
    probe->said[0] = 0;
}

static void sync_probe(struct probe *probe)
{
    struct loop *loop = probe->checker->loop;
    bool idle = probe->state == PROBE_IDLE && !timer_is_set(&probe->due);
    probe->fresh = false;
    if (probe->wanted && idle)
        timer_set(loop, &probe->due, loop->now_ms);
    else if (!probe->wanted)
        forget_checks(probe);
}

static void sync(struct service_health *health)
{
    const struct service *service = service_health_service(health);
    struct loop *loop = health->checker->loop;
    LIST_EACH (link, &health->probes)
        CONTAINER_OF(link, struct probe, link)->wanted = false;
    const struct endpoint_set *set = service && service->check ? service_set(service) : NULL;
    for (uint32_t i = 0; set && i < set->count; i++)
        if (set->endpoints[i].endpoint->probe)
            set->endpoints[i].endpoint->probe->wanted = true;
    LIST_EACH (link, &health->probes)
        sync_probe(CONTAINER_OF(link, struct probe, link));
    if (!service || service->passive.latency_factor <= 0)
        timer_clear(loop, &health->compare);
    else if (!timer_is_set(&health->compare))
        timer_set(loop, &health->compare, loop->now_ms + service->passive.window_ms);
    atomic_fetch_add(&health->epoch, 1);
}

/* By mail, whoever wrote it: a worker that changed something, or this thread after a change of endpoints or rules. */
static void noticed(struct task *task)
{
    struct service_health *health = CONTAINER_OF(task, struct service_health, notice);
    atomic_store(&health->noticed, false);
    if (health->to_sync) {
        health->to_sync = false;
        sync(health);
    }
    health_announce(health);
}

void health_checker_sync(struct service_health *health)
{
    health->to_sync = true;
    service_health_notice(health);
}

static void ejection_over(struct timer *timer)
{
    struct probe *probe = CONTAINER_OF(timer, struct probe, back);
    if (probe->group) {
        atomic_fetch_add(&probe->group->epoch, 1);
        health_announce(probe->group);
    }
}

/* --- endpoints come and go --- */

static void endpoint_made(void *context, struct endpoint *endpoint)
{
    struct health_checker *checker = context;
    struct service_health *health = table_get(&checker->by_name, endpoint->service);
    struct probe *probe = memory_zero(sizeof *probe);
    if (!probe) {
        log_error("out of memory: an endpoint is not checked", LOG_TEXT("endpoint", endpoint->url));
        return;
    }
    *probe = (struct probe){.endpoint = endpoint,
                            .checker = checker,
                            .group = health,
                            .fresh = true,
                            .due.on_due = due,
                            .back.on_due = ejection_over};
    list_init(&probe->link);
    list_init(&probe->turn);
    endpoint->probe = probe;
    if (!health)
        return;
    list_push_back(&health->probes, &probe->link);
    health_checker_sync(health);
}

static void endpoint_dropped(void *context, struct endpoint *endpoint)
{
    struct probe *probe = endpoint->probe;
    struct health_checker *checker = context;
    if (!probe)
        return;
    stop(probe);
    timer_clear(checker->loop, &probe->back);
    list_remove(&probe->link);
    endpoint->probe = NULL;
    memory_free(probe);
    start_those_that_wait(checker);
}

/* --- services come and go --- */

struct making {
    struct health_checker *checker;
    struct text name;
};

static void *make_health(void *argument)
{
    const struct making *making = argument;
    struct health_checker *checker = making->checker;
    struct service_health *health = memory_zero(sizeof *health + making->name.size + 1);
    if (!health)
        return NULL;
    char *name = (char *)(health + 1);
    if (making->name.size)
        memcpy(name, making->name.at, making->name.size);
    health->name = (struct text){name, making->name.size};
    health->notice.run = noticed;
    health->compare.on_due = compare;
    list_init(&health->link);
    list_init(&health->registrations);
    list_init(&health->probes);
    if (!checker)
        return health;
    if (!table_put(&checker->by_name, health->name, health)) {
        memory_free(health);
        return NULL;
    }
    health->checker = checker;
    health->control = checker->loop;
    list_push_back(&checker->services, &health->link);
    return health;
}

static void drop_health(void *state)
{
    struct service_health *health = state;
    struct health_checker *checker = health->checker;
    LIST_EACH_SAFE (link, &health->probes) { /* endpoints that others still hold */
        struct probe *probe = CONTAINER_OF(link, struct probe, link);
        forget_checks(probe);
        list_remove(&probe->link);
        probe->group = NULL;
    }
    if (checker) {
        table_remove(&checker->by_name, health->name);
        list_remove(&health->link);
        timer_clear(checker->loop, &health->compare);
        if (atomic_load(&health->noticed))
            (void)loop_unpost(checker->loop, &health->notice); /* it is there: what is noticed is posted */
    }
    memory_free(health);
}

struct service_health *service_health_claim(struct states *states, struct arena *arena,
                                            struct health_checker *checker, struct text service)
{
    struct making making = {checker, service};
    return states_claim(states, arena, "service-health", service, 0, make_health, drop_health, &making);
}

static void unregister(void *argument)
{
    struct registration *registration = argument;
    const struct service *service = registration->service;
    list_remove(&registration->link);
    LIST_EACH (link, &service->health->probes) {
        struct probe *probe = CONTAINER_OF(link, struct probe, link);
        if (probe->state == PROBE_RUNNING && probe->service == service)
            stop(probe); /* sync() starts it anew, as the newest version says */
    }
    health_checker_sync(service->health);
    start_those_that_wait(registration->checker);
}

void health_checker_await(const struct service *service, const struct endpoint_set *set)
{
    for (uint32_t i = 0; service->check && service->check->initial == 1 && i < set->count; i++) {
        struct endpoint *endpoint = set->endpoints[i].endpoint;
        if (endpoint->probe && endpoint->probe->fresh)
            atomic_store(&endpoint->checked, CHECKED_AWAITED);
    }
}

bool health_checker_register(struct health_checker *checker, struct arena *arena,
                             const struct service *service)
{
    struct registration *registration = ARENA_NEW(arena, struct registration);
    if (!registration)
        return false;
    *registration = (struct registration){.checker = checker, .service = service};
    list_push_front(&service->health->registrations, &registration->link);
    if (!arena_defer(arena, unregister, registration)) {
        list_remove(&registration->link);
        return false;
    }
    health_checker_await(service, service_set(service));
    health_checker_sync(service->health);
    return true;
}

/* --- life --- */

struct health_checker *health_checker_new(struct upstream_worker *control, struct endpoints *endpoints,
                                          struct metric_thread *metrics)
{
    struct health_checker *checker = memory_zero(sizeof *checker);
    if (!checker)
        return NULL;
    *checker = (struct health_checker){.loop = control->loop,
                                       .worker = control,
                                       .endpoints = endpoints,
                                       .metrics = metrics,
                                       .at_once = HEALTH_CHECKS_AT_ONCE};
    list_init(&checker->services);
    list_init(&checker->waiting);
    list_init(&checker->running);
    endpoints_watch(endpoints, endpoint_made, endpoint_dropped, checker);
    return checker;
}

void health_checker_free(struct health_checker *checker)
{
    if (!checker)
        return;
    table_release(&checker->by_name);
    memory_free(checker);
}

void health_checker_limit(struct health_checker *checker, unsigned at_once)
{
    checker->at_once = MAX_OF(at_once, 1u);
    start_those_that_wait(checker);
}

bool health_checker_settled(const struct health_checker *checker)
{
    LIST_EACH (service, &checker->services) {
        LIST_EACH (link, &CONTAINER_OF(service, const struct service_health, link)->probes) {
            const struct probe *probe = CONTAINER_OF(link, const struct probe, link);
            if (atomic_load(&probe->endpoint->checked) == CHECKED_AWAITED)
                return false;
        }
    }
    return true;
}

/* --- for the admin listener --- */

const struct service_health *health_checker_next(const struct health_checker *checker,
                                                 const struct service_health *previous)
{
    const struct list *next = previous ? previous->link.next : checker->services.next;
    for (; next != &checker->services; next = next->next) {
        const struct service_health *health = CONTAINER_OF(next, const struct service_health, link);
        if (service_health_service(health))
            return health;
    }
    return NULL;
}

const struct service *health_service_of(const struct endpoint *endpoint)
{
    const struct probe *probe = endpoint->probe;
    return probe && probe->group ? service_health_service(probe->group) : NULL;
}

uint32_t service_usable_count(const struct service *service, int64_t now_ms)
{
    const struct endpoint_set *set = service_set(service);
    uint32_t count_usable = 0;
    for (uint32_t i = 0; i < set->count; i++)
        count_usable += set->endpoints[i].weight > 0 && !set->endpoints[i].drain
                        && endpoint_usable(service, set->endpoints[i].endpoint, now_ms);
    return count_usable;
}

void health_set_by_hand(struct health_checker *checker, struct endpoint *endpoint, enum hand hand)
{
    struct probe *probe = endpoint->probe;
    atomic_store(&endpoint->hand, (uint8_t)hand);
    if (hand == HAND_UP || hand == HAND_AUTO)
        passive_forgive(&endpoint->passive);
    count(checker, METRIC_HEALTH_SET_BY_HAND);
    if (probe && probe->group) {
        atomic_fetch_add(&probe->group->epoch, 1);
        health_announce(probe->group);
    }
}

void health_check_result(const struct endpoint *endpoint, struct health_check_result *ret_result)
{
    const struct probe *probe = endpoint->probe;
    *ret_result = (struct health_check_result){0};
    if (!probe || !probe->decided)
        return;
    *ret_result = (struct health_check_result){true,
                                               probe->passed,
                                               probe->failed,
                                               probe->in_a_row,
                                               probe->last_passed,
                                               probe->checked_at_ms,
                                               text_of(probe->said)};
}
