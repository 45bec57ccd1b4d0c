/* Macros: calls whose arguments are not all evaluated, or evaluated with variables bound. */
#include "expr/compiler.h"

/* How a macro looks: name(range or receiver, `names` variables, expressions...). */
struct macro {
    const char *space; /* "cel" of cel.bind(), NULL: it has a receiver, which is the range */
    const char *name;
    uint8_t names;       /* variables */
    uint8_t least, most; /* expressions behind the variables */
    node_eval *eval;
    enum {
        GIVES_BOOL,
        GIVES_LIST,
        GIVES_SAME_LIST,
        GIVES_MAP,
        GIVES_ENTRIES,
        GIVES_LAST,
        GIVES_OPTIONAL
    } gives;
    bool asks; /* the first expression is a condition, also of two */
};

static const struct macro macros[] = {
    {NULL, "all", 1, 1, 1, eval_all, GIVES_BOOL, true},
    {NULL, "all", 2, 1, 1, eval_all, GIVES_BOOL, true},
    {NULL, "exists", 1, 1, 1, eval_exists, GIVES_BOOL, true},
    {NULL, "exists", 2, 1, 1, eval_exists, GIVES_BOOL, true},
    {NULL, "exists_one", 1, 1, 1, eval_exists_one, GIVES_BOOL, true},
    {NULL, "exists_one", 2, 1, 1, eval_exists_one, GIVES_BOOL, true},
    {NULL, "existsOne", 1, 1, 1, eval_exists_one, GIVES_BOOL, true},
    {NULL, "existsOne", 2, 1, 1, eval_exists_one, GIVES_BOOL, true},
    {NULL, "map", 1, 1, 2, eval_map_macro, GIVES_LIST, false},
    {NULL, "filter", 1, 1, 1, eval_filter, GIVES_SAME_LIST, true},
    {NULL, "sortBy", 1, 1, 1, eval_sort_by, GIVES_SAME_LIST, false},
    {NULL, "transformList", 2, 1, 2, eval_transform_list, GIVES_LIST, false},
    {NULL, "transformMap", 2, 1, 2, eval_transform_map, GIVES_MAP, false},
    {NULL, "transformMapEntry", 2, 1, 2, eval_transform_entries, GIVES_ENTRIES, false},
    {NULL, "optMap", 1, 1, 1, eval_opt_map, GIVES_OPTIONAL, false},
    {NULL, "optFlatMap", 1, 1, 1, eval_opt_flat_map, GIVES_LAST, false},
    {"cel", "bind", 1, 2, 2, eval_bind, GIVES_LAST, false},
};

static bool is_name(const struct ast *ast)
{
    return ast->kind == AST_NAME && !ast->rooted;
}

/* The macro that a call is, by its name and the number of its arguments and, between two forms, by what stands second. */
static const struct macro *macro_find(const struct compiler *compiler, const struct ast *ast)
{
    uint32_t arguments = ast->count - 1;
    bool second_is_name = ast->count > 2 && is_name(ast->items[2]);
    for (size_t i = 0; ast->receiver && i < COUNT_OF(macros); i++) {
        const struct macro *macro = &macros[i];
        if (!text_equal(ast->name, text_of(macro->name)) || arguments < macro->names + macro->least
            || arguments > macro->names + macro->most)
            continue;
        const struct ast *space = ast->items[0];
        bool is_space = space->kind == AST_NAME && macro->space
                        && text_equal(space->name, text_of(macro->space))
                        && !scope_find(compiler, space->name);
        if (macro->space ? is_space : macro->names < 2 || second_is_name)
            return macro;
    }
    return NULL;
}

static const struct type *range_item(const struct type *range)
{
    return range->kind == EXPR_LIST || range->kind == EXPR_OPTIONAL ? range->item
           : range->kind == EXPR_MAP                                ? range->key
                                                                    : type_of(EXPR_DYN);
}

/* Binds a name to a fresh slot; false: too many at once. */
static bool bind(struct compiler *compiler, const struct ast *name, const struct type *type,
                 struct scope *scope)
{
    if (compiler->slots == SLOTS_MAX)
        return source_fail(compiler->source, name->at, "more than %d variables at once", SLOTS_MAX);
    *scope = (struct scope){compiler->scope, name->name, (uint8_t)compiler->slots++, type};
    compiler->scope = scope;
    return true;
}

