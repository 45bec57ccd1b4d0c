/* A regular expression (PCRE2 with JIT) that asks one question: does this text match? Immutable and shared by threads; the work of one match
 * is limited, and a limit that is reached is no match. */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"

struct pattern;

/* Freed with the arena. NULL: `*reterr` says what is wrong with the expression, and where. */
const struct pattern *pattern_compile(struct arena *arena, struct text expression, struct error *reterr);

/* Anywhere in the text, unless the expression is anchored. Any thread; a thread's first call allocates. */
bool pattern_matches(const struct pattern *pattern, struct text text);
