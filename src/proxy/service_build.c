/* A service with the policies of its own. */
#include "base/check.h"
#include "proxy/attributes.h"
#include "proxy/build.h"

const struct service *watched_service_build(struct snapshot_builder *builder, struct binder *binder,
                                            struct text name, const struct node *node)
{
    struct expr_watch watches[] = {
        {.ids = request_body_attributes.ids, .count = request_body_attributes.count},
        {.ids = response_body_attributes.ids, .count = response_body_attributes.count},
    };
    binder->watches = watches;
    binder->watches_count = COUNT_OF(watches);
    struct service *service = service_build(binder, &builder->services, name, node);
    binder->watches = NULL;
    binder->watches_count = 0;
    if (!service)
        return NULL;
    service->body_because = watches[0].found;
    if (!watches[1].found)
        return service;
    bind_error(binder, node, NULL, "`%.*s`: a service decides before the answer's body has come",
               TEXT_ARGS(expr_source(watches[1].found)));
    return NULL;
}

struct built_service *built_service_build(struct snapshot_builder *builder, struct binder *binder,
                                          struct text name, const struct node *node)
{
    struct built_service *built = ARENA_NEW(binder->arena, struct built_service);
    if (!built || !(built->service = watched_service_build(builder, binder, name, node)))
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
