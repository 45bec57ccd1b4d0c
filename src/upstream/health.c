/* Panic, admission of requests, and what endpoints are called on pages. */
#include "upstream/health.h"

#include "base/check.h"

enum { JUDGE_AGAIN_MS = 1000, ADMIT_TRIES_MAX = 16 };

/* --- panic --- */

/* Counts who is usable, and when that changes by itself at the earliest. */
static enum panic judge(const struct service *service, int64_t now_ms, int64_t *again_ms)
{
    const struct endpoint_set *set = service_set(service);
    uint32_t usable = 0, all = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        const struct endpoint *endpoint = set->endpoints[i].endpoint;
        enum hand hand = (enum hand)atomic_load(&endpoint->hand);
        int64_t until_ms = atomic_load(&endpoint->passive.ejected_until_ms);
        if (set->endpoints[i].weight == 0 || set->endpoints[i].drain || hand == HAND_DOWN
            || hand == HAND_DRAIN)
            continue;
        all++;
        usable += endpoint_use(service, endpoint, now_ms) == ENDPOINT_GOOD;
        if (until_ms > now_ms)
            *again_ms = MIN_OF(*again_ms, until_ms);
    }
    if (usable > 0 && usable >= service->panic.below * all)
        return PANIC_NONE;
    return service->panic.refuse ? PANIC_REFUSE : PANIC_IGNORE;
}

enum panic service_panic(const struct service *service, int64_t now_ms)
{
    struct service_health *health = service->health;
    uint32_t epoch = atomic_load(&health->epoch);
    uint64_t judged = atomic_load(&health->judged);
    if (judged >> 32 == epoch && now_ms < atomic_load_explicit(&health->judge_again_ms, memory_order_relaxed))
        return (enum panic)(judged & 3);
    int64_t again_ms = now_ms + JUDGE_AGAIN_MS;
    enum panic panic = judge(service, now_ms, &again_ms);
    atomic_store(&health->judge_again_ms, again_ms);
    atomic_store(&health->judged, (uint64_t)epoch << 32 | panic);
    if (panic != (enum panic)(judged & 3))
        service_health_notice(health);
    return panic;
}

void service_health_notice(struct service_health *health)
{
    if (health->checker && !atomic_exchange(&health->noticed, true))
        loop_mail(health->control, &health->notice);
}

void service_health_changed(const struct service *service)
{
    atomic_fetch_add(&service->health->epoch, 1);
    service_health_notice(service->health);
}

/* --- a request --- */

static bool any_breaker_holds(const struct service *service, int64_t now_ms)
{
    if (service->endpoint_breaker.window_ms == 0)
        return false;
    const struct endpoint_set *set = service_set(service);
    for (uint32_t i = 0; i < set->count; i++)
        if (!breaker_would_pass(&set->endpoints[i].endpoint->breaker, &service->endpoint_breaker, now_ms))
            return true;
    return false;
}

/* Who tries a half-open one is an event. */
static bool pass(const struct service *service, struct breaker *breaker, const struct breaker_rules *rules,
                 int64_t now_ms, struct breaker_pass *ret_pass)
{
    if (!breaker_pass(breaker, rules, now_ms, ret_pass))
        return false;
    if (UNLIKELY(ret_pass->period))
        service_health_changed(service);
    return true;
}

/* A half-open breaker may fill up between the choice and the pass: then there is another choice. */
static struct picked choose(const struct service *service, const struct pick *pick, int64_t now_ms,
                            struct breaker_pass *ret_pass)
{
    for (int tries = 0; tries < ADMIT_TRIES_MAX; tries++) {
        struct picked picked = service_pick(service, pick, now_ms);
        if (!picked.endpoint || service->endpoint_breaker.window_ms == 0)
            return picked;
        if (pass(service, &picked.endpoint->breaker, &service->endpoint_breaker, now_ms, ret_pass))
            return picked;
    }
    return (struct picked){0};
}

enum admit service_admit(const struct service *service, const struct pick *pick, int64_t now_ms,
                         struct picked *ret_picked, struct admission *ret_admission)
{
    *ret_admission = (struct admission){0};
    if (UNLIKELY(service->panic.refuse) && service_panic(service, now_ms) == PANIC_REFUSE)
        return ADMIT_NONE;
    if (service->breaker.window_ms
        && !pass(service, &service->health->breaker, &service->breaker, now_ms, &ret_admission->service))
        return ADMIT_BREAKER;
    *ret_picked = choose(service, pick, now_ms, &ret_admission->endpoint);
    if (LIKELY(ret_picked->endpoint))
        return ADMIT_FINE;
    if (service->breaker.window_ms)
        breaker_report(&service->health->breaker, &service->breaker, &ret_admission->service, BREAKER_UNKNOWN,
                       0, now_ms);
    return any_breaker_holds(service, now_ms) ? ADMIT_BREAKER : ADMIT_NONE;
}

static enum breaker_result result_by(const struct breaker_rules *rules, const struct try_report *report)
{
    if (!report)
        return BREAKER_UNKNOWN;
    if (report_is_bad(report, rules->faults, &rules->statuses))
        return BREAKER_BAD;
    return rules->slow_ms && report->latency_ns > rules->slow_ms * 1000000 ? BREAKER_SLOW : BREAKER_GOOD;
}

