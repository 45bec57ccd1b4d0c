/* Functions with regular expressions. A constant pattern is compiled with the expression, another one each time it runs. */
#include "expr/function.h"
#include "expr/regex.h"
#include "expr/utf8.h"
#include "expr/writer.h"

static bool prepare(struct arena *arena, struct value constant, const void **ret_prepared,
                    struct error *reterr)
{
    *ret_prepared = regex_compile(arena, constant.text, REGEX_KEPT, reterr);
    return *ret_prepared;
}

/* What a pattern that is made at run time costs beside its size: the compiler and JIT take microseconds. */
enum { COMPILE_STEPS = 500 };

/* The compiled pattern; NULL: the fault is set. */
static const struct regex *pattern_of(struct call *call, struct text pattern)
{
    if (call->prepared)
        return call->prepared;
    struct error error;
    if (!evaluation_charge(call->evaluation, COMPILE_STEPS + pattern.size))
        return NULL;
    const struct regex *regex = regex_compile(call->evaluation->arena, pattern, REGEX_ONCE, &error);
    if (!regex && (error.code || call->evaluation->arena->failed))
        fault_memory(call->evaluation);
    else if (!regex)
        fault_text(call->evaluation, "malformed regular expression", pattern);
    return regex;
}

/* One search. False: the fault is set. */
static bool search(struct call *call, const struct regex *regex, struct text subject, size_t from,
                   size_t (*spans)[REGEX_GROUPS_MAX][2], bool *ret_found)
{
    size_t own[REGEX_GROUPS_MAX][2], (*places)[REGEX_GROUPS_MAX][2] = spans ? spans : &own;
    enum regex_result result = regex_search(regex, subject, from, places, &call->evaluation->regexes);
    *ret_found = result == REGEX_MATCH;
    if (!evaluation_charge_bytes(call->evaluation, (*ret_found ? (*places)[0][1] : subject.size) - from))
        return false;
    if (result == REGEX_LIMIT)
        return fault_set(call->evaluation, "the regular expression reached its match limit");
    return result != REGEX_NO_MEMORY || fault_memory(call->evaluation);
}

static bool matches(struct call *call, const struct value *arguments, struct value *ret_value)
{
    const struct regex *regex = pattern_of(call, arguments[1].text);
    *ret_value = value_bool(false);
    return regex && search(call, regex, arguments[0].text, 0, NULL, &ret_value->boolean);
}

/* The part of the subject that a match gives: its only group, or all of it. */
static struct text part_of(const struct regex *regex, struct text subject,
                           size_t (*spans)[REGEX_GROUPS_MAX][2])
{
    size_t group = regex_groups(regex) > 0;
    if ((*spans)[group][0] == TEXT_NONE)
        return (struct text){"", 0};
    return text_slice(subject, (*spans)[group][0], (*spans)[group][1]);
}

static const struct regex *extractor_of(struct call *call, struct text pattern)
{
    const struct regex *regex = pattern_of(call, pattern);
    if (!regex || regex_groups(regex) <= 1)
        return regex;
    fault_text(call->evaluation, "a pattern with more than one group", pattern);
    return NULL;
}

static bool extract(struct call *call, const struct value *arguments, struct value *ret_value)
{
    size_t spans[REGEX_GROUPS_MAX][2];
    bool found;
    const struct regex *regex = extractor_of(call, arguments[1].text);
    if (!regex || !search(call, regex, arguments[0].text, 0, &spans, &found))
        return false;
    *ret_value = (struct value){.kind = VALUE_OPTIONAL, .optional = NULL};
    if (!found)
        return true;
    struct value *part = arena_alloc(call->evaluation->arena, sizeof *part);
    if (!part)
        return fault_memory(call->evaluation);
    *part = value_string(part_of(regex, arguments[0].text, &spans));
    ret_value->optional = part;
    return true;
}

/* Where the next search begins: behind the match, and one character further if it was empty. */
static size_t behind(struct text subject, size_t (*spans)[REGEX_GROUPS_MAX][2])
{
    size_t end = (*spans)[0][1];
    uint32_t point;
    if ((*spans)[0][0] < end)
        return end;
    return end < subject.size ? end + utf8_decode(text_slice(subject, end, subject.size), &point) : end + 1;
}

static bool extract_all(struct call *call, const struct value *arguments, struct value *ret_value)
{
    struct evaluation *evaluation = call->evaluation;
    struct text subject = arguments[0].text;
    const struct regex *regex = extractor_of(call, arguments[1].text);
    size_t count = 0, capacity = 0, spans[REGEX_GROUPS_MAX][2];
    struct value *items = NULL;
    if (!regex)
        return false;
    for (size_t from = 0; from <= subject.size; from = behind(subject, &spans)) {
        bool found;
        if (!evaluation_charge(evaluation, 1) || !search(call, regex, subject, from, &spans, &found))
            return false;
        if (!found)
            break;
        if (count == capacity) {
            capacity = capacity ? 2 * capacity : 8;
            struct value *larger = arena_array(evaluation->arena, capacity, sizeof *larger);
            if (!larger)
                return fault_memory(evaluation);
            if (count)
                memcpy(larger, items, count * sizeof *items);
            items = larger;
        }
        items[count++] = value_string(part_of(regex, subject, &spans));
    }
    struct value_list *list = arena_alloc(evaluation->arena, sizeof *list);
    if (!list)
        return fault_memory(evaluation);
    *list = (struct value_list){count, items};
    *ret_value = value_of_list(list);
    return true;
}

