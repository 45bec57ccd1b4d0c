/* Builds routes from their configuration: the parts are in route_path_build.c, condition_build.c and route_action_build.c. */
#include "proxy/attributes.h"
#include "proxy/route_config.h"

/* Asked before anything is compiled; what the path really is, is found out later. */
static bool captures_ints(const struct node *node)
{
    const struct node *path = node_get(node_get(node, TEXT("match")), TEXT("path"));
    return path && path->kind == NODE_SCALAR && text_find(path->text, TEXT(":int}")) != TEXT_NONE;
}

static bool given(const struct node *node, const char *group, const char *name)
{
    return node_get(node_get(node, text_of(group)), text_of(name));
}

static struct route_timeouts timeouts_of(const struct node *node, const struct route_timeouts_config *config)
{
    return (struct route_timeouts){
        .connect_ms = given(node, "timeouts", "connect") ? (int32_t)config->connect_ms : -1,
        .response_ms = given(node, "timeouts", "response") ? (int32_t)config->response_ms : -1,
        .idle_ms = given(node, "timeouts", "idle") ? (int32_t)config->idle_ms : -1,
        .total_ms = given(node, "timeouts", "total") ? (int32_t)config->total_ms : -1,
        .body_ms = given(node, "timeouts", "body") ? (int32_t)config->body_ms : -1,
        .send_ms = given(node, "timeouts", "send") ? (int32_t)config->send_ms : -1,
    };
}

struct route *route_build(struct snapshot_builder *builder, struct binder *binder,
                          const struct route_scope *scope, struct text name, const struct node *node)
{
    struct route_config config = {.priority = 0};
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
    route->body_bytes_max = given(node, "limits", "body") ? config.limits.body : -1;
    route->buffered_bytes_max = given(node, "limits", "buffered_body") ? config.limits.buffered : -1;
    route->timeouts = timeouts_of(node, &config.timeouts);
    route->gateway_policies = scope->gateway_policies;
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
    route->body_bytes_max = route->buffered_bytes_max = -1;
    route->timeouts = (struct route_timeouts){-1, -1, -1, -1, -1, -1};
    route->gateway_policies = gateway_policies;
    route->target.plan = plan_merge(arena, &gateway_policies, 1);
    return route->target.plan && route_claim_series(builder, arena, route->name, &route->target) ? route
                                                                                                 : NULL;
}
