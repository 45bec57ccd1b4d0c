/* Regular expressions in route patterns: PCRE2, compiled once with JIT, matched from the start of the
 * path, with a limit on the work that a path may cause. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/text.h"
#include "proxy/router.h"

struct route_regex;

/* NULL: no memory, or the expression is bad. */
struct route_regex *route_regex_new(struct text pattern, struct error *reterr);
void route_regex_free(struct route_regex *regex);

/* Whether the expression matches from the start of `path`. A limit that is reached is no match, and is
 * counted. Any thread; a thread's first call allocates. */
bool route_regex_match(const struct route_regex *regex, struct text path);

/* The named groups of this thread's last successful match, which was of the same expression and path.
 * Groups that took no part are left out. */
void route_regex_captures(const struct route_regex *regex, struct text path,
                          struct route_captures *ret_captures);

/* The literal text that each match begins with, perhaps shorter than it could be: written to `to`, which
 * has room for as many bytes as the pattern has. Returns its length. */
size_t route_regex_literal(struct text pattern, char *to);

size_t route_regex_bytes(const struct route_regex *regex); /* NULL: 0 */
