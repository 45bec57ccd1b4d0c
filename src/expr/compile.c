/* Names, selections, literals: the trunk of the walk from the tree to nodes. */
#include "expr/compiler.h"

#include "expr/function.h"

struct text chain_text(const struct ast *ast, char to[256])
{
    size_t at = 256;
    for (;; ast = ast->items[0]) {
        bool last = ast->kind == AST_NAME;
        if ((!last && (ast->kind != AST_SELECT || ast->optional)) || ast->name.size + 1 > at)
            return TEXT("");
        at -= ast->name.size;
        memcpy(to + at, ast->name.at, ast->name.size);
        if (last)
            return (struct text){to + at, 256 - at};
        to[--at] = '.';
    }
}

/* The name at the root of a chain of selections; NULL: it is none. */
static const struct ast *chain_root(const struct ast *ast)
{
    while (ast->kind == AST_SELECT && !ast->optional)
        ast = ast->items[0];
    return ast->kind == AST_NAME ? ast : NULL;
}

const struct scope *scope_find(const struct compiler *compiler, struct text name)
{
    for (const struct scope *scope = compiler->scope; scope; scope = scope->outer)
        if (text_equal(scope->name, name))
            return scope;
    return NULL;
}

static const struct expr_attribute *attribute_find(const struct compiler *compiler, struct text name)
{
    const struct expr_environment *environment = compiler->environment;
    for (size_t i = 0; i < environment->count; i++)
        if (text_equal(text_of(environment->attributes[i].name), name))
            return &environment->attributes[i];
    return NULL;
}

/* The attribute that a whole chain names. Variables of macros hide attributes; a leading dot looks past them. */
static const struct expr_attribute *chain_attribute(const struct compiler *compiler, const struct ast *ast)
{
    char buffer[256];
    const struct ast *root = chain_root(ast);
    if (!root || (!root->rooted && scope_find(compiler, root->name)))
        return NULL;
    struct text name = chain_text(ast, buffer);
    return name.size ? attribute_find(compiler, name) : NULL;
}

static struct node *constant_new(struct compiler *compiler, size_t at, struct value value,
                                 const struct type *type)
{
    struct node *node = node_new(compiler, eval_constant, at, type, 0);
    if (node) {
        node->constant = value;
        node->steps = 1;
    }
    return node;
}

static struct node *compile_literal(struct compiler *compiler, const struct ast *ast)
{
    static const enum expr_type types[] = {
        [VALUE_NULL] = EXPR_NULL,   [VALUE_BOOL] = EXPR_BOOL,     [VALUE_INT] = EXPR_INT,
        [VALUE_UINT] = EXPR_UINT,   [VALUE_DOUBLE] = EXPR_DOUBLE, [VALUE_STRING] = EXPR_STRING,
        [VALUE_BYTES] = EXPR_BYTES,
    };
    return constant_new(compiler, ast->at, ast->literal, type_of(types[ast->literal.kind]));
}

/* What an attribute's declaration says of its type. */
static const struct type *attribute_type(struct compiler *compiler, const struct expr_attribute *attribute)
{
    if (attribute->type == EXPR_MAP)
        return type_map(compiler->arena, type_of(EXPR_STRING), type_of(attribute->item));
    return attribute->type == EXPR_LIST ? type_list(compiler->arena, type_of(attribute->item))
                                        : type_of(attribute->type);
}

static struct node *attribute_new(struct compiler *compiler, node_eval *eval, const struct ast *ast,
                                  const struct expr_attribute *attribute, const struct type *type)
{
    struct node *node = node_new(compiler, eval, ast->at, type, 0);
    if (!node)
        return NULL;
    node->varies = true;
    node->steps = 1;
    node->attribute.name = text_of(attribute->name);
    node->attribute.id = attribute->id;
    node->attribute.bits = type_bits(attribute->type);
    if (attribute->id < 256)
        compiler->expr->uses[attribute->id / 64] |= 1ull << attribute->id % 64;
    else
        compiler->expr->uses_large = true;
    return node;
}

static struct node *slot_new(struct compiler *compiler, const struct ast *ast, const struct scope *scope)
{
    struct node *node = node_new(compiler, eval_slot, ast->at, scope->type, 0);
    if (!node)
        return NULL;
    node->slot = scope->slot;
    node->needs = 1ull << scope->slot;
    node->steps = 1;
    return node;
}

