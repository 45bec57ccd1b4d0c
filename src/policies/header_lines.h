/* Header fields that a configuration names: which of them policies may touch, and values that expressions make. */
#pragma once

#include "policy/policy.h"

/* A field about the connection, the framing or the addressing of a message (RFC 9110 section 7.6.1): only the core writes it. */
bool header_is_reserved(struct text name);

/* May a policy set or remove `name`? False: it may not, which was reported at `at` as the member `field`. */
bool header_check_name(struct prepare *prepare, const struct node *at, const char *field, struct text name);

/* The same for a list of texts in `field`, each of which may end with `*`. */
bool header_check_patterns(struct prepare *prepare, const char *field, const struct array *patterns);

/* The same for the names in a map of templates that stands at `map`, and for its constant values. `host_too`: Host is allowed. */
bool header_check_map(struct prepare *prepare, const struct node *map, const char *field,
                      const struct array *pairs, bool host_too);

/* The same name, without case, to services that make variables of fields: "X_User" is "X-User" there. */
bool header_is_same(struct text a, struct text b);

/* Is `name` what `pattern` says? As header_is_same(); a `*` at the end stands for any rest, but never for a reserved field. */
bool header_fits(struct text name, struct text pattern);

/* Is it one of these (an array of struct text)? */
bool header_is_one_of(struct text name, const struct array *patterns);

/* The text that `value` gives, as a field value. False: it failed or holds what no field may hold: the policy's fault, which was
 * logged. */
bool header_eval(struct exchange *ex, const struct expr *value, struct text *ret_value);

/* The same for a map of templates: a value for each, in the exchange arena. Nothing has changed when it fails. */
bool header_eval_all(struct exchange *ex, const struct array *pairs, struct text **ret_values);
