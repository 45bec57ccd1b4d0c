/* Nodes, and the folding of constant ones: a part that depends on nothing is evaluated once, when it is compiled. It is folded where it
 * meets a part that depends on something, so that an operator which forgives failures sees those of its constant operands first. */
#include <stdarg.h>
#include <stdio.h>

#include "expr/compiler.h"

struct node *node_new(struct compiler *compiler, node_eval *eval, size_t at, const struct type *type,
                      uint32_t count)
{
    struct node *node = arena_zero(compiler->arena, sizeof *node + count * sizeof(struct node *));
    if (!node)
        return source_fail_memory(compiler->source);
    node->eval = eval;
    node->type = type;
    node->at = (uint32_t)at;
    node->count = count;
    node->own = 1;
    return node;
}

struct node *node_with_items(struct compiler *compiler, node_eval *eval, const struct ast *ast,
                             const struct type *type, uint32_t first)
{
    struct node *node = node_new(compiler, eval, ast->at, type, ast->count - first);
    for (uint32_t i = first; node && i < ast->count; i++) {
        node->items[i - first] = compile(compiler, ast->items[i]);
        if (!node->items[i - first])
            return NULL;
    }
    return node;
}

static uint64_t add_steps(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t multiply_steps(uint64_t a, uint64_t b)
{
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

/* Elements that a loop will see, as far as one can tell. */
static uint64_t rounds_of(const struct node *range)
{
    if (range->eval == eval_list)
        return range->count;
    if (node_is_constant(range) && range->constant.kind == VALUE_LIST)
        return range->constant.list->count;
    if (node_is_constant(range) && range->constant.kind == VALUE_MAP)
        return range->constant.map->size(range->constant.map);
    return ITEMS_USUAL;
}

static bool is_foldable(const struct node *node)
{
    return !node->varies && node->needs == 0 && !node_is_constant(node);
}

static void sum_steps(struct node *node)
{
    node->steps = add_steps(node->steps, 1);
    node->own = node->round = 1;
    uint64_t body = 1;
    for (uint32_t i = 0; i < node->count; i++) {
        if (node->loops && i > 0) {
            body = add_steps(body, node->items[i]->steps);
            node->round = add_steps(node->round, node->items[i]->own);
        } else {
            node->steps = add_steps(node->steps, node->items[i]->steps);
            node->own = add_steps(node->own, node->items[i]->own);
        }
    }
    if (node->loops)
        node->steps = add_steps(node->steps, multiply_steps(body, rounds_of(node->items[0])));
}

struct node *node_finish(struct compiler *compiler, struct node *node)
{
    if (!node)
        return NULL;
    for (uint32_t i = 0; i < node->count; i++) {
        node->varies |= node->items[i]->varies;
        node->needs |= node->items[i]->needs;
    }
    node->needs &= ~node->binds;
    if (!is_foldable(node))
        for (uint32_t i = 0; i < node->count; i++)
            if (is_foldable(node->items[i]) && !node_fold(compiler, (struct node *)node->items[i]))
                return NULL;
    sum_steps(node);
    return node;
}

bool node_fold(struct compiler *compiler, struct node *node)
{
    struct expr_run run = {.arena = compiler->arena, .steps_max = compiler->fold_steps};
    if (compiler->fold_steps == 0)
        return true; /* so much was folded that the rest waits until it runs, or nothing is to be */
    struct evaluation evaluation;
    struct value value;
    evaluation_init(&evaluation, &run);
    bool good = node_run(node, &evaluation, &value);
    compiler->fold_steps = evaluation.steps;
    if (!good && compiler->arena->failed)
        return source_fail_memory(compiler->source);
    if (!good && (compiler->environment->unchecked || evaluation.fault.fatal)) {
        node->varies = true; /* it fails when it runs */
        return true;
    }
    if (!good) {
        struct expr_error error;
        fault_write(&evaluation.fault, compiler->source->text, &error);
        return source_fail(compiler->source,
                           evaluation.fault.at == FAULT_HERE ? node->at : evaluation.fault.at,
                           "this always fails: %.200s", error.said);
    }
    node->eval = eval_constant;
    node->constant = value;
    node->count = 0;
    node->own = node->steps = 1;
    return true;
}

struct node *compile_fail(struct compiler *compiler, size_t at, const char *format, ...)
{
    char said[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(said, sizeof said, format, arguments);
    va_end(arguments);
    if (types_are_checked(compiler))
        return source_fail(compiler->source, at, "%s", said);
    struct node *node = node_new(compiler, eval_unknown, at, type_of(EXPR_DYN), 0);
    if (!node)
        return NULL;
    node->name = arena_copy(compiler->arena, text_of(said));
    node->varies = true;
    node->steps = 1;
    return node->name.size ? node : source_fail_memory(compiler->source);
}
