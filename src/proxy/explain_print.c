/* An explanation for people. */
#include "base/check.h"
#include "proxy/explain.h"

/* A route's own `respond` and `redirect` come after all stages. */
const char *explain_stage_name(const struct policy_instance *entry)
{
    return entry->stage < STAGES_COUNT ? policy_stage_names[entry->stage] : "last";
}

/* Who forces a body to be buffered, and why. */
static void print_use(const char *which, const struct policy_instance *entry, const struct body_use *use,
                      FILE *to)
{
    fprintf(to, "the %s body is buffered: %.*s", which, TEXT_ARGS(entry->id));
    if (use->because)
        fprintf(to, " uses it in %.*s\n", TEXT_ARGS(expr_source(use->because)));
    else
        fputs(" needs it whole\n", to);
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
    if (plan->buffers_request)
        print_use("request", plan->buffers_request, &plan->buffers_request->request_body, to);
    if (plan->buffers_response)
        print_use("response", plan->buffers_response, &plan->buffers_response->response_body, to);
}

static void print_labels(const struct route *route, FILE *to)
{
    for (size_t i = 0; i < route->labels_count; i++)
        fprintf(to, "label: %.*s = %.*s\n", TEXT_ARGS(route->labels[i].key),
                TEXT_ARGS(route->labels[i].value));
}

static struct text name_of(const struct route_target *target)
{
    return target->service ? target->service->name : TEXT("none");
}

static void print_weights(const struct route_choice *choice, FILE *to)
{
    for (size_t i = 0; i < choice->targets_count; i++)
        fprintf(to, "%s%.*s %.4g%%", i ? ", " : "", TEXT_ARGS(name_of(&choice->targets[i])),
                100.0 * choice->targets[i].weight / (double)choice->weights);
}

static void print_service(const struct explanation *e, FILE *to)
{
    const struct route_choice *choice = e->winner->choice;
    if (e->fault.at) {
        fprintf(to, "service: none, the answer is 503: %.*s\n", TEXT_ARGS(e->fault));
        return;
    }
    fputs("service: ", to);
    if (e->target)
        fprintf(to, "%.*s", TEXT_ARGS(name_of(e->target)));
    if (choice && choice->weights) {
        fputs(e->target ? " (of " : "", to);
        print_weights(choice, to);
        if (e->target)
            fprintf(to, ", by key `%.*s`)", TEXT_ARGS(e->key));
        else
            fputs(", at random", to);
    } else if (choice) {
        fprintf(to, " (by expression: %.*s)", TEXT_ARGS(expr_source(choice->expression)));
    }
    fputs("\n", to);
}

static void print_path(const struct explanation *e, FILE *to)
{
    if (e->path_fault.at)
        fprintf(to, "path for the service: it cannot be written, the answer is 503: %.*s\n",
                TEXT_ARGS(e->path_fault));
    else if (e->exchange->forward_path.at)
        fprintf(to, "path for the service: %.*s\n", TEXT_ARGS(e->forward_path));
}

/* Of the service that was chosen; where chance decides, of each whose plan is another one. */
static void print_plans(const struct explanation *e, FILE *to)
{
    const struct route_choice *choice = e->winner->choice;
    const struct route_target *first = e->target ? e->target : &e->winner->target;
    print_plan(first->plan, to);
    for (size_t i = 1; !e->target && choice && i < choice->targets_count; i++) {
        if (choice->targets[i].plan == first->plan)
            continue;
        fprintf(to, "with the service %.*s, ", TEXT_ARGS(name_of(&choice->targets[i])));
        print_plan(choice->targets[i].plan, to);
    }
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
                TEXT_ARGS(c->route->path.at ? c->route->path : TEXT("any")));
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
    if (e->winner->needs_body)
        fputs("the request body is buffered: the expression of the route needs it\n", to);
    print_labels(e->winner, to);
    print_service(e, to);
    print_path(e, to);
    print_plans(e, to);
}
