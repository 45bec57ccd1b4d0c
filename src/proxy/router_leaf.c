/* Leaves and entries of the router. */
#include "proxy/router_leaf.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"

static size_t objects_alive; /* of all kinds; the control thread's */

size_t router_nodes_alive(void)
{
    return objects_alive;
}

void *route_object_new(size_t size)
{
    uint32_t *object = memory_alloc(size);
    if (!object)
        return NULL;
    *object = 1;
    objects_alive++;
    return object;
}

void *route_object_resize(void *object, size_t size)
{
    return memory_resize(object, size);
}

void route_object_free(void *object)
{
    if (!object)
        return;
    objects_alive--;
    memory_free(object);
}

static size_t texts_size(const struct route_key *key, const struct text *names, size_t names_count)
{
    size_t size = key->name.size;
    for (size_t i = 0; i < names_count; i++)
        size += 1 + names[i].size;
    return size;
}

static void write_texts(struct route_entry *entry, struct text name, const struct text *names)
{
    char *to = entry->texts;
    if (name.size)
        memcpy(to, name.at, name.size);
    to += name.size;
    for (size_t i = 0; i < entry->captures_count; i++) {
        *to++ = (char)names[i].size;
        memcpy(to, names[i].at, names[i].size);
        to += names[i].size;
    }
}

struct route_entry *route_entry_new(const struct route_key *key, const struct text *names, size_t names_count,
                                    struct text regex, struct error *reterr)
{
    if (key->name.size > UINT16_MAX) {
        error_set(reterr, -EINVAL, "the name of a route has at most %d bytes", UINT16_MAX);
        return NULL;
    }
    size_t size = offsetof(struct route_entry, texts) + texts_size(key, names, names_count);
    struct route_entry *entry = route_object_new(MAX_OF(size, sizeof(struct route_entry)));
    if (!entry) {
        error_system(reterr, -ENOMEM, "route '%.*s'", TEXT_ARGS(key->name));
        return NULL;
    }
    entry->leaf.count = 1;
    entry->priority = key->priority;
    entry->conditions = key->conditions;
    entry->route = key->route;
    entry->regex = NULL;
    entry->places = 0;
    entry->name_size = (uint16_t)key->name.size;
    entry->captures_count = (uint8_t)names_count;
    write_texts(entry, key->name, names);
    if (regex.at && !(entry->regex = route_regex_new(regex, reterr))) {
        route_entry_unref(entry);
        return NULL;
    }
    return entry;
}

void route_entry_unref(struct route_entry *entry)
{
    if (!entry || --entry->leaf.refs)
        return;
    route_regex_free(entry->regex);
    route_object_free(entry);
}

struct text route_entry_name(const struct route_entry *entry)
{
    return (struct text){entry->texts, entry->name_size};
}

void route_entry_captures(const struct route_entry *entry, const struct text *values,
                          struct route_captures *ret_captures)
{
    const char *from = entry->texts + entry->name_size;
    ret_captures->count = entry->captures_count;
    for (uint32_t i = 0; i < entry->captures_count; i++) {
        size_t size = (uint8_t)*from++;
        ret_captures->items[i].name = (struct text){from, size};
        ret_captures->items[i].value = values[i];
        from += size;
    }
}

struct route_entry *route_leaf_find(const struct route_leaf *leaf, const struct route *route)
{
    for (uint32_t i = 0; i < leaf->count; i++) {
        struct route_entry *entry = route_leaf_at(leaf, i);
        if (entry->route == route)
            return entry;
    }
    return NULL;
}

static bool comes_before(const struct route_entry *a, const struct route_entry *b)
{
    if (a->priority != b->priority)
        return a->priority > b->priority;
    if (a->conditions != b->conditions)
        return a->conditions > b->conditions;
    return text_compare(route_entry_name(a), route_entry_name(b)) < 0;
}

static size_t list_size(uint32_t count)
{
    return sizeof(struct route_leaf_list) + count * sizeof(struct route_entry *);
}

/* A list that only this edit sees, with room for `count` entries and the first of the old ones in it. */
static struct route_leaf_list *list_own(struct route_leaf **at, uint32_t count)
{
    struct route_leaf *old = *at;
    struct route_leaf_list *list;
    if (old->count > 1 && old->refs == 1) {
        list = route_object_resize(old, list_size(MAX_OF(count, old->count)));
        if (list)
            *at = &list->leaf;
        return list;
    }
    list = route_object_new(list_size(MAX_OF(count, old->count)));
    if (!list)
        return NULL;
    list->leaf.count = old->count;
    for (uint32_t i = 0; i < old->count; i++) {
        list->items[i] = route_leaf_at(old, i);
        list->items[i]->leaf.refs++;
    }
    route_leaf_unref(old);
    *at = &list->leaf;
    return list;
}

int route_leaf_add(struct route_leaf **at, struct route_entry *entry)
{
    if (!*at) {
        *at = &entry->leaf;
        entry->leaf.refs++;
        entry->places++;
        return 0;
    }
    const struct route_entry *same = route_leaf_find(*at, entry->route);
    if (same)
        return same == entry ? 0 : -EEXIST; /* the same: a host that is given twice */
    struct route_leaf_list *list = list_own(at, (*at)->count + 1);
    if (!list)
        return -ENOMEM;
    uint32_t i = list->leaf.count++;
    for (; i > 0 && comes_before(entry, list->items[i - 1]); i--)
        list->items[i] = list->items[i - 1];
    list->items[i] = entry;
    entry->leaf.refs++;
    entry->places++;
    return 0;
}

int route_leaf_remove(struct route_leaf **at, struct route_entry *entry)
{
    struct route_leaf *leaf = *at;
    if (leaf->count <= 2) {
        struct route_entry *other =
            leaf->count == 1 ? NULL : route_leaf_at(leaf, route_leaf_at(leaf, 0) == entry);
        if (other)
            other->leaf.refs++;
        *at = other ? &other->leaf : NULL;
        route_leaf_unref(leaf);
        return 0;
    }
    struct route_leaf_list *list = list_own(at, leaf->count);
    if (!list)
        return -ENOMEM;
    uint32_t i = 0;
    while (list->items[i] != entry)
        i++;
    list->leaf.count--;
    memmove(list->items + i, list->items + i + 1, (list->leaf.count - i) * sizeof(struct route_entry *));
    route_entry_unref(entry);
    return 0;
}

void route_leaf_unref(struct route_leaf *leaf)
{
    if (!leaf)
        return;
    if (leaf->count == 1) {
        route_entry_unref((struct route_entry *)leaf);
        return;
    }
    if (--leaf->refs)
        return;
    struct route_leaf_list *list = (struct route_leaf_list *)leaf;
    for (uint32_t i = 0; i < leaf->count; i++)
        route_entry_unref(list->items[i]);
    route_object_free(list);
}

size_t route_leaf_bytes(const struct route_leaf *leaf)
{
    size_t bytes = leaf->count == 1 ? 0 : list_size(leaf->count);
    for (uint32_t i = 0; i < leaf->count; i++) {
        const struct route_entry *entry = route_leaf_at(leaf, i);
        size_t size = offsetof(struct route_entry, texts) + entry->name_size;
        const char *from = entry->texts + entry->name_size;
        for (uint32_t k = 0; k < entry->captures_count; k++) {
            size += 1 + (uint8_t)*from;
            from += 1 + (uint8_t)*from;
        }
        bytes += (size + route_regex_bytes(entry->regex)) / entry->places;
    }
    return bytes;
}
