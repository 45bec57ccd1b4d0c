/* What a route does: its services, its policies, and an answer of its own. */
#include "base/check.h"
#include "proxy/route_config.h"

/* `respond:` and `redirect:` of a route are policies that come after all others. */
static bool add_answer(const struct route_building *building, struct policy_set *own, const char *policy,
                       const struct node *config)
{
    if (!config)
        return true;
    struct binder *binder = building->binder;
    struct node key = {.kind = NODE_SCALAR, .place = config->place, .text = text_of(policy)}, item = *config;
    struct node entry = {.kind = NODE_MAP, .place = config->place, .count = 1, .keys = &key, .items = &item};
    struct node list = {.kind = NODE_LIST, .place = config->place, .count = 1, .items = &entry};
    struct policy_set made;
    struct policy_instance *all = arena_array(binder->arena, own->count + 1, sizeof *all);
    if (!all)
        return bind_error(binder, config, NULL, "out of memory");
    if (!policy_set_build(binder, &building->builder->policies,
                          arena_format(binder->arena, "routes.%.*s", TEXT_ARGS(building->route->name)), &list,
                          false, &made))
        return false;
    if (own->count)
        memcpy(all, own->items, own->count * sizeof *all);
    all[own->count] = made.items[0];
    all[own->count].stage = STAGES_COUNT;
    all[own->count].id = arena_format(binder->arena, "route.%s", policy);
    *own = (struct policy_set){all, own->count + 1};
    return true;
}

static bool set_own_policies(const struct route_building *building, const struct route_config *config)
{
    static const struct policy_set none = {0};
    struct binder *binder = building->binder;
    building->route->policies = &none;
    if (!config->policies && !config->respond && !config->redirect)
        return true;
    struct policy_set *own = ARENA_NEW(binder->arena, struct policy_set);
    if (!own)
        return bind_error(binder, building->node, NULL, "out of memory");
    struct text path = bind_enter(binder, TEXT("policies"));
    bool fine = policy_set_build(binder, &building->builder->policies,
                                 arena_format(binder->arena, "routes.%.*s", TEXT_ARGS(building->route->name)),
                                 config->policies, config->order == 1, own);
    bind_leave(binder, path);
    building->route->policies = own;
    return fine && add_answer(building, own, "respond", config->respond)
           && add_answer(building, own, "redirect", config->redirect);
}

/* The plan of one of its services. A route without other policies than the gateway's shares the plan of those. */
static bool set_plan(const struct route_building *building, struct route_target *target)
{
    const struct route *route = building->route;
    const struct policy_set *const sets[] = {route->gateway_policies, target->policies, route->policies};
    bool has_more = route->policies->count || (target->policies && target->policies->count);
    target->plan =
        has_more ? plan_merge(building->binder->arena, sets, COUNT_OF(sets)) : building->scope->gateway_plan;
    return target->plan || !has_more
           || bind_error(building->binder, building->node, "policies",
                         "more than %d policies meet on this route", PLAN_ENTRIES_MAX);
}

static bool finish_target(const struct route_building *building, struct route_target *target)
{
    return set_plan(building, target)
           && route_claim_series(building->builder, building->binder->arena, building->route->name, target);
}

static bool finish_targets(const struct route_building *building)
{
    struct route *route = building->route;
    const struct route_choice *choice = route->choice;
    if (!choice)
        return finish_target(building, &route->target);
    for (size_t i = 0; i < choice->targets_count; i++)
        if (!finish_target(building,
                           (struct route_target *)(uintptr_t)&choice->targets[i])) /* not shared yet */
            return false;
    route->target = choice->targets[0];
    return true;
}

/* A service, a redirect or an answer; or none of these, and policies do it all. */
static bool has_one_action(const struct route_building *building, const struct route_config *config)
{
    const struct node *const actions[] = {config->service, config->redirect, config->respond};
    static const char *const names[] = {"service", "redirect", "respond"};
    size_t first = COUNT_OF(actions);
    bool fine = true;
    for (size_t i = 0; i < COUNT_OF(actions); i++) {
        if (!actions[i])
            continue;
        if (first < COUNT_OF(actions))
            fine = bind_error(building->binder, actions[i], names[i],
                              "the route has a `%s` already: it does one thing or the other", names[first]);
        else
            first = i;
    }
    return fine;
}

bool route_set_action(const struct route_building *building, const struct route_config *config)
{
    bool fine = has_one_action(building, config);
    fine &= route_set_targets(building, config->service);
    fine &= route_set_subset(building, &config->subset);
    fine &= set_own_policies(building, config);
    return fine && finish_targets(building);
}
