/* Builds the conditions of a route from its `match`. */
#include <errno.h>

#include "base/check.h"
#include "expr/pattern.h"
#include "expr/zone.h"
#include "proxy/attributes.h"
#include "proxy/route_config.h"
#include "proxy/time_window.h"

/* The conditions so far, and the part of `match` that is being read. */
struct drafting {
    struct binder *binder;
    const struct route_scope *scope;
    struct condition *conditions;
    size_t count;
    const struct node *node; /* of `match`, or of its `not` */
    bool negated;
};

static struct condition *add(struct drafting *drafting, enum condition_kind kind)
{
    struct condition *condition = &drafting->conditions[drafting->count++];
    *condition = (struct condition){.kind = (uint8_t)kind, .negated = drafting->negated};
    return condition;
}

/* Where an entry of the part is written; errors of defaults and of the whole are at the part. */
static const struct node *at(const struct drafting *drafting, const char *name)
{
    const struct node *node = node_get(drafting->node, text_of(name));
    return node ? node : drafting->node;
}

static const struct node *at_item(const struct drafting *drafting, const char *name, size_t i)
{
    const struct node *node = at(drafting, name);
    return (node->kind == NODE_LIST || node->kind == NODE_MAP) && i < node->count ? &node->items[i] : node;
}

static bool refuse_memory(const struct drafting *drafting)
{
    return bind_error(drafting->binder, drafting->node, NULL, "out of memory");
}

/* --- tests on texts --- */

static enum condition_test test_of(const struct test_config *config)
{
    return config->present     ? TEST_PRESENT
           : config->absent    ? TEST_ABSENT
           : config->prefix.at ? TEST_PREFIX
           : config->regex.at  ? TEST_REGEX
                               : TEST_ONE_OF;
}

static bool set_test(struct binder *binder, struct condition *to, const struct test_config *from,
                     const struct node *node)
{
    struct error error = {0};
    int tests = (from->equals.at != NULL) + (from->one_of.count > 0) + (from->prefix.at != NULL)
                + (from->regex.at != NULL) + from->present + from->absent;
    if (tests != 1)
        return bind_error(binder, node, NULL,
                          "`%.*s` wants one of equals, one_of, prefix, regex, present, absent",
                          TEXT_ARGS(from->name));
    to->name = from->name;
    to->negated ^= from->negated;
    to->test = (uint8_t)test_of(from);
    if (to->test == TEST_REGEX) {
        to->pattern = pattern_compile(binder->arena, from->regex, &error);
        return to->pattern
               || bind_error(binder, node, "regex", "`%.*s`: the regular expression is bad: %s",
                             TEXT_ARGS(from->name), error.said);
    }
    struct text *one = ARENA_NEW(binder->arena, struct text);
    if (!one)
        return bind_error(binder, node, NULL, "out of memory");
    *one = from->prefix.at ? from->prefix : from->equals;
    to->values = from->one_of.count ? from->one_of.items : one;
    to->values_count = from->one_of.count ? from->one_of.count : 1;
    return true;
}

static bool add_tests(struct drafting *drafting, enum condition_kind kind, const char *name,
                      const struct array *from)
{
    const struct test_config *configs = from->items;
    bool fine = true;
    for (size_t i = 0; i < from->count; i++) {
        struct condition *condition = add(drafting, kind);
        const struct node *node = at_item(drafting, name, i);
        if (kind == CONDITION_HEADER && !http_is_token(configs[i].name))
            fine = bind_error(drafting->binder, node, name, "`%.*s` is not a field name",
                              TEXT_ARGS(configs[i].name));
        condition->field_id = kind == CONDITION_HEADER ? (uint8_t)field_name_parse(configs[i].name) : 0;
        struct text path = bind_enter(drafting->binder, text_of(name));
        fine &= set_test(drafting->binder, condition, &configs[i], node);
        bind_leave(drafting->binder, path);
    }
    return fine;
}

/* --- methods, listeners, schemes, media types --- */

static bool set_methods(struct drafting *drafting, struct method_set *set, const struct array *methods)
{
    const struct text *names = methods->items;
    struct text *others = arena_array(drafting->binder->arena, methods->count, sizeof *others);
    bool fine = true;
    if (!others)
        return refuse_memory(drafting);
    for (size_t i = 0; i < methods->count; i++) {
        enum http_method method = method_parse(names[i]);
        if (!http_is_token(names[i]))
            fine = bind_error(drafting->binder, at_item(drafting, "methods", i), "methods",
                              "`%.*s` is not a method", TEXT_ARGS(names[i]));
        if (method == METHOD_OTHER)
            others[set->others_count++] = names[i];
        else
            set->known |= 1u << method;
    }
    set->others = others;
    return fine;
}

