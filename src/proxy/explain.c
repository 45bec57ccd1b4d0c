/* Explains routing decisions. */
#include "proxy/explain.h"

#include <errno.h>

#include "base/check.h"
#include "base/log.h"
#include "http/h1.h"
#include "proxy/match.h"

/* --- the request, by way of the real parser --- */

static struct text as_head(struct arena *arena, struct text method, struct text url,
                           const struct text *headers, size_t count)
{
    struct uri uri = {0};
    bool absolute = uri_parse(url, &uri);
    struct text head = arena_format(arena, "%.*s %.*s HTTP/1.1\r\n", TEXT_ARGS(method), TEXT_ARGS(url));
    bool host = absolute;
    for (size_t i = 0; i < count; i++) {
        head = arena_format(arena, "%.*s%.*s\r\n", TEXT_ARGS(head), TEXT_ARGS(headers[i]));
        host |= text_starts_with_nocase(headers[i], TEXT("host:"));
    }
    if (absolute)
        return arena_format(arena, "%.*sHost: %.*s\r\n\r\n", TEXT_ARGS(head), TEXT_ARGS(uri.authority));
    return arena_format(arena, "%.*s%s\r\n", TEXT_ARGS(head), host ? "" : "Host: localhost\r\n");
}

static bool parse(const struct snapshot *snapshot, struct text head, struct arena *arena,
                  struct request *request, struct error *reterr)
{
    static const struct h1_limits limits = {8192, 31 << 10, 100, 8192, {true, SLASHES_REJECT}};
    size_t scanned = 0;
    const struct h1_limits *own = snapshot->listeners_count ? &snapshot->listeners[0]->limits : &limits;
    struct h1_result result = h1_parse_request(head, &scanned, own, arena, request);
    if (result.progress == H1_DONE && result.consumed == head.size)
        return true;
    error_set(reterr, -EINVAL, "such a request is refused with %u: %s", h1_refusal_status(result.refusal),
              h1_refusal_text(result.refusal));
    return false;
}

/* --- candidates --- */

struct collector {
    struct explanation *explanation;
    struct arena *arena;
};

static bool collect(struct route *route, void *context)
{
    struct collector *collector = context;
    struct explanation *e = collector->explanation;
    if (e->candidates_count == EXPLAIN_CANDIDATES_MAX) {
        e->more_candidates = true;
        return false;
    }
    struct explain_candidate *candidate = &e->candidates[e->candidates_count++];
    candidate->route = route;
    candidate->why_not = match_why_not(route, &e->request, collector->arena);
    return true;
}

struct fit {
    const struct request *request;
    struct arena *arena;
};

static bool fits(const struct route *route, void *context)
{
    const struct fit *fit = context;
    return !match_why_not(route, fit->request, fit->arena).at;
}

bool explain_request(const struct snapshot *snapshot, struct text method, struct text url,
                     const struct text *headers, size_t headers_count, struct arena *arena,
                     struct explanation *ret_explanation, struct error *reterr)
{
    struct explanation *e = ret_explanation;
    *e = (struct explanation){.candidates_count = 0};
    if (!parse(snapshot, as_head(arena, method, url, headers, headers_count), arena, &e->request, reterr))
        return false;
    struct collector collector = {e, arena};
    struct fit fit = {&e->request, arena};
    router_candidates(snapshot->router, e->request.host, e->request.path, collect, &collector);
    e->winner = router_match(snapshot->router, e->request.host, e->request.path, fits, &fit, &e->captures);
    return true;
}

/* --- for people --- */

/* A route's own `respond` and `redirect` come after all stages. */
static const char *stage_name(const struct policy_instance *entry)
{
    return entry->stage < STAGES_COUNT ? policy_stage_names[entry->stage] : "last";
}

static void print_plan(const struct plan *plan, FILE *to)
{
    if (plan->count == 0)
        fputs("policies: none\n", to);
    else
        fputs("policies, in order:\n", to);
    for (uint16_t i = 0; i < plan->count; i++) {
        const struct policy_instance *entry = plan->entries[i];
        fprintf(to, "  %u. %.*s (stage %s) from %.*s", i + 1, TEXT_ARGS(entry->id), stage_name(entry),
                TEXT_ARGS(entry->scope));
        if (entry->source.size)
            fprintf(to, ", %.*s:%u", TEXT_ARGS(entry->source), entry->place.line);
        if (entry->when)
            fprintf(to, ", when %.*s", TEXT_ARGS(expr_source(entry->when)));
        if (entry->allow_on_error)
            fputs(", on_error: allow", to);
        fputs("\n", to);
    }
    if (plan->buffers)
        fprintf(to, "the request body is buffered: %.*s needs it whole\n", TEXT_ARGS(plan->buffers->id));
}

