/* What the tests of the expression language share: an environment like the gateway's, and assertions on what an expression gives. */
#pragma once

#include "unit.h"

#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "expr/compiler.h"
#include "expr/expr.h"

enum { METHOD, PATH, HEADERS, VARS, NUMBER, ABSENT, LYING, DYNAMIC };

static const struct expr_attribute attributes[] = {
    {"request.method", EXPR_STRING, EXPR_DYN, METHOD, "the method"},
    {"request.path", EXPR_STRING, EXPR_DYN, PATH, "the path"},
    {"request.headers", EXPR_MAP, EXPR_STRING, HEADERS, "the fields"},
    {"vars", EXPR_MAP, EXPR_DYN, VARS, "variables"},
    {"number", EXPR_INT, EXPR_DYN, NUMBER, "a number"},
    {"auth.absent", EXPR_STRING, EXPR_DYN, ABSENT, "has no value"},
    {"lying", EXPR_STRING, EXPR_DYN, LYING, "is a number in truth"},
    {"dynamic", EXPR_DYN, EXPR_DYN, DYNAMIC, "of any type"},
};

static const char *const context[] = {
    [METHOD] = "\"GET\"",
    [PATH] = "\"/api/orders/42\"",
    [HEADERS] = "{\"host\":\"shop.example\",\"x-tenant\":\"acme\"}",
    [VARS] = "{\"a\":1,\"b\":[1,2,3],\"c\":{\"d\":\"e\"},\"f\":1.5,\"s\":\"text\",\"n\":null}",
    [NUMBER] = "7",
    [ABSENT] = NULL,
    [LYING] = "7",
    [DYNAMIC] = "\"dynamic\"",
};

static inline bool look_up(void *ignored, uint16_t id, struct arena *arena, struct value *ret_value)
{
    (void)ignored;
    return context[id] && value_from_json(text_of(context[id]), arena, ret_value, NULL);
}

static const struct expr_environment strict = {attributes, COUNT_OF(attributes), false};
static const struct expr_environment unchecked = {attributes, COUNT_OF(attributes), true};

static inline struct expr_run run_in(struct arena *arena)
{
    return (struct expr_run){.lookup = look_up, .arena = arena, .now_ns = 1700000000123456789};
}

/* The result as a literal, or "error: ..." for an evaluation, or "refused: ..." for a compilation that failed. */
static inline struct text result_of(const struct expr *expr, struct arena *arena,
                                    const struct expr_error *refused)
{
    struct expr_error error;
    struct value value;
    struct expr_run run = run_in(arena);
    if (!expr)
        return arena_format(arena, "refused: %s", refused->said);
    if (!expr_eval(expr, &run, &value, &error))
        return arena_format(arena, "error: %s", error.said);
    return value_to_literal(value, arena);
}

/* Checked, unchecked and unfolded, the expression gives this literal. */
static inline void gives_at(const char *source, const char *wanted, const char *file, int line)
{
    struct arena arena;
    arena_init(&arena, 0, 0);
    struct expr_error error;
    const struct expr *exprs[] = {
        expr_compile(&arena, text_of(source), &strict, EXPR_DYN, &error),
        expr_compile(&arena, text_of(source), &unchecked, EXPR_DYN, &error),
        expr_compile_unfolded(&arena, text_of(source), &strict, EXPR_DYN, &error),
    };
    for (size_t i = 0; i < COUNT_OF(exprs); i++) {
        struct text got = result_of(exprs[i], &arena, &error);
        if (!text_equal(got, text_of(wanted))) {
            print_error("%s (%zu): got %.*s, wanted %s\n", source, i, TEXT_ARGS(got), wanted);
            arena_release(&arena);
            _fail(file, line);
        }
    }
    arena_release(&arena);
}
#define gives(source, wanted) gives_at((source), (wanted), __FILE__, __LINE__)
#define is_true(source)       gives((source), "true")
#define is_false(source)      gives((source), "false")

/* The evaluation without checker and folding fails, for a reason that has this part. */
static inline void fails_at(const char *source, const char *part, const char *file, int line)
{
    struct arena arena;
    arena_init(&arena, 0, 0);
    struct expr_error error;
    struct text got = result_of(expr_compile_unfolded(&arena, text_of(source), &unchecked, EXPR_DYN, &error),
                                &arena, &error);
    bool right = text_starts_with(got, TEXT("error: ")) && text_find(got, text_of(part)) != TEXT_NONE;
    if (!right)
        print_error("%s: got %.*s, wanted a failure with \"%s\"\n", source, TEXT_ARGS(got), part);
    arena_release(&arena);
    if (!right)
        _fail(file, line);
}
#define fails(source, part) fails_at((source), (part), __FILE__, __LINE__)

/* The checked compilation is refused at this place, for a reason that has this part. */
static inline void refused_at(const char *source, unsigned at_line, unsigned at_column, const char *part,
                              const char *file, int line)
{
    struct arena arena;
    arena_init(&arena, 0, 0);
    struct expr_error error = {0};
    const struct expr *expr = expr_compile(&arena, text_of(source), &strict, EXPR_DYN, &error);
    bool right = !expr && error.line == at_line && error.column == at_column && strstr(error.said, part);
    if (!right)
        print_error("%s: got %u:%u %s, wanted %u:%u %s\n", source, error.line, error.column,
                    expr ? "no error" : error.said, at_line, at_column, part);
    arena_release(&arena);
    if (!right)
        _fail(file, line);
}
#define refused(source, line, column, part) refused_at((source), (line), (column), (part), __FILE__, __LINE__)
