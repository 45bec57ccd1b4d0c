/* Whether an endpoint may be used: the one question that balancing asks, over state that all workers share.
 *
 * Three judges have a say: a person (`hand`), active checks (`checked`), and the requests themselves (passive marking, and the breaker of the
 * endpoint). The state belongs to the endpoint, which outlives snapshots; what concerns a service as a whole is a named state. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/list.h"
#include "net/loop.h"
#include "upstream/breaker.h"
#include "upstream/endpoint.h"
#include "upstream/service.h"

struct health_checker;

/* Of a service, by its name. */
struct service_health {
    /* Shared by workers. */
    struct breaker breaker;
    _Atomic uint32_t epoch;  /* rises when an endpoint's state changes: usable ones are counted anew then */
    _Atomic uint64_t judged; /* the epoch of the last count (32 bits), enum panic */
    _Atomic int64_t judge_again_ms; /* when it must be counted anew in any case */
    _Atomic bool noticed;
    struct task notice; /* to the control thread: something has changed, log it */

    /* The control thread's: health_checker.c. */
    struct loop *control;
    struct health_checker *checker; /* NULL: nothing is checked or logged (tests, `turnpike check`) */
    struct text name;
    struct list link;          /* in the checker's list */
    struct list registrations; /* of built services, newest first */
    struct list probes;        /* one for each endpoint */
    struct timer compare;      /* of latencies */
    bool to_sync;              /* endpoints or rules have changed */
    enum breaker_state announced_breaker;
    uint32_t announced_panic;
};

/* Fewer endpoints are usable than `panic` of the service says. */
enum panic {
    PANIC_NONE,
    PANIC_IGNORE, /* health is ignored: all are usable that were not taken out on purpose */
    PANIC_REFUSE, /* none is */
};
enum panic service_panic(const struct service *service, int64_t now_ms);

enum endpoint_use {
    ENDPOINT_OUT,  /* never: taken out by hand, or its breaker is open */
    ENDPOINT_POOR, /* not healthy: only in panic */
    ENDPOINT_GOOD,
};

static inline enum endpoint_use endpoint_use(const struct service *service, const struct endpoint *endpoint,
                                             int64_t now_ms)
{
    enum hand hand = (enum hand)atomic_load_explicit(&endpoint->hand, memory_order_relaxed);
    if (UNLIKELY(hand == HAND_DOWN || hand == HAND_DRAIN))
        return ENDPOINT_OUT;
    if (service->endpoint_breaker.window_ms
        && UNLIKELY(!breaker_would_pass(&endpoint->breaker, &service->endpoint_breaker, now_ms)))
        return ENDPOINT_OUT;
    if (hand == HAND_UP)
        return ENDPOINT_GOOD;
    bool fails = atomic_load_explicit(&endpoint->checked, memory_order_relaxed) >= CHECKED_DOWN;
    return UNLIKELY(fails || endpoint_is_ejected(endpoint, now_ms)) ? ENDPOINT_POOR : ENDPOINT_GOOD;
}

/* May a request go there now? Balancers ask this and nothing else. */
static inline bool endpoint_usable(const struct service *service, const struct endpoint *endpoint,
                                   int64_t now_ms)
{
    enum endpoint_use use = endpoint_use(service, endpoint, now_ms);
    return use == ENDPOINT_GOOD || (use == ENDPOINT_POOR && service_panic(service, now_ms) == PANIC_IGNORE);
}

void service_health_notice(struct service_health *health);

/* Something about the service's endpoints or breakers has changed: usable ones are counted anew, and the control thread logs it. Any thread. */
void service_health_changed(const struct service *service);

/* --- a request: admitted, answered, over --- */

/* What a try holds of its service's and its endpoint's breakers. */
struct admission {
    struct breaker_pass service, endpoint;
    bool answered; /* both breakers know of the answer's head */
    bool good;     /* and it was good */
};

enum admit {
    ADMIT_FINE,
    ADMIT_NONE /* there is no usable endpoint */,
    ADMIT_BREAKER /* a breaker is open */
};

/* Chooses an endpoint by service_pick() and passes the breakers. */
enum admit service_admit(const struct service *service, const struct pick *pick, int64_t now_ms,
                         struct picked *ret_picked, struct admission *ret_admission);

/* The head of the answer is there. Breakers learn it now: an answer may take hours. */
void service_answered(const struct service *service, struct endpoint *endpoint, struct admission *admission,
                      const struct try_report *report, int64_t now_ms);

/* Admitted, but not begun: the passes go back, and nothing is counted. */
void service_withdrawn(const struct service *service, struct endpoint *endpoint, struct admission *admission,
                       int64_t now_ms);

/* The try is over, once for each admission. `report` NULL: nothing is known, as when the client went away. */
void service_ended(const struct service *service, struct endpoint *endpoint, struct admission *admission,
                   const struct try_report *report, int64_t now_ms);

/* What a caller is told after ADMIT_BREAKER, and how long until somebody may try again, in whole seconds, at least one. */
struct breaker_answer {
    unsigned status;
    struct text detail;
    int64_t retry_after_s;
};
void service_breaker_answer(const struct service *service, int64_t now_ms, struct breaker_answer *ret_answer);

/* --- for pages and logs --- */

enum condition_of_endpoint {
    CONDITION_IN_SERVICE,
    CONDITION_DOWN,      /* by hand */
    CONDITION_DRAINING,  /* by hand, with requests under way */
    CONDITION_DRAINED,   /* by hand */
    CONDITION_UNCHECKED, /* waits for its first check */
    CONDITION_UNHEALTHY, /* its checks fail */
    CONDITION_EJECTED,
    CONDITION_BREAKER_OPEN,
    CONDITION_HALF_OPEN,
};
/* `service` NULL: its breaker is not asked for. */
enum condition_of_endpoint endpoint_condition(const struct service *service, const struct endpoint *endpoint,
                                              int64_t now_ms);
const char *endpoint_condition_name(enum condition_of_endpoint condition);
