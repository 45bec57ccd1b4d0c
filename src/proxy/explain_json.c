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

/* "NAME":"policy","NAME_because":"expression" */
static void print_use_json(const char *name, const struct policy_instance *entry, const struct body_use *use,
                           FILE *to)
{
    char because[64];
    snprintf(because, sizeof because, "%s_because", name);
    print_member(to, name, entry ? entry->id : (struct text){NULL, 0});
    fputs(",", to);
    print_member(to, because, use && use->because ? expr_source(use->because) : (struct text){NULL, 0});
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
    const struct policy_instance *request = plan ? plan->buffers_request : NULL,
                                 *response = plan ? plan->buffers_response : NULL;
    print_use_json("buffered_by", request, request ? &request->request_body : NULL, to);
    fputs(",", to);
    print_use_json("response_buffered_by", response, response ? &response->response_body : NULL, to);
}

static struct text name_of(const struct route_target *target)
{
    return target && target->service ? target->service->name : (struct text){NULL, 0};
}

/* "service" is null where chance decides among "services", or where the choice fails. */
static void print_service(const struct explanation *e, FILE *to)
{
    const struct route_choice *choice = e->winner ? e->winner->choice : NULL;
    print_member(to, "service", name_of(e->target));
    fputs(",\"services\":[", to);
    for (size_t i = 0; choice && i < choice->targets_count; i++) {
        fputs(i ? ",{" : "{", to);
        print_member(to, "name", name_of(&choice->targets[i]));
        fprintf(to, ",\"weight\":%u}", choice->targets[i].weight);
    }
    fputs("],", to);
    print_member(to, "service_key", e->key);
    fputs(",", to);
    print_member(to, "service_expression",
                 choice && choice->expression ? expr_source(choice->expression) : (struct text){NULL, 0});
    fputs(",", to);
    print_member(to, "fault", e->fault.at ? e->fault : e->path_fault);
    fputs(",", to);
    print_member(to, "forward_path", e->forward_path);
}

static void print_labels(const struct route *route, FILE *to)
{
    fputs(",\"labels\":{", to);
    for (size_t i = 0; route && i < route->labels_count; i++) {
        fputs(i ? "," : "", to);
        print_string(to, route->labels[i].key);
        fputs(":", to);
        print_string(to, route->labels[i].value);
    }
    fputs("}", to);
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
        print_member(to, "path", c->route->path);
        fprintf(to, ",\"chosen\":%s,", c->route == e->winner ? "true" : "false");
        print_member(to, "why_not", c->why_not);
        fputs("}", to);
    }
    fputs("],", to);
    print_member(to, "route", e->winner ? e->winner->name : (struct text){NULL, 0});
    fputs(",", to);
    print_service(e, to);
    fputs(",\"captures\":{", to);
    for (uint32_t i = 0; e->winner && i < e->exchange->captures.count; i++) {
        fputs(i ? "," : "", to);
        print_string(to, e->exchange->captures.items[i].name);
        fputs(":", to);
        print_string(to, e->exchange->captures.items[i].value);
    }
    fputs("}", to);
    fprintf(to, ",\"route_needs_body\":%s", e->winner && e->winner->needs_body ? "true" : "false");
    print_labels(e->winner, to);
    const struct route_target *target = e->target ? e->target : e->winner ? &e->winner->target : NULL;
    print_plan_json(target ? target->plan : NULL, to);
    fputs("}\n", to);
}
