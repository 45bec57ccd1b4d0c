/* Operators: which operand types they take, what they give, and which node is the fastest for them. */
#include "expr/compare.h"
#include "expr/compiler.h"
#include "expr/map.h"

static bool may_be(const struct node *node, enum expr_type kind)
{
    return node->type->kind == EXPR_DYN || node->type->kind == kind;
}

static bool is_numeric(const struct type *type)
{
    return type->kind == EXPR_INT || type->kind == EXPR_UINT || type->kind == EXPR_DOUBLE;
}

static struct node *not_for(struct compiler *compiler, const struct ast *ast, const struct node *a,
                            const struct node *b)
{
    char left[64], right[64];
    const char *sign = operator_sign(ast->operator);
    if (!b)
        return compile_fail(compiler, ast->at, "'%s' is not defined for %s", sign, type_write(a->type, left));
    return compile_fail(compiler, ast->at, "'%s' is not defined for %s and %s", sign,
                        type_write(a->type, left), type_write(b->type, right));
}

/* &&, ||, !: all operands are conditions. */
static struct node *compile_logic(struct compiler *compiler, const struct ast *ast, node_eval *eval)
{
    struct node *node = node_with_items(compiler, eval, ast, type_of(EXPR_BOOL), 0);
    for (uint32_t i = 0; node && types_are_checked(compiler) && i < node->count; i++)
        if (!may_be(node->items[i], EXPR_BOOL))
            return not_for(compiler, ast, node->items[i], NULL);
    if (node)
        node->sign = operator_sign(ast->operator);
    return node_finish(compiler, node);
}

static struct node *compile_conditional(struct compiler *compiler, const struct ast *ast)
{
    struct node *node = node_with_items(compiler, eval_conditional, ast, NULL, 0);
    if (!node)
        return NULL;
    if (types_are_checked(compiler) && !may_be(node->items[0], EXPR_BOOL))
        return not_for(compiler, ast, node->items[0], NULL);
    node->type = type_join(node->items[1]->type, node->items[2]->type);
    node->sign = operator_sign(ast->operator);
    return node_finish(compiler, node);
}

static bool has_elements(const struct type *type)
{
    return type->kind == EXPR_LIST || type->kind == EXPR_MAP || type->kind == EXPR_OPTIONAL
           || type->kind == EXPR_DYN;
}

/* What comparing values of two types may cost beside the first look. */
static uint64_t elements_compared(const struct type *a, const struct type *b)
{
    return has_elements(a) && has_elements(b) ? ITEMS_USUAL : 0;
}

/* == and !=. Values of different types are never equal, so a comparison of such types is a mistake; null may be asked for. */
static struct node *compile_equality(struct compiler *compiler, const struct ast *ast)
{
    bool equal = ast->operator== OPERATOR_EQUAL;
    struct node *node =
        node_with_items(compiler, equal ? eval_equal : eval_unequal, ast, type_of(EXPR_BOOL), 0);
    if (!node)
        return NULL;
    const struct type *a = node->items[0]->type, *b = node->items[1]->type;
    bool sensible = type_may_equal(a, b) || a->kind == EXPR_NULL || b->kind == EXPR_NULL;
    if (types_are_checked(compiler) && !sensible)
        return not_for(compiler, ast, node->items[0], node->items[1]);
    node->sign = operator_sign(ast->operator);
    node->steps = 1 + elements_compared(a, b);
    if (!node_finish(compiler, node))
        return NULL;
    const struct node *right = node->items[1];
    if (node->varies && node_is_constant(right) && right->constant.kind == VALUE_STRING)
        node->eval = equal ? eval_equal_text : eval_unequal_text;
    return node;
}

static bool holds_less(int order)
{
    return order < 0;
}

static bool holds_less_equal(int order)
{
    return order <= 0;
}

static bool holds_greater(int order)
{
    return order > 0;
}

static bool holds_greater_equal(int order)
{
    return order >= 0;
}

static bool has_order(const struct type *type)
{
    static const uint32_t kinds = 1u << EXPR_DYN | 1u << EXPR_BOOL | 1u << EXPR_INT | 1u << EXPR_UINT
                                  | 1u << EXPR_DOUBLE | 1u << EXPR_STRING | 1u << EXPR_BYTES
                                  | 1u << EXPR_TIMESTAMP | 1u << EXPR_DURATION;
    return kinds >> type->kind & 1;
}

static struct node *compile_order(struct compiler *compiler, const struct ast *ast)
{
    struct node *node = node_with_items(compiler, eval_compare, ast, type_of(EXPR_BOOL), 0);
    if (!node)
        return NULL;
    const struct type *a = node->items[0]->type, *b = node->items[1]->type;
    bool sensible = has_order(a) && has_order(b) && type_may_equal(a, b);
    if (types_are_checked(compiler) && !sensible)
        return not_for(compiler, ast, node->items[0], node->items[1]);
    node->comparison.sign = operator_sign(ast->operator);
    node->comparison.holds = ast->operator== OPERATOR_LESS         ? holds_less
                             : ast->operator== OPERATOR_LESS_EQUAL ? holds_less_equal
                             : ast->operator== OPERATOR_GREATER    ? holds_greater
                                                                   : holds_greater_equal;
    return node_finish(compiler, node);
}

