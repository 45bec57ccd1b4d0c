/* Merging files: objects of one kind may be spread over files, each of them in one place only. */
#include "config/merge_documents.h"

#include "base/check.h"
#include "config/key_index.h"

/* What the files have under one top-level key. */
struct share {
    struct share *next;
    const struct node *value;
};

struct group {
    struct share *first, **end;
    uint64_t entries;
};

static bool clash(struct reading *reading, const struct node *key, const struct node *earlier,
                  const char *said)
{
    struct text there = place_show(earlier->place, reading->report->arena);
    report_error(reading->report, key->place, TEXT(""), "`%.*s` is also in %.*s: %s",
                 (int)MIN_OF(key->text.size, (size_t)100), key->text.at, TEXT_ARGS(there), said);
    return false;
}

/* Included files hold objects; what concerns the node is in the main file, where one looks for it. */
static bool check_included(struct reading *reading, const struct node *key, const struct node *value)
{
    if (text_equal(key->text, TEXT("include"))) {
        report_error(reading->report, key->place, TEXT(""), "`include` belongs in the main file only");
        return false;
    }
    if (value->kind == NODE_SCALAR) {
        report_error(
            reading->report, key->place, TEXT(""),
            "`%.*s` belongs in the main file: included files hold objects such as routes and services",
            (int)MIN_OF(key->text.size, (size_t)100), key->text.at);
        return false;
    }
    return true;
}

static bool merge_group(struct reading *reading, const struct group *group, struct node *ret_value)
{
    if (group->end == &group->first->next) {
        *ret_value = *group->first->value;
        return true;
    }
    bool merged = true;
    struct node map = {.place = group->first->value->place, .kind = NODE_MAP};
    map.keys = arena_array(reading->arena, group->entries, sizeof *map.keys);
    map.items = arena_array(reading->arena, group->entries, sizeof *map.items);
    struct key_index index;
    if (!map.keys || !map.items || !key_index_init(&index, group->entries))
        return false;
    for (const struct share *share = group->first; share; share = share->next)
        for (uint32_t i = 0; i < share->value->count; i++) {
            const struct node *key = &share->value->keys[i], *earlier = key_index_put(&index, key);
            if (earlier)
                merged = clash(reading, key, earlier, "one of the two has to go");
            map.keys[map.count] = *key;
            map.items[map.count++] = share->value->items[i];
        }
    key_index_release(&index);
    map.hash = node_hash_children(&map);
    *ret_value = map;
    return merged;
}

/* Adds a file's value to the group of its key. */
static bool add_share(struct reading *reading, struct group *group, const struct node *key,
                      const struct node *value)
{
    struct share *share = ARENA_NEW(reading->arena, struct share);
    if (!share)
        return false;
    share->value = value;
    if (!group->first)
        group->end = &group->first;
    else if (value->kind != NODE_MAP && value->kind != NODE_NULL)
        return clash(reading, key, group->first->value, "only maps are merged, so this belongs in one file");
    else if (group->first->value->kind == NODE_LIST || group->first->value->kind == NODE_SCALAR)
        return clash(reading, key, group->first->value, "only maps are merged, so this belongs in one file");
    *group->end = share;
    group->end = &share->next;
    group->entries += value->count;
    return true;
}

static bool collect(struct reading *reading, const struct part *parts, struct node *root,
                    struct group *groups, struct key_index *index)
{
    bool collected = true;
    for (const struct part *part = parts; part; part = part->next)
        for (uint32_t i = 0; i < part->root.count; i++) {
            const struct node *key = &part->root.keys[i], *value = &part->root.items[i];
            if (part != parts && !check_included(reading, key, value)) {
                collected = false;
                continue;
            }
            if (text_equal(key->text, TEXT("include")))
                continue;
            root->keys[root->count] = *key;
            const struct node *earlier = key_index_put(index, &root->keys[root->count]);
            size_t at = earlier ? (size_t)(earlier - root->keys) : root->count++;
            collected &= add_share(reading, &groups[at], key, value);
        }
    return collected;
}

bool merge_documents(struct reading *reading, const struct part *parts, struct node *ret_root)
{
    uint64_t count = 0;
    for (const struct part *part = parts; part; part = part->next)
        count += part->root.count;
    struct node root = {.place = parts->root.place, .kind = NODE_MAP};
    root.keys = arena_array(reading->arena, count + 1, sizeof *root.keys);
    root.items = arena_array(reading->arena, count + 1, sizeof *root.items);
    struct group *groups = arena_array(reading->arena, count + 1, sizeof *groups);
    struct key_index index;
    if (!root.keys || !root.items || !groups || !key_index_init(&index, count + 1))
        return false;
    bool merged = collect(reading, parts, &root, groups, &index);
    key_index_release(&index);
    for (uint32_t i = 0; i < root.count && merged; i++)
        if (groups[i].first)
            merged = merge_group(reading, &groups[i], &root.items[i]);
    root.hash = node_hash_children(&root);
    *ret_root = root;
    return merged;
}
