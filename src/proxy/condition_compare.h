/* What two conditions say of each other, found out when a configuration is checked. Careful: where it cannot be told, the answer is no. */
#pragma once

#include "proxy/condition.h"

/* Whatever meets `a` meets `b`. */
bool condition_implies(const struct condition *a, const struct condition *b);

/* Nothing meets both. */
bool condition_excludes(const struct condition *a, const struct condition *b);

/* Nothing meets it. */
bool condition_is_impossible(const struct condition *condition);

/* Equal conditions have equal numbers. */
uint64_t condition_hash(const struct condition *condition);

/* Do they ask for the same thing: the same header, or both for the method? */
bool condition_same_subject(const struct condition *a, const struct condition *b);
