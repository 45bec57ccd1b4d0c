/* Fields, elements, presence and membership; with optional values, which pass through: none stays none. */
#include "expr/compare.h"
#include "expr/map.h"
#include "expr/node.h"

enum access { ACCESS_FOUND, ACCESS_ABSENT, ACCESS_FAILED };

static enum access absent(struct evaluation *evaluation, const char *said, struct value key)
{
    if (evaluation->arena->failed)
        fault_memory(evaluation);
    else if (key.kind == VALUE_STRING)
        fault_text(evaluation, said, key.text);
    else
        fault_set(evaluation, said);
    return evaluation->fault.fatal ? ACCESS_FAILED : ACCESS_ABSENT;
}

/* An index into a list: an int, or a number that is one. */
static bool list_index(struct value index, uint64_t *ret_index)
{
    if (index.kind == VALUE_INT && index.integer >= 0)
        *ret_index = (uint64_t)index.integer;
    else if (index.kind == VALUE_UINT)
        *ret_index = index.uinteger;
    else if (index.kind == VALUE_DOUBLE && index.number >= 0 && index.number < 0x1p53
             && index.number == (double)(uint64_t)index.number)
        *ret_index = (uint64_t)index.number;
    else
        return false;
    return true;
}

/* `target[key]`; ACCESS_ABSENT sets a fault too. */
static inline enum access look_up(struct evaluation *evaluation, const struct value *target,
                                  const struct value *key, struct value *ret_value)
{
    if (LIKELY(target->kind == VALUE_MAP)) {
        if (LIKELY(map_get(target->map, *key, evaluation->arena, ret_value)))
            return ACCESS_FOUND;
        return absent(evaluation, "no such key", *key);
    }
    if (target->kind == VALUE_LIST && value_is_number(key)) {
        uint64_t index;
        if (!list_index(*key, &index) || index >= target->list->count)
            return absent(evaluation, "index out of bounds", *key);
        *ret_value = target->list->items[index];
        return ACCESS_FOUND;
    }
    struct value both[] = {*target, *key};
    fault_overload(evaluation, "[]", both, 2);
    return ACCESS_FAILED;
}

static bool wrap(struct evaluation *evaluation, const struct value *value, struct value *ret_value)
{
    struct value *copy = arena_alloc(evaluation->arena, sizeof *copy);
    if (!copy)
        return fault_memory(evaluation);
    *copy = *value;
    *ret_value = (struct value){.kind = VALUE_OPTIONAL, .optional = copy};
    return true;
}

/* The optional forms: what is absent becomes none. */
static bool access_optional(struct evaluation *evaluation, const struct value *target,
                            const struct value *key, struct value *ret_value)
{
    struct value found;
    if (target->kind == VALUE_OPTIONAL && !target->optional) {
        *ret_value = *target;
        return true;
    }
    switch (look_up(evaluation, target->kind == VALUE_OPTIONAL ? target->optional : target, key, &found)) {
    case ACCESS_FOUND: return wrap(evaluation, &found, ret_value);
    case ACCESS_ABSENT: *ret_value = (struct value){.kind = VALUE_OPTIONAL, .optional = NULL}; return true;
    case ACCESS_FAILED: return false;
    }
    UNREACHABLE();
}

static inline bool access_plain(const struct node *node, struct evaluation *evaluation,
                                const struct value *target, const struct value *key, struct value *ret_value)
{
    if (UNLIKELY(target->kind == VALUE_OPTIONAL))
        return access_optional(evaluation, target, key, ret_value) || fault_here(evaluation, node);
    return look_up(evaluation, target, key, ret_value) == ACCESS_FOUND || fault_here(evaluation, node);
}

bool eval_select(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    struct value target, key = value_string(node->name);
    if (!node_run(node->items[0], evaluation, &target))
        return false;
    return access_plain(node, evaluation, &target, &key, ret_value);
}

bool eval_select_optional(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    struct value target, key = value_string(node->name);
    if (!node_run(node->items[0], evaluation, &target))
        return false;
    return access_optional(evaluation, &target, &key, ret_value) || fault_here(evaluation, node);
}

bool eval_index(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    struct value target, key;
    if (!node_run(node->items[0], evaluation, &target) || !node_run(node->items[1], evaluation, &key))
        return false;
    return access_plain(node, evaluation, &target, &key, ret_value);
}

bool eval_index_optional(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    struct value target, key;
    if (!node_run(node->items[0], evaluation, &target) || !node_run(node->items[1], evaluation, &key))
        return false;
    return access_optional(evaluation, &target, &key, ret_value) || fault_here(evaluation, node);
}

bool eval_has(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    struct value target, found, key = value_string(node->name);
    if (!node_run(node->items[0], evaluation, &target))
        return false;
    *ret_value = value_bool(false);
    if (target.kind == VALUE_OPTIONAL) {
        if (!target.optional)
            return true;
        target = *target.optional;
    }
    if (target.kind != VALUE_MAP) {
        fault_overload(evaluation, "has()", &target, 1);
        return fault_here(evaluation, node);
    }
    enum access access = look_up(evaluation, &target, &key, &found);
    *ret_value = value_bool(access == ACCESS_FOUND);
    return access != ACCESS_FAILED || fault_here(evaluation, node);
}

static bool list_has(struct evaluation *evaluation, const struct value *item, const struct value_list *list,
                     struct value *ret_value)
{
    bool found = false;
    for (size_t i = 0; i < list->count && !found; i++)
        found = value_same(item, &list->items[i], evaluation->arena, &evaluation->steps);
    *ret_value = value_bool(found);
    return evaluation->steps > 0 || fault_steps(evaluation);
}

bool eval_in(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    struct value both[2], found;
    if (!node_run(node->items[0], evaluation, &both[0]) || !node_run(node->items[1], evaluation, &both[1]))
        return false;
    if (both[1].kind == VALUE_LIST)
        return list_has(evaluation, &both[0], both[1].list, ret_value) || fault_here(evaluation, node);
    if (both[1].kind == VALUE_MAP) {
        *ret_value = value_bool(map_get(both[1].map, both[0], evaluation->arena, &found));
        return true;
    }
    fault_overload(evaluation, "in", both, 2);
    return fault_here(evaluation, node);
}
