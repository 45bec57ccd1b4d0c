/* Macros: calls whose arguments are not all evaluated, or evaluated with variables bound. */
#include <stdio.h>

#include "expr/compiler.h"
#include "expr/function.h"

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
    bool asks;                           /* the first expression is a condition, also of two */
    const char *usage, *about, *example; /* for people: see expr.h */
};

static const struct macro macros[] = {
    {NULL, "all", 1, 1, 1, eval_all, GIVES_BOOL, true, "range.all(x, condition) -> bool",
     "Whether the condition holds for every element of a list or key of a map; an element that it holds not for decides, whatever fails beside it.",
     "[1, 2].all(x, x > 0) => true"},
    {NULL, "all", 2, 1, 1, eval_all, GIVES_BOOL, true, "range.all(i, x, condition) -> bool",
     "The same with index and element of a list, or key and value of a map.",
     "{'a': 1}.all(k, v, k == 'a' && v == 1) => true"},
    {NULL, "exists", 1, 1, 1, eval_exists, GIVES_BOOL, true, "range.exists(x, condition) -> bool",
     "Whether the condition holds for an element of a list or key of a map; one that it holds for decides, whatever fails beside it.",
     "['a', 'b'].exists(x, x == 'b') => true"},
    {NULL, "exists", 2, 1, 1, eval_exists, GIVES_BOOL, true, "range.exists(i, x, condition) -> bool",
     "The same with index and element of a list, or key and value of a map.",
     "[7, 8].exists(i, x, i == 1 && x == 8) => true"},
    {NULL, "exists_one", 1, 1, 1, eval_exists_one, GIVES_BOOL, true, "range.exists_one(x, condition) -> bool",
     "Whether the condition holds for exactly one element of a list or key of a map.",
     "[1, 2, 2].exists_one(x, x == 2) => false"},
    {NULL, "exists_one", 2, 1, 1, eval_exists_one, GIVES_BOOL, true,
     "range.exists_one(i, x, condition) -> bool",
     "The same with index and element of a list, or key and value of a map.",
     "[1, 2, 2].exists_one(i, x, i == x) => true"},
    {NULL, "existsOne", 1, 1, 1, eval_exists_one, GIVES_BOOL, true, "range.existsOne(x, condition) -> bool",
     "Another name of exists_one.", "[1, 2].existsOne(x, x == 2) => true"},
    {NULL, "existsOne", 2, 1, 1, eval_exists_one, GIVES_BOOL, true,
     "range.existsOne(i, x, condition) -> bool", "Another name of exists_one.",
     "[1, 2].existsOne(i, x, i == 0) => true"},
    {NULL, "map", 1, 1, 2, eval_map_macro, GIVES_LIST, false, "range.map(x, expression) -> list",
     "What the expression makes of each element of a list or key of a map; map(x, condition, expression) takes those that the condition holds for.",
     "[1, 2, 3].map(x, x != 2, x * 10) => [10, 30]"},
    {NULL, "filter", 1, 1, 1, eval_filter, GIVES_SAME_LIST, true, "range.filter(x, condition) -> list",
     "The elements of a list or keys of a map that the condition holds for.",
     "[1, 2, 3].filter(x, x > 1) => [2, 3]"},
    {NULL, "sortBy", 1, 1, 1, eval_sort_by, GIVES_SAME_LIST, false, "list.sortBy(x, key) -> list",
     "The elements in ascending order of the key that the expression makes of each.",
     "['ccc', 'a', 'bb'].sortBy(x, size(x)) => [\"a\", \"bb\", \"ccc\"]"},
    {NULL, "transformList", 2, 1, 2, eval_transform_list, GIVES_LIST, false,
     "range.transformList(i, x, expression) -> list",
     "As map, with index and element of a list or key and value of a map; a condition may stand before the expression.",
     "['a', 'b'].transformList(i, x, x + string(i)) => [\"a0\", \"b1\"]"},
    {NULL, "transformMap", 2, 1, 2, eval_transform_map, GIVES_MAP, false,
     "range.transformMap(k, v, expression) -> map",
     "A map with the same keys (of a list: the indexes) and what the expression makes of each value; a condition may stand before it.",
     "{'a': 1, 'b': 2}.transformMap(k, v, v > 1, v * 10) => {\"b\": 20}"},
    {NULL, "transformMapEntry", 2, 1, 2, eval_transform_entries, GIVES_ENTRIES, false,
     "range.transformMapEntry(k, v, map) -> map",
     "The entries of the maps that the expression makes, in one map; a repeated key is an error.",
     "{'a': 'x'}.transformMapEntry(k, v, {v: k}) => {\"x\": \"a\"}"},
    {NULL, "optMap", 1, 1, 1, eval_opt_map, GIVES_OPTIONAL, false,
     "optional.optMap(x, expression) -> optional",
     "What the expression makes of the value of an optional, as an optional; none stays none.",
     "optional.of(2).optMap(x, x * 2) => optional.of(4)"},
    {NULL, "optFlatMap", 1, 1, 1, eval_opt_flat_map, GIVES_LAST, false,
     "optional.optFlatMap(x, optional) -> optional",
     "The same of an expression that gives an optional itself.",
     "optional.of({'a': 1}).optFlatMap(m, m.?b) => optional.none()"},
    {"cel", "bind", 1, 2, 2, eval_bind, GIVES_LAST, false, "cel.bind(x, value, expression) -> any",
     "The expression with a variable that is evaluated once.", "cel.bind(x, 2 + 3, x * x) => 25"},
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
    if (macro->gives == GIVES_ENTRIES || macro->eval == eval_sort_by)
        node->steps = 2 * ITEMS_USUAL; /* to put entries, to sort */
    return node_finish(compiler, node);
}

static bool is_macro_name(const struct macro *macro, const struct ast *ast)
{
    const struct ast *space = ast->receiver ? ast->items[0] : NULL;
    bool is_space =
        space && space->kind == AST_NAME && macro->space && text_equal(space->name, text_of(macro->space));
    return text_equal(ast->name, text_of(macro->name)) && (!macro->space || is_space);
}

const char *macro_usage(const struct ast *ast)
{
    for (size_t i = 0; i < COUNT_OF(macros); i++)
        if (is_macro_name(&macros[i], ast))
            return macros[i].usage;
    return NULL;
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

void macros_each(expr_function_row *row, void *context)
{
    static const char group[] = "Macros";
    char name[32];
    row(context, &(struct expr_function){group, "has", TEXT("has(map.field) -> bool"), false,
                                         "Whether a map has such an entry, or an attribute a value.",
                                         "has({'a': 1}.b) => false"});
    for (size_t i = 0; i < COUNT_OF(macros); i++) {
        const struct macro *macro = &macros[i];
        snprintf(name, sizeof name, "%s%s%s", macro->space ? macro->space : "", macro->space ? "." : "",
                 macro->name);
        row(context, &(struct expr_function){group, name, text_of(macro->usage), !macro->space, macro->about,
                                             macro->example});
    }
}
