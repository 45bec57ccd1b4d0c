/* Equality and order of values. */
#include "expr/compare.h"

#include "base/check.h"
#include "expr/expr.h"

#define SIGN_OF(a, b) ((enum order)(((a) > (b)) - ((a) < (b))))

/* Beside a double an integer counts as the nearest double: so the language wants it, and 2^63 - 1 equals 2^63 as a double. */
static enum order order_doubles(double a, double b)
{
    return a != a || b != b ? ORDER_NONE : SIGN_OF(a, b);
}

static enum order order_int_uint(int64_t i, uint64_t u)
{
    return i < 0 ? ORDER_LESS : SIGN_OF((uint64_t)i, u);
}

static enum order reversed(enum order order)
{
    return order == ORDER_LESS ? ORDER_GREATER : order == ORDER_GREATER ? ORDER_LESS : order;
}

static enum order order_numbers(const struct value *a, const struct value *b)
{
    if (a->kind == VALUE_DOUBLE && b->kind == VALUE_DOUBLE)
        return order_doubles(a->number, b->number);
    if (a->kind == VALUE_INT && b->kind == VALUE_INT)
        return SIGN_OF(a->integer, b->integer);
    if (a->kind == VALUE_UINT && b->kind == VALUE_UINT)
        return SIGN_OF(a->uinteger, b->uinteger);
    if (a->kind == VALUE_INT)
        return b->kind == VALUE_UINT ? order_int_uint(a->integer, b->uinteger)
                                     : order_doubles((double)a->integer, b->number);
    if (a->kind == VALUE_UINT && b->kind == VALUE_DOUBLE)
        return order_doubles((double)a->uinteger, b->number);
    return reversed(order_numbers(b, a));
}

static enum order order_times(struct value_time a, struct value_time b)
{
    return a.seconds != b.seconds ? SIGN_OF(a.seconds, b.seconds) : SIGN_OF(a.nanos, b.nanos);
}

enum order value_order(const struct value *a, const struct value *b)
{
    if (value_is_number(a) && value_is_number(b))
        return order_numbers(a, b);
    if (a->kind != b->kind)
        return ORDER_UNDEFINED;
    if (a->kind == VALUE_STRING || a->kind == VALUE_BYTES) {
        int order = text_compare(a->text, b->text);
        return SIGN_OF(order, 0);
    }
    if (a->kind == VALUE_TIMESTAMP || a->kind == VALUE_DURATION)
        return order_times(a->time, b->time);
    if (a->kind == VALUE_BOOL)
        return SIGN_OF(a->boolean, b->boolean);
    return ORDER_UNDEFINED;
}

bool value_same_key(const struct value *a, const struct value *b)
{
    if (a->kind == VALUE_STRING && b->kind == VALUE_STRING)
        return text_equal(a->text, b->text);
    return value_order(a, b) == ORDER_EQUAL;
}

static bool same_lists(const struct value_list *a, const struct value_list *b, struct arena *arena,
                       uint64_t *steps)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!value_same(&a->items[i], &b->items[i], arena, steps))
            return false;
    return true;
}

static bool same_maps(const struct value_map *a, const struct value_map *b, struct arena *arena,
                      uint64_t *steps)
{
    if (a->size(a) != b->size(b))
        return false;
    struct value key, mine, other;
    for (size_t cursor = 0; a->next(a, &cursor, arena, &key, &mine);)
        if (!b->get(b, key, arena, &other) || !value_same(&mine, &other, arena, steps))
            return false;
    return true;
}

static bool same_optionals(const struct value *a, const struct value *b, struct arena *arena, uint64_t *steps)
{
    return a && b ? value_same(a, b, arena, steps) : a == b;
}

bool value_same(const struct value *a, const struct value *b, struct arena *arena, uint64_t *steps)
{
    if (*steps == 0)
        return false;
    --*steps;
    if (a->kind != b->kind)
        return value_is_number(a) && value_is_number(b) && order_numbers(a, b) == ORDER_EQUAL;
    switch (a->kind) {
    case VALUE_NULL: return true;
    case VALUE_STRING:
    case VALUE_BYTES:
    case VALUE_TYPE: return text_equal(a->text, b->text);
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_UINT:
    case VALUE_DOUBLE:
    case VALUE_TIMESTAMP:
    case VALUE_DURATION: return value_order(a, b) == ORDER_EQUAL;
    case VALUE_LIST: return same_lists(a->list, b->list, arena, steps);
    case VALUE_MAP: return same_maps(a->map, b->map, arena, steps);
    case VALUE_OPTIONAL: return same_optionals(a->optional, b->optional, arena, steps);
    case VALUE_HOST: return a->host.type == b->host.type && a->host.type->equal(a->host.data, b->host.data);
    }
    UNREACHABLE();
}

bool value_equal(struct value a, struct value b, struct arena *arena)
{
    uint64_t steps = 10000000;
    return value_same(&a, &b, arena, &steps);
}
