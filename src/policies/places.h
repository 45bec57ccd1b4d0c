/* Where a policy's configuration says something: so that what `prepare` reports points at its cause. */
#pragma once

#include "policy/policy.h"

/* The value of `field`; what stands for all where it is not given (a default, a shorthand). */
static inline const struct node *field_place(const struct prepare *prepare, const char *field)
{
    const struct node *value = node_get(prepare->node, text_of(field));
    return value ? value : prepare->node;
}

/* Entry `i` of the list `field`, or the one value that stands for a list. */
static inline const struct node *item_place(const struct prepare *prepare, const char *field, size_t i)
{
    const struct node *value = field_place(prepare, field);
    return value->kind == NODE_LIST && i < value->count ? &value->items[i] : value;
}
