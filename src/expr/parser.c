/* Tokens to a tree: one token ahead, precedence climbing, a limit on how deep it goes. Chains of ||, && and + become one node each,
 * so that a long condition is wide and not deep. */
#include "base/check.h"
#include "expr/ast.h"

struct parser {
    struct source *source;
    struct token token; /* the next one */
    size_t end;         /* of the last one taken */
    unsigned nesting;
};

static struct ast *parse_expression(struct parser *parser);
static struct ast *parse_unary(struct parser *parser);

const char *operator_sign(enum operator operator)
{
    static const char *const of[] = {
        [OPERATOR_OR] = "||",
        [OPERATOR_AND] = "&&",
        [OPERATOR_EQUAL] = "==",
        [OPERATOR_UNEQUAL] = "!=",
        [OPERATOR_LESS] = "<",
        [OPERATOR_LESS_EQUAL] = "<=",
        [OPERATOR_GREATER] = ">",
        [OPERATOR_GREATER_EQUAL] = ">=",
        [OPERATOR_IN] = "in",
        [OPERATOR_ADD] = "+",
        [OPERATOR_SUBTRACT] = "-",
        [OPERATOR_MULTIPLY] = "*",
        [OPERATOR_DIVIDE] = "/",
        [OPERATOR_MODULO] = "%",
        [OPERATOR_NOT] = "!",
        [OPERATOR_NEGATE] = "-",
        [OPERATOR_CONDITIONAL] = "?:",
        [OPERATOR_INDEX] = "[]",
        [OPERATOR_INDEX_OPTIONAL] = "[?]",
    };
    return of[operator];
}

struct ast *ast_new(struct source *source, enum ast_kind kind, size_t at, uint32_t capacity)
{
    struct ast *ast = ARENA_NEW(source->scratch, struct ast);
    struct ast **items = capacity ? arena_array(source->scratch, capacity, sizeof(struct ast *)) : NULL;
    if (!ast || (capacity && !items))
        return source_fail_memory(source);
    ast->kind = kind;
    ast->at = (uint32_t)at;
    ast->depth = 1;
    ast->capacity = capacity;
    ast->items = items;
    return ast;
}

static bool grow(struct source *source, struct ast *ast)
{
    uint32_t capacity = ast->capacity ? 2 * ast->capacity : 4;
    struct ast **items = arena_array(source->scratch, capacity, sizeof(struct ast *));
    bool *optional = ast->item_optional ? arena_array(source->scratch, capacity, sizeof(bool)) : NULL;
    if (!items || (ast->item_optional && !optional))
        return source_fail_memory(source);
    if (ast->count)
        memcpy(items, ast->items, ast->count * sizeof(struct ast *));
    if (optional && ast->count)
        memcpy(optional, ast->item_optional, ast->count * sizeof(bool));
    ast->items = items;
    ast->item_optional = optional;
    ast->capacity = capacity;
    return true;
}

bool ast_append(struct source *source, struct ast *ast, struct ast *item, bool optional)
{
    if (ast->count == ast->capacity && !grow(source, ast))
        return false;
    if (optional && !ast->item_optional) {
        ast->item_optional = arena_array(source->scratch, ast->capacity, sizeof(bool));
        if (!ast->item_optional)
            return source_fail_memory(source);
    }
    if (ast->item_optional)
        ast->item_optional[ast->count] = optional;
    ast->items[ast->count++] = item;
    ast->depth = MAX_OF(ast->depth, item->depth + 1);
    if (ast->depth > PARSER_DEPTH_MAX)
        return source_fail(source, ast->at, "the expression is nested more than %d deep", PARSER_DEPTH_MAX);
    return true;
}

static void advance(struct parser *parser)
{
    parser->end = parser->token.end;
    parser->token = lexer_next(parser->source, parser->token.end, false);
}

static bool take(struct parser *parser, enum token_kind kind)
{
    if (parser->token.kind != kind)
        return false;
    advance(parser);
    return true;
}

