/* The conditions of a route besides host and path: fields and building. */
#include "base/check.h"
#include "expr/pattern.h"
#include "proxy/route_config.h"

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

const struct field match_fields[] = {
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

static bool set_tests(struct binder *binder, struct route *route, const struct match_config *match,
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

bool route_set_conditions(struct binder *binder, struct route *route, const struct match_config *match,
                          const struct node *node)
{
    bool fine = set_methods(binder, route, &match->methods, node);
    fine &= set_tests(binder, route, match, node);
    route->key.conditions =
        (uint32_t)(route->conditions_count + (route->methods || route->other_methods_count));
    return fine;
}
