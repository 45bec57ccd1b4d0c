/* The merge key: `<<: *base` puts the entries of another map in, unless a key of its own says otherwise (yaml.org/type/merge). Of several
 * maps in a list, the earlier ones win. The entries stand where the `<<` stood. */
#include "config/key_index.h"
#include "config/reading.h"

/* Maps that a merge key names: a map alone, or a list of them. */
static const struct node *merged_maps(const struct node *value, uint32_t *ret_count)
{
    *ret_count = value->kind == NODE_LIST ? value->count : 1;
    return value->kind == NODE_LIST ? value->items : value;
}

static bool check_value(struct reading *reading, const struct node *value, uint64_t *ret_entries)
{
    uint32_t count;
    const struct node *maps = merged_maps(value, &count);
    *ret_entries = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (maps[i].kind != NODE_MAP) {
            report_error(reading->report, maps[i].place, TEXT(""),
                         "`<<` wants a map (an alias such as *base) or a list of them, got %s",
                         node_kind_name(&maps[i]));
            return false;
        }
        *ret_entries += maps[i].count;
    }
    return true;
}

static void put_in(struct node *into, const struct node *key, const struct node *value)
{
    into->keys[into->count] = *key;
    into->items[into->count++] = *value;
}

static void put_merged(struct node *into, const struct node *value, struct key_index *index)
{
    uint32_t count;
    const struct node *maps = merged_maps(value, &count);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < maps[i].count; k++)
            if (!key_index_put(index, &maps[i].keys[k]))
                put_in(into, &maps[i].keys[k], &maps[i].items[k]);
}

bool merge_keys(struct reading *reading, struct node *map)
{
    uint32_t at = 0;
    while (at < map->count && (map->keys[at].quoted || !text_equal(map->keys[at].text, TEXT("<<"))))
        at++;
    if (at == map->count)
        return true;
    uint64_t entries;
    if (!check_value(reading, &map->items[at], &entries))
        return false;
    entries += map->count;
    struct node merged = {.place = map->place, .kind = NODE_MAP};
    merged.keys = arena_array(reading->arena, entries, sizeof *merged.keys);
    merged.items = arena_array(reading->arena, entries, sizeof *merged.items);
    struct key_index index;
    if (!merged.keys || !merged.items || !key_index_init(&index, entries))
        return false;
    for (uint32_t i = 0; i < map->count; i++)
        if (i != at)
            (void)key_index_put(&index, &map->keys[i]); /* all are put in below, duplicates were reported */
    for (uint32_t i = 0; i < map->count; i++) {
        if (i == at)
            put_merged(&merged, &map->items[at], &index);
        else
            put_in(&merged, &map->keys[i], &map->items[i]);
    }
    key_index_release(&index);
    *map = merged;
    return true;
}
