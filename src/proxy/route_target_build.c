/* The services of a route: one, several with weights, or one that an expression names. */
#include "base/check.h"
#include "proxy/attributes.h"
#include "proxy/route_config.h"
#include "telemetry/metrics.h"

enum { TARGETS_MAX = 64 };

struct weighted_config {
    struct text name;
    int64_t weight;
};

struct choice_config {
    struct array weighted; /* of struct weighted_config */
    const struct expr *key, *expression;
    struct array among; /* of struct text */
    struct text otherwise;
};

static const struct field weighted_fields[] = {
    {FIELD_MEMBER_(struct weighted_config, name, "name", FIELD_KIND_TEXT, REQUIRED,
                   "Name of a service, or the URL of an endpoint."),
     .flags = FIELD_SHORTHAND},
    FIELD_INTEGER(struct weighted_config, weight, "weight", "1", 0, 1000000,
                  "Its share of the requests, as part of the sum of all weights; 0: none."),
    FIELD_END,
};
static const struct field weighted_item = ITEM_STRUCT(struct weighted_config, weighted_fields);

const struct field route_choice_fields[] = {
    {FIELD_MEMBER_(struct choice_config, weighted, "weighted", FIELD_KIND_LIST, OPTIONAL,
                   "Services with weights; a list in place of the whole is this."),
     .item = &weighted_item, .flags = FIELD_SHORTHAND | FIELD_NOT_EMPTY},
    FIELD_EXPRESSION(
        struct choice_config, key, "key", OPTIONAL, EXPR_DYN,
        "Requests with the same key go to the same service, on every node; at random unless given."),
    FIELD_EXPRESSION(struct choice_config, expression, "expression", OPTIONAL, EXPR_STRING,
                     "Gives the name of the service: one of `among`."),
    FIELD_LIST(struct choice_config, among, "among", OPTIONAL, &field_item_text,
               FIELD_NOT_EMPTY | FIELD_UNIQUE, "The services that `expression` may name."),
    FIELD_TEXT(
        struct choice_config, otherwise, "otherwise", OPTIONAL,
        "One of `among` for when `expression` fails or names another; the answer is 503 unless given."),
    FIELD_END,
};

static bool is_url(struct text t)
{
    return text_find(t, TEXT("://")) != TEXT_NONE || text_starts_with(t, TEXT("unix:"))
           || text_starts_with(t, TEXT("srv:")) || text_starts_with(t, TEXT("srv+https:"));
}

static bool unknown_service(const struct route_building *building, const struct node *node, struct text name)
{
    struct text names[64];
    size_t count = 0, cursor = 0;
    for (const struct table_slot *slot;
         count < COUNT_OF(names) && (slot = table_next(building->scope->services, &cursor));)
        names[count++] = slot->key;
    struct text near = near_miss(name, names, count);
    if (near.at)
        return bind_error(building->binder, node, "service",
                          "there is no service `%.*s`; did you mean `%.*s`?", TEXT_ARGS(name),
                          TEXT_ARGS(near));
    return bind_error(building->binder, node, "service", "there is no service `%.*s` under `services`",
                      TEXT_ARGS(name));
}

/* A service of the route's own, from its URL. */
static bool own_service(const struct route_building *building, const struct node *node, struct text url,
                        size_t nth, struct route_target *to)
{
    struct binder *binder = building->binder;
    struct node scalar = {.kind = NODE_SCALAR, .place = node->place, .text = url};
    struct text name = building->route->name;
    to->service =
        watched_service_build(building->builder, binder,
                              nth ? arena_format(binder->arena, "routes.%.*s.%zu", TEXT_ARGS(name), nth)
                                  : arena_format(binder->arena, "routes.%.*s", TEXT_ARGS(name)),
                              &scalar);
    return to->service;
}

static bool set_target(const struct route_building *building, const struct node *node, struct text name,
                       size_t nth, struct route_target *to)
{
    if (is_url(name))
        return own_service(building, node, name, nth, to);
    const struct object *object = table_get(building->scope->services, name);
    if (!object)
        return unknown_service(building, node, name);
    const struct built_service *built = object->value;
    if (!built)
        return false; /* reported with the service */
    to->service = built->service;
    to->policies = &built->policies;
    return true;
}

/* --- several --- */

static const struct node *item_at(const struct node *node, const char *list, size_t i)
{
    const struct node *items = node->kind == NODE_LIST ? node : node_get(node, text_of(list));
    return items && items->kind == NODE_LIST && i < items->count ? &items->items[i] : node;
}

static bool add_weighted(const struct route_building *building, const struct node *node,
                         const struct choice_config *config, struct route_choice *choice,
                         struct route_target *targets)
{
    const struct weighted_config *weighted = config->weighted.items;
    bool fine = true;
    if (config->expression || config->among.count || config->otherwise.at)
        return bind_error(building->binder, node, "service",
                          "chooses by `weighted` or by `expression` with `among`, not by both");
    for (size_t i = 0; i < choice->targets_count; i++) {
        fine &= set_target(building, item_at(node, "weighted", i), weighted[i].name, i, &targets[i]);
        targets[i].weight = (uint32_t)weighted[i].weight;
        choice->weights += targets[i].weight;
    }
    if (choice->weights == 0)
        return bind_error(building->binder, node, "service", "all weights are 0");
    choice->key = config->key;
    return fine;
}

