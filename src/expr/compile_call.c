/* Calls: which function a name means here, which of its overloads can be meant, what is prepared for constant arguments. */
#include <errno.h>
#include <stdio.h>

#include "expr/compiler.h"
#include "expr/function.h"

/* A call as written: the name with its namespace, and the arguments, the receiver first. */
struct wanted {
    struct text name;
    bool receiver;
    uint32_t first; /* of ast->items: 1 when items[0] is only the namespace */
    const struct function *const *rows;
    size_t rows_count;
};

static bool has_style(const struct function *function, bool receiver)
{
    return function->style == FUNCTION_EITHER || (function->style == FUNCTION_RECEIVER) == receiver;
}

/* "math.greatest" of the call math.greatest(...), unless `math` is a variable of a macro. */
static bool find_qualified(const struct compiler *compiler, const struct ast *ast, char buffer[256],
                           struct wanted *wanted)
{
    const struct ast *root = ast->receiver ? ast->items[0] : NULL;
    while (root && root->kind == AST_SELECT && !root->optional)
        root = root->items[0];
    if (!root || root->kind != AST_NAME || scope_find(compiler, root->name))
        return false;
    char chain[256];
    struct text space = chain_text(ast->items[0], chain);
    if (!space.size || space.size + 1 + ast->name.size > 256)
        return false;
    memcpy(buffer, space.at, space.size);
    buffer[space.size] = '.';
    memcpy(buffer + space.size + 1, ast->name.at, ast->name.size);
    wanted->name = (struct text){buffer, space.size + 1 + ast->name.size};
    wanted->rows_count = function_find(wanted->name, &wanted->rows);
    wanted->receiver = false;
    wanted->first = 1;
    return wanted->rows_count > 0 || function_is_namespace(space);
}

static struct node *unknown_function(struct compiler *compiler, const struct ast *ast,
                                     const struct wanted *wanted)
{
    const char *nearest =
        function_nearest(wanted->name, wanted->receiver ? FUNCTION_RECEIVER : FUNCTION_GLOBAL);
    const char *usage = macro_usage(ast);
    if (usage)
        return compile_fail(compiler, ast->at, "'%.*s' is called like this: %s", TEXT_ARGS(wanted->name),
                            usage);
    if (wanted->rows_count)
        return compile_fail(compiler, ast->at,
                            wanted->receiver ? "'%.*s' is called without a receiver: %.*s(value)"
                                             : "'%.*s' is called on a value: value.%.*s()",
                            TEXT_ARGS(wanted->name), TEXT_ARGS(wanted->name));
    if (nearest)
        return compile_fail(compiler, ast->at, "unknown function '%.*s'; did you mean '%s'?",
                            TEXT_ARGS(wanted->name), nearest);
    return compile_fail(compiler, ast->at, "unknown function '%.*s'", TEXT_ARGS(wanted->name));
}

/* No overload takes these arguments: says which there are. */
static struct node *no_overload(struct compiler *compiler, const struct ast *ast, const struct wanted *wanted,
                                const struct node *arguments)
{
    char said[200] = "", type[64];
    size_t size = 0;
    for (uint32_t i = 0; i < arguments->count && size < sizeof said; i++)
        size += (size_t)snprintf(said + size, sizeof said - size, "%s%s", i ? ", " : "",
                                 type_write(arguments->items[i]->type, type));
    char signature[128];
    const struct function *shown = wanted->rows[0];
    for (size_t i = 0; i < wanted->rows_count; i++)
        if (has_style(wanted->rows[i], wanted->receiver)
            && function_arity(wanted->rows[i]) == arguments->count)
            shown = wanted->rows[i];
    function_write(shown, signature, sizeof signature);
    return compile_fail(compiler, ast->at, "'%.*s' does not take (%.80s); there is %.110s",
                        TEXT_ARGS(wanted->name), said, signature);
}

/* Several numbers for a function that takes them as a list. */
static struct node *compile_variadic(struct compiler *compiler, const struct ast *ast,
                                     const struct wanted *wanted)
{
    struct node *list = node_with_items(compiler, eval_list, ast, NULL, wanted->first);
    if (!list)
        return NULL;
    const struct type *item = list->items[0]->type;
    for (uint32_t i = 0; i < list->count; i++) {
        bool numeric = type_bits(list->items[i]->type->kind) & BITS_NUMBER;
        if (!numeric && types_are_checked(compiler))
            return no_overload(compiler, ast, wanted, list);
        item = type_join(item, list->items[i]->type);
    }
    list->type = type_list(compiler->arena, item);
    struct node *node = node_new(compiler, eval_call, ast->at, NULL, 1);
    if (node)
        node->items[0] = node_finish(compiler, list);
    return node && node->items[0] ? node : NULL;
}

static struct node *compile_arguments(struct compiler *compiler, const struct ast *ast,
                                      const struct wanted *wanted)
{
    if (ast->count - wanted->first > 1)
        for (size_t i = 0; i < wanted->rows_count; i++)
            if (wanted->rows[i]->variadic)
                return compile_variadic(compiler, ast, wanted);
    return node_with_items(compiler, eval_call, ast, NULL, wanted->first);
}

