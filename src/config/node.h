/* A configuration document as a tree: YAML or JSON, every node with its place, so that every error can point at its cause.
 *
 * Nodes, their texts and the sources they point to live in the arena that the document was read into, so a place is not to be kept
 * for longer than that: place_show() makes a text of it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/text.h"

struct source; /* one file that was read; name by source_name() */

struct place {
    const struct source *source; /* NULL: no file (a default, a request to the admin API) */
    uint32_t line, column;       /* from 1, columns in characters; 0: the file as a whole */
};

struct text source_name(const struct source *source);

/* "conf/shop.yaml:12:7", without a file "line 12:7", without any place "". */
struct text place_show(struct place place, struct arena *arena);

enum node_kind { NODE_NULL, NODE_SCALAR, NODE_LIST, NODE_MAP } __attribute__((packed));

struct node {
    struct place place;
    struct text text;   /* scalar, references already resolved; null: as written */
    struct node *items; /* list: values; map: values, in the order written; scalar: see node_template() */
    struct node *keys;  /* map: scalars, no duplicates */
    uint64_t
        hash; /* of the content, not of the place: equal trees have equal hashes (not within comments or spacing) */
    uint32_t count; /* list and map */
    enum node_kind kind;
    bool quoted; /* scalar: was in quotes or a block, so it is text and never a number, boolean or null */
    bool secret; /* scalar: came from ${file:}, ${env:} or ${vault:}; never printed */
};

/* NULL: not a map, or no such key. Looks at every key: for maps with few. */
const struct node *node_get(const struct node *map, struct text key);

/* "text", "a list", "a map", "nothing": for messages. */
const char *node_kind_name(const struct node *node);

/* What stands there, for messages: "`abc`" (cut after 60 bytes), "a list", "a map", "nothing", or that it is a secret. */
struct text node_show(const struct node *node, struct arena *arena);

/* The text of a scalar where a template is wanted: a literal `${` is written `$${` in it. For nearly all it is `text`. */
struct text node_template(const struct node *scalar);

/* The place in the file of line and column (from 1) within a scalar's text: exact for plain and quoted scalars and literal
 * blocks. Where references were put in, it is the scalar's own. */
struct place node_place_within(const struct node *scalar, uint32_t line, uint32_t column);
