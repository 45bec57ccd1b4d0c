/* Policies as configured: one instance for each entry of a `policies` list, a set for each list. Immutable parts of a snapshot. */
#pragma once

#include "policy/policy.h"

/* Does it need a body whole? */
struct body_use {
    bool whole;
    const struct expr
        *because; /* the first of its expressions that uses the body; NULL: the policy itself does */
};

struct policy_instance {
    const struct policy *policy;
    const void *config;
    const struct expr *when; /* NULL: always */
    bool when_response;      /* `when` speaks of the answer: it is evaluated when there is one */
    bool when_request_body, when_response_body; /* `when` itself needs the body */
    struct body_use request_body, response_body;
    bool allow_on_error;
    enum policy_stage stage; /* effective: of the list's first entry where the list runs as written */
    uint16_t index;          /* of the policy in policies[], for counters */
    struct text id;          /* the policy's name unless given: the same id at a narrower scope replaces */
    struct text
        scope; /* "gateway", "services.orders", "routes.read-order", "groups.gold", "consumers.alice" */
    struct place place; /* where it was written */
    struct text source; /* name of that file, as long as the instance lives */
};

struct policy_set {
    struct policy_instance *items;
    size_t count;
};

/* Ids of attributes that expressions may use. */
struct attribute_set {
    const uint16_t *ids;
    size_t count;
};

/* What policies may use while they are prepared, the same for all sets of a snapshot. */
struct policy_builder {
    struct states *states;
    const struct service_builder *services;
    unsigned workers;
    struct attribute_set response_attributes; /* that only an answer has */
    struct attribute_set request_body_attributes, response_body_attributes;
};

/* Builds a list such as `- key-auth: {}` with `when`, `on_error`, `enabled`, `stage`, `id` beside it. `written` keeps its order. Disabled
 * entries are checked and left out. False: the report says why. A NULL list is an empty set. */
bool policy_set_build(struct binder *binder, const struct policy_builder *builder, struct text scope,
                      const struct node *list, bool written, struct policy_set *ret_set);

/* The fields that every policy has from the core, for schema and manual. */
extern const struct field policy_common_fields[];
extern const char *const policy_stage_names[]; /* NULL-terminated, in the order of enum policy_stage */
extern const char *const order_choices[];      /* "stages", "written", NULL */
