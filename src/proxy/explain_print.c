/* An explanation for people. */
#include "base/check.h"
#include "proxy/explain.h"

/* A route's own `respond` and `redirect` come after all stages. */
const char *explain_stage_name(const struct policy_instance *entry)
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
        fprintf(to, "  %u. %.*s (stage %s) from %.*s", i + 1, TEXT_ARGS(entry->id), explain_stage_name(entry),
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
    fprintf(to, "request: %.*s %.*s, host %.*s\n", TEXT_ARGS(e->exchange->request.method_text),
            TEXT_ARGS(e->exchange->request.path), TEXT_ARGS(e->exchange->request.host));
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
    for (uint32_t i = 0; i < e->exchange->captures.count; i++)
        fprintf(to, "captured: %.*s = %.*s\n", TEXT_ARGS(e->exchange->captures.items[i].name),
                TEXT_ARGS(e->exchange->captures.items[i].value));
    fprintf(to, "service: %.*s\n", TEXT_ARGS(e->winner->service ? e->winner->service->name : TEXT("none")));
    print_plan(e->winner->plan, to);
}