static bool add_excluded_methods(struct drafting *drafting, const struct array *methods)
{
    return !methods->count || set_methods(drafting, &add(drafting, CONDITION_METHOD)->methods, methods);
}

static bool unknown_listener(const struct drafting *drafting, const struct node *node, struct text name)
{
    struct text names[64];
    size_t count = 0, cursor = 0;
    for (const struct table_slot *slot;
         count < COUNT_OF(names) && (slot = table_next(drafting->scope->listeners, &cursor));)
        names[count++] = slot->key;
    struct text near = near_miss(name, names, count);
    if (near.at)
        return bind_error(drafting->binder, node, "listeners",
                          "there is no listener `%.*s`; did you mean `%.*s`?", TEXT_ARGS(name),
                          TEXT_ARGS(near));
    return bind_error(drafting->binder, node, "listeners", "there is no listener `%.*s` under `listeners`",
                      TEXT_ARGS(name));
}

static bool add_listeners(struct drafting *drafting, const struct array *listeners)
{
    const struct text *names = listeners->items;
    bool fine = true;
    if (!listeners->count)
        return true;
    struct condition *condition = add(drafting, CONDITION_LISTENER);
    condition->values = names;
    condition->values_count = listeners->count;
    for (size_t i = 0; i < listeners->count; i++)
        if (!table_get(drafting->scope->listeners, names[i]))
            fine = unknown_listener(drafting, at_item(drafting, "listeners", i), names[i]);
    return fine;
}

static bool add_schemes(struct drafting *drafting, const struct array *schemes)
{
    const int *choices = schemes->items;
    if (!schemes->count)
        return true;
    struct condition *condition = add(drafting, CONDITION_SCHEME);
    struct text *values = arena_array(drafting->binder->arena, schemes->count, sizeof *values);
    for (size_t i = 0; values && i < schemes->count; i++)
        values[i] = choices[i] ? TEXT("https") : TEXT("http");
    condition->values = values;
    condition->values_count = schemes->count;
    return values || refuse_memory(drafting);
}

/* `type/subtype`, where either may be `*`, and the subtype `*+suffix`. */
static bool is_media_range(struct text range)
{
    struct text subtype = range, type = text_split(&subtype, '/');
    return subtype.at && http_is_token(type) && http_is_token(subtype)
           && (!text_equal(type, TEXT("*")) || text_equal(subtype, TEXT("*")));
}

static bool add_content_types(struct drafting *drafting, const struct array *types)
{
    const struct text *ranges = types->items;
    bool fine = true;
    if (!types->count)
        return true;
    struct condition *condition = add(drafting, CONDITION_CONTENT_TYPE);
    condition->values = ranges;
    condition->values_count = types->count;
    for (size_t i = 0; i < types->count; i++)
        if (!is_media_range(ranges[i]))
            fine = bind_error(drafting->binder, at_item(drafting, "content_types", i), "content_types",
                              "wants a media type such as `application/json` or `text/*`, got `%.*s`",
                              TEXT_ARGS(ranges[i]));
    return fine;
}

/* --- addresses --- */

static bool add_client(struct drafting *drafting, const struct array *networks)
{
    if (!networks->count)
        return true;
    struct condition *condition = add(drafting, CONDITION_CLIENT);
    condition->networks = networks->items;
    condition->networks_count = networks->count;
    condition->network_set = cidr_set_new(drafting->binder->arena, networks->items, networks->count);
    return condition->network_set || refuse_memory(drafting);
}

static bool add_local(struct drafting *drafting, const struct array *locals)
{
    if (!locals->count)
        return true;
    struct condition *condition = add(drafting, CONDITION_LOCAL);
    condition->locals = locals->items;
    condition->locals_count = locals->count;
    return true;
}

/* --- times --- */

static bool set_zone(struct binder *binder, struct time_window *to, struct text zone, const struct node *node)
{
    if (zone_parse_fixed(zone, &to->offset_s) || text_equal(zone, TEXT("UTC")))
        return true;
    switch (zone_load(zone, &to->zone)) {
    case 0: return true;
    case -ENOENT:
        return bind_error(binder, node, "zone",
                          "there is no time zone `%.*s` in the system's database, and it is no offset such "
                          "as `+02:00`",
                          TEXT_ARGS(zone));
    default: return bind_error(binder, node, "zone", "out of memory");
    }
}

