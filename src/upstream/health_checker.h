/* The health checker of a node: active checks of each endpoint, the comparison of latencies, and the log of all that changes.
 *
 * One for the process, on the control thread. It knows services by name (struct service_health) and endpoints as they are made and dropped, so a
 * reload touches only what changed; the newest built version of a service says how it is checked. */
#pragma once

#include "base/arena.h"
#include "upstream/health.h"
#include "upstream/health_check.h"

struct metric_thread;
struct states;

enum { HEALTH_CHECKS_AT_ONCE = 100 };

/* Watches `endpoints`. `metrics` (NULL: nothing is counted) is written on this thread. NULL: no memory. */
struct health_checker *health_checker_new(struct upstream_worker *control, struct endpoints *endpoints,
                                          struct metric_thread *metrics);

/* After endpoints and states. NULL is allowed. */
void health_checker_free(struct health_checker *checker);

/* So many checks may run at once; others wait for their turn. */
void health_checker_limit(struct health_checker *checker, unsigned at_once);

/* The state of a service by name, claimed until `arena` is released. To be claimed before its endpoints. `checker` may be NULL. */
struct service_health *service_health_claim(struct states *states, struct arena *arena,
                                            struct health_checker *checker, struct text service);

/* The service is built: from now on, until `arena` is released, it says how its endpoints are checked, unless a newer one does. */
bool health_checker_register(struct health_checker *checker, struct arena *arena,
                             const struct service *service);

/* Where the rules say so, endpoints of a set that were made in this turn take nothing until their first check passes: to be called before
 * workers see the set. */
void health_checker_await(const struct service *service, const struct endpoint_set *set);

/* Endpoints of the service have come or gone. Looks at them in the next turn. */
void health_checker_sync(struct service_health *health);

/* No endpoint waits for its first check. */
bool health_checker_settled(const struct health_checker *checker);

/* --- for the admin listener --- */

/* Walks services that a snapshot has; NULL at the end. */
const struct service_health *health_checker_next(const struct health_checker *checker,
                                                 const struct service_health *previous);
/* The newest version of the service; NULL: none. */
const struct service *service_health_service(const struct service_health *health);

/* The newest version of the service that has the endpoint; NULL: none. */
const struct service *health_service_of(const struct endpoint *endpoint);

/* How many of its endpoints take requests now. */
uint32_t service_usable_count(const struct service *service, int64_t now_ms);

/* What a person says about an endpoint; logged. */
void health_set_by_hand(struct health_checker *checker, struct endpoint *endpoint, enum hand hand);

/* What active checks of an endpoint came to. */
struct health_check_result {
    bool checked; /* there are checks, and one has ended */
    uint64_t passed, failed;
    unsigned in_a_row; /* with the result of the last one */
    bool last_passed;
    int64_t at_ms;    /* loop time of the last one */
    struct text said; /* why the last one that failed did */
};
void health_check_result(const struct endpoint *endpoint, struct health_check_result *ret_result);
