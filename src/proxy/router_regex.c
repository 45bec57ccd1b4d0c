/* Regular expressions in route patterns. */
#include "proxy/router_regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "proxy/router_leaf.h"

enum {
    GROUPS_MAX = 63,           /* capturing groups, named or not */
    MATCH_LIMIT = 50000,       /* steps back: about a millisecond at worst */
    INTERPRETER_KIB_MAX = 256, /* for patterns that JIT does not take */
};

struct route_regex {
    uint32_t refs; /* always 1 */
    uint32_t names_count;
    pcre2_code *code;
    struct {
        uint32_t group;
        struct text name; /* in `code` */
    } names[];
};

static _Atomic uint64_t limit_hits;

uint64_t router_regex_limit_hits(void)
{
    return atomic_load_explicit(&limit_hits, memory_order_relaxed);
}

static void *pcre_alloc(size_t size, void *unused)
{
    (void)unused;
    return memory_alloc(size);
}

static void pcre_release(void *block, void *unused)
{
    (void)unused;
    memory_free(block);
}

/* What a thread needs to match. It is made on first use and goes with the thread. */
struct matcher {
    pcre2_match_data *data;
    pcre2_match_context *context;
};

static pthread_key_t matcher_key;
static pthread_once_t matcher_once = PTHREAD_ONCE_INIT;
static _Thread_local struct matcher matcher;

static void matcher_release(void *argument)
{
    struct matcher *mine = argument;
    pcre2_match_data_free(mine->data);
    pcre2_match_context_free(mine->context);
    *mine = (struct matcher){NULL, NULL};
}

static void matcher_key_new(void)
{
    CHECK(!pthread_key_create(&matcher_key, matcher_release));
}

static bool matcher_init(void)
{
    pthread_once(&matcher_once, matcher_key_new);
    pcre2_general_context *general = pcre2_general_context_create(pcre_alloc, pcre_release, NULL);
    if (!general)
        return false;
    matcher.data = pcre2_match_data_create(GROUPS_MAX + 1, general);
    matcher.context = pcre2_match_context_create(general);
    pcre2_general_context_free(general);
    if (!matcher.data || !matcher.context || pthread_setspecific(matcher_key, &matcher)) {
        matcher_release(&matcher);
        return false;
    }
    pcre2_set_match_limit(matcher.context, MATCH_LIMIT);
    pcre2_set_heap_limit(matcher.context, INTERPRETER_KIB_MAX);
    return true;
}

bool route_regex_match(const struct route_regex *regex, struct text path)
{
    if (UNLIKELY(!matcher.data) && !matcher_init()) {
        atomic_fetch_add_explicit(&limit_hits, 1, memory_order_relaxed); /* no memory is a limit as well */
        return false;
    }
    int found = pcre2_match(regex->code, (PCRE2_SPTR)path.at, path.size, 0, 0, matcher.data, matcher.context);
    if (found < 0 && found != PCRE2_ERROR_NOMATCH)
        atomic_fetch_add_explicit(&limit_hits, 1, memory_order_relaxed);
    return found >= 0;
}

void route_regex_captures(const struct route_regex *regex, struct text path,
                          struct route_captures *ret_captures)
{
    const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(matcher.data);
    ret_captures->count = 0;
    for (uint32_t i = 0; i < regex->names_count; i++) {
        size_t from = offsets[2 * regex->names[i].group], to = offsets[2 * regex->names[i].group + 1];
        if (from == PCRE2_UNSET || to < from)
            continue;
        uint32_t item = ret_captures->count++;
        ret_captures->items[item].name = regex->names[i].name;
        ret_captures->items[item].value = text_slice(path, from, to);
    }
}

static pcre2_code *compile(struct text pattern, struct error *reterr)
{
    pcre2_general_context *general = pcre2_general_context_create(pcre_alloc, pcre_release, NULL);
    pcre2_compile_context *context = general ? pcre2_compile_context_create(general) : NULL;
    pcre2_general_context_free(general);
    if (!context) {
        error_system(reterr, -ENOMEM, "regular expression");
        return NULL;
    }
    uint32_t options = PCRE2_ANCHORED | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF | PCRE2_NEVER_UCP;
    int code = 0;
    PCRE2_SIZE offset = 0;
    pcre2_code *compiled =
        pcre2_compile((PCRE2_SPTR)pattern.at, pattern.size, options, &code, &offset, context);
    pcre2_compile_context_free(context);
    if (!compiled) {
        PCRE2_UCHAR said[160] = "";
        pcre2_get_error_message(code, said, sizeof said);
        bool memory = code == PCRE2_ERROR_HEAP_FAILED;
        error_set(reterr, memory ? -ENOMEM : -EINVAL, "regular expression, at its byte %zu: %s", offset + 1,
                  (const char *)said);
        return NULL;
    }
    (void)pcre2_jit_compile(
        compiled, PCRE2_JIT_COMPLETE); /* what JIT does not take is interpreted, with the same limits */
    return compiled;
}

