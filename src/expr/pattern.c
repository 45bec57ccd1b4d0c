/* PCRE2 behind one question. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "expr/pattern.h"

#include <errno.h>
#include <pcre2.h>

#include "base/check.h"

enum { MATCH_LIMIT = 100000, DEPTH_LIMIT = 1000 };

struct pattern {
    pcre2_code *code;
};

static void free_code(void *code)
{
    pcre2_code_free(code);
}

const struct pattern *pattern_compile(struct arena *arena, struct text expression, struct error *reterr)
{
    int problem;
    PCRE2_SIZE offset;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)expression.at, expression.size, PCRE2_NEVER_BACKSLASH_C,
                                     &problem, &offset, NULL);
    if (!code) {
        PCRE2_UCHAR said[128];
        pcre2_get_error_message(problem, said, sizeof said);
        error_set(reterr, -EINVAL, "%s at character %zu", (const char *)said, (size_t)offset + 1);
        return NULL;
    }
    (void)pcre2_jit_compile(code,
                            PCRE2_JIT_COMPLETE); /* without JIT it is interpreted, within the same limits */
    struct pattern *pattern = ARENA_NEW(arena, struct pattern);
    if (!pattern || !arena_defer(arena, free_code, code)) {
        pcre2_code_free(code);
        error_set(reterr, -ENOMEM, "out of memory");
        return NULL;
    }
    pattern->code = code;
    return pattern;
}

/* One for each thread, for as long as it lives. */
static _Thread_local pcre2_match_data *match_data;
static _Thread_local pcre2_match_context *match_context;

bool pattern_matches(const struct pattern *pattern, struct text text)
{
    if (UNLIKELY(!match_data)) {
        match_data = pcre2_match_data_create(1, NULL);
        match_context = pcre2_match_context_create(NULL);
        if (!match_data || !match_context)
            return false;
        pcre2_set_match_limit(match_context, MATCH_LIMIT);
        pcre2_set_depth_limit(match_context, DEPTH_LIMIT);
    }
    return pcre2_match(pattern->code, (PCRE2_SPTR)text.at, text.size, 0, 0, match_data, match_context) >= 0;
}