/* Types as values, by the names that type() gives. */
static bool is_type_name(struct text name, struct value *ret_value)
{
    static const struct text names[] = {
        TEXT_INIT("bool"),          TEXT_INIT("bytes"),
        TEXT_INIT("double"),        TEXT_INIT("int"),
        TEXT_INIT("uint"),          TEXT_INIT("string"),
        TEXT_INIT("list"),          TEXT_INIT("map"),
        TEXT_INIT("null_type"),     TEXT_INIT("type"),
        TEXT_INIT("dyn"),           TEXT_INIT("google.protobuf.Timestamp"),
        TEXT_INIT("optional_type"), TEXT_INIT("google.protobuf.Duration"),
        TEXT_INIT("net.IP"),        TEXT_INIT("net.CIDR"),
    };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (text_equal(names[i], name)) {
            *ret_value = (struct value){.kind = VALUE_TYPE, .text = names[i]};
            return true;
        }
    }
    return false;
}

/* The declared attribute that is nearest to what was written, if one is near. */
static const char *attribute_nearest(const struct compiler *compiler, struct text name)
{
    const char *nearest = NULL;
    unsigned best = name.size < 6 ? 2 : 4; /* below which an edit distance is a near miss */
    for (size_t i = 0; i < compiler->environment->count; i++) {
        const char *candidate = compiler->environment->attributes[i].name;
        unsigned distance = text_distance(name, text_of(candidate), best);
        if (distance < best) {
            best = distance;
            nearest = candidate;
        }
    }
    return nearest;
}

/* An attribute below a name that was written alone: "request" has "request.path". */
static const char *attribute_below(const struct compiler *compiler, struct text name)
{
    for (size_t i = 0; i < compiler->environment->count; i++) {
        struct text candidate = text_of(compiler->environment->attributes[i].name);
        if (candidate.size > name.size && text_starts_with(candidate, name) && candidate.at[name.size] == '.')
            return candidate.at;
    }
    return NULL;
}

static struct node *unknown_name(struct compiler *compiler, const struct ast *ast)
{
    char buffer[256];
    const struct ast *chain = compiler->chain ? compiler->chain : ast;
    struct text name = chain_text(chain, buffer);
    if (!name.size)
        name = ast->name;
    const char *nearest = attribute_nearest(compiler, name);
    if (!nearest && chain != ast)
        nearest = attribute_nearest(compiler, ast->name);
    const char *below = nearest ? NULL : attribute_below(compiler, ast->name);
    size_t at = below && chain != ast ? chain->at : ast->at;
    if (nearest)
        return compile_fail(compiler, at, "unknown attribute '%.*s'; did you mean '%s'?", TEXT_ARGS(name),
                            nearest);
    if (below)
        return compile_fail(compiler, at, "unknown attribute '%.*s'; there is '%s', for example",
                            TEXT_ARGS(name), below);
    return compile_fail(compiler, at, "unknown attribute '%.*s'", TEXT_ARGS(name));
}

static struct node *compile_name(struct compiler *compiler, const struct ast *ast)
{
    const struct scope *scope = ast->rooted ? NULL : scope_find(compiler, ast->name);
    if (scope)
        return slot_new(compiler, ast, scope);
    const struct expr_attribute *attribute = chain_attribute(compiler, ast);
    if (attribute)
        return attribute_new(compiler, eval_attribute, ast, attribute, attribute_type(compiler, attribute));
    struct value type;
    if (is_type_name(ast->name, &type))
        return constant_new(compiler, ast->at, type, type_of(EXPR_TYPE));
    if (text_equal(ast->name, TEXT("now"))) {
        struct node *node = node_new(compiler, eval_now, ast->at, type_of(EXPR_TIMESTAMP), 0);
        if (node) {
            node->varies = true;
            node->steps = 1;
        }
        return node;
    }
    return unknown_name(compiler, ast);
}

/* The type of a field of a value; NULL: such a value has no fields. */
static const struct type *field_type(struct compiler *compiler, const struct type *target)
{
    if (target->kind == EXPR_DYN)
        return target;
    if (target->kind == EXPR_MAP)
        return type_may_be(target->key, type_of(EXPR_STRING)) ? target->item : NULL;
    if (target->kind != EXPR_OPTIONAL)
        return NULL;
    const struct type *inner = field_type(compiler, target->item);
    return inner ? type_optional(compiler->arena, inner) : NULL;
}

static struct node *no_fields(struct compiler *compiler, const struct ast *ast, const struct node *target)
{
    char type[64];
    return compile_fail(compiler, ast->at, "%s has no field '%.*s'", type_write(target->type, type),
                        TEXT_ARGS(ast->name));
}

