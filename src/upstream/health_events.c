/* Says in the log what has changed about a service, once for each change, and why. */
#include "base/check.h"
#include "base/log.h"
#include "telemetry/metrics.h"
#include "upstream/health_private.h"

static void count(const struct health_checker *checker, enum metric_id id)
{
    if (checker->metrics)
        metric_add(checker->metrics, id, 1);
}

/* --- breaker and panic of the service --- */

static void announce_breaker(struct service_health *health, const struct service *service, int64_t now_ms)
{
    char reason[128];
    enum breaker_state state =
        service && service->breaker.window_ms ? breaker_state(&health->breaker, now_ms) : BREAKER_CLOSED;
    if (state == health->announced_breaker)
        return;
    health->announced_breaker = state;
    count(health->checker, METRIC_HEALTH_CHANGES);
    switch (state) {
    case BREAKER_OPEN:
        log_warn("breaker open", LOG_TEXT("service", health->name),
                 LOG_TEXT("reason", breaker_reason(&health->breaker, reason)),
                 LOG_INT("milliseconds", breaker_wait_ms(&health->breaker, now_ms)));
        return;
    case BREAKER_HALF_OPEN: log_info("breaker half-open", LOG_TEXT("service", health->name)); return;
    case BREAKER_CLOSED: log_info("breaker closed", LOG_TEXT("service", health->name)); return;
    }
}

static void announce_panic(struct service_health *health)
{
    uint32_t panic = (uint32_t)(atomic_load(&health->judged) & 3);
    if (panic == health->announced_panic)
        return;
    health->announced_panic = panic;
    count(health->checker, METRIC_HEALTH_CHANGES);
    if (panic == PANIC_NONE)
        log_info("panic over: enough endpoints are usable", LOG_TEXT("service", health->name));
    else
        log_warn("panic: too few endpoints are usable", LOG_TEXT("service", health->name),
                 LOG_STRING("action", panic == PANIC_REFUSE ? "requests are refused" : "health is ignored"));
}

/* --- endpoints --- */

static struct text reason_of(const struct probe *probe, enum condition_of_endpoint condition, char to[128])
{
    switch (condition) {
    case CONDITION_DOWN:
    case CONDITION_DRAINING:
    case CONDITION_DRAINED: return TEXT("set by hand");
    case CONDITION_UNCHECKED: return TEXT("it waits for its first check");
    case CONDITION_UNHEALTHY: return text_of(probe->said);
    case CONDITION_EJECTED: return passive_reason(&probe->endpoint->passive, to);
    case CONDITION_BREAKER_OPEN: return breaker_reason(&probe->endpoint->breaker, to);
    case CONDITION_HALF_OPEN: return TEXT("its breaker lets a few requests try");
    case CONDITION_IN_SERVICE: break;
    }
    switch (probe->announced) {
    case CONDITION_UNCHECKED:
    case CONDITION_UNHEALTHY:
        return probe->wanted ? TEXT("its checks pass") : TEXT("it is not checked any more");
    case CONDITION_EJECTED: return TEXT("its time out is over");
    case CONDITION_BREAKER_OPEN:
    case CONDITION_HALF_OPEN: return TEXT("its breaker is closed");
    case CONDITION_IN_SERVICE:
    case CONDITION_DOWN:
    case CONDITION_DRAINING:
    case CONDITION_DRAINED: break;
    }
    return TEXT("set by hand");
}

/* Draining and drained are one event. */
static enum condition_of_endpoint event_of(enum condition_of_endpoint condition)
{
    return condition == CONDITION_DRAINED ? CONDITION_DRAINING : condition;
}

static void announce_endpoint(struct probe *probe, const struct service *service, int64_t now_ms)
{
    char to[128];
    const struct endpoint *endpoint = probe->endpoint;
    enum condition_of_endpoint condition = endpoint_condition(service, endpoint, now_ms);
    int64_t until_ms = atomic_load(&endpoint->passive.ejected_until_ms);
    if (condition == CONDITION_EJECTED)
        timer_set(probe->checker->loop, &probe->back, until_ms);
    if (event_of(condition) == event_of(probe->announced))
        return;
    bool in = condition == CONDITION_IN_SERVICE || condition == CONDITION_HALF_OPEN;
    struct text reason = reason_of(probe, condition, to);
    const char *state = endpoint_condition_name(condition);
    if (in)
        log_info("endpoint in service", LOG_TEXT("service", endpoint->service),
                 LOG_TEXT("endpoint", endpoint->url), LOG_STRING("state", state), LOG_TEXT("reason", reason));
    else
        log_warn("endpoint out of service", LOG_TEXT("service", endpoint->service),
                 LOG_TEXT("endpoint", endpoint->url), LOG_STRING("state", state), LOG_TEXT("reason", reason));
    probe->announced = condition;
    count(probe->checker, METRIC_HEALTH_CHANGES);
}

void health_announce(struct service_health *health)
{
    const struct service *service = service_health_service(health);
    int64_t now_ms = health->checker->loop->now_ms;
    announce_breaker(health, service, now_ms);
    LIST_EACH (link, &health->probes)
        announce_endpoint(CONTAINER_OF(link, struct probe, link), service, now_ms);
    announce_panic(health);
}
