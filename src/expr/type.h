/* Static types of the checker: an expr_type with what lists, maps and optionals hold. Internal to the room. */
#pragma once

#include "expr/expr.h"

struct type {
    enum expr_type kind;
    const struct type *item; /* of list, map (values), optional; NULL otherwise */
    const struct type *key;  /* of map */
};

/* The type with parts that may be anything: "list" is list(dyn). Never NULL. */
const struct type *type_of(enum expr_type kind);

/* Compositions; without memory they fall back to dyn parts. */
const struct type *type_list(struct arena *arena, const struct type *item);
const struct type *type_map(struct arena *arena, const struct type *key, const struct type *item);
const struct type *type_optional(struct arena *arena, const struct type *item);

/* The type that covers both: equal types stay, all else is dyn. */
const struct type *type_join(const struct type *a, const struct type *b);

/* Whether a value of type `type` may be one of `wanted`: dyn on either side may. */
bool type_may_be(const struct type *type, const struct type *wanted);

/* Whether values of these types may be equal: as above, and numbers of different types may. */
bool type_may_equal(const struct type *a, const struct type *b);

/* "map(string, int)", cut to the buffer, zero-terminated; returns `to`. */
const char *type_write(const struct type *type, char to[64]);

/* The bits of the kinds that a value of this type may have, as value_bit() gives them. */
uint32_t type_bits(enum expr_type kind);

enum {
    BITS_ANY = -1,
    BIT_IP = 1 << 16,
    BIT_CIDR = 1 << 17,
    BITS_NUMBER = 1 << VALUE_INT | 1 << VALUE_UINT | 1 << VALUE_DOUBLE,
};

static inline uint32_t value_bit(const struct value *value)
{
    return value->kind == VALUE_HOST ? value->host.type->signature : 1u << value->kind;
}