/* How many names the expression has; false: more than captures can hold. */
static bool count_names(const pcre2_code *code, uint32_t *ret_count, struct error *reterr)
{
    uint32_t groups = 0, names = 0;
    pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &groups);
    pcre2_pattern_info(code, PCRE2_INFO_NAMECOUNT, &names);
    if (groups > GROUPS_MAX || names > ROUTER_CAPTURES_MAX) {
        error_set(reterr, -EINVAL, "regular expression: at most %d groups, of which %d may have a name",
                  GROUPS_MAX, ROUTER_CAPTURES_MAX);
        return false;
    }
    *ret_count = names;
    return true;
}

static void read_names(struct route_regex *regex)
{
    PCRE2_SPTR row = NULL; /* group number in two bytes, then the name with a zero byte */
    uint32_t row_size = 0;
    pcre2_pattern_info(regex->code, PCRE2_INFO_NAMETABLE, &row);
    pcre2_pattern_info(regex->code, PCRE2_INFO_NAMEENTRYSIZE, &row_size);
    for (uint32_t i = 0; i < regex->names_count; i++, row += row_size) {
        regex->names[i].group = (uint32_t)(row[0] << 8 | row[1]);
        regex->names[i].name = text_of((const char *)row + 2);
    }
}

struct route_regex *route_regex_new(struct text pattern, struct error *reterr)
{
    pcre2_code *code = compile(pattern, reterr);
    if (!code)
        return NULL;
    uint32_t names = 0;
    struct route_regex *regex = NULL;
    if (!count_names(code, &names, reterr))
        goto out;
    regex = route_object_new(sizeof *regex + names * sizeof regex->names[0]);
    if (!regex) {
        error_system(reterr, -ENOMEM, "regular expression");
        goto out;
    }
    regex->names_count = names;
    regex->code = code;
    code = NULL;
    read_names(regex);
out:
    pcre2_code_free(code);
    return regex;
}

void route_regex_free(struct route_regex *regex)
{
    if (!regex)
        return;
    pcre2_code_free(regex->code);
    route_object_free(regex);
}

size_t route_regex_bytes(const struct route_regex *regex)
{
    if (!regex)
        return 0;
    size_t code = 0, jit = 0;
    pcre2_pattern_info(regex->code, PCRE2_INFO_SIZE, &code);
    pcre2_pattern_info(regex->code, PCRE2_INFO_JITSIZE, &jit);
    return sizeof *regex + regex->names_count * sizeof regex->names[0] + code + jit;
}

/* Past a character class that opens at `i`. A ']' that comes first stands for itself. */
static size_t class_end(struct text pattern, size_t i)
{
    i++;
    if (i < pattern.size && pattern.at[i] == '^')
        i++;
    if (i < pattern.size && pattern.at[i] == ']')
        i++;
    for (; i < pattern.size && pattern.at[i] != ']'; i++)
        i += pattern.at[i] == '\\';
    return i;
}

/* Whether an alternative may stand outside all groups, so that the beginning does not bind. Errs on the
 * side of yes. */
static bool may_alternate(struct text pattern)
{
    if (text_find_char(pattern, '|') == TEXT_NONE)
        return false;
    if (text_find_char(pattern, '#') != TEXT_NONE || text_find(pattern, TEXT("\\Q")) != TEXT_NONE
        || text_find(pattern, TEXT("[:")) != TEXT_NONE)
        return true; /* comments, quotes and named classes could hide brackets */
    int depth = 0;
    for (size_t i = 0; i < pattern.size; i++) {
        switch (pattern.at[i]) {
        case '\\': i++; break;
        case '[': i = class_end(pattern, i); break;
        case '(': depth++; break;
        case ')': depth--; break;
        case '|':
            if (depth <= 0)
                return true;
            break;
        }
    }
    return false;
}

/* Whether what stops a literal at `i` may change how often its last byte stands there: a quantifier, or
 * what may stand between. */
static bool may_repeat(struct text pattern, size_t i)
{
    if (i >= pattern.size)
        return false;
    char next = i + 1 < pattern.size ? pattern.at[i + 1] : ' ';
    if (pattern.at[i] == '\\')
        return next == 'E';
    if (pattern.at[i] != '(')
        return strchr("?*+{", pattern.at[i]);
    return next == '*' || (next == '?' && !(i + 2 < pattern.size && strchr("<P:=!>|", pattern.at[i + 2])));
}

size_t route_regex_literal(struct text pattern, char *to)
{
    if (may_alternate(pattern))
        return 0;
    size_t size = 0, i = pattern.size > 0 && pattern.at[0] == '^';
    for (; i < pattern.size; i++) {
        char c = pattern.at[i];
        if (c == '\\') {
            char escaped = i + 1 < pattern.size ? pattern.at[i + 1] : 'Q';
            if (char_is_alpha(escaped) || char_is_digit(escaped) || (unsigned char)escaped > 126)
                break; /* \d and the like */
            c = escaped;
            i++;
        } else if (strchr("^$.[|()?*+{", c)) {
            break;
        }
        to[size++] = c;
    }
    return size > 0 && may_repeat(pattern, i) ? size - 1 : size;
}
