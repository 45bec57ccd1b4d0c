/* A route as it is written: what its field tables fill, and the parts of building one. Private to the files that build routes. */
#pragma once

#include "proxy/build.h"

struct test_config {
    struct text name, equals, prefix, regex;
    struct array one_of;
    bool present, absent, negated;
};

struct time_config {
    struct array days; /* of uint8_t */
    struct text from, to, since, until, zone;
};

/* The tests that may stand in `match` and in its `not`. */
struct tests_config {
    struct array methods, listeners, schemes, sni, client, local, headers, query, cookies, content_types,
        time;
    const struct expr *expression;
};

struct match_not_config {
    struct array hosts, paths;
    struct tests_config tests;
};

struct match_config {
    struct array hosts;
    struct text path;
    struct tests_config tests;
    struct match_not_config excluded;
};

struct route_timeouts_config {
    int64_t connect_ms, response_ms, idle_ms, total_ms, body_ms, send_ms;
};

struct route_limits_config {
    int64_t body, buffered;
};

struct route_config {
    struct match_config match;
    int64_t priority;
    struct array labels; /* of struct text_pair */
    const struct node *service;
    struct text strip_prefix; /* "true": the prefix of the path; .at NULL: no */
    bool websocket, enabled, client_certificate;
    const struct expr *rewrite;
    struct text host;
    struct array subset;
    struct route_timeouts_config timeouts;
    struct route_limits_config limits;
    const struct node *policies, *respond, *redirect;
    int order;
};

extern const struct field match_fields[];

/* One thing after the other is built; each reports what is wrong at its node. */
struct route_building {
    struct snapshot_builder *builder;
    struct binder *binder;
    const struct route_scope *scope;
    struct route *route;
    const struct node *node; /* of the route */
};

/* Each fills its part of the route. False: the report says what is wrong, in the tree of the route. */
bool route_set_conditions(const struct route_building *building, const struct match_config *match);
bool route_set_hosts(const struct route_building *building, const struct match_config *match);
bool route_set_path(const struct route_building *building, const struct route_config *config);
bool route_set_action(const struct route_building *building, const struct route_config *config);

/* A host or a path in the form that requests have; for `match` and `not`. */
bool route_normal_host(struct binder *binder, const struct node *node, const char *child, struct text written,
                       struct text *ret_host);
bool route_normal_path(struct binder *binder, const struct node *node, struct text written,
                       enum path_form *ret_form, struct text *ret_path);

/* The services, one or several to choose from, without their plans. */
bool route_set_subset(const struct route_building *building,
                      const struct array *subset); /* after the targets */
bool route_set_targets(const struct route_building *building, const struct node *service);

/* The numbers of a route and one of its services, for as long as the arena lives. */
bool route_claim_series(struct snapshot_builder *builder, struct arena *arena, struct text name,
                        struct route_target *target);