static void *unexpected(struct parser *parser, const char *wanted)
{
    const struct token *token = &parser->token;
    struct text found = text_slice(parser->source->text, token->at, MIN_OF(token->end, token->at + 40));
    if (token->kind == TOKEN_END)
        return source_fail(parser->source, token->at, "the expression ends where %s should follow", wanted);
    if (token->kind == TOKEN_RESERVED)
        return source_fail(parser->source, token->at, "'%.*s' is a reserved word", TEXT_ARGS(found));
    return source_fail(parser->source, token->at, "'%.*s' stands where %s should", TEXT_ARGS(found), wanted);
}

static bool expect(struct parser *parser, enum token_kind kind, const char *wanted)
{
    return take(parser, kind) || unexpected(parser, wanted);
}

static bool enter(struct parser *parser)
{
    if (++parser->nesting > PARSER_NESTING_MAX)
        return source_fail(parser->source, parser->token.at, "more than %d levels of nesting",
                           PARSER_NESTING_MAX);
    return true;
}

/* Expressions up to a closing token, separated by commas, appended to `to`; "?" before one marks it where that is allowed. */
static bool parse_items(struct parser *parser, struct ast *to, enum token_kind close, bool trailing_comma,
                        bool optional)
{
    while (parser->token.kind != close) {
        bool marked = optional && take(parser, TOKEN_QUESTION);
        struct ast *item = parse_expression(parser);
        if (!item || !ast_append(parser->source, to, item, marked))
            return false;
        if (!take(parser, TOKEN_COMMA))
            break;
        if (parser->token.kind == close && !trailing_comma)
            return unexpected(parser, "an expression");
    }
    return expect(parser, close, close == TOKEN_CLOSE ? "')' or ','" : "']' or ','");
}

static struct ast *parse_list(struct parser *parser)
{
    struct ast *list = ast_new(parser->source, AST_LIST, parser->token.at, 4);
    advance(parser);
    if (!list || !parse_items(parser, list, TOKEN_CLOSE_BRACKET, true, true))
        return NULL;
    return list;
}

static struct ast *parse_map(struct parser *parser)
{
    struct ast *map = ast_new(parser->source, AST_MAP, parser->token.at, 4);
    advance(parser);
    while (map && parser->token.kind != TOKEN_CLOSE_BRACE) {
        bool optional = take(parser, TOKEN_QUESTION);
        struct ast *key = parse_expression(parser);
        if (!key || !expect(parser, TOKEN_COLON, "':' after the key"))
            return NULL;
        struct ast *item = parse_expression(parser);
        if (!item || !ast_append(parser->source, map, key, optional)
            || !ast_append(parser->source, map, item, false))
            return NULL;
        if (!take(parser, TOKEN_COMMA))
            break;
    }
    return map && expect(parser, TOKEN_CLOSE_BRACE, "'}' or ','") ? map : NULL;
}

/* A name or the call of a function without receiver; the token is the name. */
static struct ast *parse_name(struct parser *parser, bool rooted)
{
    struct token name = parser->token;
    advance(parser);
    struct ast *ast = ast_new(parser->source, AST_NAME, name.at, 0);
    if (!ast)
        return NULL;
    ast->name = name.name;
    ast->rooted = rooted;
    if (take(parser, TOKEN_OPEN)) {
        ast->kind = AST_CALL;
        return parse_items(parser, ast, TOKEN_CLOSE, false, false) ? ast : NULL;
    }
    return ast;
}

static struct ast *parse_literal(struct parser *parser, struct value value)
{
    struct ast *ast = ast_new(parser->source, AST_LITERAL, parser->token.at, 0);
    if (ast)
        ast->literal = value;
    advance(parser);
    return ast;
}

static struct ast *parse_parenthesis(struct parser *parser)
{
    advance(parser);
    struct ast *inner = parse_expression(parser);
    return inner && expect(parser, TOKEN_CLOSE, "')'") ? inner : NULL;
}