/* Compiles the expressions of a macro into node->items[1...] with its variables bound to parts of `range`. */
static bool compile_body(struct compiler *compiler, const struct macro *macro, const struct ast *ast,
                         uint32_t first, struct node *node)
{
    const struct scope *outer = compiler->scope;
    unsigned slots = compiler->slots;
    struct scope scopes[2];
    const struct type *range = node->items[0]->type, *types[2] = {range_item(range), NULL};
    if (macro->space)
        types[0] = range;
    if (macro->names == 2) {
        types[0] = range->kind == EXPR_LIST ? type_of(EXPR_INT) : range_item(range);
        types[1] = range->kind == EXPR_LIST || range->kind == EXPR_MAP ? range->item : type_of(EXPR_DYN);
    }
    bool good = true;
    for (uint32_t i = 0; i < macro->names && good; i++)
        good = bind(compiler, ast->items[1 + i], types[i], &scopes[i]);
    for (uint32_t i = first; i < ast->count && good; i++) {
        node->items[1 + i - first] = compile(compiler, ast->items[i]);
        good = node->items[1 + i - first];
    }
    if (good) {
        node->slot = scopes[0].slot;
        node->slot_second = scopes[macro->names - 1].slot;
        node->binds = 1ull << node->slot | 1ull << node->slot_second;
    }
    compiler->scope = outer;
    compiler->slots = slots;
    return good;
}

static const struct type *macro_type(struct compiler *compiler, const struct macro *macro,
                                     const struct node *node)
{
    const struct type *range = node->items[0]->type, *last = node->items[node->count - 1]->type;
    switch (macro->gives) {
    case GIVES_BOOL: return type_of(EXPR_BOOL);
    case GIVES_LIST: return type_list(compiler->arena, last);
    case GIVES_SAME_LIST:
        return range->kind == EXPR_LIST ? range : type_list(compiler->arena, range_item(range));
    case GIVES_MAP:
        return type_map(compiler->arena, range->kind == EXPR_LIST ? type_of(EXPR_INT) : range_item(range),
                        last);
    case GIVES_ENTRIES: return last->kind == EXPR_MAP ? last : type_of(EXPR_MAP);
    case GIVES_LAST: return last;
    case GIVES_OPTIONAL: return type_optional(compiler->arena, last);
    }
    UNREACHABLE();
}

/* Whether the types of the range and of a condition can be right. */
static struct node *check(struct compiler *compiler, const struct macro *macro, const struct ast *ast,
                          struct node *node)
{
    char type[64];
    const struct type *range = node->items[0]->type, *condition = node->items[1]->type;
    bool wants_optional = macro->eval == eval_opt_map || macro->eval == eval_opt_flat_map;
    bool wants_list = macro->eval == eval_sort_by;
    bool right = range->kind == EXPR_DYN || macro->space
                 || (wants_optional ? range->kind == EXPR_OPTIONAL
                                    : range->kind == EXPR_LIST || (range->kind == EXPR_MAP && !wants_list));
    if (!right)
        return compile_fail(compiler, ast->at, "'%s' is for %s, not for %s", macro->name,
                            wants_optional ? "optional values" : "lists and maps", type_write(range, type));
    bool asks = macro->asks || (node->count == 3 && !macro->space);
    if (asks && condition->kind != EXPR_DYN && condition->kind != EXPR_BOOL)
        return compile_fail(compiler, ast->items[1 + macro->names]->at,
                            "the condition of '%s' is %s, not bool", macro->name,
                            type_write(condition, type));
    return node;
}

static struct node *expand(struct compiler *compiler, const struct macro *macro, const struct ast *ast)
{
    for (uint32_t i = 1; i <= macro->names; i++)
        if (!is_name(ast->items[i]))
            return source_fail(compiler->source, ast->items[i]->at,
                               "the variable of '%s' must be a simple name", macro->name);
    if (macro->names == 2 && text_equal(ast->items[1]->name, ast->items[2]->name))
        return source_fail(compiler->source, ast->items[2]->at, "the variables of '%s' must differ",
                           macro->name);
    /* cel.bind(name, value, expression): the value is the "range" */
    uint32_t range = macro->space ? 2 : 0, first = macro->names + 1u + (macro->space ? 1 : 0);
    struct node *node = node_new(compiler, macro->eval, ast->at, NULL, 1 + ast->count - first);
    if (!node || !(node->items[0] = compile(compiler, ast->items[range])))
        return NULL;
    if (!compile_body(compiler, macro, ast, first, node))
        return NULL;
    if (types_are_checked(compiler) && !check(compiler, macro, ast, node))
        return NULL;
    node->sign = macro->name;
    node->loops = macro->gives != GIVES_LAST && macro->gives != GIVES_OPTIONAL;
    node->type = macro_type(compiler, macro, node);
    return node_finish(compiler, node);
}

struct node *compile_macro(struct compiler *compiler, const struct ast *ast, bool *ret_is_macro)
{
    *ret_is_macro = true;
    if (!ast->receiver && text_equal(ast->name, TEXT("has"))) {
        if (ast->count != 1 || ast->items[0]->kind != AST_SELECT)
            return source_fail(compiler->source, ast->at, "has() takes the selection of a field: has(a.b)");
        return compile_presence(compiler, ast->items[0]);
    }
    const struct macro *macro = macro_find(compiler, ast);
    if (macro)
        return expand(compiler, macro, ast);
    *ret_is_macro = false;
    return NULL;
}
