/* Conditions of routes beyond host and path, and path handling. */
#include "proxy/match.h"

#include "base/check.h"
#include "expr/pattern.h"
#include "proxy/forward.h"
#include "proxy/worker.h"

/* A CORS preflight belongs to the route of the request that it asks for (Fetch standard, CORS-preflight fetch), whose policy answers it. */
static bool is_preflight_for(const struct route *route, const struct request *request)
{
    struct text wanted = fields_get_known(&request->fields, NAME_ACCESS_CONTROL_REQUEST_METHOD);
    if (!wanted.at || !fields_find_known(&request->fields, NAME_ORIGIN))
        return false;
    enum http_method method = method_parse(wanted);
    return method != METHOD_OTHER && (route->methods >> method & 1);
}

static bool method_fits(const struct route *route, const struct request *request)
{
    if (route->methods == 0 && route->other_methods_count == 0)
        return true;
    if (request->method == METHOD_OPTIONS && is_preflight_for(route, request))
        return true;
    if (request->method != METHOD_OTHER)
        return route->methods >> request->method & 1;
    for (size_t i = 0; i < route->other_methods_count; i++)
        if (text_equal(route->other_methods[i], request->method_text))
            return true;
    return false;
}

static struct text value_of(const struct condition *condition, const struct request *request,
                            struct arena *arena)
{
    switch (condition->of) {
    case CONDITION_HEADER:
        if (condition->field_id == NAME_HOST)
            return request->authority;
        return condition->field_id ? fields_get_known(&request->fields, condition->field_id)
                                   : fields_get(&request->fields, condition->name);
    case CONDITION_QUERY:
        return request->query.at ? uri_query_get(request->query, condition->name, arena)
                                 : (struct text){NULL, 0};
    case CONDITION_COOKIE:
        return cookie_get(fields_joined(&request->fields, TEXT("Cookie"), arena), condition->name);
    }
    UNREACHABLE();
}

static bool test(const struct condition *condition, struct text value)
{
    switch (condition->test) {
    case TEST_PRESENT: return value.at;
    case TEST_ABSENT: return !value.at;
    case TEST_ONE_OF:
        for (size_t i = 0; i < condition->values_count && value.at; i++)
            if (text_equal(condition->values[i], value))
                return true;
        return false;
    case TEST_PREFIX: return value.at && text_starts_with(value, condition->values[0]);
    case TEST_REGEX: return value.at && pattern_matches(condition->pattern, value);
    }
    UNREACHABLE();
}

static bool holds(const struct condition *condition, const struct request *request, struct arena *arena)
{
    return test(condition, value_of(condition, request, arena)) != condition->negated;
}

struct match_context {
    const struct request *request;
    struct arena *arena;
};

static bool accepts(const struct route *route, void *context_)
{
    const struct match_context *context = context_;
    if (!method_fits(route, context->request))
        return false;
    for (size_t i = 0; i < route->conditions_count; i++)
        if (!holds(&route->conditions[i], context->request, context->arena))
            return false;
    return true;
}

struct text match_why_not(const struct route *route, const struct request *request, struct arena *arena)
{
    static const char *const kinds[] = {"header", "query parameter", "cookie"};
    if (!method_fits(route, request))
        return arena_format(arena, "its methods do not include %.*s", TEXT_ARGS(request->method_text));
    for (size_t i = 0; i < route->conditions_count; i++) {
        const struct condition *condition = &route->conditions[i];
        if (!holds(condition, request, arena))
            return arena_format(arena, "its condition on %s `%.*s` does not hold", kinds[condition->of],
                                TEXT_ARGS(condition->name));
    }
    return (struct text){NULL, 0};
}

static void strip(struct exchange *ex, size_t bytes)
{
    struct text path = text_slice(ex->request.path, bytes, ex->request.path.size);
    if (path.size == 0 || path.at[0] != '/') {
        const struct text parts[] = {TEXT("/"), path};
        path = arena_join(&ex->arena, parts, COUNT_OF(parts));
    }
    ex->forward_path = path;
    ex->forward_query = ex->request.query;
}

/* Whole segments only: `/api` is no prefix of `/apis`. */
static bool is_below(struct text path, struct text prefix)
{
    return text_starts_with(path, prefix) && (path.size == prefix.size || path.at[prefix.size] == '/');
}

static void change_path(struct exchange *ex, const struct route *route)
{
    struct text changed;
    switch (route->path_change) {
    case PATH_KEEP: return;
    case PATH_STRIP_PREFIX: strip(ex, route->strip_bytes); return;
    case PATH_STRIP_TEXT:
        if (is_below(ex->request.path, route->strip_text))
            strip(ex, route->strip_text.size);
        return;
    case PATH_REWRITE:
        if (!exchange_eval_text(ex, route->rewrite, &changed) || !forward_to(ex, changed))
            ex->error = ERROR_POLICY_FAULT; /* the driver fails closed */
        return;
    }
}

const struct route *match_route(struct exchange *ex)
{
    struct match_context context = {&ex->request, &ex->arena};
    ex->captures.count = 0;
    const struct route *route = router_match(ex->snapshot->router, ex->request.host, ex->request.path,
                                             accepts, &context, &ex->captures);
    if (!route)
        return ex->snapshot->fallback;
    ex->route = route;
    change_path(ex, route);
    return route;
}
