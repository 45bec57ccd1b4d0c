/* Equality and order of values. Internal to the room. */
#pragma once

#include "base/arena.h"
#include "expr/value.h"

/* What an order comparison says; the first three are the signs of the difference. */
enum order {
    ORDER_LESS = -1,
    ORDER_EQUAL = 0,
    ORDER_GREATER = 1,
    ORDER_NONE = 2 /* NaN */,
    ORDER_UNDEFINED = 3 /* kinds */
};

/* Integers are compared exactly, and as doubles with doubles; strings and bytes by bytes (which is by code points for UTF-8). */
enum order value_order(const struct value *a, const struct value *b);

/* Equality of CEL: values of different kinds differ, numbers are compared across their types, NaN differs from itself. Takes a step
 * from `*steps` for each element; at 0 it stops and says false. */
bool value_same(const struct value *a, const struct value *b, struct arena *arena, uint64_t *steps);

/* The same for scalars that may be keys of maps. */
bool value_same_key(const struct value *a, const struct value *b);

static inline bool value_is_number(const struct value *value)
{
    return value->kind == VALUE_INT || value->kind == VALUE_UINT || value->kind == VALUE_DOUBLE;
}
