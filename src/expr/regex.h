/* Regular expressions by PCRE2 with JIT and limits. Internal to the room.
 *
 * Patterns are UTF; bytes that are not UTF-8 match nothing but do not fail. `$` is only the very end. */
#pragma once

#include "base/arena.h"
#include "base/error.h"

struct regex;

enum { REGEX_GROUPS_MAX = 16 /* of which a match says the places */ };

enum regex_result { REGEX_MATCH, REGEX_NO_MATCH, REGEX_LIMIT, REGEX_NO_MEMORY };

/* What a pattern is compiled for: to be kept, or to be used once: then it is not translated to machine code, and all of it is in the arena. */
enum regex_use { REGEX_KEPT, REGEX_ONCE };

/* Compiles; the code lives as long as the arena. NULL: `*reterr` says why, or arena->failed. */
const struct regex *regex_compile(struct arena *arena, struct text pattern, enum regex_use use,
                                  struct error *reterr);

/* How long searches that follow each other may take together. Tells the time only when they are many, or the text is long. */
struct regex_budget {
    int64_t ns;              /* that remain */
    int64_t thread_start_ns; /* of the thread's own time, from the first slow moment on; 0: there was none */
    unsigned searches;
};
enum { REGEX_NS_MAX = 10000000 };
#define REGEX_BUDGET ((struct regex_budget){.ns = REGEX_NS_MAX})

/* Searches from the byte `from` on. `spans` (or NULL) takes start and end of the match and its groups, TEXT_NONE for those that took no
 * part. Does not allocate after the first call of a thread. REGEX_LIMIT: one start took too many steps, or the budget has gone. */
enum regex_result regex_search(const struct regex *regex, struct text subject, size_t from,
                               size_t (*spans)[REGEX_GROUPS_MAX][2], struct regex_budget *budget);

/* One search with a budget of its own. */
enum regex_result regex_match(const struct regex *regex, struct text subject, size_t from,
                              size_t (*spans)[REGEX_GROUPS_MAX][2]);

unsigned regex_groups(const struct regex *regex);
