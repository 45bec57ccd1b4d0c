/* A route: which requests it picks, and what happens to them. Immutable part of a snapshot. */
#pragma once

#include "expr/expr.h"
#include "policy/plan.h"
#include "proxy/router.h"
#include "upstream/service.h"

struct metric_series;

enum condition_of { CONDITION_HEADER, CONDITION_QUERY, CONDITION_COOKIE };
enum condition_test { TEST_PRESENT, TEST_ABSENT, TEST_ONE_OF, TEST_PREFIX, TEST_REGEX };

struct condition {
    enum condition_of of;
    struct text name;
    uint8_t field_id; /* headers: enum field_name */
    enum condition_test test;
    bool negated;
    const struct text *values;
    size_t values_count;
    const struct pattern *pattern; /* TEST_REGEX */
};

enum path_change { PATH_KEEP, PATH_STRIP_PREFIX, PATH_STRIP_TEXT, PATH_REWRITE };

struct route {
    struct text name;
    /* match */
    uint32_t methods; /* bits by enum http_method; 0: any */
    const struct text *other_methods;
    size_t other_methods_count;
    const struct condition *conditions;
    size_t conditions_count;
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
