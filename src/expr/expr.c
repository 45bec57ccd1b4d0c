/* The public door: compile and evaluate. */
#include "expr/expr.h"

#include <stdio.h>

#include "expr/compiler.h"
#include "expr/print.h"

enum { SOURCE_BYTES_MAX = 1 << 20 };

/* The root folded, and its type what the caller wants. */
static const struct expr *finish(struct compiler *compiler, struct node *root, enum expr_type wanted)
{
    char type[64];
    struct expr *expr = compiler->expr;
    if (!root)
        return NULL;
    if (types_are_checked(compiler) && !type_may_be(root->type, type_of(wanted)))
        return source_fail(compiler->source, root->at, "it is %s, where %s is wanted",
                           type_write(root->type, type), expr_type_name(wanted));
    if (!root->varies && !node_is_constant(root) && !node_fold(compiler, root))
        return NULL;
    expr->root = root;
    expr->wanted = wanted;
    return expr;
}

enum form { FORM_EXPRESSION, FORM_TEMPLATE, FORM_UNFOLDED };

static const struct expr *build(struct source *source, const struct expr_environment *environment,
                                enum expr_type wanted, enum form form)
{
    static const struct expr_environment nothing = {NULL, 0, false};
    struct expr *expr = ARENA_NEW(source->arena, struct expr);
    if (!expr)
        return source_fail_memory(source);
    expr->source = source->text;
    const struct ast *ast = form == FORM_TEMPLATE ? template_parse(source) : parser_parse_all(source);
    struct compiler compiler = {
        .source = source,
        .arena = source->arena,
        .environment = environment ? environment : &nothing,
        .expr = expr,
        .fold_steps = form == FORM_UNFOLDED ? 0 : 10 * EXPR_STEPS_DEFAULT,
    };
    const struct expr *made = ast ? finish(&compiler, compile(&compiler, ast), wanted) : NULL;
    if (made && source->arena->failed)
        return source_fail_memory(source);
    return made;
}

/* With a copy of the source, and an arena for the tree that ends here. */
static const struct expr *build_from(struct arena *arena, struct text text,
                                     const struct expr_environment *environment, enum expr_type wanted,
                                     enum form form, struct expr_error *reterr)
{
    struct expr_error ignored;
    struct arena scratch;
    struct source source = {
        .text = text, .arena = arena, .scratch = &scratch, .error = reterr ? reterr : &ignored};
    if (text.size > SOURCE_BYTES_MAX)
        return source_fail(&source, 0, "longer than %d bytes", SOURCE_BYTES_MAX);
    if (!text_is_utf8(text))
        return source_fail(&source, 0, "not valid UTF-8");
    source.text = arena_copy(arena, text);
    if (source.text.size != text.size)
        return source_fail_memory(&source);
    arena_init(&scratch, 0, 0); /* bounded by the source's size */
    const struct expr *expr = build(&source, environment, wanted, form);
    arena_release(&scratch);
    return expr;
}

const struct expr *expr_compile(struct arena *arena, struct text source,
                                const struct expr_environment *environment, enum expr_type wanted,
                                struct expr_error *reterr)
{
    return build_from(arena, source, environment, wanted, FORM_EXPRESSION, reterr);
}

const struct expr *expr_compile_unfolded(struct arena *arena, struct text source,
                                         const struct expr_environment *environment, enum expr_type wanted,
                                         struct expr_error *reterr)
{
    return build_from(arena, source, environment, wanted, FORM_UNFOLDED, reterr);
}

const struct expr *expr_compile_template(struct arena *arena, struct text source,
                                         const struct expr_environment *environment,
                                         struct expr_error *reterr)
{
    return build_from(arena, source, environment, EXPR_DYN, FORM_TEMPLATE, reterr);
}

static bool wrong_type(const struct expr *expr, struct value value, const char *wanted,
                       struct expr_error *reterr)
{
    if (reterr) {
        text_position(expr->source, expr->root->at, &reterr->line, &reterr->column);
        snprintf(reterr->said, sizeof reterr->said, "the result is %s, where %s is wanted",
                 value_kind_name(value), wanted);
    }
    return false;
}

bool expr_eval(const struct expr *expr, const struct expr_run *run, struct value *ret_value,
               struct expr_error *reterr)
{
    struct evaluation evaluation;
    evaluation_init(&evaluation, run);
    if (UNLIKELY(!node_run(expr->root, &evaluation, ret_value))) {
        fault_write(&evaluation.fault, expr->source, reterr);
        return false;
    }
    if (LIKELY(value_bit(ret_value) & type_bits(expr->wanted)))
        return true;
    return wrong_type(expr, *ret_value, expr_type_name(expr->wanted), reterr);
}

bool expr_eval_bool(const struct expr *expr, const struct expr_run *run, bool *ret_value,
                    struct expr_error *reterr)
{
    struct value value;
    if (!expr_eval(expr, run, &value, reterr))
        return false;
    if (UNLIKELY(value.kind != VALUE_BOOL))
        return wrong_type(expr, value, "bool", reterr);
    *ret_value = value.boolean;
    return true;
}

bool expr_eval_text(const struct expr *expr, const struct expr_run *run, struct text *ret_value,
                    struct expr_error *reterr)
{
    struct value value;
    if (!expr_eval(expr, run, &value, reterr))
        return false;
    bool escape = run->escape && expr->root->eval != eval_interpolate && expr->root->eval != eval_constant;
    if (LIKELY(value.kind == VALUE_STRING && !escape)) {
        *ret_value = value.text;
        return true;
    }
    struct writer writer = {.arena = run->arena};
    if (escape)
        value_write_escaped(&value, run->escape, &writer);
    else
        value_write_text(&value, &writer);
    if (writer_text(&writer, ret_value))
        return true;
    if (reterr)
        *reterr = (struct expr_error){.line = 1, .column = 1, .said = "out of memory for the evaluation"};
    return false;
}

const struct value *expr_constant(const struct expr *expr)
{
    return node_is_constant(expr->root) ? &expr->root->constant : NULL;
}

bool expr_uses(const struct expr *expr, uint16_t id)
{
    return id < 256 ? expr->uses[id / 64] >> id % 64 & 1 : expr->uses_large;
}

struct text expr_source(const struct expr *expr)
{
    return expr->source;
}

const char *expr_result_type_write(const struct expr *expr, char to[64])
{
    return type_write(expr->root->type, to);
}

enum expr_type expr_result_type(const struct expr *expr)
{
    return expr->root->type->kind;
}

uint64_t expr_cost(const struct expr *expr)
{
    return expr->root->steps;
}
