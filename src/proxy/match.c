/* Conditions of routes beyond host and path, and path handling. */
#include "proxy/match.h"

#include <stdio.h>

#include "base/check.h"
#include "base/log.h"
#include "proxy/attributes.h"
#include "proxy/body.h"
#include "proxy/forward.h"
#include "proxy/route_choice.h"
#include "proxy/worker.h"

/* While a route is looked for. */
struct matching {
    struct match_subject subject;
    bool failed; /* an expression failed: said once for a request */
};

static void report_fault(struct matching *matching, const struct route *route, const struct expr_error *error)
{
    struct exchange *ex = matching->subject.exchange;
    metric_add(ex->worker->metrics, METRIC_ROUTE_EXPRESSIONS_FAILED, 1);
    if (!matching->failed && worker_may_log(ex->worker))
        log_warn("the expression of a route failed, which therefore does not match",
                 LOG_TEXT("route", route->name), LOG_STRING("reason", error->said),
                 LOG_INT("exchange", ex->id));
    matching->failed = true;
}

/* A condition that waits for the body counts as met: if its route wins, the body is read and the matching done again. */
static bool accepts(const struct route *route, void *context)
{
    struct matching *matching = context;
    struct expr_error error;
    if (!method_set_is_empty(&route->methods)
        && !method_set_holds(&route->methods, &matching->subject.exchange->request, false))
        return false;
    for (size_t i = 0; i < route->conditions_count; i++) {
        switch (condition_try(&route->conditions[i], &matching->subject, &error)) {
        case CONDITION_HOLDS:
        case CONDITION_OPEN: continue;
        case CONDITION_FAULT: report_fault(matching, route, &error); return false;
        case CONDITION_FAILS: return false;
        }
    }
    return true;
}

struct text match_why_not(const struct route *route, struct match_subject *subject)
{
    struct exchange *ex = subject->exchange;
    struct expr_error error;
    if (!method_set_is_empty(&route->methods) && !method_set_holds(&route->methods, &ex->request, false))
        return arena_format(&ex->arena, "its methods do not include %.*s",
                            TEXT_ARGS(ex->request.method_text));
    for (size_t i = 0; i < route->conditions_count; i++) {
        const struct condition *condition = &route->conditions[i];
        enum condition_result result = condition_try(condition, subject, &error);
        if (result != CONDITION_HOLDS)
            return condition_why_not(condition, subject, result, &error);
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

static bool write_path(struct exchange *ex, const struct route *route, struct expr_error *reterr)
{
    struct expr_run run = {
        .lookup = exchange_lookup, .context = ex, .arena = &ex->arena, .now_ns = ex->loop->wall_ns};
    struct text changed;
    if (!expr_eval_text(route->rewrite, &run, &changed, reterr))
        return false;
    if (forward_to(ex, changed))
        return true;
    *reterr = (struct expr_error){.line = 1, .column = 1};
    snprintf(reterr->said, sizeof reterr->said, "`%.*s` is no path", TEXT_ARGS(text_slice(changed, 0, 100)));
    return false;
}

bool match_change_path(struct exchange *ex, const struct route *route, struct expr_error *reterr)
{
    switch (route->path_change) {
    case PATH_KEEP: return true;
    case PATH_STRIP_PREFIX: strip(ex, route->strip_bytes); return true;
    case PATH_STRIP_TEXT:
        if (is_below(ex->request.path, route->strip_text))
            strip(ex, route->strip_text.size);
        return true;
    case PATH_REWRITE: return write_path(ex, route, reterr);
    }
    UNREACHABLE();
}

/* The driver fails closed. */
static void fail(struct exchange *ex, const char *what, const struct expr_error *error)
{
    ex->error = ERROR_POLICY_FAULT;
    if (worker_may_log(ex->worker))
        log_warn(what, LOG_TEXT("route", ex->route->name), LOG_STRING("reason", error->said),
                 LOG_INT("exchange", ex->id));
}

static void take(struct exchange *ex, const struct route *route)
{
    struct expr_error error;
    ex->route = route;
    const struct route_target *target =
        route->choice ? route_choose(route->choice, ex, &error) : &route->target;
    ex->target = target ? target : &route->target;
    if (!target)
        fail(ex, "no service could be chosen for a route", &error);
    else if (!match_change_path(ex, route, &error))
        fail(ex, "the path of a route could not be written", &error);
}

const struct route *match_route(struct exchange *ex)
{
    struct matching matching = {.subject = {.exchange = ex, .body_here = body_request_is_whole(ex)}};
    ex->captures.count = 0;
    const struct route *route = router_match(ex->snapshot->router, ex->request.host, ex->request.path,
                                             accepts, &matching, &ex->captures);
    if (!route)
        route = ex->snapshot->fallback;
    if (route->needs_body && !matching.subject.body_here)
        return NULL;
    take(ex, route);
    return route;
}
