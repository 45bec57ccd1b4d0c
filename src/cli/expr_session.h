/* What `turnpike expr` evaluates on: variables from contexts and from --let, beside the gateway's attributes. */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "expr/expr.h"

enum { SESSION_VARIABLES_MAX = 1000, SESSION_ATTRIBUTES_MAX = 1200 };

struct session {
    struct arena arena; /* of the variables */
    struct expr_attribute
        attributes[SESSION_ATTRIBUTES_MAX]; /* the variables, then attributes that have no value here */
    struct value values[SESSION_VARIABLES_MAX];
    size_t count; /* of variables */
};

void session_init(struct session *session);
void session_release(struct session *session);

/* Makes the members of a JSON object variables; "-" is standard input. A later variable of the same name replaces an earlier one. False:
 * `*reterr` says why, with the path. */
bool session_load(struct session *session, const char *path, struct error *reterr);

/* NAME=EXPRESSION; the expression may use the variables before it. False: `*reterr` has the place within the expression, line 0: it is about
 * the whole. */
bool session_let(struct session *session, struct text binding, struct expr_error *reterr);

/* As a configuration would check it: variables, and the gateway's attributes with their types. */
const struct expr *session_check(struct session *session, struct text source, struct arena *arena,
                                 struct expr_error *reterr);

/* Types are checked as it runs; an attribute of the gateway that no variable gives has no value. */
bool session_evaluate(struct session *session, struct text source, struct arena *arena,
                      struct value *ret_value, struct expr_error *reterr);

/* The result of a command as a line on standard output; false: it is too large. */
bool session_print(struct value value, bool json, struct arena *arena);
void session_print_type(const struct expr *expr, bool json);
