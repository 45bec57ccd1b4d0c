/* Builds routes from their configuration. */
#include "base/check.h"
#include "expr/pattern.h"
#include "proxy/attributes.h"
#include "proxy/build.h"
#include "proxy/exchange.h"
#include "telemetry/metrics.h"

struct condition_config {
    struct text name, equals, prefix, regex;
    struct array one_of;
    bool present, absent, negated;
};

struct match_config {
    struct array hosts, methods;
    struct text path;
    struct array headers, query, cookies;
};

struct route_timeouts_config {
    int64_t response_ms, total_ms;
};

struct route_limits_config {
    int64_t body;
};

struct route_config {
    struct match_config match;
    int64_t priority;
    const struct node *service;
    struct text strip_prefix; /* "true": the prefix of the path; .at NULL: no */
    bool websocket, enabled;
    const struct expr *rewrite;
    struct text host;
    struct route_timeouts_config timeouts;
    struct route_limits_config limits;
    const struct node *policies, *respond, *redirect;
    int order;
};

static const struct field condition_fields[] = {
    {FIELD_MEMBER_(struct condition_config, equals, "equals", FIELD_KIND_TEXT, OPTIONAL,
                   "The value is exactly this."),
     .flags = FIELD_SHORTHAND},
    FIELD_LIST(struct condition_config, one_of, "one_of", OPTIONAL, &field_item_text, FIELD_NOT_EMPTY,
               "The value is one of these."),
    FIELD_TEXT(struct condition_config, prefix, "prefix", OPTIONAL, "The value begins with this."),
    FIELD_TEXT(struct condition_config, regex, "regex", OPTIONAL,
               "The regular expression is found in the value; anchor it with `^` and `$` for the whole."),
    FIELD_BOOL(struct condition_config, present, "present", "false", "It is there, whatever its value."),
    FIELD_BOOL(struct condition_config, absent, "absent", "false", "It is not there."),
    FIELD_BOOL(struct condition_config, negated, "not", "false", "The opposite of the test."),
    FIELD_END,
};
static const struct field condition_item = ITEM_STRUCT(struct condition_config, condition_fields);

static const struct field match_fields[] = {
    FIELD_LIST(struct match_config, hosts, "hosts", "[]", &field_item_text, FIELD_ONE_OR_MORE | FIELD_UNIQUE,
               "`shop.example`, or `*.shop.example` for all names below it; any host unless given."),
    FIELD_TEXT(
        struct match_config, path, "path", OPTIONAL,
        "`/a` exactly; `/a/*` it and all below; `/a*` all that begins with it; `/orders/{id}` a template; `~ ^/v[0-9]+/` a regular expression. Any path unless given."),
    FIELD_LIST(struct match_config, methods, "methods", "[]", &field_item_text,
               FIELD_ONE_OR_MORE | FIELD_UNIQUE, "Any method unless given."),
    FIELD_MAP(struct match_config, headers, "headers", "{}", &condition_item,
              offsetof(struct condition_config, name), "Tests on header fields, by name."),
    FIELD_MAP(struct match_config, query, "query", "{}", &condition_item,
              offsetof(struct condition_config, name), "Tests on query parameters, by name."),
    FIELD_MAP(struct match_config, cookies, "cookies", "{}", &condition_item,
              offsetof(struct condition_config, name), "Tests on cookies, by name."),
    FIELD_END,
};

static const struct field timeouts_fields[] = {
    FIELD_DURATION(struct route_timeouts_config, response_ms, "response", OPTIONAL, 1, 86400000,
                   "Instead of the service's."),
    FIELD_DURATION(struct route_timeouts_config, total_ms, "total", OPTIONAL, 1, 86400000,
                   "Instead of the service's."),
    FIELD_END,
};

static const struct field limits_fields[] = {
    FIELD_SIZE(struct route_limits_config, body, "body", OPTIONAL, 0, INT64_MAX,
               "Largest request body, instead of the listener's; 0 is no limit."),
    FIELD_END,
};

