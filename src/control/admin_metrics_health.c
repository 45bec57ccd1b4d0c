/* What the metrics page says about endpoints and services: load, failures, health, breakers. */
#include "base/check.h"
#include "control/admin.h"
#include "telemetry/prometheus.h"
#include "upstream/health_checker.h"

/* --- endpoints --- */

/* False: the endpoint has no such number. */
typedef bool endpoint_number(const struct endpoint *at, int64_t now_ms, uint64_t *ret_value);

static bool requests_of(const struct endpoint *at, int64_t now_ms, uint64_t *ret_value)
{
    (void)now_ms;
    *ret_value = atomic_load(&at->requests);
    return true;
}

static bool failures_of(const struct endpoint *at, int64_t now_ms, uint64_t *ret_value)
{
    (void)now_ms;
    *ret_value = atomic_load(&at->failed);
    return true;
}

static bool ejections_of(const struct endpoint *at, int64_t now_ms, uint64_t *ret_value)
{
    (void)now_ms;
    *ret_value = atomic_load(&at->passive.ejections);
    return true;
}

static bool in_service(const struct endpoint *at, int64_t now_ms, uint64_t *ret_value)
{
    enum condition_of_endpoint condition = endpoint_condition(health_service_of(at), at, now_ms);
    *ret_value = condition == CONDITION_IN_SERVICE || condition == CONDITION_HALF_OPEN;
    return true;
}

static bool in_flight(const struct endpoint *at, int64_t now_ms, uint64_t *ret_value)
{
    (void)now_ms;
    *ret_value = (uint64_t)MAX_OF(atomic_load(&at->in_flight), 0);
    return true;
}

static bool checks_passed(const struct endpoint *at, int64_t now_ms, uint64_t *ret_value)
{
    struct health_check_result result;
    (void)now_ms;
    health_check_result(at, &result);
    *ret_value = result.passed;
    return result.checked;
}

static bool checks_failed(const struct endpoint *at, int64_t now_ms, uint64_t *ret_value)
{
    struct health_check_result result;
    (void)now_ms;
    health_check_result(at, &result);
    *ret_value = result.failed;
    return result.checked;
}

/* 0 closed, 1 half-open, 2 open: the worse, the more. */
static uint64_t state_number(const struct breaker *breaker, int64_t now_ms)
{
    switch (breaker_state(breaker, now_ms)) {
    case BREAKER_CLOSED: return 0;
    case BREAKER_HALF_OPEN: return 1;
    case BREAKER_OPEN: return 2;
    }
    UNREACHABLE();
}

static bool has_breaker(const struct endpoint *at)
{
    const struct service *service = health_service_of(at);
    return service && service->endpoint_breaker.window_ms;
}

static bool breaker_of(const struct endpoint *at, int64_t now_ms, uint64_t *ret_value)
{
    *ret_value = state_number(&at->breaker, now_ms);
    return has_breaker(at);
}

static bool openings_of(const struct endpoint *at, int64_t now_ms, uint64_t *ret_value)
{
    (void)now_ms;
    *ret_value = atomic_load(&at->breaker.openings);
    return has_breaker(at);
}

