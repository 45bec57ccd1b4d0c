/* Regular expressions by PCRE2. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "expr/regex.h"

#include <errno.h>
#include <pcre2.h>
#include <pthread.h>

#include "base/check.h"
#include "base/memory.h"

enum {
    MATCH_LIMIT = 100000, /* backtracking points: about a millisecond */
    DEPTH_LIMIT = 2000,
    HEAP_LIMIT_KIB = 1024,
    PATTERN_BYTES_MAX = 16 * 1024,
};

struct regex {
    pcre2_code *code;
    unsigned groups;
};

static pcre2_general_context *general; /* these three are written once */
static pcre2_compile_context *compiling;
static pcre2_match_context *matching;
static pthread_key_t match_data_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local pcre2_match_data *match_data; /* made on a thread's first match, freed at its end */

static void *allocate(size_t size, void *context)
{
    (void)context; /* there is none */
    return memory_alloc(size);
}

static void release(void *block, void *context)
{
    (void)context; /* there is none */
    memory_free(block);
}

static void free_match_data(void *data)
{
    pcre2_match_data_free(data);
}

static void set_up(void)
{
    general = pcre2_general_context_create(allocate, release, NULL);
    CHECK(general && pthread_key_create(&match_data_key, free_match_data) == 0);
    compiling = pcre2_compile_context_create(general);
    matching = pcre2_match_context_create(general);
    CHECK(compiling && matching);
    pcre2_set_max_pattern_length(compiling, PATTERN_BYTES_MAX);
    pcre2_set_parens_nest_limit(compiling, 100);
    pcre2_set_match_limit(matching, MATCH_LIMIT);
    pcre2_set_depth_limit(matching, DEPTH_LIMIT);
    pcre2_set_heap_limit(matching, HEAP_LIMIT_KIB);
}

static void free_code(void *code)
{
    pcre2_code_free(code);
}

const struct regex *regex_compile(struct arena *arena, struct text pattern, struct error *reterr)
{
    static const uint32_t options =
        PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C;
    pthread_once(&once, set_up);
    int code = 0;
    PCRE2_SIZE at = 0;
    struct regex *regex = ARENA_NEW(arena, struct regex);
    if (!regex)
        return error_set(reterr, -ENOMEM, "out of memory"), NULL;
    regex->code = pcre2_compile((PCRE2_SPTR)(pattern.at ? pattern.at : ""), pattern.size, options, &code, &at,
                                compiling);
    if (!regex->code) {
        PCRE2_UCHAR said[160] = "";
        pcre2_get_error_message(code, said, sizeof said);
        error_set(reterr, 0, "regular expression, at character %zu: %s", (size_t)at, (const char *)said);
        return NULL;
    }
    if (!arena_defer(arena, free_code, regex->code)) {
        pcre2_code_free(regex->code);
        return error_set(reterr, -ENOMEM, "out of memory"), NULL;
    }
    uint32_t groups = 0;
    pcre2_pattern_info(regex->code, PCRE2_INFO_CAPTURECOUNT, &groups);
    regex->groups = groups;
    (void)pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE); /* without JIT the interpreter runs */
    return regex;
}

static pcre2_match_data *thread_match_data(void)
{
    if (LIKELY(match_data))
        return match_data;
    match_data = pcre2_match_data_create(REGEX_GROUPS_MAX, general);
    if (match_data)
        (void)pthread_setspecific(match_data_key,
                                  match_data); /* if it fails, the block stays until the process ends */
    return match_data;
}

enum regex_result regex_match(const struct regex *regex, struct text subject, size_t from,
                              size_t (*spans)[REGEX_GROUPS_MAX][2])
{
    pcre2_match_data *data = thread_match_data();
    if (!data)
        return REGEX_NO_MEMORY;
    int count = pcre2_match(regex->code, (PCRE2_SPTR)(subject.at ? subject.at : ""), subject.size, from, 0,
                            data, matching);
    if (count == PCRE2_ERROR_NOMATCH)
        return REGEX_NO_MATCH;
    if (count == PCRE2_ERROR_NOMEMORY)
        return REGEX_NO_MEMORY;
    if (count < 0)
        return REGEX_LIMIT;
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(data);
    unsigned known =
        count == 0 ? REGEX_GROUPS_MAX : (unsigned)count; /* 0: there are more groups than places */
    for (unsigned i = 0; spans && i < REGEX_GROUPS_MAX; i++) {
        (*spans)[i][0] = i < known && ends[2 * i] != PCRE2_UNSET ? ends[2 * i] : TEXT_NONE;
        (*spans)[i][1] = i < known && ends[2 * i] != PCRE2_UNSET ? ends[2 * i + 1] : TEXT_NONE;
    }
    return REGEX_MATCH;
}

unsigned regex_groups(const struct regex *regex)
{
    return regex->groups;
}
