/* A service with the policies of its own. */
#include "proxy/build.h"

struct built_service *built_service_build(struct snapshot_builder *builder, struct binder *binder,
                                          struct text name, const struct node *node)
{
    struct built_service *built = ARENA_NEW(binder->arena, struct built_service);
    if (!built || !(built->service = service_build(binder, &builder->services, name, node)))
        return NULL;
    const struct node *order = node_get(node, TEXT("order"));
    struct text path = binder->path;
    binder->path = arena_format(binder->arena, "%.*s.policies", TEXT_ARGS(path));
    bool fine = policy_set_build(binder, &builder->policies,
                                 arena_format(binder->arena, "services.%.*s", TEXT_ARGS(name)),
                                 node_get(node, TEXT("policies")),
                                 order && text_equal(order->text, TEXT("written")), &built->policies);
    binder->path = path;
    return fine ? built : NULL;
}
