/* Counts what becomes of tries, and takes outliers out of service for a while. */
#include "upstream/passive.h"

#include <stdio.h>

#include "base/check.h"
#include "base/random.h"
#include "config/field.h"
#include "upstream/health.h"

enum { GROWTH_MAX = 30 };

static const struct field latency_fields[] = {
    FIELD_NUMBER(struct passive_rules, latency_factor, "factor", "3", 1, 1000,
                 "So many times slower than the other endpoints of the service ejects one."),
    FIELD_PERCENT(
        struct passive_rules, latency_percentile, "percentile", "90%",
        "What is compared: the time within which this share of an endpoint's answers began, with the median of the "
        "others'."),
    FIELD_DURATION(struct passive_rules, latency_above_ms, "above", "100ms", 0, 86400000,
                   "An endpoint that is not slower than this is never ejected for it."),
    FIELD_END,
};

const struct field passive_fields[] = {
    FIELD_INTEGER(
        struct passive_rules, failures, "failures", "5", 0, 1000000,
        "So many failures in a row within `window` take an endpoint out of service for `eject`. 0 turns that off."),
    FIELD_DURATION(struct passive_rules, window_ms, "window", "10s", 1, 86400000,
                   "Time in which requests count together."),
    FIELD_PERCENT(
        struct passive_rules, ratio, "ratio", "0",
        "This share of failures among at least `requests` within `window` ejects too. 0 turns that off."),
    FIELD_INTEGER(struct passive_rules, requests, "requests", "20", 1, 1000000,
                  "Requests within `window` below which `ratio` and `latency` judge nothing."),
    FIELD_CUSTOM(struct passive_rules, statuses, "statuses", "[]", status_set_bind, status_set_schema,
                 "Answers that are failures: `503`, `500-504`, `5xx`, or a list."),
    FIELD_CUSTOM(
        struct passive_rules, faults, "errors", FAULT_SET_ALL, fault_set_bind, fault_set_schema,
        "Errors that are failures. `connect`: no connection; `timeout`: no answer in time; `closed`: closed before the "
        "end of an answer; `invalid`: an answer that breaks HTTP."),
    {.name = "latency",
     .kind = FIELD_KIND_STRUCT,
     .size = sizeof(struct passive_rules),
     .default_value = OPTIONAL,
     .fields = latency_fields,
     .about = "Ejects who is much slower than the others; absent: nobody."},
    FIELD_DURATION(struct passive_rules, eject_ms, "eject", "10s", 1, 86400000,
                   "How long an endpoint is out of service at first. Twice as long with each time in a row."),
    FIELD_DURATION(struct passive_rules, eject_max_ms, "eject_max", "5m", 1, 86400000,
                   "How long at most; `eject` if that is longer."),
    FIELD_PERCENT(
        struct passive_rules, jitter, "jitter", "10%",
        "Each ejection is made longer by up to this share, so that endpoints do not come back together."),
    FIELD_PERCENT(struct passive_rules, ejected_max, "ejected_max", "100%",
                  "Share of the endpoints that may be ejected at once; one always may."),
    FIELD_END,
};

/* --- ejection --- */

static uint32_t count_ejected(const struct service *service, int64_t now_ms)
{
    const struct endpoint_set *set = service_set(service);
    uint32_t count = 0;
    for (uint32_t i = 0; i < set->count; i++)
        count += endpoint_is_ejected(set->endpoints[i].endpoint, now_ms);
    return count;
}

/* Twice as long with each ejection in a row: who stayed in service as long as it was out, and for a window, begins anew. */
static int64_t eject_time(const struct passive_rules *rules, const struct passive *passive, int64_t until_ms,
                          int64_t now_ms, uint32_t *ret_row)
{
    int64_t trial_ms = MAX_OF(atomic_load(&passive->ejected_for_ms), rules->window_ms);
    uint32_t row = now_ms - until_ms > trial_ms ? 0 : atomic_load(&passive->row);
    int64_t ms = rules->eject_ms;
    for (uint32_t i = 0; i < MIN_OF(row, (uint32_t)GROWTH_MAX) && ms < rules->eject_max_ms; i++)
        ms *= 2;
    *ret_row = row;
    ms = MAX_OF(MIN_OF(ms, rules->eject_max_ms), rules->eject_ms);
    return ms + (int64_t)random_below((uint64_t)((double)ms * rules->jitter) + 1);
}

