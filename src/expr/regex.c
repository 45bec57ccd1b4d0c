/* Regular expressions by PCRE2. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "expr/regex.h"

#include <errno.h>
#include <pcre2.h>
#include <pthread.h>
#include <time.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/time.h"

enum {
    MATCH_LIMIT = 20000, /* backtracking points of one start: a fraction of a millisecond */
    DEPTH_LIMIT = 2000,
    HEAP_LIMIT_KIB = 1024,
    PATTERN_BYTES_MAX = 16 * 1024,
    /* Starts that are tried before the clock is asked, and while they go quickly. */
    WINDOW_MIN = 32,
    WINDOW_MAX = 256,
    QUICK_NS = 20000,
    /* A window that took longer may not have had the core all the time: from there on the thread's own time is looked at too. */
    SLOW_NS = 200000,
    /* Short searches of a budget that are not timed. */
    SEARCHES_FREE = 4,
};

struct regex {
    pcre2_code *code;
    unsigned groups;
    /* It cannot be searched for in parts: it has one start, or asks where the search began. */
    bool one_search;
};

/* What a thread needs to match. */
struct matcher {
    pcre2_match_data *data;
    pcre2_match_context *context; /* its offset limit changes */
};

static pcre2_general_context *general; /* these three are written once */
static pcre2_compile_context *compiling;
static pcre2_match_context *matching;
static pthread_key_t matcher_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local struct matcher *matcher; /* made on a thread's first match, freed at its end */

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

static void *take_from_arena(size_t size, void *arena)
{
    return arena_alloc(arena, size);
}

static void leave_in_arena(void *block, void *arena)
{
    (void)block, (void)arena; /* it goes with the others */
}

static void matcher_free(void *data)
{
    struct matcher *old = data;
    pcre2_match_data_free(old->data);
    pcre2_match_context_free(old->context);
    memory_free(old);
}

static void set_limits(pcre2_compile_context *context)
{
    pcre2_set_max_pattern_length(context, PATTERN_BYTES_MAX);
    pcre2_set_parens_nest_limit(context, 100);
}

static void set_up(void)
{
    general = pcre2_general_context_create(allocate, release, NULL);
    CHECK(general && pthread_key_create(&matcher_key, matcher_free) == 0);
    compiling = pcre2_compile_context_create(general);
    matching = pcre2_match_context_create(general);
    CHECK(compiling && matching);
    set_limits(compiling);
    pcre2_set_match_limit(matching, MATCH_LIMIT);
    pcre2_set_depth_limit(matching, DEPTH_LIMIT);
    pcre2_set_heap_limit(matching, HEAP_LIMIT_KIB);
}

static void free_code(void *code)
{
    pcre2_code_free(code);
}

/* Whether it has one start only, or asks for where the search began (\G). */
static bool is_one_search(const pcre2_code *code, struct text pattern)
{
    uint32_t options = 0;
    pcre2_pattern_info(code, PCRE2_INFO_ALLOPTIONS, &options);
    return options & PCRE2_ANCHORED || text_find(pattern, TEXT("\\G")) != TEXT_NONE;
}

/* NULL: no memory. */
static pcre2_compile_context *context_in(struct arena *arena)
{
    pcre2_general_context *in_arena = pcre2_general_context_create(take_from_arena, leave_in_arena, arena);
    pcre2_compile_context *context = in_arena ? pcre2_compile_context_create(in_arena) : NULL;
    if (context)
        set_limits(context);
    return context;
}

/* Machine code for a pattern that is kept; without JIT the interpreter runs. False: no memory to free it one day. */
static bool keep(struct arena *arena, pcre2_code *code)
{
    if (!arena_defer(arena, free_code, code)) {
        pcre2_code_free(code);
        return false;
    }
    (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* an optimisation */
    return true;
}

const struct regex *regex_compile(struct arena *arena, struct text pattern, enum regex_use use,
                                  struct error *reterr)
{
    static const uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_DOLLAR_ENDONLY
                                    | PCRE2_NEVER_BACKSLASH_C | PCRE2_USE_OFFSET_LIMIT;
    pthread_once(&once, set_up);
    int code = 0;
    PCRE2_SIZE at = 0;
    struct regex *regex = ARENA_NEW(arena, struct regex);
    pcre2_compile_context *context = use == REGEX_KEPT ? compiling : context_in(arena);
    if (!regex || !context)
        return error_set(reterr, -ENOMEM, "out of memory"), NULL;
    regex->code =
        pcre2_compile((PCRE2_SPTR)(pattern.at ? pattern.at : ""), pattern.size, options, &code, &at, context);
    if (!regex->code) {
        PCRE2_UCHAR said[160] = "";
        pcre2_get_error_message(code, said, sizeof said);
        error_set(reterr, code == PCRE2_ERROR_HEAP_FAILED ? -ENOMEM : 0,
                  "regular expression, at character %zu: %s", (size_t)at, (const char *)said);
        return NULL;
    }
    if (use == REGEX_KEPT && !keep(arena, regex->code))
        return error_set(reterr, -ENOMEM, "out of memory"), NULL;
    uint32_t groups = 0;
    pcre2_pattern_info(regex->code, PCRE2_INFO_CAPTURECOUNT, &groups);
    regex->groups = groups;
    regex->one_search = is_one_search(regex->code, pattern);
    return regex;
}

static struct matcher *matcher_new(void)
{
    struct matcher *fresh = memory_zero(sizeof *fresh);
    if (!fresh)
        return NULL;
    fresh->data = pcre2_match_data_create(REGEX_GROUPS_MAX, general);
    fresh->context = pcre2_match_context_copy(matching);
    if (!fresh->data || !fresh->context) {
        matcher_free(fresh);
        return NULL;
    }
    (void)pthread_setspecific(matcher_key, fresh); /* if it fails, it stays until the process ends */
    return fresh;
}

/* Tries the starts from `from` up to `last`, or all (PCRE2_UNSET). */
static int try_starts(const struct regex *regex, struct text subject, size_t from, size_t last)
{
    if (last != PCRE2_UNSET)
        pcre2_set_offset_limit(matcher->context, last);
    return pcre2_match(regex->code, (PCRE2_SPTR)(subject.at ? subject.at : ""), subject.size, from, 0,
                       matcher->data, last == PCRE2_UNSET ? matching : matcher->context);
}

/* The first start behind a window: not within a character. */
static size_t window_end(struct text subject, size_t from, size_t window)
{
    size_t end = from + window;
    while (end < subject.size && ((unsigned char)subject.at[end] & 0xc0) == 0x80)
        end++;
    return end;
}

static int64_t thread_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec * NS_PER_SECOND + time.tv_nsec;
}