static bool accepts(const struct function *function, const struct node *node, const struct type *variables[2])
{
    if (function_arity(function) != node->count)
        return false;
    for (uint32_t i = 0; i < node->count; i++)
        if (!signature_accepts(function->takes[i], node->items[i]->type, variables))
            return false;
    return true;
}

/* Keeps the overloads that the static types allow; the result's type is what they agree on. False: no memory. */
static bool choose(struct compiler *compiler, const struct wanted *wanted, struct node *node)
{
    const struct function **candidates = arena_array(compiler->arena, wanted->rows_count, sizeof *candidates);
    if (!candidates)
        return source_fail_memory(compiler->source);
    uint32_t count = 0;
    for (size_t i = 0; i < wanted->rows_count; i++) {
        const struct function *function = wanted->rows[i];
        const struct type *variables[2] = {NULL, NULL};
        if (!has_style(function, wanted->receiver) || !accepts(function, node, variables))
            continue;
        const struct type *gives = function->gives == SIG_NUMBER
                                       ? node->items[0]->type
                                       : signature_type(function->gives, variables, compiler->arena);
        node->type = count ? type_join(node->type, gives) : gives;
        node->varies |= function->impure;
        node->steps = MAX_OF(node->steps, (uint64_t)function->cost + function->usual);
        candidates[count++] = function;
    }
    node->call.candidates = candidates;
    node->call.candidates_count = count;
    return true;
}

/* The constant that a row prepares something for; NULL: there is none. */
static const struct node *to_prepare(const struct node *node)
{
    const struct function *function = node->call.candidates[0];
    if (node->call.candidates_count != 1 || !function->prepare || function->prepares > node->count)
        return NULL;
    const struct node *argument = node->items[function->prepares - 1];
    uint32_t taken = signature_bits(function->takes[function->prepares - 1]);
    return node_is_constant(argument) && value_bit(&argument->constant) & taken ? argument : NULL;
}

/* What a row makes of a constant argument, once: a compiled pattern, a time zone. What it cannot, it makes ready. */
static bool prepare(struct compiler *compiler, struct node *node)
{
    const struct function *function = node->call.candidates[0];
    const struct node *argument = to_prepare(node);
    for (uint32_t i = 0; !argument && i < node->call.candidates_count; i++)
        if (node->call.candidates[i]->ready && !node->call.candidates[i]->ready())
            return source_fail_memory(compiler->source);
    if (!argument)
        return true;
    struct error error = {0};
    if (function->prepare(compiler->arena, argument->constant, &node->call.prepared, &error))
        return true;
    if (compiler->arena->failed || error.code == -ENOMEM)
        return source_fail_memory(compiler->source);
    return compiler->environment->unchecked || source_fail(compiler->source, argument->at, "%s", error.said);
}

static void specialise(struct node *node)
{
    bool receives_text = node->count == 2 && node_is_constant(node->items[1])
                         && node->items[1]->constant.kind == VALUE_STRING && node->call.candidates_count == 1;
    if (receives_text && !strcmp(node->call.name, "startsWith"))
        node->eval = eval_starts_with;
    else if (receives_text && !strcmp(node->call.name, "endsWith"))
        node->eval = eval_ends_with;
}

static struct node *call_overload(struct compiler *compiler, const struct ast *ast,
                                  const struct wanted *wanted)
{
    struct node *node = compile_arguments(compiler, ast, wanted);
    if (!node || !choose(compiler, wanted, node))
        return NULL;
    if (node->call.candidates_count == 0 || node->count > ARGUMENTS_MAX)
        return no_overload(compiler, ast, wanted, node);
    node->call.name = node->call.candidates[0]->name;
    if (node->count == 2 && (!strcmp(node->call.name, "orValue") || !strcmp(node->call.name, "or")))
        node->eval = eval_or_else;
    if (!node_finish(compiler, node) || !prepare(compiler, node))
        return NULL;
    if (node->varies || node->needs)
        specialise(node);
    return node;
}

struct node *compile_call(struct compiler *compiler, const struct ast *ast)
{
    bool is_macro = false;
    struct node *node = compile_macro(compiler, ast, &is_macro);
    if (is_macro)
        return node;
    char buffer[256];
    struct wanted wanted = {.name = ast->name, .receiver = ast->receiver};
    if (!find_qualified(compiler, ast, buffer, &wanted)) {
        wanted.name = ast->name;
        wanted.receiver = ast->receiver;
        wanted.first = 0;
        wanted.rows_count = function_find(ast->name, &wanted.rows);
    }
    bool found = false;
    for (size_t i = 0; i < wanted.rows_count; i++)
        found |= has_style(wanted.rows[i], wanted.receiver);
    return found ? call_overload(compiler, ast, &wanted) : unknown_function(compiler, ast, &wanted);
}