/* What + makes of two types, NULL: it is not defined. */
static const struct type *sum_type(const struct type *a, const struct type *b)
{
    static const uint32_t kinds = 1u << EXPR_INT | 1u << EXPR_UINT | 1u << EXPR_DOUBLE | 1u << EXPR_STRING
                                  | 1u << EXPR_BYTES | 1u << EXPR_LIST | 1u << EXPR_DURATION;
    if (a->kind == EXPR_DYN || b->kind == EXPR_DYN) {
        const struct type *known = a->kind == EXPR_DYN ? b : a;
        if (known->kind == EXPR_DYN
            || known->kind == EXPR_DURATION) /* a dynamic one may be an instant beside a span */
            return type_of(EXPR_DYN);
        if (known->kind == EXPR_LIST || known->kind == EXPR_TIMESTAMP)
            return type_of(known->kind);
        return kinds >> known->kind & 1 ? known : NULL;
    }
    bool instant = (a->kind == EXPR_TIMESTAMP && b->kind == EXPR_DURATION)
                   || (a->kind == EXPR_DURATION && b->kind == EXPR_TIMESTAMP);
    if (instant)
        return type_of(EXPR_TIMESTAMP);
    return a->kind == b->kind && kinds >> a->kind & 1 ? type_join(a, b) : NULL;
}

static struct node *compile_sum(struct compiler *compiler, const struct ast *ast)
{
    struct node *node = node_with_items(compiler, eval_add, ast, NULL, 0);
    if (!node)
        return NULL;
    node->type = node->items[0]->type;
    bool texts = node->type->kind == EXPR_STRING;
    for (uint32_t i = 1; i < node->count; i++) {
        const struct type *sum = sum_type(node->type, node->items[i]->type);
        if (!sum && types_are_checked(compiler)) {
            struct node left = {.type = node->type};
            return not_for(compiler, ast, &left, node->items[i]);
        }
        node->type = sum ? sum : type_of(EXPR_DYN);
        texts |= node->items[i]->type->kind == EXPR_STRING;
    }
    if (texts)
        node->eval = eval_concat;
    node->sign = operator_sign(ast->operator);
    return node_finish(compiler, node);
}

/* What -, *, / and % make of two types, NULL: it is not defined. */
static const struct type *product_type(enum operator operator, const struct type * a, const struct type *b)
{
    bool minus = operator== OPERATOR_SUBTRACT, modulo = operator== OPERATOR_MODULO;
    const struct type *known = a->kind == EXPR_DYN ? b : a;
    if (known->kind == EXPR_DYN)
        return known;
    if (minus && a->kind == EXPR_TIMESTAMP)
        return b->kind == EXPR_TIMESTAMP  ? type_of(EXPR_DURATION)
               : b->kind == EXPR_DURATION ? a
               : b->kind == EXPR_DYN      ? b
                                          : NULL;
    if (minus && b->kind == EXPR_TIMESTAMP)
        return a->kind == EXPR_DYN ? type_of(EXPR_DURATION) : NULL;
    if (minus && b->kind == EXPR_DURATION)
        return a->kind == EXPR_DYN ? a : a->kind == EXPR_DURATION ? a : NULL;
    if (minus && a->kind == EXPR_DURATION)
        return b->kind == EXPR_DYN ? a : NULL;
    bool defined =
        known->kind == EXPR_INT || known->kind == EXPR_UINT || (known->kind == EXPR_DOUBLE && !modulo);
    return defined && type_may_be(a, b) ? known : NULL;
}

static struct node *compile_product(struct compiler *compiler, const struct ast *ast, node_eval *eval)
{
    struct node *node = node_with_items(compiler, eval, ast, NULL, 0);
    if (!node)
        return NULL;
    node->type = product_type(ast->operator, node->items[0]->type, node->items[1]->type);
    if (!node->type && types_are_checked(compiler))
        return not_for(compiler, ast, node->items[0], node->items[1]);
    node->type = node->type ? node->type : type_of(EXPR_DYN);
    node->sign = operator_sign(ast->operator);
    return node_finish(compiler, node);
}

static struct node *compile_negate(struct compiler *compiler, const struct ast *ast)
{
    struct node *node = node_with_items(compiler, eval_negate, ast, NULL, 0);
    if (!node)
        return NULL;
    node->type = node->items[0]->type;
    if (types_are_checked(compiler) && !may_be(node->items[0], EXPR_INT)
        && !may_be(node->items[0], EXPR_DOUBLE))
        return not_for(compiler, ast, node->items[0], NULL);
    node->sign = operator_sign(ast->operator);
    return node_finish(compiler, node);
}