/* Takes a window's time from what remains. On a busy machine other threads' time is in it: before it is the end, the thread's own counts,
 * which costs a system call. False: it is the end. */
static bool budget_take(struct regex_budget *budget, int64_t took)
{
    budget->ns -= took;
    if (took > SLOW_NS && !budget->thread_start_ns)
        budget->thread_start_ns = thread_ns();
    if (budget->ns <= 0 && budget->thread_start_ns)
        budget->ns = REGEX_NS_MAX - (thread_ns() - budget->thread_start_ns);
    return budget->ns > 0;
}

/* Window by window, with the clock between them: a pattern that is slow at every start of a long text must not hold its thread. */
static int try_in_windows(const struct regex *regex, struct text subject, size_t from,
                          struct regex_budget *budget)
{
    size_t window = WINDOW_MIN;
    int64_t before = time_monotonic_ns();
    for (;;) {
        size_t end = window_end(subject, from, window);
        int code =
            try_starts(regex, subject, from, end > subject.size || regex->one_search ? PCRE2_UNSET : end - 1);
        int64_t now = time_monotonic_ns(), took = now - before;
        bool remains = budget_take(budget, took);
        if (code != PCRE2_ERROR_NOMATCH || end > subject.size || regex->one_search)
            return code;
        if (!remains)
            return PCRE2_ERROR_MATCHLIMIT;
        window = took < QUICK_NS ? MIN_OF(2 * window, WINDOW_MAX) : WINDOW_MIN;
        from = end;
        before = now;
    }
}

static void give_spans(int count, size_t (*spans)[REGEX_GROUPS_MAX][2])
{
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(matcher->data);
    unsigned known =
        count == 0 ? REGEX_GROUPS_MAX : (unsigned)count; /* 0: there are more groups than places */
    for (unsigned i = 0; i < REGEX_GROUPS_MAX; i++) {
        (*spans)[i][0] = i < known && ends[2 * i] != PCRE2_UNSET ? ends[2 * i] : TEXT_NONE;
        (*spans)[i][1] = i < known && ends[2 * i] != PCRE2_UNSET ? ends[2 * i + 1] : TEXT_NONE;
    }
}

enum regex_result regex_search(const struct regex *regex, struct text subject, size_t from,
                               size_t (*spans)[REGEX_GROUPS_MAX][2], struct regex_budget *budget)
{
    if (UNLIKELY(!matcher) && !(matcher = matcher_new()))
        return REGEX_NO_MEMORY;
    bool is_short = subject.size - from < WINDOW_MIN || regex->one_search;
    if (budget->ns <= 0)
        return REGEX_LIMIT;
    int count = is_short && budget->searches++ < SEARCHES_FREE ? try_starts(regex, subject, from, PCRE2_UNSET)
                                                               : try_in_windows(regex, subject, from, budget);
    if (count == PCRE2_ERROR_NOMATCH)
        return REGEX_NO_MATCH;
    if (count == PCRE2_ERROR_NOMEMORY)
        return REGEX_NO_MEMORY;
    if (count < 0)
        return REGEX_LIMIT;
    if (spans)
        give_spans(count, spans);
    return REGEX_MATCH;
}

enum regex_result regex_match(const struct regex *regex, struct text subject, size_t from,
                              size_t (*spans)[REGEX_GROUPS_MAX][2])
{
    struct regex_budget budget = REGEX_BUDGET;
    return regex_search(regex, subject, from, spans, &budget);
}

unsigned regex_groups(const struct regex *regex)
{
    return regex->groups;
}
