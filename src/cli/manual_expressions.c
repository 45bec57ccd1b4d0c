/* The page of attributes and functions of the manual. */
#include <string.h>

#include "base/check.h"
#include "cli/manual.h"
#include "expr/expr.h"
#include "proxy/exchange.h"

static void write_type(FILE *to, const struct expr_attribute *attribute)
{
    if (attribute->type == EXPR_MAP)
        fprintf(to, "map(string, %s)", expr_type_name(attribute->item));
    else if (attribute->type == EXPR_LIST)
        fprintf(to, "list(%s)", expr_type_name(attribute->item));
    else
        fputs(expr_type_name(attribute->type), to);
}

void manual_write_attributes(FILE *to)
{
    fputs("| Attribute | Type | What it is |\n|---|---|---|\n", to);
    for (size_t i = 0; i < exchange_environment.count; i++) {
        const struct expr_attribute *attribute = &exchange_environment.attributes[i];
        fprintf(to, "| `%s` | ", attribute->name);
        write_type(to, attribute);
        fprintf(to, " | %s |\n", attribute->about);
    }
    fputs("| `now` | timestamp | When the evaluation began: the same at each place of an expression. |\n",
          to);
}

/* What a row needs to know of the one before it. */
struct page {
    FILE *to;
    const char *group;
    char name[64];
    char example[256]; /* of the name so far, written when the name ends */
};

static void end_name(struct page *page)
{
    const char *arrow = strstr(page->example, " => ");
    if (arrow)
        fprintf(page->to, "\nExample: `%.*s` gives `%s`.\n", (int)(arrow - page->example), page->example,
                arrow + strlen(" => "));
    page->example[0] = 0;
}

static void write_function(void *context, const struct expr_function *function)
{
    struct page *page = context;
    bool is_new = strcmp(page->name, function->name) != 0 || page->group != function->group;
    if (is_new)
        end_name(page);
    if (page->group != function->group)
        fprintf(page->to, "\n### %s\n", function->group);
    if (is_new)
        fprintf(page->to, "\n#### %s\n\n", function->name);
    page->group = function->group;
    snprintf(page->name, sizeof page->name, "%s", function->name);
    fprintf(page->to, "- `%.*s`: %s\n", TEXT_ARGS(function->signature), function->about);
    if (function->example && !page->example[0])
        snprintf(page->example, sizeof page->example, "%s", function->example);
}

void manual_write_functions(FILE *to)
{
    struct page page = {.to = to};
    fputs(
        "\n## Functions\n\n"
        "In a signature, `value.name(...)` is called on a value, and `A` and `B` stand for any type that is the same at each place.\n"
        "Results are written as the literals that `turnpike expr` prints.\n",
        to);
    expr_functions_each(write_function, &page);
    end_name(&page);
}
