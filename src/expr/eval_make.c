/* List and map literals, and templates. */
#include "expr/map.h"
#include "expr/node.h"
#include "expr/print.h"

/* An element marked "?": its value, or *ret_skip when it is none. */
static bool unwrap(const struct node *item, struct evaluation *evaluation, struct value *value,
                   bool *ret_skip)
{
    if (value->kind != VALUE_OPTIONAL) {
        fault_overload(evaluation, "?", value, 1);
        return fault_here(evaluation, item);
    }
    *ret_skip = !value->optional;
    if (value->optional)
        *value = *value->optional;
    return true;
}

bool eval_list(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    struct value_list *list = arena_alloc(evaluation->arena, sizeof *list);
    struct value *items = arena_alloc(evaluation->arena, node->count * sizeof *items);
    if (!list || !items)
        return fault_memory(evaluation);
    size_t count = 0;
    for (uint32_t i = 0; i < node->count; i++) {
        bool skip = false;
        if (!node_run(node->items[i], evaluation, &items[count]))
            return false;
        if (node->optional && node->optional[i] && !unwrap(node->items[i], evaluation, &items[count], &skip))
            return false;
        count += !skip;
    }
    *list = (struct value_list){count, items};
    *ret_value = value_of_list(list);
    return true;
}

static bool put(const struct node *key_node, struct evaluation *evaluation, struct map *map, struct value key,
                struct value value)
{
    switch (map_put(map, key, value, false, evaluation->arena)) {
    case MAP_PUT: return true;
    case MAP_REPEATED:
        fault_text(evaluation, "repeated key", key.kind == VALUE_STRING ? key.text : (struct text){NULL, 0});
        break;
    case MAP_BAD_KEY: fault_text(evaluation, "unsupported type of key", text_of(value_kind_name(key))); break;
    case MAP_NO_MEMORY: return fault_memory(evaluation);
    }
    return fault_here(evaluation, key_node);
}

bool eval_map(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    struct map *map = map_new(evaluation->arena, node->count / 2);
    if (!map)
        return fault_memory(evaluation);
    for (uint32_t i = 0; i < node->count; i += 2) {
        struct value key, value;
        bool skip = false;
        if (!node_run(node->items[i], evaluation, &key) || !node_run(node->items[i + 1], evaluation, &value))
            return false;
        if (node->optional && node->optional[i] && !unwrap(node->items[i + 1], evaluation, &value, &skip))
            return false;
        if (!skip && !put(node->items[i], evaluation, map, key, value))
            return false;
    }
    *ret_value = value_of_map(&map->map);
    return true;
}

bool eval_interpolate(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    struct writer writer = {.arena = evaluation->arena};
    for (uint32_t i = 0; i < node->count; i++) {
        struct value part;
        if (!node_run(node->items[i], evaluation, &part))
            return false;
        if (UNLIKELY(evaluation->run->escape) && node->items[i]->eval != eval_constant)
            value_write_escaped(&part, evaluation->run->escape, &writer);
        else
            value_write_text(&part, &writer);
    }
    ret_value->kind = VALUE_STRING;
    if (!writer_text(&writer, &ret_value->text))
        return fault_memory(evaluation);
    return evaluation_charge_bytes(evaluation, writer.size) || fault_here(evaluation, node);
}
