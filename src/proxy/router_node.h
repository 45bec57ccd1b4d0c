/* A node of the router's tree: one allocation of just the size it needs, so that a match touches few cache
 * lines.
 *
 *     header  label  first bytes of the children  slots  children
 *
 * The label is what every path through the node has in common after the byte that led to it. A node is
 * never changed while another version can see it; what sees it is counted by references. */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "proxy/router_leaf.h"
#include "proxy/router_pattern.h"

/* What a node's text is. It says what the slots hold. */
enum route_level {
    LEVEL_HOST,   /* a host, back to front: slots hold nodes of LEVEL_PATH */
    LEVEL_PATH,   /* a path: slots hold leaves, but for those of captures, which hold nodes */
    LEVEL_SUFFIX, /* the end of a segment, back to front: slots hold nodes of LEVEL_PATH */
};

/* What stands in a slot. */
struct route_place {
    union {
        struct route_leaf *leaf;
        struct route_node *node; /* which of the two, route_slot_is_leaf() says */
    };
    struct route *route; /* route_leaf_only(): a match then need not load the leaf */
};

struct route_node {
    uint32_t refs;
    int32_t priority_max; /* of all entries below */
    uint16_t label_size, children_count;
    uint8_t slots; /* bit per enum route_slot */
    uint8_t level;
    uint64_t words[];
};

static_assert(sizeof(struct route_node) == 16 && sizeof(void *) == 8, "the layout counts in words");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "route_node_find() counts zero bits from the low end");
static_assert(ROUTER_PATTERN_MAX <= UINT16_MAX, "labels have 16 bits");

static inline const char *route_node_label(const struct route_node *node)
{
    return (const char *)node->words;
}

static inline const uint64_t *route_node_firsts(const struct route_node *node)
{
    return node->words + (node->label_size + 7u) / 8;
}

/* The slots that there are; children follow. */
static inline struct route_place *route_node_places(const struct route_node *node)
{
    return (struct route_place *)(uintptr_t)(route_node_firsts(node) + (node->children_count + 7u) / 8);
}

static inline unsigned route_node_slots_count(const struct route_node *node)
{
    return (unsigned)__builtin_popcount(node->slots);
}

static inline struct route_node **route_node_children(const struct route_node *node)
{
    return (struct route_node **)(route_node_places(node) + route_node_slots_count(node));
}

/* NULL: the node has no such slot. */
static inline struct route_place *route_node_slot(const struct route_node *node, enum route_slot slot)
{
    unsigned bit = 1u << slot;
    return node->slots & bit ? route_node_places(node) + __builtin_popcount(node->slots & (bit - 1)) : NULL;
}

/* The place of the child that goes on with `byte`; NULL: there is none. Looks at eight children at a time. */
static inline struct route_node **route_node_find(const struct route_node *node, char byte)
{
    const uint64_t *firsts = route_node_firsts(node);
    const uint64_t ones = 0x0101010101010101u, wanted = ones * (unsigned char)byte;
    for (unsigned i = 0; i < node->children_count; i += 8) {
        uint64_t zero_where_equal = firsts[i / 8] ^ wanted;
        uint64_t equal =
            (zero_where_equal - ones) & ~zero_where_equal & ones << 7; /* the lowest bit is exact */
        if (equal) {
            i += (unsigned)__builtin_ctzll(equal) / 8;
            return i < node->children_count ? route_node_children(node) + i : NULL;
        }
    }
    return NULL;
}

static inline bool route_slot_is_leaf(enum route_level level, enum route_slot slot)
{
    return level == LEVEL_PATH && slot != SLOT_SUFFIXES && slot != SLOT_CAPTURE;
}

/* The level of a node in such a slot. */
static inline enum route_level route_slot_level(enum route_level level, enum route_slot slot)
{
    return level == LEVEL_PATH && slot == SLOT_SUFFIXES ? LEVEL_SUFFIX : LEVEL_PATH;
}

/* Without slots and children; NULL: no memory. */
struct route_node *route_node_new(enum route_level level, struct text label);
void route_node_unref(struct route_node *node);

/* The following change the node at `*at`, whose holder only this edit sees: in place where nothing else
 * holds the node, in a copy otherwise. False or NULL: no memory, nothing changed. */
bool route_node_own(struct route_node **at);
bool route_node_relabel(struct route_node **at, struct text label);

/* The place of a slot, empty if there was no such slot; the place of a new child. */
struct route_place *route_node_open_slot(struct route_node **at, enum route_slot slot);
struct route_node **route_node_open_child(struct route_node **at, char first);

/* Closes a slot, or the place of a child, in which NULL stands. */
bool route_node_close_slot(struct route_node **at, enum route_slot slot);
bool route_node_close_child(struct route_node **at, char first);

/* Computes priority_max again from what is below. */
void route_node_refresh(struct route_node *node);

/* Memory of the node and all below. */
size_t route_node_bytes(const struct route_node *node);
