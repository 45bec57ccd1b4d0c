/* Nodes of the router's tree: layout, copying, references. */
#include "proxy/router_node.h"

#include <string.h>

#include "base/check.h"
#include "base/memory.h"

/* How a node is to look: another label, another set of slots, a child more or less. */
struct shape {
    struct text label;
    uint8_t slots;
    int child_added;   /* its first byte, -1: none */
    int child_dropped; /* its index, -1: none */
};

static size_t node_size(size_t label_size, size_t slots_count, size_t children_count)
{
    return sizeof(struct route_node) + (label_size + 7) / 8 * 8 + (children_count + 7) / 8 * 8
           + slots_count * sizeof(struct route_place) + children_count * sizeof(void *);
}

static struct route_node *node_alloc(enum route_level level, const struct shape *shape, size_t children_count)
{
    size_t size = node_size(shape->label.size, (size_t)__builtin_popcount(shape->slots), children_count);
    struct route_node *node = route_object_new(size);
    if (!node)
        return NULL;
    memset((char *)node + sizeof node->refs, 0, size - sizeof node->refs);
    node->priority_max = INT32_MIN;
    node->label_size = (uint16_t)shape->label.size;
    node->children_count = (uint16_t)children_count;
    node->slots = shape->slots;
    node->level = (uint8_t)level;
    if (shape->label.size)
        memcpy(node->words, shape->label.at, shape->label.size);
    return node;
}

struct route_node *route_node_new(enum route_level level, struct text label)
{
    return node_alloc(level, &(struct shape){label, 0, -1, -1}, 0);
}

/* What a copy takes over from the node that it was made from: a reference of its own, or the one of a node
 * that goes. */
static struct route_node *taken(struct route_node *node, bool moved)
{
    if (node && !moved)
        node->refs++;
    return node;
}

static struct route_place place_taken(struct route_place place, bool is_leaf, bool moved)
{
    if (is_leaf && place.leaf && !moved)
        place.leaf->refs++;
    if (!is_leaf)
        place.node = taken(place.node, moved);
    return place;
}

static void place_unref(const struct route_place *place, bool is_leaf)
{
    if (is_leaf)
        route_leaf_unref(place->leaf);
    else
        route_node_unref(place->node);
}

void route_node_unref(struct route_node *node)
{
    if (!node || --node->refs)
        return;
    const struct route_place *place = route_node_places(node);
    for (unsigned slot = 0; slot <= SLOT_RAW; slot++) {
        if (node->slots & 1u << slot)
            place_unref(place++, route_slot_is_leaf(node->level, slot));
    }
    struct route_node **children = route_node_children(node);
    for (unsigned i = 0; i < node->children_count; i++)
        route_node_unref(children[i]);
    route_object_free(node);
}

static void take_slots(struct route_node *to, const struct route_node *from, bool moved)
{
    for (unsigned slot = 0; slot <= SLOT_RAW; slot++) {
        const struct route_place *source = route_node_slot(from, slot);
        struct route_place *place = route_node_slot(to, slot);
        if (source && place)
            *place = place_taken(*source, route_slot_is_leaf(from->level, slot), moved);
    }
}

static void take_children(struct route_node *to, const struct route_node *from, const struct shape *shape,
                          bool moved)
{
    unsigned char *firsts = (unsigned char *)(uintptr_t)route_node_firsts(to);
    const unsigned char *old_firsts = (const unsigned char *)route_node_firsts(from);
    struct route_node **children = route_node_children(to), **old_children = route_node_children(from);
    unsigned count = 0;
    for (unsigned i = 0; i < from->children_count; i++) {
        if ((int)i == shape->child_dropped)
            continue;
        firsts[count] = old_firsts[i];
        children[count++] = taken(old_children[i], moved);
    }
    if (shape->child_added >= 0)
        firsts[count] = (unsigned char)shape->child_added;
}

/* Puts a node of that shape in the place of the old one. What it keeps is shared with the old one if that
 * stays, else moved; what it lacks is NULL in the old one. */
static bool reshape(struct route_node **at, const struct shape *shape)
{
    struct route_node *old = *at;
    size_t children_count =
        old->children_count + (size_t)(shape->child_added >= 0) - (size_t)(shape->child_dropped >= 0);
    struct route_node *node = node_alloc(old->level, shape, children_count);
    if (!node)
        return false;
    node->priority_max = old->priority_max;
    bool moved = old->refs == 1;
    take_slots(node, old, moved);
    take_children(node, old, shape, moved);
    *at = node;
    if (moved)
        route_object_free(old);
    else
        old->refs--;
    return true;
}

static struct shape shape_of(const struct route_node *node)
{
    return (struct shape){{route_node_label(node), node->label_size}, node->slots, -1, -1};
}

bool route_node_own(struct route_node **at)
{
    struct shape same = shape_of(*at);
    return (*at)->refs == 1 || reshape(at, &same);
}

bool route_node_relabel(struct route_node **at, struct text label)
{
    struct shape shape = shape_of(*at);
    shape.label = label;
    return reshape(at, &shape);
}

struct route_place *route_node_open_slot(struct route_node **at, enum route_slot slot)
{
    struct shape shape = shape_of(*at);
    shape.slots |= (uint8_t)(1u << slot);
    bool done = shape.slots == (*at)->slots ? route_node_own(at) : reshape(at, &shape);
    return done ? route_node_slot(*at, slot) : NULL;
}

struct route_node **route_node_open_child(struct route_node **at, char first)
{
    struct shape shape = shape_of(*at);
    shape.child_added = (unsigned char)first;
    return reshape(at, &shape) ? route_node_children(*at) + (*at)->children_count - 1 : NULL;
}

bool route_node_close_slot(struct route_node **at, enum route_slot slot)
{
    struct shape shape = shape_of(*at);
    shape.slots &= (uint8_t) ~(1u << slot);
    return reshape(at, &shape);
}

bool route_node_close_child(struct route_node **at, char first)
{
    struct shape shape = shape_of(*at);
    shape.child_dropped = (int)(route_node_find(*at, first) - route_node_children(*at));
    return reshape(at, &shape);
}

void route_node_refresh(struct route_node *node)
{
    int32_t max = INT32_MIN;
    const struct route_place *place = route_node_places(node);
    for (unsigned slot = 0; slot <= SLOT_RAW; slot++) {
        if (!(node->slots & 1u << slot))
            continue;
        int32_t priority = route_slot_is_leaf(node->level, slot) ? route_leaf_at(place->leaf, 0)->priority
                                                                 : place->node->priority_max;
        max = MAX_OF(max, priority);
        place++;
    }
    struct route_node **children = route_node_children(node);
    for (unsigned i = 0; i < node->children_count; i++)
        max = MAX_OF(max, children[i]->priority_max);
    node->priority_max = max;
}

size_t route_node_bytes(const struct route_node *node)
{
    if (!node)
        return 0;
    size_t bytes = node_size(node->label_size, route_node_slots_count(node), node->children_count);
    const struct route_place *place = route_node_places(node);
    for (unsigned slot = 0; slot <= SLOT_RAW; slot++) {
        if (!(node->slots & 1u << slot))
            continue;
        bytes += route_slot_is_leaf(node->level, slot) ? route_leaf_bytes(place->leaf)
                                                       : route_node_bytes(place->node);
        place++;
    }
    struct route_node **children = route_node_children(node);
    for (unsigned i = 0; i < node->children_count; i++)
        bytes += route_node_bytes(children[i]);
    return bytes;
}