/* Both breakers take their passes back. */
static void tell_breakers(const struct service *service, struct endpoint *endpoint,
                          struct admission *admission, const struct try_report *report, int64_t now_ms)
{
    int64_t retry_after_ms = report ? report->retry_after_ms : 0;
    bool changed = false;
    if (admission->service.held)
        changed |= breaker_report(&service->health->breaker, &service->breaker, &admission->service,
                                  result_by(&service->breaker, report), retry_after_ms, now_ms);
    if (admission->endpoint.held)
        changed |= breaker_report(&endpoint->breaker, &service->endpoint_breaker, &admission->endpoint,
                                  result_by(&service->endpoint_breaker, report), retry_after_ms, now_ms);
    if (UNLIKELY(changed))
        service_health_changed(service);
}

void service_answered(const struct service *service, struct endpoint *endpoint, struct admission *admission,
                      const struct try_report *report, int64_t now_ms)
{
    admission->answered = admission->service.held || admission->endpoint.held;
    if (admission->answered)
        tell_breakers(service, endpoint, admission, report, now_ms);
}

/* An answer that had begun well broke off. */
static void amend(const struct service *service, struct endpoint *endpoint, const struct try_report *report,
                  int64_t now_ms)
{
    bool changed = false;
    if (service->breaker.window_ms && service->breaker.faults >> report->fault & 1)
        changed |= breaker_amend(&service->health->breaker, &service->breaker, now_ms);
    if (service->endpoint_breaker.window_ms && service->endpoint_breaker.faults >> report->fault & 1)
        changed |= breaker_amend(&endpoint->breaker, &service->endpoint_breaker, now_ms);
    if (changed)
        service_health_changed(service);
}

void service_withdrawn(const struct service *service, struct endpoint *endpoint, struct admission *admission,
                       int64_t now_ms)
{
    tell_breakers(service, endpoint, admission, NULL, now_ms);
}

void service_ended(const struct service *service, struct endpoint *endpoint, struct admission *admission,
                   const struct try_report *report, int64_t now_ms)
{
    atomic_fetch_add_explicit(&endpoint->requests, 1, memory_order_relaxed);
    if (UNLIKELY(admission->answered) && report && report->fault != FAULT_NONE)
        amend(service, endpoint, report, now_ms);
    tell_breakers(service, endpoint, admission, report, now_ms);
    if (!report)
        return;
    if (report->fault != FAULT_NONE)
        atomic_fetch_add_explicit(&endpoint->failed, 1, memory_order_relaxed);
    if (UNLIKELY(passive_report(service, endpoint, report, now_ms)))
        service_health_changed(service);
}

/* The service's breaker, or of its endpoints' the one that is the next to let somebody pass. */
void service_breaker_answer(const struct service *service, int64_t now_ms, struct breaker_answer *ret_answer)
{
    const struct breaker_rules *rules = &service->breaker;
    int64_t wait_ms = INT64_MAX;
    if (rules->window_ms && !breaker_would_pass(&service->health->breaker, rules, now_ms)) {
        wait_ms = breaker_wait_ms(&service->health->breaker, now_ms);
    } else {
        rules = &service->endpoint_breaker;
        const struct endpoint_set *set = service_set(service);
        for (uint32_t i = 0; i < set->count; i++)
            if (!breaker_would_pass(&set->endpoints[i].endpoint->breaker, rules, now_ms))
                wait_ms = MIN_OF(wait_ms, breaker_wait_ms(&set->endpoints[i].endpoint->breaker, now_ms));
    }
    if (wait_ms == INT64_MAX) /* it has closed meanwhile */
        wait_ms = 0;
    *ret_answer =
        (struct breaker_answer){(unsigned)rules->status, rules->detail, MAX_OF((wait_ms + 999) / 1000, 1)};
}

/* --- for pages and logs --- */

enum condition_of_endpoint endpoint_condition(const struct service *service, const struct endpoint *endpoint,
                                              int64_t now_ms)
{
    enum hand hand = (enum hand)atomic_load(&endpoint->hand);
    enum breaker_state breaker = service && service->endpoint_breaker.window_ms
                                     ? breaker_state(&endpoint->breaker, now_ms)
                                     : BREAKER_CLOSED;
    if (hand == HAND_DOWN)
        return CONDITION_DOWN;
    if (hand == HAND_DRAIN)
        return atomic_load(&endpoint->in_flight) > 0 ? CONDITION_DRAINING : CONDITION_DRAINED;
    if (breaker == BREAKER_OPEN)
        return CONDITION_BREAKER_OPEN;
    if (hand == HAND_AUTO) {
        enum checked checked = (enum checked)atomic_load(&endpoint->checked);
        if (checked == CHECKED_AWAITED)
            return CONDITION_UNCHECKED;
        if (checked == CHECKED_DOWN)
            return CONDITION_UNHEALTHY;
        if (endpoint_is_ejected(endpoint, now_ms))
            return CONDITION_EJECTED;
    }
    return breaker == BREAKER_HALF_OPEN ? CONDITION_HALF_OPEN : CONDITION_IN_SERVICE;
}

const char *endpoint_condition_name(enum condition_of_endpoint condition)
{
    switch (condition) {
    case CONDITION_IN_SERVICE: return "in-service";
    case CONDITION_DOWN: return "down";
    case CONDITION_DRAINING: return "draining";
    case CONDITION_DRAINED: return "drained";
    case CONDITION_UNCHECKED: return "unchecked";
    case CONDITION_UNHEALTHY: return "unhealthy";
    case CONDITION_EJECTED: return "ejected";
    case CONDITION_BREAKER_OPEN: return "breaker-open";
    case CONDITION_HALF_OPEN: return "half-open";
    }
    UNREACHABLE();
}
