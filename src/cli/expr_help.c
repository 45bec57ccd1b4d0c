/* What the program says of functions, attributes and commands. */
#include <string.h>

#include "base/check.h"
#include "cli/cli.h"
#include "cli/expr_repl.h"
#include "proxy/exchange.h"

/* Where a list of functions is, and what is looked for. */
struct walk {
    FILE *to;
    const char *group;
    struct text name;
    size_t found;
    const char *near;
    unsigned distance;
};

static void print_row(void *context, const struct expr_function *function)
{
    struct walk *walk = context;
    if (walk->group != function->group)
        fprintf(walk->to, "%s%s\n", walk->group ? "\n" : "", function->group);
    walk->group = function->group;
    fprintf(walk->to, "  %-60.*s %s\n", TEXT_ARGS(function->signature), function->about);
}

void repl_print_functions(FILE *to)
{
    struct walk walk = {.to = to};
    expr_functions_each(print_row, &walk);
}

static void print_attribute(FILE *to, const struct expr_attribute *attribute)
{
    char type[48];
    bool map = attribute->type == EXPR_MAP, list = attribute->type == EXPR_LIST;
    snprintf(type, sizeof type, "%s%s%s",
             map    ? "map(string, "
             : list ? "list("
                    : "",
             expr_type_name(map || list ? attribute->item : attribute->type), map || list ? ")" : "");
    fprintf(to, "  %-24s %-22s %s\n", attribute->name, type, attribute->about);
}

void repl_print_attributes(FILE *to, const struct session *session)
{
    if (session->count)
        fputs("Variables\n", to);
    for (size_t i = 0; i < session->count; i++)
        fprintf(to, "  %-24s %s\n", session->attributes[i].name, value_kind_name(session->values[i]));
    fprintf(to, "%sAttributes of the gateway\n", session->count ? "\n" : "");
    for (size_t i = 0; i < exchange_environment.count; i++)
        print_attribute(to, &exchange_environment.attributes[i]);
}

/* "trim" is also how math.trunc or a macro may be asked for: by the last part of the name. */
static bool is_meant(const char *name, struct text wanted)
{
    const char *dot = strrchr(name, '.');
    return text_equal(text_of(name), wanted) || (dot && text_equal(text_of(dot + 1), wanted));
}

static void consider(struct walk *walk, const char *name)
{
    unsigned distance = text_distance(walk->name, text_of(name), walk->distance);
    if (distance < walk->distance) {
        walk->distance = distance;
        walk->near = name;
    }
}

static void print_if_meant(void *context, const struct expr_function *function)
{
    struct walk *walk = context;
    if (!is_meant(function->name, walk->name)) {
        consider(walk, function->name);
        return;
    }
    walk->found++;
    fprintf(walk->to, "%.*s\n    %s\n", TEXT_ARGS(function->signature), function->about);
    if (function->example)
        fprintf(walk->to, "    %s\n", function->example);
}

bool repl_print_help(FILE *to, const struct session *session, struct text name, const char **ret_near)
{
    struct walk walk = {.to = to, .name = name, .distance = 3};
    expr_functions_each(print_if_meant, &walk);
    for (size_t i = 0; i < exchange_environment.count; i++) {
        const struct expr_attribute *attribute = &exchange_environment.attributes[i];
        if (!text_equal(text_of(attribute->name), name)) {
            consider(&walk, attribute->name);
            continue;
        }
        walk.found++;
        print_attribute(to, attribute);
    }
    for (size_t i = 0; i < session->count; i++)
        if (text_equal(text_of(session->attributes[i].name), name)) {
            walk.found++;
            fprintf(to, "  %s: a variable, %s\n", session->attributes[i].name,
                    value_kind_name(session->values[i]));
        }
    *ret_near = walk.near;
    return walk.found > 0;
}

void repl_print_commands(FILE *to)
{
    fputs(
        "An expression is evaluated and its value printed. A line that ends with \\ goes on in the next one. Commands:\n"
        "  :help [NAME]              this, or what a function, macro or attribute is\n"
        "  :functions                all functions\n"
        "  :attributes               the variables, and the attributes of the gateway\n"
        "  :type EXPRESSION          the type that a configuration would give it, and its cost bound\n"
        "  :let NAME = EXPRESSION    a variable\n"
        "  :context FILE             the members of a JSON object as variables\n"
        "  :quit                     the end; so is the end of the input\n",
        to);
}
