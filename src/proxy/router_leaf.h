/* What stands where a pattern ends: the routes with that pattern, best first, shared by versions of the
 * router.
 *
 * Most patterns have one route, so a leaf of one is the entry itself: a match loads one object less. All
 * objects of the router are counted here, and belong to the control thread; workers only read them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "proxy/router.h"
#include "proxy/router_regex.h"

struct route_leaf {
    uint32_t refs;
    uint32_t count; /* 1: this is the head of a struct route_entry */
};

struct route_leaf_list {
    struct route_leaf leaf;
    struct route_entry *items[]; /* by priority (descending), conditions (descending), name */
};

/* One key of a router. Immutable but for `places`, which only the edit that made the entry changes. */
struct route_entry {
    struct route_leaf leaf;
    int32_t priority;
    uint32_t conditions;
    struct route *route;
    struct route_regex *regex; /* NULL but for regular expressions */
    uint32_t places;           /* leaves of one version that hold it: one for each different host */
    uint16_t name_size;
    uint8_t captures_count;
    char texts[]; /* the route's name; then the name of each capture, after a byte with its length */
};

/* An object with one reference (its first member), not cleared; NULL: no memory. */
void *route_object_new(size_t size) __attribute__((warn_unused_result));
void *route_object_resize(void *object, size_t size) __attribute__((warn_unused_result));
void route_object_free(void *object);

/* `names` are the captures of a template. Compiles `regex` unless its .at is NULL. NULL: no memory or a
 * bad regular expression. */
struct route_entry *route_entry_new(const struct route_key *key, const struct text *names, size_t names_count,
                                    struct text regex, struct error *reterr);
void route_entry_unref(struct route_entry *entry);

struct text route_entry_name(const struct route_entry *entry);

/* Gives the values of a template's captures their names. */
void route_entry_captures(const struct route_entry *entry, const struct text *values,
                          struct route_captures *ret_captures);

static inline struct route_entry *route_leaf_at(const struct route_leaf *leaf, uint32_t i)
{
    return leaf->count == 1 ? (struct route_entry *)leaf : ((const struct route_leaf_list *)leaf)->items[i];
}

/* The route that a match may take without looking at the leaf: there is no other, and no regular
 * expression. Else NULL. */
static inline struct route *route_leaf_only(const struct route_leaf *leaf)
{
    const struct route_entry *entry = route_leaf_at(leaf, 0);
    return leaf->count == 1 && !entry->regex ? entry->route : NULL;
}

/* The entry of `route`, NULL if it is not there. */
struct route_entry *route_leaf_find(const struct route_leaf *leaf, const struct route *route);

/* Puts an entry into the leaf at `*at` (NULL: none yet), or takes it out, and counts its place. A leaf
 * that others see is copied. 0, -ENOMEM, or -EEXIST: the route is already there with another entry. */
int route_leaf_add(struct route_leaf **at, struct route_entry *entry);
int route_leaf_remove(struct route_leaf **at, struct route_entry *entry);

void route_leaf_unref(struct route_leaf *leaf);

/* Memory, in which an entry counts for its share of the leaves that hold it. */
size_t route_leaf_bytes(const struct route_leaf *leaf);