static struct ast *parse_primary(struct parser *parser)
{
    enum token_kind kind = parser->token.kind;
    if (kind == TOKEN_NAME)
        return parse_name(parser, false);
    if (kind == TOKEN_LITERAL)
        return parse_literal(parser, parser->token.value);
    if (kind == TOKEN_TRUE || kind == TOKEN_FALSE)
        return parse_literal(parser, value_bool(kind == TOKEN_TRUE));
    if (kind == TOKEN_NULL)
        return parse_literal(parser, value_null());
    if (kind == TOKEN_OPEN)
        return parse_parenthesis(parser);
    if (kind == TOKEN_OPEN_BRACKET)
        return parse_list(parser);
    if (kind == TOKEN_OPEN_BRACE)
        return parse_map(parser);
    if (take(parser, TOKEN_DOT) && parser->token.kind == TOKEN_NAME)
        return parse_name(parser, true);
    return unexpected(parser, "a value"); /* of TOKEN_FAILED the source has said already what it is */
}

/* ".field", ".?field", ".method(arguments)" behind `target`. */
static struct ast *parse_selection(struct parser *parser, struct ast *target)
{
    bool optional = take(parser, TOKEN_QUESTION);
    struct token name = parser->token;
    if (name.kind != TOKEN_NAME && name.kind != TOKEN_RESERVED && name.kind != TOKEN_QUOTED_NAME)
        return unexpected(parser, "a field");
    advance(parser);
    struct ast *ast = ast_new(parser->source, AST_SELECT, name.at, 1);
    if (!ast || !ast_append(parser->source, ast, target, false))
        return NULL;
    ast->name = name.name;
    ast->optional = optional;
    if (!optional && name.kind == TOKEN_NAME && take(parser, TOKEN_OPEN)) {
        ast->kind = AST_CALL;
        ast->receiver = true;
        return parse_items(parser, ast, TOKEN_CLOSE, false, false) ? ast : NULL;
    }
    return ast;
}

static struct ast *parse_index(struct parser *parser, struct ast *target)
{
    struct ast *ast = ast_new(parser->source, AST_OPERATOR, parser->end - 1, 2);
    if (!ast || !ast_append(parser->source, ast, target, false))
        return NULL;
    ast->operator= take(parser, TOKEN_QUESTION) ? OPERATOR_INDEX_OPTIONAL : OPERATOR_INDEX;
    struct ast *index = parse_expression(parser);
    if (!index || !ast_append(parser->source, ast, index, false)
        || !expect(parser, TOKEN_CLOSE_BRACKET, "']'"))
        return NULL;
    return ast;
}

/* "name" or "some.name" */
static bool is_type_name(const struct ast *ast)
{
    return ast->kind == AST_NAME || ast->kind == AST_SELECT;
}

static struct ast *parse_member(struct parser *parser)
{
    struct ast *ast = parse_primary(parser);
    while (ast) {
        if (take(parser, TOKEN_DOT))
            ast = parse_selection(parser, ast);
        else if (take(parser, TOKEN_OPEN_BRACKET))
            ast = parse_index(parser, ast);
        else if (parser->token.kind == TOKEN_OPEN_BRACE && is_type_name(ast))
            return source_fail(parser->source, ast->at,
                               "messages cannot be built; a map is written {'key': value}");
        else
            return ast;
    }
    return NULL;
}

static struct ast *operator_new(struct parser *parser, enum operator operator, size_t at, struct ast *first)
{
    struct ast *ast = ast_new(parser->source, AST_OPERATOR, at, 2);
    if (!ast || !first || !ast_append(parser->source, ast, first, false))
        return NULL;
    ast->operator= operator;
    return ast;
}

/* "!" and "-". A minus sign before a number belongs to it, so that the least int can be written. */
static struct ast *parse_unary(struct parser *parser)
{
    struct token sign = parser->token;
    if (sign.kind != TOKEN_NOT && sign.kind != TOKEN_MINUS)
        return parse_member(parser);
    if (sign.kind == TOKEN_MINUS && lexer_at_digit(parser->source, sign.end)) {
        parser->token = lexer_next(parser->source, sign.end, true);
        return parse_member(parser);
    }
    if (!enter(parser))
        return NULL;
    advance(parser);
    struct ast *operand = parse_unary(parser);
    parser->nesting--;
    return operator_new(parser, sign.kind == TOKEN_NOT ? OPERATOR_NOT : OPERATOR_NEGATE, sign.at, operand);
}

