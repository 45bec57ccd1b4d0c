/* Expressions and templates are compiled while they are bound; what is wrong with one is shown where it stands in the file. */
#include "base/check.h"
#include "config/bind_private.h"

static void note_uses(struct binder *binder, const struct expr *expr)
{
    for (size_t i = 0; i < binder->watches_count; i++) {
        struct expr_watch *watch = &binder->watches[i];
        for (size_t k = 0; !watch->found && k < watch->count; k++)
            if (expr_uses(expr, watch->ids[k]))
                watch->found = expr;
    }
}

bool bind_expression(struct binder *binder, const struct field *field, const struct node *node, void *at)
{
    static const struct expr_environment nothing = {0};
    const struct expr_environment *environment = binder->environment ? binder->environment : &nothing;
    bool is_template = field->kind == FIELD_KIND_TEMPLATE;
    if (node->kind != NODE_SCALAR)
        return bind_mismatch(binder, field, node, TEXT(""));
    struct expr_error error = {0};
    const struct expr *compiled =
        is_template ? expr_compile_template(binder->arena, node_template(node), environment, &error)
                    : expr_compile(binder->arena, node->text, environment, field->type, &error);
    if (compiled) {
        *(const struct expr **)at = compiled;
        note_uses(binder, compiled);
        return true;
    }
    if (binder->arena->failed)
        return false;
    if (node->secret)
        return bind_error(binder, node, NULL,
                          "not a valid %s (not shown: a reference brought in a part of it)",
                          is_template ? "template" : "expression");
    struct node here = {.place = node_place_within(node, error.line, error.column)};
    return bind_error(binder, &here, NULL, "%s", error.said);
}
