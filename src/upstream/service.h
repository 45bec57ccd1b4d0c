/* A service: a logical backend with its endpoints and the rules for using them. Immutable part of a snapshot. */
#pragma once

#include <stdatomic.h>

#include "base/check.h"
#include "config/field.h"
#include "http/h1.h"
#include "tls/client.h"
#include "upstream/breaker.h"
#include "upstream/endpoint_set.h"
#include "upstream/hedge.h"
#include "upstream/passive.h"
#include "upstream/queue.h"
#include "upstream/retry.h"

enum host_rule { HOST_PRESERVE, HOST_ENDPOINT, HOST_LITERAL };

/* When too few endpoints are usable. */
struct panic_rules {
    double below; /* share of those that were not taken out by hand; with none left it is always panic */
    bool refuse;  /* nothing is sent then; otherwise health is ignored */
};

/* How long the origin has, as a field of the request. */
enum deadline_format { DEADLINE_MILLISECONDS, DEADLINE_SECONDS, DEADLINE_GRPC };
struct deadline_header {
    struct text name; /* .at NULL: none */
    enum deadline_format format;
};

struct service {
    struct text name;
    _Atomic(struct endpoint_set *)
        set; /* of this moment: read it once for a choice, keep it no longer than the loop's turn */
    struct balance_rules balance;
    struct service_shared *shared;                                                      /* claimed by name */
    int64_t connect_timeout_ms, response_timeout_ms, idle_timeout_ms, total_timeout_ms; /* total 0: none */
    int64_t send_timeout_ms; /* longest pause while nothing of the request is taken; 0: as idle */
    struct deadline_header deadline;
    struct retry_rules retry;
    struct hedge_rules hedge;
    struct queue_rules queue;
    const struct health_check *check; /* active checks; NULL: none */
    struct passive_rules passive;
    struct panic_rules panic;
    struct breaker_rules breaker, endpoint_breaker;
    struct service_health *health; /* shared, claimed by name */
    const struct tls_client *tls;  /* NULL: no endpoint speaks TLS */
    int64_t tls_timeout_ms;
    enum host_rule host_rule;
    struct text host;        /* HOST_LITERAL */
    struct h1_limits limits; /* of answers */
    const struct expr
        *body_because;          /* an expression of the service that uses the request's body; NULL: none */
    int64_t buffered_bytes_max; /* of answers' bodies that are needed whole */
    int64_t pool_idle_ms;       /* how long an unused connection is kept */
    uint32_t pool_size;         /* unused connections kept per worker and endpoint */
    uint64_t pool_requests_max; /* on one connection; 0: no limit */
    int64_t pool_age_ms;        /* oldest connection that is kept; 0: no limit */
};

/* How many more requests the endpoints together may have at once, by `queue.per_endpoint_max`. */
int64_t service_free_slots(const struct service *service);

/* Takes a request more at this endpoint: raises its in_flight, unless it has as many as it may. */
bool service_occupy(const struct service *service, struct endpoint *endpoint);

/* What building a service needs besides its tree. */
struct states;
struct discovery;
struct health_checker;
struct service_builder {
    struct endpoints *endpoints;
    struct discovery *discovery;
    struct states *states;
    struct tls_certificates certificates; /* of the snapshot that is being built */
    struct text zone;                     /* of this node; empty: unknown */
    struct health_checker *checker;       /* NULL: nothing is checked */
};

/* The table for schema and manual, and the building: NULL, the report says why. `name` is copied. Endpoints are released when
 * binder->arena is. The tree is a map, or a URL alone. */
extern const struct field service_fields[];
struct service *service_build(struct binder *binder, const struct service_builder *builder, struct text name,
                              const struct node *node);

/* A service of one URL, for policies that call out; `name` is unique. Errors are reported at `field` of `at`. */
struct service *service_of_url(struct binder *binder, const struct service_builder *builder, struct text name,
                               const struct node *at, const char *field, struct text url, int64_t timeout_ms);

/* The set of this moment: for this turn of the loop, no longer. */
static inline struct endpoint_set *service_set(const struct service *service)
{
    return atomic_load_explicit(&service->set, memory_order_acquire);
}

/* The service that has the rules. */
static inline const struct service *service_of_rules(const struct balance_rules *rules)
{
    return CONTAINER_OF((uintptr_t)rules, struct service, balance);
}

/* Picks an endpoint for a try (endpoint_set_pick()). Callers want service_admit() of health.h, which asks the breakers too. */
struct picked service_pick(const struct service *service, const struct pick *pick, int64_t now_ms);
