/* An explanation for programs. */
#include "base/check.h"
#include "base/log.h"
#include "proxy/explain.h"

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
        fprintf(to, ",\"stage\":\"%s\",", explain_stage_name(entry));
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
    print_member(to, "method", e->exchange->request.method_text);
    fputs(",", to);
    print_member(to, "host", e->exchange->request.host);
    fputs(",", to);
    print_member(to, "path", e->exchange->request.path);
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
    for (uint32_t i = 0; e->winner && i < e->exchange->captures.count; i++) {
        fputs(i ? "," : "", to);
        print_string(to, e->exchange->captures.items[i].name);
        fputs(":", to);
        print_string(to, e->exchange->captures.items[i].value);
    }
    fputs("}", to);
    print_plan_json(e->winner ? e->winner->plan : NULL, to);
    fputs("}\n", to);
}