/* The share is checked after the fact, so that two workers that eject at the same time cannot both slip through. */
bool passive_eject(const struct service *service, struct endpoint *endpoint, enum ejection_cause cause,
                   uint32_t a, uint32_t b, int64_t now_ms)
{
    const struct passive_rules *rules = &service->passive;
    struct passive *passive = &endpoint->passive;
    int64_t before = atomic_load(&passive->ejected_until_ms);
    uint32_t row, most = MAX_OF((uint32_t)(rules->ejected_max * service_set(service)->count), 1u);
    if (before != 0 && now_ms < before)
        return false;
    int64_t ms = eject_time(rules, passive, before, now_ms, &row);
    if (!atomic_compare_exchange_strong(&passive->ejected_until_ms, &before, now_ms + ms))
        return false; /* another worker was faster */
    if (count_ejected(service, now_ms) > most) {
        atomic_store(&passive->ejected_until_ms, before);
        return false;
    }
    atomic_store(&passive->row, row + 1);
    atomic_store(&passive->ejected_for_ms, ms);
    atomic_store(&passive->because, cause);
    atomic_store(&passive->because_a, a);
    atomic_store(&passive->because_b, b);
    atomic_store(&passive->failures, 0);
    outcome_window_clear(&passive->outcomes);
    atomic_fetch_add_explicit(&passive->ejections, 1, memory_order_relaxed);
    return true;
}

void passive_forgive(struct passive *passive)
{
    atomic_store(&passive->ejected_until_ms, 0);
    atomic_store(&passive->row, 0);
    atomic_store(&passive->failures, 0);
    outcome_window_clear(&passive->outcomes);
}

struct text passive_reason(const struct passive *passive, char to[128])
{
    unsigned a = atomic_load(&passive->because_a), b = atomic_load(&passive->because_b);
    int size = 0;
    switch ((enum ejection_cause)atomic_load(&passive->because)) {
    case EJECTED_BY_FAILURES: size = snprintf(to, 128, "%u failures in a row", a); break;
    case EJECTED_BY_RATIO: size = snprintf(to, 128, "%u of %u requests failed", a, b); break;
    case EJECTED_BY_LATENCY:
        size = snprintf(to, 128, "it answers in %u ms where the others take %u ms", a, b);
        break;
    }
    return (struct text){to, (size_t)size};
}

/* --- counting --- */

/* Starts a new window when the old one is over; races between workers cost a count at most. */
static uint32_t count_failure(const struct passive_rules *rules, struct passive *passive, int64_t now_ms)
{
    int64_t began = atomic_load_explicit(&passive->window_began_ms, memory_order_relaxed);
    if (now_ms - began > rules->window_ms
        && atomic_compare_exchange_strong(&passive->window_began_ms, &began, now_ms))
        atomic_store(&passive->failures, 0);
    return atomic_fetch_add(&passive->failures, 1) + 1;
}

static bool ratio_is_bad(const struct passive_rules *rules, const struct passive *passive, int64_t now_ms,
                         struct outcome_sums *sums)
{
    outcome_window_sum(&passive->outcomes, rules->window_ms, now_ms, sums);
    return sums->total >= rules->requests && sums->failed >= rules->ratio * sums->total;
}

bool passive_report(const struct service *service, struct endpoint *endpoint, const struct try_report *report,
                    int64_t now_ms)
{
    const struct passive_rules *rules = &service->passive;
    struct passive *passive = &endpoint->passive;
    bool bad = report_is_bad(report, rules->faults, &rules->statuses);
    struct outcome_sums sums;
    if (rules->ratio > 0)
        outcome_window_add(&passive->outcomes, rules->window_ms, now_ms,
                           (struct outcome_sums){.total = 1, .failed = bad});
    if (rules->latency_factor > 0 && !bad && report->latency_ns >= 0)
        latency_record(&passive->latencies, report->latency_ns);
    if (LIKELY(!bad)) {
        if (UNLIKELY(atomic_load_explicit(&passive->failures, memory_order_relaxed)))
            atomic_store(&passive->failures, 0);
        return false;
    }
    int64_t failures = rules->failures ? count_failure(rules, passive, now_ms) : 0;
    if (rules->failures && failures >= rules->failures)
        return passive_eject(service, endpoint, EJECTED_BY_FAILURES, (uint32_t)failures, 0, now_ms);
    if (rules->ratio > 0 && ratio_is_bad(rules, passive, now_ms, &sums))
        return passive_eject(service, endpoint, EJECTED_BY_RATIO, sums.failed, sums.total, now_ms);
    return false;
}
