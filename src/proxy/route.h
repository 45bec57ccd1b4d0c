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
    const struct text_pair *labels;
    size_t labels_count;
    struct route_key key; /* for the router */
    /* what happens */
    const struct service *service; /* NULL: its policies answer */
    enum path_change path_change;
    uint32_t strip_bytes;   /* of the path, for PATH_STRIP_PREFIX */
    struct text strip_text; /* for PATH_STRIP_TEXT */
    const struct expr *rewrite;
    struct text host;                              /* sent upstream; .at NULL: the service's rule */
    bool websocket, enabled, client_certificate;   /* a verified one is needed */
    int64_t body_bytes_max;                        /* -1: the listener's */
    int64_t response_timeout_ms, total_timeout_ms; /* -1: the service's */
    const struct plan *plan;
    const struct policy_set *sets[3]; /* gateway, service, route */
    struct metric_series *series;     /* claimed by name */
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
