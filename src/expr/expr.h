/* Expressions: compile once when a snapshot is built, evaluate per request without the heap.
 *
 * The language is CEL. An environment declares the attributes that expressions may use, with their types; a context answers
 * for their values when an expression runs. Compiled expressions are immutable and shared by threads. */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "expr/value.h"

enum expr_type {
    EXPR_DYN, /* any; checked when it runs */
    EXPR_NULL,
    EXPR_BOOL,
    EXPR_INT,
    EXPR_UINT,
    EXPR_DOUBLE,
    EXPR_STRING,
    EXPR_BYTES,
    EXPR_LIST,
    EXPR_MAP,
    EXPR_TIMESTAMP,
    EXPR_DURATION,
    EXPR_IP,
    EXPR_CIDR,
    EXPR_TYPE,     /* a type as a value */
    EXPR_OPTIONAL, /* a value or none */
};

/* One attribute: `request.path`, or a map such as `request.headers` or `vars`. `id` is given back to the context. `item` is the
 * type of the values of a map or list. Maps have string keys. */
struct expr_attribute {
    const char *name; /* dotted */
    enum expr_type type, item;
    uint16_t id;
    const char *about; /* one sentence for the manual */
};

struct expr_environment {
    const struct expr_attribute *attributes;
    size_t count;
    bool
        unchecked; /* type errors wait until the expression runs, as a CEL evaluator without its checker does */
};

/* Answers for an attribute; false: it has no value here, which is an evaluation error that names it. A value of another type
 * than the declared one is an error too. Called again each time: cheap. */
typedef bool expr_lookup(void *context, uint16_t id, struct arena *arena, struct value *ret_value);

struct expr;

struct expr_error {
    uint32_t line, column; /* within the source, from 1; columns count characters */
    char said[256];
};

/* Parses, checks and compiles `source` (copied) into `arena`. `wanted` is the type it must have (EXPR_DYN: any). NULL: `*reterr`
 * says why, or arena->failed. Constant parts are folded; a constant error is a compile error. */
const struct expr *expr_compile(struct arena *arena, struct text source,
                                const struct expr_environment *environment, enum expr_type wanted,
                                struct expr_error *reterr);

/* "text ${expression} text": one expression alone keeps its type, else a string. "$${" is a literal "${". In a text, lists and
 * maps are written as JSON, an optional as its value or nothing. */
const struct expr *expr_compile_template(struct arena *arena, struct text source,
                                         const struct expr_environment *environment,
                                         struct expr_error *reterr);

/* How what the holes of a template give is written; the text around them stays as it is. */
enum expr_escape {
    EXPR_ESCAPE_NONE,
    EXPR_ESCAPE_JSON, /* as inside a JSON string */
    EXPR_ESCAPE_HTML, /* as in the text of an element or inside a quoted attribute; for XML too */
};

/* One run: the context that answers, where results may live, and the steps that remain. */
struct expr_run {
    expr_lookup *lookup;
    void *context;
    struct arena *arena;
    uint64_t steps_max; /* 0: EXPR_STEPS_DEFAULT */
    int64_t now_ns;     /* wall clock, for `now` */
    enum expr_escape escape;
};
enum { EXPR_STEPS_DEFAULT = 100000 };

/* False: the evaluation failed, `*reterr` says why. Never crashes, never loops for long, never touches the heap but through the
 * arena. `reterr` may be NULL: nothing is written then, which is faster. */
bool expr_eval(const struct expr *expr, const struct expr_run *run, struct value *ret_value,
               struct expr_error *reterr);

/* Convenience on top: a condition, and a text (other values as in a template). */
bool expr_eval_bool(const struct expr *expr, const struct expr_run *run, bool *ret_value,
                    struct expr_error *reterr);
bool expr_eval_text(const struct expr *expr, const struct expr_run *run, struct text *ret_value,
                    struct expr_error *reterr);

/* The constant that it always is, NULL: it depends on the context. */
const struct value *expr_constant(const struct expr *expr);

/* What it needs, for planning: has it a look-up of this attribute? For ids from 256 on always true. */
bool expr_uses(const struct expr *expr, uint16_t id);
struct text expr_source(const struct expr *expr);
enum expr_type expr_result_type(const struct expr *expr);
const char *expr_type_name(enum expr_type type); /* as messages and the manual write it */
const char *expr_result_type_write(const struct expr *expr,
                                   char to[64]); /* with its parts: "map(string, int)" */
uint64_t expr_cost(
    const struct expr *expr); /* upper bound of steps for inputs of usual size; UINT64_MAX: unbounded */

/* Writes a value as a CEL literal, and as JSON, into the arena; an empty text when the arena is full. */
struct text value_to_literal(struct value value, struct arena *arena);
struct text value_to_json(struct value value, struct arena *arena);
const char *value_kind_name(struct value value); /* the name of its CEL type */
bool value_equal(struct value a, struct value b, struct arena *arena);

/* Parses JSON text into a value (objects become maps with string keys; numbers without fraction and exponent become int, if they
 * fit, others double; of repeated names the last counts). False: malformed, or deeper than 100. */
bool value_from_json(struct text json, struct arena *arena, struct value *ret_value, struct error *reterr);

/* A function or macro of the language as people see it. */
struct expr_function {
    const char *group;     /* "Strings" */
    const char *name;      /* "startsWith", "math.greatest" */
    struct text signature; /* "string.startsWith(string) -> bool" */
    bool receiver;         /* called on a value: value.startsWith(...) */
    const char *about;     /* one sentence */
    const char *example;   /* "expression => result as a literal", NULL: another of this name has one */
};

/* Calls `row` for each function, group by group, those of one name side by side. */
typedef void expr_function_row(void *context, const struct expr_function *function);
void expr_functions_each(expr_function_row *row, void *context);
