/* What the lexer and the parser make of a source: a tree without types. Internal to the room. */
#pragma once

#include "base/arena.h"
#include "expr/expr.h"

/* A source under compilation: where it is, where its tree goes, and the first thing that is wrong with it. */
struct source {
    struct text text;
    struct arena *arena;      /* of what stays: the values of literals */
    struct arena *scratch;    /* of the tree, which does not */
    struct expr_error *error; /* not NULL */
    bool failed;
};

/* Records the first failure at an offset; always NULL, so that a function can end with it. */
void *source_fail(struct source *source, size_t at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The arena is full. */
void *source_fail_memory(struct source *source);

/* Line and column, from 1, of an offset. */
void text_position(struct text text, size_t at, uint32_t *ret_line, uint32_t *ret_column);

enum token_kind {
    TOKEN_END,
    TOKEN_LITERAL, /* a number, string or bytes: the token's value */
    TOKEN_NAME,
    TOKEN_QUOTED_NAME, /* `x-tenant`: after a dot only */
    TOKEN_RESERVED,    /* an identifier that the language keeps for itself; a field may be called so */
    TOKEN_TRUE,
    TOKEN_FALSE,
    TOKEN_NULL,
    TOKEN_IN,
    TOKEN_OR,
    TOKEN_AND,
    TOKEN_EQUAL,
    TOKEN_UNEQUAL,
    TOKEN_LESS,
    TOKEN_LESS_EQUAL,
    TOKEN_GREATER,
    TOKEN_GREATER_EQUAL,
    TOKEN_PLUS,
    TOKEN_MINUS,
    TOKEN_STAR,
    TOKEN_SLASH,
    TOKEN_PERCENT,
    TOKEN_NOT,
    TOKEN_QUESTION,
    TOKEN_COLON,
    TOKEN_COMMA,
    TOKEN_DOT,
    TOKEN_OPEN,
    TOKEN_CLOSE,
    TOKEN_OPEN_BRACKET,
    TOKEN_CLOSE_BRACKET,
    TOKEN_OPEN_BRACE,
    TOKEN_CLOSE_BRACE,
    TOKEN_FAILED, /* the source says why */
};

struct token {
    enum token_kind kind;
    size_t at, end;     /* offsets within the source */
    struct text name;   /* of names */
    struct value value; /* of literals */
};

/* The token at or after `at`; blanks and comments are skipped. With `minus` a number may be the magnitude of INT64_MIN: a minus
 * sign stands before it, and the value comes out negative. */
struct token lexer_next(struct source *source, size_t at, bool minus);

/* Whether a digit follows, behind blanks and comments. */
bool lexer_at_digit(const struct source *source, size_t at);

/* The contents of a string literal between its quotes with the escapes resolved. */
bool literal_unescape(struct source *source, size_t at, size_t end, bool bytes, struct text *ret_text);
/* A number at `at`: decimal, hexadecimal, uint with suffix, double. */
bool literal_number(struct source *source, struct token *token, bool minus);

enum ast_kind {
    AST_LITERAL,
    AST_NAME,        /* name; rooted: ".name" */
    AST_SELECT,      /* items[0].name; optional: items[0].?name */
    AST_CALL,        /* name(items...); receiver: items[0].name(items[1]...) */
    AST_OPERATOR,    /* items by operator */
    AST_LIST,        /* items; item_optional */
    AST_MAP,         /* key, value, key, value...; item_optional of the keys */
    AST_INTERPOLATE, /* items written one after the other: a template */
};

enum operator{
    OPERATOR_OR,  /* n operands */
    OPERATOR_AND, /* n operands */
    OPERATOR_EQUAL,
    OPERATOR_UNEQUAL,
    OPERATOR_LESS,
    OPERATOR_LESS_EQUAL,
    OPERATOR_GREATER,
    OPERATOR_GREATER_EQUAL,
    OPERATOR_IN,
    OPERATOR_ADD, /* n operands, from the left */
    OPERATOR_SUBTRACT,
    OPERATOR_MULTIPLY,
    OPERATOR_DIVIDE,
    OPERATOR_MODULO,
    OPERATOR_NOT,
    OPERATOR_NEGATE,
    OPERATOR_CONDITIONAL,
    OPERATOR_INDEX,          /* items[0][items[1]] */
    OPERATOR_INDEX_OPTIONAL, /* items[0][?items[1]] */
};

const char *operator_sign(enum operator operator);

struct ast {
    enum ast_kind kind;
    enum operator operator;
    bool rooted, optional, receiver;
    uint32_t at; /* the offset to point at */
    uint32_t depth;
    uint32_t count, capacity;
    struct text name;
    struct value literal;
    struct ast **items;
    bool *item_optional; /* "?": NULL, none is */
};

enum {
    PARSER_NESTING_MAX = 120, /* parentheses, brackets, conditionals within each other */
    PARSER_DEPTH_MAX = 300,   /* of the tree, chains such as a.b.c and 1 - 2 - 3 included */
};

/* Parses the expression that starts at `*at`; leaves `*at` behind it, at a token that cannot continue it. NULL: it failed. */
struct ast *parser_parse(struct source *source, size_t *at);

/* Parses the whole source as one expression, or as a template. */
struct ast *parser_parse_all(struct source *source);
struct ast *template_parse(struct source *source);

/* For those who build trees: a node with room for `count` items. NULL: no memory. */
struct ast *ast_new(struct source *source, enum ast_kind kind, size_t at, uint32_t capacity);
/* Appends an item; false: no memory, or too deep. */
bool ast_append(struct source *source, struct ast *ast, struct ast *item, bool optional);