/* The type of an element, NULL: it has none, or none by such an index. */
static const struct type *element_type(struct compiler *compiler, const struct type *target,
                                       const struct type *index)
{
    if (target->kind == EXPR_DYN)
        return target;
    if (target->kind == EXPR_LIST)
        return index->kind == EXPR_DYN || is_numeric(index) ? target->item : NULL;
    if (target->kind == EXPR_MAP)
        return type_may_equal(target->key, index) ? target->item : NULL;
    if (target->kind != EXPR_OPTIONAL)
        return NULL;
    const struct type *inner = element_type(compiler, target->item, index);
    return inner ? type_optional(compiler->arena, inner) : NULL;
}

static struct node *compile_index(struct compiler *compiler, const struct ast *ast)
{
    bool optional = ast->operator== OPERATOR_INDEX_OPTIONAL;
    struct node *node = node_with_items(compiler, optional ? eval_index_optional : eval_index, ast, NULL, 0);
    if (!node)
        return NULL;
    const struct type *target = node->items[0]->type,
                      *item = element_type(compiler, target, node->items[1]->type);
    if (!item && types_are_checked(compiler))
        return not_for(compiler, ast, node->items[0], node->items[1]);
    item = item ? item : type_of(EXPR_DYN);
    node->type = optional && target->kind != EXPR_OPTIONAL ? type_optional(compiler->arena, item) : item;
    if (!node_finish(compiler, node))
        return NULL;
    const struct node *index = node->items[1];
    if (node_is_constant(index) && index->constant.kind == VALUE_STRING) { /* as quick as a field */
        node->eval = optional ? eval_select_optional : eval_select;
        node->name = index->constant.text;
    }
    return node;
}

/* A constant list of keys is asked as a map: one look-up, however long it is. */
static bool list_to_map(struct compiler *compiler, struct node *list)
{
    enum { FEW = 6 };
    if (!node_is_constant(list) || list->constant.kind != VALUE_LIST || list->constant.list->count < FEW)
        return true;
    struct map *map = map_new(compiler->arena, list->constant.list->count);
    for (size_t i = 0; map && i < list->constant.list->count; i++) {
        enum map_put put = map_put(map, list->constant.list->items[i], value_null(), true, compiler->arena);
        if (put == MAP_BAD_KEY)
            return true;
        if (put != MAP_PUT)
            map = NULL;
    }
    if (!map)
        return source_fail_memory(compiler->source);
    list->constant = value_of_map(&map->map);
    return true;
}

static struct node *compile_in(struct compiler *compiler, const struct ast *ast)
{
    struct node *node = node_with_items(compiler, eval_in, ast, type_of(EXPR_BOOL), 0);
    if (!node)
        return NULL;
    const struct type *item = node->items[0]->type, *in = node->items[1]->type;
    const struct type *member = in->kind == EXPR_LIST ? in->item : in->kind == EXPR_MAP ? in->key : NULL;
    bool sensible = in->kind == EXPR_DYN || (member && type_may_equal(item, member));
    if (types_are_checked(compiler) && !sensible)
        return not_for(compiler, ast, node->items[0], node->items[1]);
    node->steps =
        in->kind == EXPR_MAP ? 0 : ITEMS_USUAL * (1 + elements_compared(item, member ? member : item));
    return node_finish(compiler, node) && list_to_map(compiler, (struct node *)node->items[1]) ? node : NULL;
}

struct node *compile_operator(struct compiler *compiler, const struct ast *ast)
{
    switch (ast->operator) {
    case OPERATOR_OR: return compile_logic(compiler, ast, eval_or);
    case OPERATOR_AND: return compile_logic(compiler, ast, eval_and);
    case OPERATOR_NOT: return compile_logic(compiler, ast, eval_not);
    case OPERATOR_EQUAL:
    case OPERATOR_UNEQUAL: return compile_equality(compiler, ast);
    case OPERATOR_LESS:
    case OPERATOR_LESS_EQUAL:
    case OPERATOR_GREATER:
    case OPERATOR_GREATER_EQUAL: return compile_order(compiler, ast);
    case OPERATOR_IN: return compile_in(compiler, ast);
    case OPERATOR_ADD: return compile_sum(compiler, ast);
    case OPERATOR_SUBTRACT: return compile_product(compiler, ast, eval_subtract);
    case OPERATOR_MULTIPLY: return compile_product(compiler, ast, eval_multiply);
    case OPERATOR_DIVIDE: return compile_product(compiler, ast, eval_divide);
    case OPERATOR_MODULO: return compile_product(compiler, ast, eval_modulo);
    case OPERATOR_NEGATE: return compile_negate(compiler, ast);
    case OPERATOR_CONDITIONAL: return compile_conditional(compiler, ast);
    case OPERATOR_INDEX:
    case OPERATOR_INDEX_OPTIONAL: return compile_index(compiler, ast);
    }
    UNREACHABLE();
}
