/* Static types. */
#include "expr/type.h"

#include <stdio.h>

#include "base/check.h"

static const struct type simple[] = {
    [EXPR_DYN] = {EXPR_DYN, NULL, NULL},
    [EXPR_NULL] = {EXPR_NULL, NULL, NULL},
    [EXPR_BOOL] = {EXPR_BOOL, NULL, NULL},
    [EXPR_INT] = {EXPR_INT, NULL, NULL},
    [EXPR_UINT] = {EXPR_UINT, NULL, NULL},
    [EXPR_DOUBLE] = {EXPR_DOUBLE, NULL, NULL},
    [EXPR_STRING] = {EXPR_STRING, NULL, NULL},
    [EXPR_BYTES] = {EXPR_BYTES, NULL, NULL},
    [EXPR_LIST] = {EXPR_LIST, &simple[EXPR_DYN], NULL},
    [EXPR_MAP] = {EXPR_MAP, &simple[EXPR_DYN], &simple[EXPR_DYN]},
    [EXPR_TIMESTAMP] = {EXPR_TIMESTAMP, NULL, NULL},
    [EXPR_DURATION] = {EXPR_DURATION, NULL, NULL},
    [EXPR_IP] = {EXPR_IP, NULL, NULL},
    [EXPR_CIDR] = {EXPR_CIDR, NULL, NULL},
    [EXPR_TYPE] = {EXPR_TYPE, NULL, NULL},
    [EXPR_OPTIONAL] = {EXPR_OPTIONAL, &simple[EXPR_DYN], NULL},
};

static const struct {
    const char *name;
    uint32_t bits;
} traits[] = {
    [EXPR_DYN] = {"dyn", (uint32_t)BITS_ANY},
    [EXPR_NULL] = {"null", 1u << VALUE_NULL},
    [EXPR_BOOL] = {"bool", 1u << VALUE_BOOL},
    [EXPR_INT] = {"int", 1u << VALUE_INT},
    [EXPR_UINT] = {"uint", 1u << VALUE_UINT},
    [EXPR_DOUBLE] = {"double", 1u << VALUE_DOUBLE},
    [EXPR_STRING] = {"string", 1u << VALUE_STRING},
    [EXPR_BYTES] = {"bytes", 1u << VALUE_BYTES},
    [EXPR_LIST] = {"list", 1u << VALUE_LIST},
    [EXPR_MAP] = {"map", 1u << VALUE_MAP},
    [EXPR_TIMESTAMP] = {"timestamp", 1u << VALUE_TIMESTAMP},
    [EXPR_DURATION] = {"duration", 1u << VALUE_DURATION},
    [EXPR_IP] = {"ip", BIT_IP},
    [EXPR_CIDR] = {"cidr", BIT_CIDR},
    [EXPR_TYPE] = {"type", 1u << VALUE_TYPE},
    [EXPR_OPTIONAL] = {"optional", 1u << VALUE_OPTIONAL},
};
static_assert(COUNT_OF(traits) == COUNT_OF(simple), "one row for each type");

const struct type *type_of(enum expr_type kind)
{
    return &simple[kind];
}

const char *expr_type_name(enum expr_type type)
{
    return traits[type].name;
}

uint32_t type_bits(enum expr_type kind)
{
    return traits[kind].bits;
}

static const struct type *compose(struct arena *arena, enum expr_type kind, const struct type *key,
                                  const struct type *item)
{
    if (item->kind == EXPR_DYN && (!key || key->kind == EXPR_DYN))
        return &simple[kind];
    struct type *type = arena_alloc(arena, sizeof *type);
    if (!type)
        return &simple[kind];
    *type = (struct type){kind, item, key};
    return type;
}

const struct type *type_list(struct arena *arena, const struct type *item)
{
    return compose(arena, EXPR_LIST, NULL, item);
}

const struct type *type_map(struct arena *arena, const struct type *key, const struct type *item)
{
    return compose(arena, EXPR_MAP, key, item);
}

const struct type *type_optional(struct arena *arena, const struct type *item)
{
    return compose(arena, EXPR_OPTIONAL, NULL, item);
}

static bool same(const struct type *a, const struct type *b)
{
    if (a == b)
        return true;
    if (!a || !b || a->kind != b->kind)
        return false;
    return same(a->item, b->item) && same(a->key, b->key);
}

const struct type *type_join(const struct type *a, const struct type *b)
{
    if (same(a, b))
        return a;
    return type_of(a->kind == b->kind ? a->kind : EXPR_DYN);
}

bool type_may_be(const struct type *type, const struct type *wanted)
{
    if (!type || !wanted || type->kind == EXPR_DYN || wanted->kind == EXPR_DYN)
        return true;
    return type->kind == wanted->kind && type_may_be(type->item, wanted->item)
           && type_may_be(type->key, wanted->key);
}

static bool is_numeric(const struct type *type)
{
    return type->kind == EXPR_INT || type->kind == EXPR_UINT || type->kind == EXPR_DOUBLE;
}

bool type_may_equal(const struct type *a, const struct type *b)
{
    if (!a || !b || a->kind == EXPR_DYN || b->kind == EXPR_DYN || (is_numeric(a) && is_numeric(b)))
        return true;
    return a->kind == b->kind && type_may_equal(a->item, b->item) && type_may_equal(a->key, b->key);
}

static size_t put(char *to, size_t size, size_t room, const struct type *type)
{
    static const size_t longest = 24;
    if (size + longest > room)
        return size;
    size += (size_t)snprintf(to + size, room - size, "%s", traits[type->kind].name);
    bool plain = !type->item || (type->item->kind == EXPR_DYN && (!type->key || type->key->kind == EXPR_DYN));
    if (plain || size + longest > room)
        return size;
    to[size++] = '(';
    if (type->key) {
        size = put(to, size, room, type->key);
        size += (size_t)snprintf(to + size, room - size, ", ");
    }
    size = put(to, size, room, type->item);
    if (size + 1 < room)
        to[size++] = ')';
    to[size] = 0;
    return size;
}

const char *type_write(const struct type *type, char to[64])
{
    put(to, 0, 64, type);
    return to;
}
