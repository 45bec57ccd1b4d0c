/* Adding and removing in a tree of nodes, by the steps of a pattern. All of it is path-copying: nodes that
 * another version holds are copied, nodes that only this edit sees change in place. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proxy/router_leaf.h"
#include "proxy/router_node.h"

/* One version. */
struct router {
    uint32_t refs;
    size_t count;             /* keys */
    size_t priorities_count;  /* keys with a priority other than 0 */
    struct route_node *hosts; /* routes with hosts; NULL: none */
    struct route_node *any;   /* routes for any host, by path at once; NULL: none */
};

/* 0, -ENOMEM, or -EEXIST: the route is there already. After a failure the tree is fit for nothing but to
 * be dropped. */
int route_tree_add(struct route_node **root, enum route_level level, const struct route_step *steps,
                   size_t count, struct route_entry *entry);

/* NULL: no route has that pattern. */
const struct route_leaf *route_tree_find(const struct route_node *root, const struct route_step *steps,
                                         size_t count);

/* Takes out an entry that route_tree_find() has shown to be there. False: no memory. */
bool route_tree_remove(struct route_node **root, const struct route_step *steps, size_t count,
                       struct route_entry *entry);
