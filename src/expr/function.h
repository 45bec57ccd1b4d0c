/* The functions of the language as table rows. Internal to the room. */
#pragma once

#include "expr/node.h"

/* What a function takes and gives. A and B are type variables: what they stand for is bound by the arguments. */
enum signature {
    SIG_NONE,
    SIG_DYN,
    SIG_NULL,
    SIG_BOOL,
    SIG_INT,
    SIG_UINT,
    SIG_DOUBLE,
    SIG_NUMBER, /* int, uint or double; as a result: the type of the first argument */
    SIG_STRING,
    SIG_BYTES,
    SIG_LIST,        /* list(A) */
    SIG_LIST_DYN,    /* of anything */
    SIG_LIST_STRING, /* list(string) */
    SIG_LIST_INT,
    SIG_LIST_OPTIONAL, /* list(optional(A)) */
    SIG_MAP,           /* map(A, B) */
    SIG_MAP_STRING,    /* map(string, string) */
    SIG_MAP_DYN,       /* map(string, dyn) */
    SIG_TIMESTAMP,
    SIG_DURATION,
    SIG_TYPE,
    SIG_OPTIONAL, /* optional(A) */
    SIG_OPTIONAL_STRING,
    SIG_IP,
    SIG_CIDR,
    SIG_A,
    SIGNATURES,
};

enum function_style { FUNCTION_GLOBAL, FUNCTION_RECEIVER, FUNCTION_EITHER };

struct call {
    struct evaluation *evaluation;
    const void *prepared; /* what the row's `prepare` made of a constant argument, or NULL */
};

/* The arguments have the kinds that the row takes. False: the evaluation's fault says why. */
typedef bool function_run(struct call *call, const struct value *arguments, struct value *ret_value);

struct function {
    const char *name; /* with its namespace: "math.greatest" */
    enum function_style style;
    uint8_t takes[ARGUMENTS_MAX]; /* enum signature; the receiver first */
    uint8_t gives;
    function_run *run;
    const char *about;
    uint16_t cost; /* steps for inputs of usual size; run functions charge for large ones themselves */
    uint16_t
        usual; /* further ones that run functions charge at most for lists of ITEMS_USUAL elements: for cost bounds */
    bool impure;   /* another result at each call */
    bool variadic; /* several arguments are passed as one list */
    uint8_t
        prepares; /* the number, from 1, of the argument that `prepare` is asked about, if it is constant */
    bool (*prepare)(struct arena *arena, struct value constant, const void **ret_prepared,
                    struct error *reterr);
    /* Called while a call is compiled for which nothing is prepared: makes what its runs, which must not wait, only look at. False: no
     * memory. */
    bool (*ready)(void);
    const char *example; /* "expression => result"; NULL: another row of its name has one */
};

struct function_group {
    const char *name; /* the heading in the manual */
    const struct function *rows;
    size_t count;
};

#define FUNCTION_GROUP(title, table)                                                                         \
    {                                                                                                        \
        .name = (title), .rows = (table), .count = COUNT_OF(table)                                           \
    }

extern const struct function_group functions_core, functions_convert, functions_string, functions_format,
    functions_regex, functions_math, functions_time, functions_list, functions_set, functions_optional,
    functions_encode, functions_hash, functions_web, functions_ip, functions_random;

/* The rows with this name, which stand side by side; 0: none. */
size_t function_find(struct text name, const struct function *const **ret_rows);

/* Whether a name is the namespace of functions ("math"). */
bool function_is_namespace(struct text name);

/* The name nearest to `name` by edits, NULL: none is near. */
const char *function_nearest(struct text name, enum function_style style);

size_t function_arity(const struct function *function);
uint32_t signature_bits(enum signature signature);

/* Whether an argument of this type may be passed; binds A and B (which start as NULL). */
bool signature_accepts(enum signature signature, const struct type *type, const struct type *variables[2]);
const struct type *signature_type(enum signature signature, const struct type *const variables[2],
                                  struct arena *arena);

/* The macros as expr_functions_each() gives them (compile_macro.c). */
void macros_each(expr_function_row *row, void *context);

/* "string.startsWith(string) -> bool" into `to`, zero-terminated. */
void function_write(const struct function *function, char *to, size_t room);