static bool set_clock(struct binder *binder, int32_t *to, struct text written, const char *name,
                      const struct node *node)
{
    return !written.at || time_window_parse_clock(written, to)
           || bind_error(binder, node, name, "wants a time of day such as `08:00`, got `%.*s`",
                         TEXT_ARGS(written));
}

static bool set_date(struct binder *binder, int64_t *to, struct text written, bool is_end, const char *name,
                     const struct node *node)
{
    bool is_day = false;
    if (!written.at)
        return true;
    if (!time_window_parse_date(written, to, &is_day))
        return bind_error(binder, node, name,
                          "wants a date such as `2026-12-24` or `2026-12-24T18:00`, got `%.*s`",
                          TEXT_ARGS(written));
    if (is_end && is_day)
        *to += DAY_SECONDS;
    return true;
}

static bool set_window(struct binder *binder, struct time_window *to, const struct time_config *from,
                       const struct node *node)
{
    const uint8_t *days = from->days.items;
    *to = (struct time_window){.days = from->days.count ? 0 : WEEKDAYS_ALL,
                               .to_s = DAY_SECONDS,
                               .since_s = INT64_MIN,
                               .until_s = INT64_MAX};
    for (size_t i = 0; i < from->days.count; i++)
        to->days |= days[i];
    bool fine = set_zone(binder, to, from->zone, node);
    fine &= set_clock(binder, &to->from_s, from->from, "from", node);
    fine &= set_clock(binder, &to->to_s, from->to, "to", node);
    fine &= set_date(binder, &to->since_s, from->since, false, "since", node);
    fine &= set_date(binder, &to->until_s, from->until, true, "until", node);
    if (fine && (to->from_s == to->to_s || to->from_s == DAY_SECONDS))
        return bind_error(binder, node, "from",
                          "there is no time between `from` and `to`; leave both out for all day");
    if (fine && to->since_s >= to->until_s)
        return bind_error(binder, node, "until", "is not after `since`");
    return fine;
}

static bool add_time(struct drafting *drafting, const struct array *from)
{
    const struct time_config *configs = from->items;
    bool fine = true;
    if (!from->count)
        return true;
    struct condition *condition = add(drafting, CONDITION_TIME);
    struct time_window *windows = arena_array(drafting->binder->arena, from->count, sizeof *windows);
    if (!windows)
        return refuse_memory(drafting);
    struct text path = bind_enter(drafting->binder, TEXT("time"));
    for (size_t i = 0; i < from->count; i++)
        fine &= set_window(drafting->binder, &windows[i], &configs[i], at_item(drafting, "time", i));
    bind_leave(drafting->binder, path);
    condition->windows = windows;
    condition->windows_count = from->count;
    return fine;
}

/* --- server names, and hosts and paths that are left out --- */

static void drop_router(void *router)
{
    router_unref(router);
}

/* A router of their own: each form means what it means in `match`. */
static bool set_patterns(struct drafting *drafting, struct condition *condition,
                         const struct router_change *changes, size_t count, const char *name)
{
    struct error error = {.said = "out of memory"};
    struct router *empty = router_new();
    struct router *router = empty ? router_edit(empty, changes, count, &error) : NULL;
    if (empty)
        router_unref(empty);
    if (!router)
        return bind_error(drafting->binder, at(drafting, name), name, "%s", error.said);
    condition->patterns = router;
    if (arena_defer(drafting->binder->arena, drop_router, router))
        return true;
    router_unref(router);
    return refuse_memory(drafting);
}

static bool add_patterns(struct drafting *drafting, enum condition_kind kind, const char *name,
                         const struct array *from, struct route *route)
{
    const struct text *written = from->items;
    struct binder *binder = drafting->binder;
    if (!from->count)
        return true;
    struct condition *condition = add(drafting, kind);
    struct text *normal = arena_array(binder->arena, from->count, sizeof *normal);
    struct router_change *changes = arena_array(binder->report->arena, from->count, sizeof *changes);
    bool fine = normal && changes;
    for (size_t i = 0; normal && changes && i < from->count; i++) {
        const struct node *node = at_item(drafting, name, i);
        enum path_form form;
        changes[i].key = (struct route_key){.route = route};
        if (kind != CONDITION_PATH) {
            fine &= route_normal_host(binder, node, name, written[i], &normal[i]);
            changes[i].key.hosts = &normal[i];
            changes[i].key.hosts_count = 1;
        } else {
            fine &= route_normal_path(binder, node, written[i], &form, &normal[i]);
            changes[i].key.path = normal[i];
        }
    }
    return fine && set_patterns(drafting, condition, changes, from->count, name);
}

