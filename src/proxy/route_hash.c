/* What a route is made of, as one number: its tree, and what that refers to. */
#include "base/hash.h"
#include "base/check.h"
#include "proxy/build.h"

static uint64_t hash_with(uint64_t hash, const struct table *table, const struct node *name)
{
    const struct object *object = name->kind == NODE_SCALAR ? table_get(table, name->text) : NULL;
    return hash_mix(hash ^ hash_mix((object ? object->serial : 0) + 1));
}

/* Every text in the tree of a service that is the name of one. */
static uint64_t hash_services(uint64_t hash, const struct table *services, const struct node *node)
{
    if (node->kind == NODE_SCALAR)
        return hash_with(hash, services, node);
    for (uint32_t i = 0; i < node->count; i++)
        hash = hash_services(hash, services, &node->items[i]);
    return hash;
}

uint64_t route_hash(const struct route_scope *scope, const struct node *node)
{
    const struct node *service = node_get(node, TEXT("service"));
    const struct node *match = node_get(node, TEXT("match"));
    const struct node *const listeners[] = {node_get(match, TEXT("listeners")),
                                            node_get(node_get(match, TEXT("not")), TEXT("listeners"))};
    uint64_t hash = service ? hash_services(node->hash, scope->services, service) : node->hash;
    for (size_t i = 0; i < COUNT_OF(listeners); i++) {
        if (listeners[i])
            hash = hash_with(hash, scope->listeners, listeners[i]);
        for (uint32_t k = 0; listeners[i] && k < listeners[i]->count; k++)
            hash = hash_with(hash, scope->listeners, &listeners[i]->items[k]);
    }
    return hash;
}