static bool bind_strip(struct binder *binder, const struct field *field, const struct node *node, void *at)
{
    (void)field;
    if (node->kind == NODE_SCALAR && text_equal(node->text, TEXT("false")))
        return true;
    if (node->kind != NODE_SCALAR
        || !(text_equal(node->text, TEXT("true")) || text_starts_with(node->text, TEXT("/"))))
        return bind_error(binder, node, NULL, "wants true, false, or a path such as `/api`");
    *(struct text *)at = arena_copy(binder->arena, node->text);
    return true;
}

const struct field route_fields[] = {
    FIELD_STRUCT(struct route_config, match, "match", "{}", match_fields,
                 "Which requests take this route: all tests must hold."),
    FIELD_INTEGER(struct route_config, priority, "priority", "0", -1000000, 1000000,
                  "Higher ones are tried first, before more specific ones."),
    FIELD_NODE(
        struct route_config, service, "service", OPTIONAL, "{\"type\":[\"string\",\"number\",\"boolean\"]}",
        "Name of a service, or the URL of an endpoint. Without one, a policy of the route answers, or it is a 404."),
    FIELD_CUSTOM(
        struct route_config, strip_prefix, "strip_prefix", OPTIONAL, bind_strip,
        "{\"type\":[\"boolean\",\"string\"]}",
        "`true` takes the prefix of `match.path` (`/a`, `/a/*` or `/a*`) off the path that the service gets; a path takes that one off."),
    FIELD_TEMPLATE(
        struct route_config, rewrite, "rewrite", OPTIONAL,
        "Path that the service gets, such as `/v2/${request.params.id}`; with a query, it replaces the request's."),
    FIELD_TEXT(struct route_config, host, "host", OPTIONAL,
               "Host that the service gets, instead of its own rule."),
    FIELD_NODE(struct route_config, respond, "respond", OPTIONAL, "{\"$ref\":\"#/$defs/policy-respond\"}",
               "Answer here: the configuration of the policy `respond`, after all other policies."),
    FIELD_NODE(
        struct route_config, redirect, "redirect", OPTIONAL, "{\"$ref\":\"#/$defs/policy-redirect\"}",
        "Answer with a redirect: the configuration of the policy `redirect`, after all other policies."),
    FIELD_BOOL(struct route_config, websocket, "websocket", "true",
               "Pass requests to upgrade the connection (WebSocket)."),
    FIELD_STRUCT(struct route_config, timeouts, "timeouts", "{}", timeouts_fields, "Timeouts of this route."),
    FIELD_STRUCT(struct route_config, limits, "limits", "{}", limits_fields, "Limits of this route."),
    FIELD_BOOL(struct route_config, enabled, "enabled", "true",
               "`false` leaves the route out, but still checks it."),
    FIELD_NODE(struct route_config, policies, "policies", OPTIONAL, "{\"$ref\":\"#/$defs/policies\"}",
               "Policies of this route."),
    FIELD_CHOICE(struct route_config, order, "order", "stages", order_choices,
                 "`written` runs `policies` exactly in their order."),
    FIELD_END,
};

/* --- conditions --- */

static bool set_test(struct binder *binder, struct condition *to, const struct condition_config *from,
                     const struct node *node)
{
    struct error error = {0};
    int tests = (from->equals.at != NULL) + (from->one_of.count > 0) + (from->prefix.at != NULL)
                + (from->regex.at != NULL) + from->present + from->absent;
    if (tests != 1)
        return bind_error(binder, node, NULL,
                          "`%.*s` wants one of equals, one_of, prefix, regex, present, absent",
                          TEXT_ARGS(from->name));
    to->negated = from->negated;
    to->test = from->present     ? TEST_PRESENT
               : from->absent    ? TEST_ABSENT
               : from->prefix.at ? TEST_PREFIX
               : from->regex.at  ? TEST_REGEX
                                 : TEST_ONE_OF;
    struct text *one = ARENA_NEW(binder->arena, struct text);
    if (!one)
        return bind_error(binder, node, NULL, "out of memory");
    *one = from->prefix.at ? from->prefix : from->equals;
    to->values = from->one_of.count ? from->one_of.items : one;
    to->values_count = from->one_of.count ? from->one_of.count : 1;
    if (to->test == TEST_REGEX && !(to->pattern = pattern_compile(binder->arena, from->regex, &error)))
        return bind_error(binder, node, NULL, "`%.*s`: the regular expression is bad: %s",
                          TEXT_ARGS(from->name), error.said);
    return true;
}