/* --- expressions --- */

static bool add_expression(struct drafting *drafting, const struct expr *expression)
{
    if (!expression)
        return true;
    struct condition *condition = add(drafting, CONDITION_EXPRESSION);
    const char *unknown = attribute_unknown_to_routes(expression);
    condition->expression = expression;
    condition->needs_body = attribute_needs_body(expression);
    return !unknown
           || bind_error(drafting->binder, at(drafting, "expression"), "expression",
                         "`%s` is not known yet when the route is chosen", unknown);
}

/* --- the whole --- */

static bool add_all(struct drafting *drafting, const struct tests_config *tests, struct route *route)
{
    bool fine = add_listeners(drafting, &tests->listeners);
    fine &= add_schemes(drafting, &tests->schemes);
    fine &= add_patterns(drafting, CONDITION_SNI, "sni", &tests->sni, route);
    fine &= add_client(drafting, &tests->client);
    fine &= add_local(drafting, &tests->local);
    fine &= add_tests(drafting, CONDITION_HEADER, "headers", &tests->headers);
    fine &= add_tests(drafting, CONDITION_QUERY, "query", &tests->query);
    fine &= add_tests(drafting, CONDITION_COOKIE, "cookies", &tests->cookies);
    fine &= add_content_types(drafting, &tests->content_types);
    fine &= add_time(drafting, &tests->time);
    return fine & add_expression(drafting, tests->expression);
}

static size_t most_conditions(const struct tests_config *tests)
{
    return CONDITION_KINDS + tests->headers.count + tests->query.count + tests->cookies.count;
}

/* Stable, by kind; short lists. */
static void sort_by_kind(struct condition *conditions, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct condition moving = conditions[i];
        size_t to = i;
        for (; to > 0 && conditions[to - 1].kind > moving.kind; to--)
            conditions[to] = conditions[to - 1];
        conditions[to] = moving;
    }
}

/* The conditions of the captures' types are there already. */
static bool start(struct drafting *drafting, const struct route *route, const struct match_config *match)
{
    size_t most =
        route->conditions_count + most_conditions(&match->tests) + most_conditions(&match->excluded.tests);
    drafting->conditions = arena_array(drafting->binder->report->arena, most, sizeof *drafting->conditions);
    if (!drafting->conditions)
        return refuse_memory(drafting);
    if (route->conditions_count)
        memcpy(drafting->conditions, route->conditions, route->conditions_count * sizeof *route->conditions);
    drafting->count = route->conditions_count;
    return true;
}

static bool keep(struct drafting *drafting, struct route *route)
{
    sort_by_kind(drafting->conditions, drafting->count);
    struct condition *kept = arena_array(drafting->binder->arena, drafting->count, sizeof *kept);
    if (!kept)
        return refuse_memory(drafting);
    memcpy(kept, drafting->conditions, drafting->count * sizeof *kept);
    for (size_t i = 0; i < drafting->count; i++)
        route->needs_body |= kept[i].needs_body;
    size_t counted = drafting->count - route->conditions_count + !method_set_is_empty(&route->methods);
    route->key.conditions =
        (uint32_t)route->typed_captures << 16 | (uint32_t)MIN_OF(counted, (size_t)UINT16_MAX);
    route->conditions = kept;
    route->conditions_count = drafting->count;
    return true;
}

bool route_set_conditions(const struct route_building *building, const struct match_config *match)
{
    struct route *route = building->route;
    struct binder *binder = building->binder;
    const struct node *node = node_get(building->node, TEXT("match"));
    struct drafting drafting = {
        .binder = binder, .scope = building->scope, .node = node ? node : building->node};
    if (!start(&drafting, route, match))
        return false;
    struct text path = bind_enter(binder, TEXT("match"));
    bool fine = set_methods(&drafting, &route->methods, &match->tests.methods);
    fine &= add_all(&drafting, &match->tests, route);
    (void)bind_enter(binder, TEXT("not"));
    drafting.node = at(&drafting, "not");
    drafting.negated = true;
    fine &= add_excluded_methods(&drafting, &match->excluded.tests.methods);
    fine &= add_patterns(&drafting, CONDITION_HOST, "hosts", &match->excluded.hosts, route);
    fine &= add_patterns(&drafting, CONDITION_PATH, "paths", &match->excluded.paths, route);
    fine &= add_all(&drafting, &match->excluded.tests, route);
    bind_leave(binder, path);
    return keep(&drafting, route) && fine;
}
