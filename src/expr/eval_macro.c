/* Macros: what runs an expression once for each element, and variables. items[0] is the range, the others run with the variables
 * bound. Each round costs the steps of its body, so that nested loops end. */
#include "expr/map.h"
#include "expr/node.h"
#include "expr/sort.h"

/* A walk over a list (items; with indexes) or a map (keys; with values). */
struct walk {
    struct value range;
    size_t at;
};

static bool walk_start(const struct node *node, struct evaluation *evaluation, struct walk *walk)
{
    walk->at = 0;
    if (!node_run(node->items[0], evaluation, &walk->range))
        return false;
    if (walk->range.kind == VALUE_LIST || walk->range.kind == VALUE_MAP)
        return true;
    fault_overload(evaluation, node->sign, &walk->range, 1);
    return fault_here(evaluation, node);
}

/* Binds the next element to the node's slots. False: the end, or a failure (*failed). `pairs`: two variables. */
static inline bool walk_next(const struct node *node, struct evaluation *evaluation, struct walk *walk,
                             bool pairs, bool *failed)
{
    struct value key, value;
    *failed = false;
    if (walk->range.kind == VALUE_LIST) {
        if (walk->at >= walk->range.list->count)
            return false;
        value = walk->range.list->items[walk->at];
        key = pairs ? value_int((int64_t)walk->at) : value;
        walk->at++;
    } else if (!walk->range.map->next(walk->range.map, &walk->at, evaluation->arena, &key, &value)) {
        *failed = evaluation->arena->failed;
        return *failed ? fault_memory(evaluation) : false;
    }
    if (!evaluation_charge(evaluation, node->round)) {
        *failed = true;
        return fault_here(evaluation, node);
    }
    evaluation->slots[node->slot] = key;
    if (pairs)
        evaluation->slots[node->slot_second] = value;
    return true;
}

static bool pairs_of(const struct node *node)
{
    return node->slot_second != node->slot;
}

static bool run_bool(const struct node *node, const struct node *item, struct evaluation *evaluation,
                     bool *ret_value)
{
    struct value value;
    if (!node_run(item, evaluation, &value))
        return false;
    if (value.kind != VALUE_BOOL) {
        fault_overload(evaluation, node->sign, &value, 1);
        return fault_here(evaluation, node);
    }
    *ret_value = value.boolean;
    return true;
}

/* all() and exists(): the first decisive element decides, failures of others are forgotten then. */
static bool quantify(const struct node *node, struct evaluation *evaluation, struct value *ret_value,
                     bool decisive)
{
    struct walk walk;
    struct fault first;
    bool failed = false, ended, holds;
    if (!walk_start(node, evaluation, &walk))
        return false;
    while (walk_next(node, evaluation, &walk, pairs_of(node), &ended)) {
        if (!run_bool(node, node->items[1], evaluation, &holds)) {
            if (evaluation->fault.fatal)
                return false;
            if (!failed)
                first = evaluation->fault;
            failed = true;
        } else if (holds == decisive) {
            *ret_value = value_bool(decisive);
            return true;
        }
    }
    if (ended)
        return false;
    if (failed)
        evaluation->fault = first;
    *ret_value = value_bool(!decisive);
    return !failed;
}

bool eval_all(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    return quantify(node, evaluation, ret_value, false);
}

bool eval_exists(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    return quantify(node, evaluation, ret_value, true);
}

bool eval_exists_one(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    struct walk walk;
    size_t count = 0;
    bool failed, holds;
    if (!walk_start(node, evaluation, &walk))
        return false;
    while (walk_next(node, evaluation, &walk, pairs_of(node), &failed)) {
        if (!run_bool(node, node->items[1], evaluation, &holds))
            return false;
        count += holds;
    }
    *ret_value = value_bool(count == 1);
    return !failed;
}

/* A list under construction. */
struct growing {
    struct value_list list;
    struct value *items;
    size_t capacity;
};

static bool growing_add(struct growing *growing, struct evaluation *evaluation, const struct value *value)
{
    if (growing->list.count == growing->capacity) {
        size_t capacity = growing->capacity ? 2 * growing->capacity : 8;
        struct value *items = arena_alloc(evaluation->arena, capacity * sizeof *items);
        if (!items)
            return fault_memory(evaluation);
        if (growing->list.count)
            memcpy(items, growing->items, growing->list.count * sizeof *items);
        growing->items = items;
        growing->capacity = capacity;
    }
    growing->items[growing->list.count++] = *value;
    return true;
}

static bool growing_end(struct growing *growing, struct evaluation *evaluation, struct value *ret_value)
{
    struct value_list *list = arena_alloc(evaluation->arena, sizeof *list);
    if (!list)
        return fault_memory(evaluation);
    *list = (struct value_list){growing->list.count, growing->items};
    *ret_value = value_of_list(list);
    return true;
}

/* The elements that items[1] lets pass, if there are three items, as what the last item makes of them. */
static bool transform(const struct node *node, struct evaluation *evaluation, struct value *ret_value,
                      bool pairs)
{
    struct walk walk;
    struct growing made = {0};
    bool failed, keep = true;
    if (!walk_start(node, evaluation, &walk))
        return false;
    while (walk_next(node, evaluation, &walk, pairs, &failed)) {
        struct value value;
        if (node->count == 3 && !run_bool(node, node->items[1], evaluation, &keep))
            return false;
        if (keep
            && (!node_run(node->items[node->count - 1], evaluation, &value)
                || !growing_add(&made, evaluation, &value)))
            return false;
    }
    return !failed && growing_end(&made, evaluation, ret_value);
}

