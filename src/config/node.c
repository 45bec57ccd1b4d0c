/* Looking at the tree, and telling people what stands there. */
#include "config/node.h"

#include "base/check.h"
#include "config/source.h"

static_assert(sizeof(struct node) == 64, "a million consumers are five million nodes");

enum { SHOWN_BYTES_MAX = 60 };

struct text source_name(const struct source *source)
{
    return source ? source->name : TEXT("");
}

struct text place_show(struct place place, struct arena *arena)
{
    struct text name = source_name(place.source);
    if (!name.size)
        return place.line ? arena_format(arena, "line %u:%u", place.line, place.column) : TEXT("");
    if (!place.line)
        return arena_copy(arena, name);
    return arena_format(arena, "%.*s:%u:%u", TEXT_ARGS(name), place.line, place.column);
}

const struct node *node_get(const struct node *map, struct text key)
{
    if (!map || map->kind != NODE_MAP)
        return NULL;
    for (uint32_t i = 0; i < map->count; i++)
        if (text_equal(map->keys[i].text, key))
            return &map->items[i];
    return NULL;
}

const char *node_kind_name(const struct node *node)
{
    switch (node->kind) {
    case NODE_NULL: return "nothing";
    case NODE_SCALAR: return "text";
    case NODE_LIST: return "a list";
    case NODE_MAP: return "a map";
    }
    UNREACHABLE();
}

struct text node_show(const struct node *node, struct arena *arena)
{
    if (node->kind != NODE_SCALAR)
        return text_of(node_kind_name(node));
    if (node->secret)
        return TEXT("a value that a reference brought in and that is not shown");
    struct text shown = node->text;
    if (shown.size <= SHOWN_BYTES_MAX)
        return arena_format(arena, "`%.*s`", TEXT_ARGS(shown));
    size_t end = SHOWN_BYTES_MAX;
    while (end > 0 && ((unsigned char)shown.at[end] & 0xc0) == 0x80)
        end--; /* not within a character */
    return arena_format(arena, "`%.*s...`", (int)end, shown.at);
}

struct text node_template(const struct node *scalar)
{
    return scalar->items ? scalar->items->text : scalar->text;
}
