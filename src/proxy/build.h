/* The parts of building a snapshot: one function for each kind of object. Each allocates in `binder->arena`, which is the object's own, and
 * reports what is wrong. */
#pragma once

#include "proxy/snapshot.h"

extern const struct field listener_fields[], route_fields[], route_choice_fields[];
extern const struct field field_item_cidr; /* of a list of networks */

struct listener_config *listener_build(struct snapshot_builder *builder, struct binder *binder,
                                       struct text name, const struct node *node);

/* A service and the policies of its own. */
struct built_service {
    const struct service *service;
    struct policy_set policies;
};
/* A service, that knows whether its expressions use the request's body. NULL: reported. */
const struct service *watched_service_build(struct snapshot_builder *builder, struct binder *binder,
                                            struct text name, const struct node *node);

struct built_service *built_service_build(struct snapshot_builder *builder, struct binder *binder,
                                          struct text name, const struct node *node);

/* What a route may refer to. */
struct route_scope {
    const struct table *services;  /* name to struct object of a struct built_service */
    const struct table *listeners; /* name to struct object */
    const struct policy_set *gateway_policies;
    const struct plan *gateway_plan; /* of a route without other policies than those */
};

struct route *route_build(struct snapshot_builder *builder, struct binder *binder,
                          const struct route_scope *scope, struct text name, const struct node *node);

/* Of a route's tree and of all that it refers to. */
uint64_t route_hash(const struct route_scope *scope, const struct node *node);

/* The route that is taken where none matches: the gateway's policies, and no service. */
struct route *route_fallback(struct snapshot_builder *builder, struct arena *arena,
                             const struct policy_set *gateway_policies);