static bool add_conditions(struct binder *binder, struct condition *to, size_t *count,
                           const struct array *from, enum condition_of of, const struct node *node)
{
    const struct condition_config *configs = from->items;
    bool fine = true;
    for (size_t i = 0; i < from->count; i++) {
        struct condition *condition = &to[(*count)++];
        condition->of = of;
        condition->name = configs[i].name;
        if (of == CONDITION_HEADER && !http_is_token(configs[i].name))
            fine = bind_error(binder, node, "match.headers", "`%.*s` is not a field name",
                              TEXT_ARGS(configs[i].name));
        condition->field_id = of == CONDITION_HEADER ? (uint8_t)field_name_parse(configs[i].name) : 0;
        fine &= set_test(binder, condition, &configs[i], node);
    }
    return fine;
}

static bool set_conditions(struct binder *binder, struct route *route, const struct match_config *match,
                           const struct node *node)
{
    size_t most = match->headers.count + match->query.count + match->cookies.count;
    struct condition *conditions = arena_array(binder->arena, most, sizeof *conditions);
    if (!conditions)
        return bind_error(binder, node, NULL, "out of memory");
    bool fine =
        add_conditions(binder, conditions, &route->conditions_count, &match->headers, CONDITION_HEADER, node);
    fine &=
        add_conditions(binder, conditions, &route->conditions_count, &match->query, CONDITION_QUERY, node);
    fine &=
        add_conditions(binder, conditions, &route->conditions_count, &match->cookies, CONDITION_COOKIE, node);
    route->conditions = conditions;
    return fine;
}

static bool set_methods(struct binder *binder, struct route *route, const struct array *methods,
                        const struct node *node)
{
    const struct text *names = methods->items;
    struct text *others = arena_array(binder->arena, methods->count, sizeof *others);
    if (!others)
        return bind_error(binder, node, NULL, "out of memory");
    for (size_t i = 0; i < methods->count; i++) {
        enum http_method method = method_parse(names[i]);
        if (!http_is_token(names[i]))
            return bind_error(binder, node, "match.methods", "`%.*s` is not a method", TEXT_ARGS(names[i]));
        if (method == METHOD_OTHER)
            others[route->other_methods_count++] = names[i];
        else
            route->methods |= 1u << method;
    }
    route->other_methods = others;
    return true;
}

/* --- hosts and paths --- */

static bool set_hosts(struct binder *binder, struct route *route, const struct array *from,
                      const struct node *node)
{
    const struct text *names = from->items;
    struct text *hosts = arena_array(binder->arena, from->count, sizeof *hosts);
    if (!hosts)
        return bind_error(binder, node, NULL, "out of memory");
    for (size_t i = 0; i < from->count; i++) {
        bool wild = text_starts_with(names[i], TEXT("*."));
        struct text host;
        uint16_t port = 0;
        if (!uri_parse_authority(text_slice(names[i], wild ? 2 : 0, names[i].size), binder->arena, &host,
                                 &port)
            || port || host.size == 0)
            return bind_error(binder, node, "match.hosts",
                              "wants a host name without port, or `*.` and one, got `%.*s`",
                              TEXT_ARGS(names[i]));
        hosts[i] =
            wild ? arena_format(binder->arena, "*.%.*s", TEXT_ARGS(host)) : arena_copy(binder->arena, host);
    }
    route->key.hosts = hosts;
    route->key.hosts_count = from->count;
    return true;
}

/* Literal parts are written as requests are read. */
static bool normal_path(struct binder *binder, struct text *path, enum path_form form)
{
    static const struct uri_rules rules = {.merge_slashes = true, .encoded_slashes = SLASHES_KEEP};
    size_t tail = form == PATH_EXACT                                       ? 0
                  : form == PATH_SEGMENT_PREFIX || form == PATH_RAW_PREFIX ? 1
                                                                           : path->size;
    struct text literal = text_slice(*path, 0, path->size - tail), normal;
    if (literal.size == 0)
        return true;
    if (!uri_normalise_path(literal, &rules, binder->report->arena, &normal))
        return false;
    if (text_equal(literal, normal))
        return true;
    *path = arena_format(binder->arena, "%.*s%.*s", TEXT_ARGS(normal),
                         TEXT_ARGS(text_slice(*path, path->size - tail, path->size)));
    return true;
}

