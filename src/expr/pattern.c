/* One question to a regular expression. */
#include "expr/pattern.h"

#include <errno.h>

#include "expr/regex.h"

struct pattern {
    const struct regex *regex;
};

const struct pattern *pattern_compile(struct arena *arena, struct text expression, struct error *reterr)
{
    struct pattern *pattern = ARENA_NEW(arena, struct pattern);
    if (!pattern)
        return error_set(reterr, -ENOMEM, "out of memory"), NULL;
    pattern->regex = regex_compile(arena, expression, REGEX_KEPT, reterr);
    return pattern->regex ? pattern : NULL;
}

bool pattern_matches(const struct pattern *pattern, struct text text)
{
    return regex_match(pattern->regex, text, 0, NULL) == REGEX_MATCH;
}
