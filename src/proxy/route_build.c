/* Builds routes from their configuration: the parts are in route_path_build.c, route_match_build.c and route_action_build.c. */
#include "proxy/attributes.h"
#include "proxy/route_config.h"

/* Asked before anything is compiled; what the path really is, is found out later. */
static bool captures_ints(const struct node *node)
{
    const struct node *path = node_get(node_get(node, TEXT("match")), TEXT("path"));
    return path && path->kind == NODE_SCALAR && text_find(path->text, TEXT(":int}")) != TEXT_NONE;
}

struct route *route_build(struct snapshot_builder *builder, struct binder *binder,
                          const struct route_scope *scope, struct text name, const struct node *node)
{
    struct route_config config = {.timeouts = {-1, -1}, .limits = {-1}};
    struct route *route = ARENA_NEW(binder->arena, struct route);
    if (captures_ints(node))
        binder->environment = environment_with_types(binder->report->arena);
    if (!route || !field_bind(binder, route_fields, node, &config))
        return NULL;
    route->name = name;
    route->labels = config.labels.items;
    route->labels_count = config.labels.count;
    route->host = config.host;
    route->websocket = config.websocket;
    route->enabled = config.enabled;
    route->client_certificate = config.client_certificate;
    route->body_bytes_max = node_get(node_get(node, TEXT("limits")), TEXT("body")) ? config.limits.body : -1;
    const struct node *timeouts = node_get(node, TEXT("timeouts"));
    route->response_timeout_ms = node_get(timeouts, TEXT("response")) ? config.timeouts.response_ms : -1;
    route->total_timeout_ms = node_get(timeouts, TEXT("total")) ? config.timeouts.total_ms : -1;
    route->sets[0] = scope->gateway_policies;
    route->key.priority = (int32_t)config.priority;
    route->key.name = name;
    route->key.route = route;
    const struct route_building building = {builder, binder, scope, route, node};
    bool fine = route_set_hosts(&building, &config.match);
    fine &= route_set_path(&building, &config);
    fine &= route_set_conditions(&building, &config.match);
    fine &= route_set_action(&building, &config);
    return fine ? route : NULL;
}

struct route *route_fallback(struct snapshot_builder *builder, struct arena *arena,
                             const struct policy_set *gateway_policies)
{
    struct route *route = ARENA_NEW(arena, struct route);
    if (!route)
        return NULL;
    route->name = TEXT("");
    route->body_bytes_max = route->response_timeout_ms = route->total_timeout_ms = -1;
    route->sets[0] = gateway_policies;
    route->plan = plan_merge(arena, route->sets, 1);
    return route->plan && route_claim_series(builder, arena, route) ? route : NULL;
}