/* Binary operators: how tightly each binds, from 1; 0: none. */
static int binary_level(enum token_kind kind, enum operator* ret_operator)
{
    static const struct {
        uint8_t level, operator;
    } of[TOKEN_FAILED + 1] = {
        [TOKEN_OR] = {1, OPERATOR_OR},           [TOKEN_AND] = {2, OPERATOR_AND},
        [TOKEN_EQUAL] = {3, OPERATOR_EQUAL},     [TOKEN_UNEQUAL] = {3, OPERATOR_UNEQUAL},
        [TOKEN_LESS] = {3, OPERATOR_LESS},       [TOKEN_LESS_EQUAL] = {3, OPERATOR_LESS_EQUAL},
        [TOKEN_GREATER] = {3, OPERATOR_GREATER}, [TOKEN_GREATER_EQUAL] = {3, OPERATOR_GREATER_EQUAL},
        [TOKEN_IN] = {3, OPERATOR_IN},           [TOKEN_PLUS] = {4, OPERATOR_ADD},
        [TOKEN_MINUS] = {4, OPERATOR_SUBTRACT},  [TOKEN_STAR] = {5, OPERATOR_MULTIPLY},
        [TOKEN_SLASH] = {5, OPERATOR_DIVIDE},    [TOKEN_PERCENT] = {5, OPERATOR_MODULO},
    };
    *ret_operator = of[kind].operator;
    return of[kind].level;
}

static struct ast *parse_binary(struct parser *parser, int level_min)
{
    struct ast *left = parse_unary(parser);
    struct ast *chain = NULL; /* an n-ary node of this loop that may take further operands */
    enum operator operator;
    int level;
    while (left && (level = binary_level(parser->token.kind, &operator)) >= level_min) {
        size_t at = parser->token.at;
        advance(parser);
        struct ast *right = parse_binary(parser, level + 1);
        if (!right)
            return NULL;
        bool joins = operator== OPERATOR_OR || operator== OPERATOR_AND || operator== OPERATOR_ADD;
        if (!joins || chain != left || left->operator!= operator)
            left = operator_new(parser, operator, at, left);
        if (!left || !ast_append(parser->source, left, right, false))
            return NULL;
        chain = joins ? left : NULL;
    }
    return left;
}

static struct ast *parse_expression(struct parser *parser)
{
    if (!enter(parser))
        return NULL;
    struct ast *condition = parse_binary(parser, 1);
    size_t at = parser->token.at;
    if (condition && take(parser, TOKEN_QUESTION)) {
        struct ast *ast = operator_new(parser, OPERATOR_CONDITIONAL, at, condition);
        struct ast *yes = ast ? parse_binary(parser, 1) : NULL;
        struct ast *no = yes && expect(parser, TOKEN_COLON, "':'") ? parse_expression(parser) : NULL;
        if (!no || !ast_append(parser->source, ast, yes, false)
            || !ast_append(parser->source, ast, no, false))
            return NULL;
        condition = ast;
    }
    parser->nesting--;
    return condition;
}

struct ast *parser_parse(struct source *source, size_t *at)
{
    struct parser parser = {.source = source};
    parser.token = lexer_next(source, *at, false);
    struct ast *ast = parse_expression(&parser);
    *at = parser.token.at;
    return parser.source->failed ? NULL : ast;
}

struct ast *parser_parse_all(struct source *source)
{
    struct parser parser = {.source = source};
    parser.token = lexer_next(source, 0, false);
    struct ast *ast = parse_expression(&parser);
    if (ast && parser.token.kind != TOKEN_END)
        return unexpected(&parser, "an operator or the end");
    return source->failed ? NULL : ast;
}