/* The replacement with \0 to \9 filled in. False: it is malformed, and the fault is set. */
static bool put_replacement(struct call *call, const struct regex *regex, struct text with,
                            struct text subject, size_t (*spans)[REGEX_GROUPS_MAX][2], struct writer *writer)
{
    for (size_t i = 0; i < with.size; i++) {
        if (with.at[i] != '\\') {
            writer_char(writer, with.at[i]);
            continue;
        }
        char next = ++i < with.size ? with.at[i] : 0;
        if (next == '\\') {
            writer_char(writer, '\\');
        } else if (char_is_digit(next) && (unsigned)(next - '0') <= regex_groups(regex)) {
            const size_t *span = (*spans)[next - '0'];
            if (span[0] != TEXT_NONE)
                writer_put(writer, text_slice(subject, span[0], span[1]));
        } else {
            return fault_text(call->evaluation, "malformed replacement", with);
        }
    }
    return !writer->failed || fault_memory(call->evaluation);
}

static bool replace_up_to(struct call *call, const struct value *arguments, int64_t limit,
                          struct value *ret_value)
{
    struct text subject = arguments[0].text, with = arguments[2].text;
    const struct regex *regex = pattern_of(call, arguments[1].text);
    struct writer writer = {.arena = call->evaluation->arena};
    size_t copied = 0, spans[REGEX_GROUPS_MAX][2];
    uint64_t left = limit < 0 ? UINT64_MAX : (uint64_t)limit;
    if (!regex)
        return false;
    for (size_t from = 0; from <= subject.size && left > 0; from = behind(subject, &spans), left--) {
        bool found;
        if (!evaluation_charge(call->evaluation, 1 + with.size / BYTES_PER_STEP)
            || !search(call, regex, subject, from, &spans, &found))
            return false;
        if (!found)
            break;
        writer_put(&writer, text_slice(subject, copied, spans[0][0]));
        if (!put_replacement(call, regex, with, subject, &spans, &writer)
            || !evaluation_charge_bytes(call->evaluation, writer.size / 64))
            return false;
        copied = spans[0][1];
    }
    writer_put(&writer, text_slice(subject, copied, subject.size));
    ret_value->kind = VALUE_STRING;
    return writer_text(&writer, &ret_value->text) || fault_memory(call->evaluation);
}

static bool replace(struct call *call, const struct value *arguments, struct value *ret_value)
{
    return replace_up_to(call, arguments, -1, ret_value);
}

static bool replace_limited(struct call *call, const struct value *arguments, struct value *ret_value)
{
    return replace_up_to(call, arguments, arguments[3].integer, ret_value);
}

/* Each search may take as long as the match limit lets it, so loops of them must be short. */
#define PATTERN_SECOND                                                                                       \
    .cost = 20, .usual = COMPILE_STEPS + 4 * BYTES_PER_STEP, .prepares = 2, .prepare = prepare

static const struct function rows[] = {
    {"matches",
     FUNCTION_EITHER,
     {SIG_STRING, SIG_STRING},
     SIG_BOOL,
     matches,
     "Whether the regular expression matches a part of it; ^ and $ for all of it.",
     PATTERN_SECOND,
     .example = "'/v2/orders'.matches('^/v[0-9]+/') => true"},
    {"regex.extract",
     FUNCTION_GLOBAL,
     {SIG_STRING, SIG_STRING},
     SIG_OPTIONAL_STRING,
     extract,
     "The first match, or its group if the pattern has one; none if there is no match.",
     PATTERN_SECOND,
     .example = "regex.extract('item-42', '-([0-9]+)') => optional.of(\"42\")"},
    {"regex.extractAll",
     FUNCTION_GLOBAL,
     {SIG_STRING, SIG_STRING},
     SIG_LIST_STRING,
     extract_all,
     "All matches, or their group if the pattern has one.",
     PATTERN_SECOND,
     .example = "regex.extractAll('a1 b22', '[0-9]+') => [\"1\", \"22\"]"},
    {"regex.replace",
     FUNCTION_GLOBAL,
     {SIG_STRING, SIG_STRING, SIG_STRING},
     SIG_STRING,
     replace,
     "With each match replaced; \\1 in the replacement is the first group.",
     PATTERN_SECOND,
     .example = "regex.replace('john smith', '(\\\\w+) (\\\\w+)', '\\\\2 \\\\1') => \"smith john\""},
    {"regex.replace",
     FUNCTION_GLOBAL,
     {SIG_STRING, SIG_STRING, SIG_STRING, SIG_INT},
     SIG_STRING,
     replace_limited,
     "The same for the first so many matches.",
     PATTERN_SECOND,
     .example = "regex.replace('a-b-c', '-', '+', 1) => \"a+b-c\""},
};

const struct function_group functions_regex = FUNCTION_GROUP("Regular expressions", rows);