static bool add_named(const struct route_building *building, const struct node *node,
                      const struct choice_config *config, struct route_choice *choice,
                      struct route_target *targets)
{
    const struct text *names = config->among.items;
    bool fine = true;
    if (!config->expression || !config->among.count || config->key)
        return bind_error(building->binder, node, "service", "wants `weighted`, or `expression` and `among`");
    for (size_t i = 0; i < choice->targets_count; i++) {
        const struct node *item = item_at(node, "among", i);
        if (is_url(names[i]))
            fine = bind_error(building->binder, item, "service.among", "wants names of services, got a URL");
        else
            fine &= set_target(building, item, names[i], i, &targets[i]);
        if (text_equal(names[i], config->otherwise))
            choice->otherwise = &targets[i];
    }
    if (config->otherwise.at && !choice->otherwise)
        return bind_error(building->binder, node_get(node, TEXT("otherwise")), "service.otherwise",
                          "`%.*s` is not one of `among`", TEXT_ARGS(config->otherwise));
    choice->expression = config->expression;
    return fine;
}

static bool is_known_in_time(const struct route_building *building, const struct node *node,
                             const struct expr *expr, const char *child)
{
    const char *unknown = expr ? attribute_unknown_to_choices(expr) : NULL;
    return !unknown
           || bind_error(building->binder, node, child, "`%s` is not known yet when the service is chosen",
                         unknown);
}

static bool set_choice(const struct route_building *building, const struct node *node)
{
    static const struct field choice_field = {.name = "service",
                                              .kind = FIELD_KIND_STRUCT,
                                              .size = sizeof(struct choice_config),
                                              .fields = route_choice_fields};
    struct choice_config config = {.key = NULL};
    struct arena *arena = building->binder->arena;
    struct text path = bind_enter(building->binder, TEXT("service"));
    bool fine = field_bind_value(building->binder, &choice_field, node, &config);
    bind_leave(building->binder, path);
    if (!fine)
        return false;
    size_t count = config.weighted.count ? config.weighted.count : config.among.count;
    struct route_choice *choice = ARENA_NEW(arena, struct route_choice);
    struct route_target *targets = arena_array(arena, count, sizeof *targets);
    if (!choice || !targets || count > TARGETS_MAX)
        return bind_error(building->binder, node, "service", "has more than %d services", TARGETS_MAX);
    *choice = (struct route_choice){.targets = targets, .targets_count = count};
    building->route->choice = choice;
    fine = config.weighted.count ? add_weighted(building, node, &config, choice, targets)
                                 : add_named(building, node, &config, choice, targets);
    fine &= is_known_in_time(building, node, config.key, "service.key");
    return fine & is_known_in_time(building, node, config.expression, "service.expression");
}

bool route_set_targets(const struct route_building *building, const struct node *service)
{
    if (!service)
        return true;
    if (service->kind == NODE_SCALAR)
        return set_target(building, service, service->text, 0, &building->route->target);
    if (service->kind != NODE_LIST && service->kind != NODE_MAP)
        return bind_error(building->binder, service, "service",
                          "wants the name of a service, a URL, a list of services with weights, or a choice");
    return set_choice(building, service);
}

/* --- which of their endpoints --- */

static bool is_subset_label(const struct service *service, struct text name)
{
    for (uint32_t i = 0; i < service->balance.subset_count; i++)
        if (text_equal(service->balance.subset_labels[i], name))
            return true;
    return false;
}

static bool check_subset(const struct route_building *building, const struct service *service,
                         const struct array *subset)
{
    const struct text_pair *label = subset->items;
    bool fine = true;
    for (size_t i = 0; service && i < subset->count; i++)
        if (!is_subset_label(service, label[i].key))
            fine = bind_error(building->binder, node_get(building->node, TEXT("subset")), "subset",
                              "`%.*s` is not one of the labels of `balance.subset` of the service `%.*s`",
                              TEXT_ARGS(label[i].key), TEXT_ARGS(service->name));
    return fine;
}

bool route_set_subset(const struct route_building *building, const struct array *subset)
{
    struct route *route = building->route;
    if (subset->count == 0)
        return true;
    struct array *copy = ARENA_NEW(building->binder->arena, struct array);
    if (!copy)
        return bind_error(building->binder, building->node, NULL, "out of memory");
    *copy = *subset;
    route->subset = copy;
    bool fine = check_subset(building, route->target.service, subset);
    for (size_t i = 0; route->choice && i < route->choice->targets_count; i++)
        fine &= check_subset(building, route->choice->targets[i].service, subset);
    return fine;
}

/* --- numbers --- */

struct claimed_series {
    struct metrics *metrics;
    struct metric_series *series;
};

static void give_series(void *argument)
{
    struct claimed_series *claimed = argument;
    series_unclaim(claimed->metrics, claimed->series);
}

bool route_claim_series(struct snapshot_builder *builder, struct arena *arena, struct text name,
                        struct route_target *target)
{
    struct claimed_series *claimed = ARENA_NEW(arena, struct claimed_series);
    if (!claimed)
        return false;
    *claimed = (struct claimed_series){
        builder->metrics,
        series_claim(builder->metrics, name, target->service ? target->service->name : TEXT(""))};
    target->series = claimed->series;
    if (arena_defer(arena, give_series, claimed))
        return true;
    give_series(claimed);
    return false;
}