bool eval_map_macro(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    return transform(node, evaluation, ret_value, false);
}

bool eval_transform_list(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    return transform(node, evaluation, ret_value, true);
}

bool eval_filter(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    struct walk walk;
    struct growing made = {0};
    bool failed, keep;
    if (!walk_start(node, evaluation, &walk))
        return false;
    while (walk_next(node, evaluation, &walk, false, &failed)) {
        struct value element = evaluation->slots[node->slot];
        if (!run_bool(node, node->items[1], evaluation, &keep)
            || (keep && !growing_add(&made, evaluation, &element)))
            return false;
    }
    return !failed && growing_end(&made, evaluation, ret_value);
}

static bool put_entry(const struct node *node, struct evaluation *evaluation, struct map *map,
                      struct value key, struct value value)
{
    enum map_put put = map_put(map, key, value, false, evaluation->arena);
    if (put == MAP_PUT)
        return true;
    if (put == MAP_NO_MEMORY)
        return fault_memory(evaluation);
    fault_text(evaluation, put == MAP_REPEATED ? "repeated key" : "unsupported type of key",
               key.kind == VALUE_STRING ? key.text : text_of(value_kind_name(key)));
    return fault_here(evaluation, node);
}

/* The entries of the map that a round of transformMapEntry() made. */
static bool put_entries(const struct node *node, struct evaluation *evaluation, struct map *map,
                        const struct value *made)
{
    struct value key, value;
    if (made->kind != VALUE_MAP) {
        fault_overload(evaluation, node->sign, made, 1);
        return fault_here(evaluation, node);
    }
    for (size_t cursor = 0; made->map->next(made->map, &cursor, evaluation->arena, &key, &value);)
        if (!evaluation_charge(evaluation, 1) || !put_entry(node, evaluation, map, key, value))
            return false;
    return true;
}

static bool transform_to_map(const struct node *node, struct evaluation *evaluation, struct value *ret_value,
                             bool entries)
{
    struct walk walk;
    bool failed, keep = true;
    struct map *map = map_new(evaluation->arena, 0);
    if (!map)
        return fault_memory(evaluation);
    if (!walk_start(node, evaluation, &walk))
        return false;
    while (walk_next(node, evaluation, &walk, true, &failed)) {
        struct value key = evaluation->slots[node->slot], made;
        if (node->count == 3 && !run_bool(node, node->items[1], evaluation, &keep))
            return false;
        if (!keep)
            continue;
        if (!node_run(node->items[node->count - 1], evaluation, &made))
            return false;
        if (entries ? !put_entries(node, evaluation, map, &made)
                    : !put_entry(node, evaluation, map, key, made))
            return false;
    }
    *ret_value = value_of_map(&map->map);
    return !failed;
}

bool eval_transform_map(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    return transform_to_map(node, evaluation, ret_value, false);
}

bool eval_transform_entries(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    return transform_to_map(node, evaluation, ret_value, true);
}

/* cel.bind(): items[0] is the value, items[1] what uses it. */
bool eval_bind(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    if (!node_run(node->items[0], evaluation, &evaluation->slots[node->slot]))
        return false;
    return node_run(node->items[1], evaluation, ret_value);
}

/* optMap() and optFlatMap(): none stays none, a value is bound and what items[1] makes of it is wrapped, or is an optional itself. */
static bool map_optional(const struct node *node, struct evaluation *evaluation, struct value *ret_value,
                         bool flat)
{
    struct value optional, made;
    if (!node_run(node->items[0], evaluation, &optional))
        return false;
    if (optional.kind != VALUE_OPTIONAL) {
        fault_overload(evaluation, node->sign, &optional, 1);
        return fault_here(evaluation, node);
    }
    *ret_value = optional;
    if (!optional.optional)
        return true;
    evaluation->slots[node->slot] = *optional.optional;
    if (!node_run(node->items[1], evaluation, &made))
        return false;
    if (flat && made.kind != VALUE_OPTIONAL) {
        fault_overload(evaluation, node->sign, &made, 1);
        return fault_here(evaluation, node);
    }
    struct value *copy = flat ? NULL : arena_alloc(evaluation->arena, sizeof *copy);
    if (!flat && !copy)
        return fault_memory(evaluation);
    if (!flat)
        *copy = made;
    *ret_value = flat ? made : (struct value){.kind = VALUE_OPTIONAL, .optional = copy};
    return true;
}

bool eval_opt_map(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    return map_optional(node, evaluation, ret_value, false);
}

bool eval_opt_flat_map(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    return map_optional(node, evaluation, ret_value, true);
}

/* sortBy(): items[1] makes the key of each element. */
bool eval_sort_by(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    struct walk walk;
    bool failed;
    if (!walk_start(node, evaluation, &walk))
        return false;
    if (walk.range.kind != VALUE_LIST) {
        fault_overload(evaluation, node->sign, &walk.range, 1);
        return fault_here(evaluation, node);
    }
    const struct value_list *list = walk.range.list;
    struct value *keys = arena_alloc(evaluation->arena, list->count * sizeof *keys);
    if (!keys)
        return fault_memory(evaluation);
    for (size_t i = 0; walk_next(node, evaluation, &walk, false, &failed); i++)
        if (!node_run(node->items[1], evaluation, &keys[i]))
            return false;
    return !failed && (sort_by_keys(evaluation, list, keys, ret_value) || fault_here(evaluation, node));
}
