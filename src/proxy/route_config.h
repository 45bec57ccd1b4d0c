/* A route as it is written: what the field tables of route_fields.c and route_match_build.c fill, and the parts of building one. Private to
 * the route_*.c files. */
#pragma once

#include "proxy/build.h"

struct condition_config {
    struct text name, equals, prefix, regex;
    struct array one_of;
    bool present, absent, negated;
};

struct match_config {
    struct array hosts, methods;
    struct text path;
    struct array headers, query, cookies;
};

struct route_timeouts_config {
    int64_t response_ms, total_ms;
};

struct route_limits_config {
    int64_t body;
};

struct route_config {
    struct match_config match;
    int64_t priority;
    const struct node *service;
    struct text strip_prefix; /* "true": the prefix of the path; .at NULL: no */
    bool websocket, enabled, client_certificate;
    const struct expr *rewrite;
    struct text host;
    struct route_timeouts_config timeouts;
    struct route_limits_config limits;
    const struct node *policies, *respond, *redirect;
    int order;
};

extern const struct field match_fields[];

/* Each fills its part of the route. False: the report says what is wrong, in the tree of the route. */
bool route_set_conditions(struct binder *binder, struct route *route, const struct match_config *match,
                          const struct node *node);
bool route_set_hosts(struct binder *binder, struct route *route, const struct match_config *match,
                     const struct node *node);
bool route_set_path(struct binder *binder, struct route *route, const struct route_config *config,
                    const struct node *node);
bool route_set_action(struct snapshot_builder *builder, struct binder *binder,
                      const struct route_scope *scope, struct route *route, const struct route_config *config,
                      const struct node *node);

/* The numbers of a route and its service, for as long as the arena lives. */
bool route_claim_series(struct snapshot_builder *builder, struct arena *arena, struct route *route);
