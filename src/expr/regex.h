/* Regular expressions by PCRE2 with JIT and limits. Internal to the room.
 *
 * Patterns are UTF; bytes that are not UTF-8 match nothing but do not fail. `$` is only the very end. */
#pragma once

#include "base/arena.h"
#include "base/error.h"

struct regex;

enum { REGEX_GROUPS_MAX = 16 /* of which a match says the places */ };

enum regex_result { REGEX_MATCH, REGEX_NO_MATCH, REGEX_LIMIT, REGEX_NO_MEMORY };

/* Compiles; the code lives as long as the arena. NULL: `*reterr` says why, or arena->failed. */
const struct regex *regex_compile(struct arena *arena, struct text pattern, struct error *reterr);

/* Searches from the byte `from` on. `spans` (or NULL) takes start and end of the match and its groups, TEXT_NONE for those that took no
 * part. Does not allocate after the first call of a thread. */
enum regex_result regex_match(const struct regex *regex, struct text subject, size_t from,
                              size_t (*spans)[REGEX_GROUPS_MAX][2]);

unsigned regex_groups(const struct regex *regex);
