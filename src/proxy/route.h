/* A route: which requests it picks, and what happens to them. Immutable part of a snapshot. */
#pragma once

#include "config/field.h"
#include "expr/expr.h"
#include "policy/plan.h"
#include "proxy/condition.h"
#include "proxy/router.h"
#include "upstream/service.h"

struct metric_series;

enum path_change { PATH_KEEP, PATH_STRIP_PREFIX, PATH_STRIP_TEXT, PATH_REWRITE };

/* One service that a route may send to, and what follows from it. */
struct route_target {
    const struct service *service;     /* NULL: policies answer */
    const struct policy_set *policies; /* the service's; NULL: none */
    const struct plan *plan;
    struct metric_series *series; /* claimed by name */
    uint32_t weight;
};

/* Which of several services: by weights, or by what an expression says. */
struct route_choice {
    const struct route_target *targets;
    size_t targets_count;
    uint64_t weights;                     /* all of them; 0: by `expression` */
    const struct expr *key;               /* equal keys go to one service; NULL: at random */
    const struct expr *expression;        /* gives the name of a service */
    const struct route_target *otherwise; /* where it gives none of them, or fails; NULL: that is a fault */
};

/* Instead of what the service or the listener says; -1: as those say. */
struct route_timeouts {
    int32_t connect_ms, response_ms, idle_ms, total_ms; /* the service's */
    int32_t body_ms, send_ms;                           /* the listener's */
};

/* A route. What an optional part has is behind a pointer: there may be 100,000 of them. */
struct route {
    struct text name;
    /* match */
    struct method_set methods;          /* empty: any */
    const struct condition *conditions; /* by kind, what costs little first */
    size_t conditions_count;
    bool needs_body;         /* some condition asks for the request's body */
    bool int_captures;       /* some capture is an int */
    uint16_t typed_captures; /* bits, the first capture's the highest: what counts in the order of routes */
    struct text path;        /* as written, with types */
    struct route_key key;    /* for the router */
    /* what happens */
    struct route_target target;        /* the only one, or the first */
    const struct route_choice *choice; /* NULL: there is only one */
    enum path_change path_change;
    uint32_t strip_bytes;   /* of the path, for PATH_STRIP_PREFIX */
    struct text strip_text; /* for PATH_STRIP_TEXT */
    const struct expr *rewrite;
    struct text host;                            /* sent upstream; .at NULL: the service's rule */
    bool websocket, enabled, client_certificate; /* a verified one is needed */
    struct route_timeouts timeouts;
    int64_t body_bytes_max, buffered_bytes_max; /* -1: the listener's */
    const struct array *subset; /* struct text_pair: which of its service's endpoints; NULL: any */
    const struct text_pair *labels;
    size_t labels_count;
    const struct policy_set *gateway_policies, *policies; /* policies: its own */
};

/* Is the capture of this name an int? */
static inline bool route_capture_is_int(const struct route *route, struct text name)
{
    for (size_t i = 0; route->int_captures && i < route->conditions_count; i++) {
        const struct condition *condition = &route->conditions[i];
        if (condition->kind == CONDITION_CAPTURE && condition->capture.type == CAPTURE_INT
            && text_equal(condition->name, name))
            return true;
    }
    return false;
}
