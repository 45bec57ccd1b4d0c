/* The attributes that expressions may use, and their values for an exchange. The list is attributes.def. */
#pragma once

#include "expr/expr.h"
#include "policy/instance.h"

enum attribute {
#define ATTRIBUTE(identifier, name, type, item, about) ATTRIBUTE_##identifier,
#include "proxy/attributes.def"
#undef ATTRIBUTE
    ATTRIBUTES_COUNT,
    ATTRIBUTE_TYPED_PARAMS = ATTRIBUTES_COUNT /* `request.params` of a route that captures ints */
};

/* The environment of expressions that stand in a route which captures ints: they are ints there. Everywhere else, where it is not known
 * which route it will be, captures are strings. Lives in the arena, for as long as expressions are compiled. */
const struct expr_environment *environment_with_types(struct arena *arena);

/* Attributes that have a value only once there is an answer. */
extern const struct attribute_set response_attributes;

/* Attributes that need a body whole. */
extern const struct attribute_set request_body_attributes, response_body_attributes;

/* Of an expression that picks a route: the first attribute that has no value yet when the route is chosen; NULL: there is none. */
const char *attribute_unknown_to_routes(const struct expr *expr);

/* The same of an expression that chooses one of a route's services. */
const char *attribute_unknown_to_choices(const struct expr *expr);

/* Does it ask for the request's body? */
bool attribute_needs_body(const struct expr *expr);

/* An expr_lookup; the context is the exchange. */
bool exchange_lookup(void *exchange, uint16_t id, struct arena *arena, struct value *ret_value);