static struct node *compile_select(struct compiler *compiler, const struct ast *ast)
{
    const struct ast *outer = compiler->chain;
    const struct expr_attribute *attribute = ast->optional ? NULL : chain_attribute(compiler, ast);
    if (attribute)
        return attribute_new(compiler, eval_attribute, ast, attribute, attribute_type(compiler, attribute));
    char buffer[256];
    struct value type;
    if (!ast->optional && is_type_name(chain_text(ast, buffer), &type))
        return constant_new(compiler, ast->at, type, type_of(EXPR_TYPE));
    if (!outer && chain_root(ast))
        compiler->chain = ast;
    struct node *target = compile(compiler, ast->items[0]);
    compiler->chain = outer;
    if (!target)
        return NULL;
    const struct type *field = field_type(compiler, target->type);
    if (!field && types_are_checked(compiler))
        return no_fields(compiler, ast, target);
    field = field ? field : type_of(EXPR_DYN);
    bool wraps = ast->optional && target->type->kind != EXPR_OPTIONAL;
    if (wraps)
        field = type_optional(compiler->arena, field);
    struct node *node =
        node_new(compiler, ast->optional ? eval_select_optional : eval_select, ast->at, field, 1);
    if (!node)
        return NULL;
    node->items[0] = target;
    node->name = ast->name;
    return node_finish(compiler, node);
}

struct node *compile_presence(struct compiler *compiler, const struct ast *ast)
{
    const struct expr_attribute *attribute = ast->optional ? NULL : chain_attribute(compiler, ast);
    if (attribute)
        return attribute_new(compiler, eval_has_attribute, ast, attribute, type_of(EXPR_BOOL));
    struct node *node = node_with_items(compiler, eval_has, ast, type_of(EXPR_BOOL), 0);
    if (!node)
        return NULL;
    if (!field_type(compiler, node->items[0]->type) && types_are_checked(compiler))
        return no_fields(compiler, ast, node->items[0]);
    node->name = ast->name;
    return node_finish(compiler, node);
}

/* What an element marked "?" holds. */
static const struct type *element_type(const struct ast *ast, const struct node *node, uint32_t item,
                                       uint32_t marked)
{
    const struct type *type = node->items[item]->type;
    bool optional = ast->item_optional && ast->item_optional[marked];
    return optional ? (type->kind == EXPR_OPTIONAL ? type->item : type_of(EXPR_DYN)) : type;
}

/* Which elements are marked "?", where the tree is gone. False: no memory. */
static bool keep_marks(struct compiler *compiler, const struct ast *ast, struct node *node)
{
    if (!ast->item_optional)
        return true;
    bool *marks = arena_alloc(compiler->arena, ast->count * sizeof *marks);
    node->optional = marks;
    return marks ? memcpy(marks, ast->item_optional, ast->count * sizeof *marks)
                 : source_fail_memory(compiler->source);
}

static struct node *compile_list(struct compiler *compiler, const struct ast *ast)
{
    struct node *node = node_with_items(compiler, eval_list, ast, NULL, 0);
    const struct type *item = type_of(EXPR_DYN);
    for (uint32_t i = 0; node && i < node->count; i++) {
        const struct type *type = element_type(ast, node, i, i);
        item = i ? type_join(item, type) : type;
    }
    if (!node)
        return NULL;
    if (!keep_marks(compiler, ast, node))
        return NULL;
    node->type = type_list(compiler->arena, item);
    return node_finish(compiler, node);
}

static struct node *compile_map(struct compiler *compiler, const struct ast *ast)
{
    struct node *node = node_with_items(compiler, eval_map, ast, NULL, 0);
    const struct type *key = type_of(EXPR_DYN), *item = key;
    for (uint32_t i = 0; node && i < node->count; i += 2) {
        const struct type *type = element_type(ast, node, i + 1, i);
        key = i ? type_join(key, node->items[i]->type) : node->items[i]->type;
        item = i ? type_join(item, type) : type;
    }
    if (!node)
        return NULL;
    if (!keep_marks(compiler, ast, node))
        return NULL;
    node->type = type_map(compiler->arena, key, item);
    return node_finish(compiler, node);
}

struct node *compile(struct compiler *compiler, const struct ast *ast)
{
    const struct ast *chain = compiler->chain;
    if (ast->kind != AST_SELECT && ast->kind != AST_NAME)
        compiler->chain = NULL;
    struct node *node = NULL;
    switch (ast->kind) {
    case AST_LITERAL: node = compile_literal(compiler, ast); break;
    case AST_NAME: node = compile_name(compiler, ast); break;
    case AST_SELECT: node = compile_select(compiler, ast); break;
    case AST_CALL: node = compile_call(compiler, ast); break;
    case AST_OPERATOR: node = compile_operator(compiler, ast); break;
    case AST_LIST: node = compile_list(compiler, ast); break;
    case AST_MAP: node = compile_map(compiler, ast); break;
    case AST_INTERPOLATE:
        node =
            node_finish(compiler, node_with_items(compiler, eval_interpolate, ast, type_of(EXPR_STRING), 0));
        break;
    }
    compiler->chain = chain;
    return node;
}
