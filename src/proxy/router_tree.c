/* Adding and removing in a tree of nodes. */
#include "proxy/router_tree.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"

static struct text label_of(const struct route_node *node)
{
    return (struct text){route_node_label(node), node->label_size};
}

static size_t common_prefix(struct text a, struct text b)
{
    size_t max = MIN_OF(a.size, b.size), i = 0;
    while (i < max && a.at[i] == b.at[i])
        i++;
    return i;
}

/* Cuts the label of the node at `*at` after `size` bytes: a new node with the first part takes its place
 * and holds it. */
static bool split(struct route_node **at, size_t size)
{
    struct text label = label_of(*at);
    struct route_node *upper = route_node_new((*at)->level, text_slice(label, 0, size));
    if (!upper)
        return false;
    struct route_node **child = route_node_open_child(&upper, label.at[size]);
    if (!child || !route_node_relabel(at, text_slice(label, size + 1, label.size))) {
        route_node_unref(upper);
        return false;
    }
    upper->priority_max = (*at)->priority_max;
    *child = *at;
    *at = upper;
    return true;
}

/* Walks down `key`, making the nodes that lack, to the place of the node at its end. NULL: no memory. */
static struct route_node **reach(struct route_node **at, enum route_level level, struct text key,
                                 int32_t priority)
{
    for (;;) {
        if (!*at && !(*at = route_node_new(level, key)))
            return NULL;
        size_t common = common_prefix(label_of(*at), key);
        if (common < (*at)->label_size ? !split(at, common) : !route_node_own(at))
            return NULL;
        struct route_node *node = *at;
        node->priority_max = MAX_OF(node->priority_max, priority);
        if (common == key.size)
            return at;
        char first = key.at[common];
        struct route_node **child = route_node_find(node, first);
        if (!child && !(child = route_node_open_child(at, first)))
            return NULL;
        at = child;
        key = text_slice(key, common + 1, key.size);
    }
}

static int add_entry(struct route_place *place, struct route_entry *entry)
{
    int code = route_leaf_add(&place->leaf, entry);
    place->route = route_leaf_only(place->leaf);
    return code;
}

static bool remove_entry(struct route_place *place, struct route_entry *entry)
{
    bool done = !route_leaf_remove(&place->leaf, entry);
    place->route = place->leaf ? route_leaf_only(place->leaf) : NULL;
    return done;
}

int route_tree_add(struct route_node **root, enum route_level level, const struct route_step *steps,
                   size_t count, struct route_entry *entry)
{
    struct route_node **at = root;
    for (size_t i = 0;; i++) {
        at = reach(at, level, steps[i].key, entry->priority);
        struct route_place *place = at ? route_node_open_slot(at, steps[i].slot) : NULL;
        if (!place)
            return -ENOMEM;
        if (i + 1 == count)
            return add_entry(place, entry);
        level = route_slot_level(level, steps[i].slot);
        at = &place->node;
    }
}

/* The node at the end of `key`, or NULL. */
static const struct route_node *find_node(const struct route_node *node, struct text key)
{
    while (text_starts_with(key, label_of(node))) {
        key = text_slice(key, node->label_size, key.size);
        if (!key.size)
            return node;
        struct route_node **child = route_node_find(node, key.at[0]);
        if (!child)
            return NULL;
        node = *child;
        key = text_slice(key, 1, key.size);
    }
    return NULL;
}

const struct route_leaf *route_tree_find(const struct route_node *root, const struct route_step *steps,
                                         size_t count)
{
    if (!root)
        return NULL;
    for (size_t i = 0;; i++) {
        const struct route_node *node = find_node(root, steps[i].key);
        const struct route_place *place = node ? route_node_slot(node, steps[i].slot) : NULL;
        if (!place || i + 1 == count)
            return place ? place->leaf : NULL;
        root = place->node;
    }
}

/* Joins a node that has nothing but one child with it: the child takes its place, with both labels. */
static bool merge(struct route_node **at)
{
    struct route_node *node = *at;
    struct route_node **child = route_node_children(node);
    char joined[ROUTER_PATTERN_MAX + 1];
    size_t size = node->label_size + 1u + (*child)->label_size;
    CHECK(size <= sizeof joined);
    memcpy(joined, route_node_label(node), node->label_size);
    joined[node->label_size] = *(const char *)route_node_firsts(node);
    memcpy(joined + node->label_size + 1, route_node_label(*child), (*child)->label_size);
    if (!route_node_relabel(child, (struct text){joined, size}))
        return false;
    *at = *child;
    *child = NULL;
    route_node_unref(node);
    return true;
}

/* Restores the invariants of a node from below which an entry was taken. */
static bool tidy(struct route_node **at, int32_t priority_removed)
{
    struct route_node *node = *at;
    if (!node->slots && !node->children_count) {
        route_node_unref(node);
        *at = NULL;
        return true;
    }
    if (!node->slots && node->children_count == 1)
        return merge(at);
    if (node->priority_max == priority_removed)
        route_node_refresh(node);
    return true;
}

/* What is left of the steps to an entry. */
struct rest {
    const struct route_step *step;
    size_t count;
    struct text key; /* the part of step->key below the node */
};

static bool remove_below(struct route_node **at, struct rest rest, struct route_entry *entry);

/* The key ends at the node at `*at`. */
static bool remove_in_slot(struct route_node **at, struct rest rest, struct route_entry *entry)
{
    enum route_slot slot = rest.step->slot;
    struct route_place *place = route_node_slot(*at, slot);
    rest = (struct rest){rest.step + 1, rest.count - 1, {NULL, 0}};
    if (rest.count)
        rest.key = rest.step->key;
    bool done = rest.count ? remove_below(&place->node, rest, entry) : remove_entry(place, entry);
    return done
           && (place->node
               || route_node_close_slot(at, slot)); /* a leaf that is NULL reads as a node that is */
}

static bool remove_in_child(struct route_node **at, struct rest rest, struct route_entry *entry)
{
    char first = rest.key.at[0];
    struct route_node **child = route_node_find(*at, first);
    rest.key = text_slice(rest.key, 1, rest.key.size);
    return remove_below(child, rest, entry) && (*child || route_node_close_child(at, first));
}

static bool remove_below(struct route_node **at, struct rest rest, struct route_entry *entry)
{
    if (!route_node_own(at))
        return false;
    rest.key = text_slice(rest.key, (*at)->label_size, rest.key.size);
    return (rest.key.size ? remove_in_child : remove_in_slot)(at, rest, entry) && tidy(at, entry->priority);
}

bool route_tree_remove(struct route_node **root, const struct route_step *steps, size_t count,
                       struct route_entry *entry)
{
    return remove_below(root, (struct rest){steps, count, steps[0].key}, entry);
}