static void write_endpoints(struct prometheus *writer, const struct gateway *gateway)
{
    static const struct {
        const char *name, *help;
        enum prometheus_type type;
        endpoint_number *value;
    } families[] = {
        {"turnpike_endpoint_requests_total", "Attempts at an endpoint that have ended.", PROMETHEUS_COUNTER,
         requests_of},
        {"turnpike_endpoint_failures_total", "Attempts at an endpoint that failed.", PROMETHEUS_COUNTER,
         failures_of},
        {"turnpike_endpoint_ejections_total", "Times that requests took an endpoint out of service.",
         PROMETHEUS_COUNTER, ejections_of},
        {"turnpike_endpoint_in_service", "1 while an endpoint takes requests, 0 while it is out of service.",
         PROMETHEUS_GAUGE, in_service},
        {"turnpike_endpoint_in_flight", "Attempts at an endpoint under way now.", PROMETHEUS_GAUGE,
         in_flight},
        {"turnpike_endpoint_checks_passed_total", "Active checks of an endpoint that passed.",
         PROMETHEUS_COUNTER, checks_passed},
        {"turnpike_endpoint_checks_failed_total", "Active checks of an endpoint that failed.",
         PROMETHEUS_COUNTER, checks_failed},
        {"turnpike_endpoint_breaker_state", "0 closed, 1 half-open, 2 open.", PROMETHEUS_GAUGE, breaker_of},
        {"turnpike_endpoint_breaker_openings_total", "Times that an endpoint's breaker opened.",
         PROMETHEUS_COUNTER, openings_of},
    };
    static const struct prometheus_label overflow[] = {{"service", TEXT_INIT("_overflow")},
                                                       {"endpoint", TEXT_INIT("_overflow")}};
    int64_t now_ms = gateway->control.loop.now_ms, series_max = gateway->snapshot->settings.series_max;
    for (unsigned i = 0; i < COUNT_OF(families); i++) {
        int64_t series = 0;
        uint64_t rest = 0, value;
        prometheus_family(writer, families[i].name, families[i].type, families[i].help);
        for (const struct endpoint *at = NULL; (at = endpoints_next(gateway->endpoints, at));) {
            const struct prometheus_label labels[] = {{"service", at->service}, {"endpoint", at->url}};
            if (!families[i].value(at, now_ms, &value))
                continue;
            if (series++ < series_max)
                prometheus_sample(writer, labels, COUNT_OF(labels), value);
            else
                rest += value;
        }
        if (series > series_max)
            prometheus_sample(writer, overflow, COUNT_OF(overflow), rest);
    }
}

/* --- services --- */

typedef bool service_number(const struct service *service, int64_t now_ms, uint64_t *ret_value);

static bool usable(const struct service *service, int64_t now_ms, uint64_t *ret_value)
{
    *ret_value = service_usable_count(service, now_ms);
    return true;
}

static bool panic(const struct service *service, int64_t now_ms, uint64_t *ret_value)
{
    *ret_value = service_panic(service, now_ms) != PANIC_NONE;
    return true;
}

static bool service_breaker(const struct service *service, int64_t now_ms, uint64_t *ret_value)
{
    *ret_value = state_number(&service->health->breaker, now_ms);
    return service->breaker.window_ms;
}

static bool service_openings(const struct service *service, int64_t now_ms, uint64_t *ret_value)
{
    (void)now_ms;
    *ret_value = atomic_load(&service->health->breaker.openings);
    return service->breaker.window_ms;
}

static bool service_refused(const struct service *service, int64_t now_ms, uint64_t *ret_value)
{
    (void)now_ms;
    *ret_value = atomic_load(&service->health->breaker.refused);
    return service->breaker.window_ms;
}

static void write_services(struct prometheus *writer, const struct gateway *gateway)
{
    static const struct {
        const char *name, *help;
        enum prometheus_type type;
        service_number *value;
    } families[] = {
        {"turnpike_service_endpoints_usable", "Endpoints that take requests now.", PROMETHEUS_GAUGE, usable},
        {"turnpike_service_panic", "1 while too few endpoints are healthy.", PROMETHEUS_GAUGE, panic},
        {"turnpike_service_breaker_state", "0 closed, 1 half-open, 2 open.", PROMETHEUS_GAUGE,
         service_breaker},
        {"turnpike_service_breaker_openings_total", "Times that a service's breaker opened.",
         PROMETHEUS_COUNTER, service_openings},
        {"turnpike_service_breaker_refused_total", "Attempts that a service's breaker let not pass.",
         PROMETHEUS_COUNTER, service_refused},
    };
    int64_t now_ms = gateway->control.loop.now_ms;
    for (unsigned i = 0; i < COUNT_OF(families); i++) {
        prometheus_family(writer, families[i].name, families[i].type, families[i].help);
        for (const struct service_health *at = NULL; (at = health_checker_next(gateway->checker, at));) {
            const struct prometheus_label label = {"service", at->name};
            uint64_t value;
            if (families[i].value(service_health_service(at), now_ms, &value))
                prometheus_sample(writer, &label, 1, value);
        }
    }
}

void admin_write_health(struct prometheus *writer, const struct gateway *gateway)
{
    write_endpoints(writer, gateway);
    write_services(writer, gateway);
}
