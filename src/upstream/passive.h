/* Passive health: what requests tell about an endpoint, and outlier ejection. State of an endpoint is shared by all workers. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "config/field.h"
#include "upstream/fault.h"
#include "upstream/latency.h"
#include "upstream/outcome_window.h"
#include "upstream/status_set.h"

struct endpoint;
struct service;

/* How a try went. */
struct try_report {
    enum fault fault;
    unsigned status;        /* 0: there was no answer */
    int64_t latency_ns;     /* from the request being sent to the head of the answer; negative: not known */
    int64_t retry_after_ms; /* what the answer asks for; 0: nothing */
};

/* Of a service's configuration. */
struct passive_rules {
    int64_t failures; /* in a row within window_ms; 0: not counted */
    int64_t window_ms;
    double ratio;               /* of at least `requests` within window_ms; 0: not looked at */
    int64_t requests;           /* also that an endpoint needs to be compared by latency */
    struct status_set statuses; /* answers that are failures */
    unsigned faults;            /* bits by enum fault */
    double latency_factor;      /* so many times slower than the others; 0: not looked at */
    double latency_percentile;
    int64_t latency_above_ms; /* and slower than this */
    int64_t eject_ms, eject_max_ms;
    double jitter;
    double ejected_max; /* share of the service's endpoints; one may always be */
};

enum ejection_cause { EJECTED_BY_FAILURES, EJECTED_BY_RATIO, EJECTED_BY_LATENCY };

/* Of an endpoint. Zeroed: in service. */
struct passive {
    _Atomic int64_t ejected_until_ms; /* loop time; 0: never ejected */
    _Atomic int64_t ejected_for_ms;   /* the last time */
    _Atomic uint32_t row;             /* ejections in a row, for the growth */
    _Atomic uint32_t failures;        /* in the window that is running, without a success between */
    _Atomic int64_t window_began_ms;
    _Atomic uint64_t ejections;
    _Atomic uint32_t because;              /* enum ejection_cause, and its figures */
    _Atomic uint32_t because_a, because_b; /* failures in a row | failed, total | ms, ms of the others */
    struct outcome_window outcomes;        /* counted only where `ratio` is set */
    struct latencies latencies;            /* only where `latency` is */
};

/* Is it a failure by these rules? */
static inline bool report_is_bad(const struct try_report *report, unsigned faults,
                                 const struct status_set *statuses)
{
    return report->fault != FAULT_NONE ? faults >> report->fault & 1
                                       : status_set_has(statuses, report->status);
}

/* A try has ended, one way or the other. True: the endpoint was ejected just now. */
bool passive_report(const struct service *service, struct endpoint *endpoint, const struct try_report *report,
                    int64_t now_ms);

/* Ejects by the service's rules; false: too many are out already, or it is. For passive_report() and the comparison of latencies. */
bool passive_eject(const struct service *service, struct endpoint *endpoint, enum ejection_cause cause,
                   uint32_t a, uint32_t b, int64_t now_ms);

/* Back in service at once: its check has passed again, or a person says so. */
void passive_forgive(struct passive *passive);

/* Why it was ejected, as a sentence for a log; into `to`. */
struct text passive_reason(const struct passive *passive, char to[128]);

extern const struct field passive_fields[];