static bool set_path(struct binder *binder, struct route *route, const struct route_config *config,
                     const struct node *node)
{
    struct error error = {0};
    enum path_form form = PATH_ANY;
    struct text path = config->match.path;
    if (path.at && !router_check_path(path, &form, &error))
        return bind_error(binder, node, "match.path", "`%.*s`: %s", TEXT_ARGS(path), error.said);
    if (path.at && !normal_path(binder, &path, form))
        return bind_error(binder, node, "match.path", "`%.*s` is no valid path", TEXT_ARGS(path));
    route->key.path = path;
    if (config->rewrite && config->strip_prefix.at)
        return bind_error(binder, node, "rewrite", "cannot stand beside `strip_prefix`");
    if (config->rewrite) {
        route->path_change = PATH_REWRITE;
        route->rewrite = config->rewrite;
    }
    if (!config->strip_prefix.at)
        return true;
    if (config->strip_prefix.at[0] == '/') {
        struct text prefix = config->strip_prefix;
        route->path_change = PATH_STRIP_TEXT;
        route->strip_text = text_slice(prefix, 0, prefix.size - text_ends_with(prefix, TEXT("/")));
        return true;
    }
    if (form != PATH_EXACT && form != PATH_SEGMENT_PREFIX && form != PATH_RAW_PREFIX)
        return bind_error(binder, node, "strip_prefix", "needs a `match.path` such as `/a/*`");
    route->path_change = PATH_STRIP_PREFIX;
    route->strip_bytes = (uint32_t)(path.size
                                    - (form == PATH_SEGMENT_PREFIX ? 2
                                       : form == PATH_RAW_PREFIX   ? 1
                                                                   : 0));
    return true;
}

/* --- service --- */

static bool is_url(struct text t)
{
    return text_find(t, TEXT("://")) != TEXT_NONE || text_starts_with(t, TEXT("unix:"));
}

struct text route_service_name(const struct node *node)
{
    const struct node *service = node_get(node, TEXT("service"));
    return service && service->kind == NODE_SCALAR && !is_url(service->text) ? service->text
                                                                             : (struct text){NULL, 0};
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

static bool claim_series(struct snapshot_builder *builder, struct arena *arena, struct route *route)
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

struct route *route_build(struct snapshot_builder *builder, struct binder *binder,
                          const struct route_scope *scope, struct text name, const struct node *node)
{
    struct route_config config = {.timeouts = {-1, -1}, .limits = {-1}};
    struct route *route = ARENA_NEW(binder->arena, struct route);
    if (!route || !field_bind(binder, route_fields, node, &config))
        return NULL;
    route->name = name;
    route->host = config.host;
    route->websocket = config.websocket;
    route->enabled = config.enabled;
    route->body_bytes_max = node_get(node_get(node, TEXT("limits")), TEXT("body")) ? config.limits.body : -1;
    const struct node *timeouts = node_get(node, TEXT("timeouts"));
    route->response_timeout_ms = node_get(timeouts, TEXT("response")) ? config.timeouts.response_ms : -1;
    route->total_timeout_ms = node_get(timeouts, TEXT("total")) ? config.timeouts.total_ms : -1;
    route->sets[0] = scope->gateway_policies;
    bool fine = set_hosts(binder, route, &config.match.hosts, node);
    fine &= set_path(binder, route, &config, node);
    fine &= set_methods(binder, route, &config.match.methods, node);
    fine &= set_conditions(binder, route, &config.match, node);
    fine &= set_service(builder, binder, scope, route, config.service);
    fine &= set_policies(builder, binder, scope, route, &config, node);
    route->key.priority = (int32_t)config.priority;
    route->key.conditions =
        (uint32_t)(route->conditions_count + (route->methods || route->other_methods_count));
    route->key.name = name;
    route->key.route = route;
    return fine && claim_series(builder, binder->arena, route) ? route : NULL;
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
    return route->plan && claim_series(builder, arena, route) ? route : NULL;
}

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