void explain_print(const struct explanation *e, FILE *to)
{
    fprintf(to, "request: %.*s %.*s, host %.*s\n", TEXT_ARGS(e->request.method_text),
            TEXT_ARGS(e->request.path), TEXT_ARGS(e->request.host));
    fputs(e->candidates_count ? "candidates, in the order in which they are tried:\n"
                              : "candidates: no route has this host and path\n",
          to);
    for (size_t i = 0; i < e->candidates_count; i++) {
        const struct explain_candidate *c = &e->candidates[i];
        bool won = c->route == e->winner;
        fprintf(to, "  %s %.*s (path %.*s)", won ? "->" : "  ", TEXT_ARGS(c->route->name),
                TEXT_ARGS(c->route->key.path.at ? c->route->key.path : TEXT("any")));
        fprintf(to, ": %.*s\n",
                TEXT_ARGS(c->why_not.at ? c->why_not
                          : won         ? TEXT("chosen")
                                        : TEXT("fits, but comes later")));
    }
    if (e->more_candidates)
        fputs("     and more\n", to);
    if (!e->winner) {
        fputs("route: none; the answer is 404 after the gateway's policies\n", to);
        return;
    }
    fprintf(to, "route: %.*s\n", TEXT_ARGS(e->winner->name));
    for (uint32_t i = 0; i < e->captures.count; i++)
        fprintf(to, "captured: %.*s = %.*s\n", TEXT_ARGS(e->captures.items[i].name),
                TEXT_ARGS(e->captures.items[i].value));
    fprintf(to, "service: %.*s\n", TEXT_ARGS(e->winner->service ? e->winner->service->name : TEXT("none")));
    print_plan(e->winner->plan, to);
}

/* --- for programs --- */

static void print_string(FILE *to, struct text t)
{
    char escaped[8192];
    fprintf(to, "\"%.*s\"", (int)log_escape_json(t, escaped, sizeof escaped), escaped);
}

static void print_member(FILE *to, const char *name, struct text value)
{
    fprintf(to, "\"%s\":", name);
    if (value.at)
        print_string(to, value);
    else
        fputs("null", to);
}

static void print_plan_json(const struct plan *plan, FILE *to)
{
    fputs(",\"policies\":[", to);
    for (uint16_t i = 0; plan && i < plan->count; i++) {
        const struct policy_instance *entry = plan->entries[i];
        fputs(i ? ",{" : "{", to);
        print_member(to, "policy", text_of(entry->policy->name));
        fputs(",", to);
        print_member(to, "id", entry->id);
        fprintf(to, ",\"stage\":\"%s\",", stage_name(entry));
        print_member(to, "scope", entry->scope);
        fputs(",", to);
        print_member(to, "file", entry->source.size ? entry->source : (struct text){NULL, 0});
        fprintf(to, ",\"line\":%u,", entry->place.line);
        print_member(to, "when", entry->when ? expr_source(entry->when) : (struct text){NULL, 0});
        fprintf(to, ",\"on_error\":\"%s\"}", entry->allow_on_error ? "allow" : "deny");
    }
    fputs("],", to);
    print_member(to, "buffered_by", plan && plan->buffers ? plan->buffers->id : (struct text){NULL, 0});
}

void explain_print_json(const struct explanation *e, FILE *to)
{
    fputs("{\"request\":{", to);
    print_member(to, "method", e->request.method_text);
    fputs(",", to);
    print_member(to, "host", e->request.host);
    fputs(",", to);
    print_member(to, "path", e->request.path);
    fputs("},\"candidates\":[", to);
    for (size_t i = 0; i < e->candidates_count; i++) {
        const struct explain_candidate *c = &e->candidates[i];
        fputs(i ? ",{" : "{", to);
        print_member(to, "route", c->route->name);
        fputs(",", to);
        print_member(to, "path", c->route->key.path);
        fprintf(to, ",\"chosen\":%s,", c->route == e->winner ? "true" : "false");
        print_member(to, "why_not", c->why_not);
        fputs("}", to);
    }
    fputs("],", to);
    print_member(to, "route", e->winner ? e->winner->name : (struct text){NULL, 0});
    fputs(",", to);
    print_member(to, "service",
                 e->winner && e->winner->service ? e->winner->service->name : (struct text){NULL, 0});
    fputs(",\"captures\":{", to);
    for (uint32_t i = 0; e->winner && i < e->captures.count; i++) {
        fputs(i ? "," : "", to);
        print_string(to, e->captures.items[i].name);
        fputs(":", to);
        print_string(to, e->captures.items[i].value);
    }
    fputs("}", to);
    print_plan_json(e->winner ? e->winner->plan : NULL, to);
    fputs("}\n", to);
}
