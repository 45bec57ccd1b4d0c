/* What a route does: its service, its policies, and an answer of its own. */
#include "base/check.h"
#include "base/hash.h"
#include "proxy/route_config.h"
#include "telemetry/metrics.h"

static bool is_url(struct text t)
{
    return text_find(t, TEXT("://")) != TEXT_NONE || text_starts_with(t, TEXT("unix:"));
}

static uint64_t hash_with(uint64_t hash, const struct table *table, const struct node *name)
{
    const struct object *object = name->kind == NODE_SCALAR ? table_get(table, name->text) : NULL;
    return hash_mix(hash ^ hash_mix((object ? object->serial : 0) + 1));
}

uint64_t route_hash(const struct route_scope *scope, const struct node *node)
{
    const struct node *service = node_get(node, TEXT("service"));
    const struct node *match = node_get(node, TEXT("match"));
    const struct node *const listeners[] = {node_get(match, TEXT("listeners")),
                                            node_get(node_get(match, TEXT("not")), TEXT("listeners"))};
    uint64_t hash = service ? hash_with(node->hash, scope->services, service) : node->hash;
    for (size_t i = 0; i < COUNT_OF(listeners); i++) {
        if (listeners[i])
            hash = hash_with(hash, scope->listeners, listeners[i]);
        for (uint32_t k = 0; listeners[i] && k < listeners[i]->count; k++)
            hash = hash_with(hash, scope->listeners, &listeners[i]->items[k]);
    }
    return hash;
}

static bool unknown_service(struct binder *binder, const struct table *services, const struct node *node)
{
    struct text names[64];
    size_t count = 0, cursor = 0;
    for (const struct table_slot *slot; count < COUNT_OF(names) && (slot = table_next(services, &cursor));)
        names[count++] = slot->key;
    struct text near = near_miss(node->text, names, count);
    if (near.at)
        return bind_error(binder, node, "service", "there is no service `%.*s`; did you mean `%.*s`?",
                          TEXT_ARGS(node->text), TEXT_ARGS(near));
    return bind_error(binder, node, "service", "there is no service `%.*s` under `services`",
                      TEXT_ARGS(node->text));
}

static bool set_service(struct snapshot_builder *builder, struct binder *binder,
                        const struct route_scope *scope, struct route *route, const struct node *node)
{
    if (!node)
        return true;
    if (node->kind != NODE_SCALAR)
        return bind_error(binder, node, "service", "wants the name of a service, or a URL");
    if (is_url(node->text)) {
        route->service =
            service_build(binder, &builder->services,
                          arena_format(binder->arena, "routes.%.*s", TEXT_ARGS(route->name)), node);
        return route->service != NULL;
    }
    const struct object *object = table_get(scope->services, node->text);
    if (!object)
        return unknown_service(binder, scope->services, node);
    const struct built_service *built = object->value;
    if (!built)
        return false; /* reported with the service */
    route->service = built->service;
    route->sets[1] = &built->policies;
    return true;
}

/* `respond:` and `redirect:` of a route are policies that come after all others. */
static bool add_action(struct snapshot_builder *builder, struct binder *binder, const struct route *route,
                       struct policy_set *own, const char *policy, const struct node *config)
{
    if (!config)
        return true;
    struct node key = {.kind = NODE_SCALAR, .place = config->place, .text = text_of(policy)}, item = *config;
    struct node entry = {.kind = NODE_MAP, .place = config->place, .count = 1, .keys = &key, .items = &item};
    struct node list = {.kind = NODE_LIST, .place = config->place, .count = 1, .items = &entry};
    struct policy_set made;
    struct policy_instance *all = arena_array(binder->arena, own->count + 1, sizeof *all);
    if (!all)
        return bind_error(binder, config, NULL, "out of memory");
    if (!policy_set_build(binder, &builder->policies,
                          arena_format(binder->arena, "routes.%.*s", TEXT_ARGS(route->name)), &list, false,
                          &made))
        return false;
    if (own->count)
        memcpy(all, own->items, own->count * sizeof *all);
    all[own->count] = made.items[0];
    all[own->count].stage = STAGES_COUNT;
    all[own->count].id = arena_format(binder->arena, "route.%s", policy);
    *own = (struct policy_set){all, own->count + 1};
    return true;
}

static bool set_own_policies(struct snapshot_builder *builder, struct binder *binder, struct route *route,
                             const struct route_config *config, const struct node *node)
{
    struct policy_set *own = ARENA_NEW(binder->arena, struct policy_set);
    struct text path = binder->path;
    if (!own)
        return bind_error(binder, node, NULL, "out of memory");
    binder->path = arena_format(binder->report->arena, "%.*s.policies", TEXT_ARGS(path));
    bool fine = policy_set_build(binder, &builder->policies,
                                 arena_format(binder->arena, "routes.%.*s", TEXT_ARGS(route->name)),
                                 config->policies, config->order == 1, own);
    binder->path = path;
    route->sets[2] = own;
    return fine && add_action(builder, binder, route, own, "respond", config->respond)
           && add_action(builder, binder, route, own, "redirect", config->redirect);
}

static bool set_policies(struct snapshot_builder *builder, struct binder *binder,
                         const struct route_scope *scope, struct route *route,
                         const struct route_config *config, const struct node *node)
{
    static const struct policy_set none = {0};
    bool has_own = config->policies || config->respond || config->redirect;
    route->sets[2] = &none;
    if (has_own && !set_own_policies(builder, binder, route, config, node))
        return false;
    bool has_more = route->sets[2]->count || (route->sets[1] && route->sets[1]->count);
    route->plan =
        has_more ? plan_merge(binder->arena, route->sets, COUNT_OF(route->sets)) : scope->gateway_plan;
    if (has_more && !route->plan)
        return bind_error(binder, node, "policies", "more than %d policies meet on this route",
                          PLAN_ENTRIES_MAX);
    return true;
}

struct claimed_series {
    struct metrics *metrics;
    struct metric_series *series;
};

static void give_series(void *argument)
{
    struct claimed_series *claimed = argument;
    series_unclaim(claimed->metrics, claimed->series);
}

bool route_claim_series(struct snapshot_builder *builder, struct arena *arena, struct route *route)
{
    struct claimed_series *claimed = ARENA_NEW(arena, struct claimed_series);
    if (!claimed)
        return false;
    *claimed = (struct claimed_series){
        builder->metrics,
        series_claim(builder->metrics, route->name, route->service ? route->service->name : TEXT(""))};
    route->series = claimed->series;
    if (arena_defer(arena, give_series, claimed))
        return true;
    give_series(claimed);
    return false;
}

bool route_set_action(const struct route_building *building, const struct route_config *config)
{
    struct binder *binder = building->binder;
    struct route *route = building->route;
    bool fine = set_service(building->builder, binder, building->scope, route, config->service);
    fine &= set_policies(building->builder, binder, building->scope, route, config, building->node);
    return fine && route_claim_series(building->builder, binder->arena, route);
}
