/* Functions of strings. Positions count characters (code points), from 0. */
#include "expr/function.h"
#include "expr/utf8.h"
#include "expr/writer.h"

static bool charge(struct call *call, size_t bytes)
{
    return evaluation_charge_bytes(call->evaluation, bytes);
}

static bool give_text(struct call *call, const struct writer *writer, struct value *ret_value)
{
    ret_value->kind = VALUE_STRING;
    return writer_text(writer, &ret_value->text) ? charge(call, writer->size)
                                                 : fault_memory(call->evaluation);
}

static bool contains(struct call *call, const struct value *arguments, struct value *ret_value)
{
    *ret_value = value_bool(text_find(arguments[0].text, arguments[1].text) != TEXT_NONE);
    return charge(call, arguments[0].text.size);
}

static bool starts_with(struct call *call, const struct value *arguments, struct value *ret_value)
{
    *ret_value = value_bool(text_starts_with(arguments[0].text, arguments[1].text));
    return charge(call, arguments[1].text.size);
}

static bool ends_with(struct call *call, const struct value *arguments, struct value *ret_value)
{
    *ret_value = value_bool(text_ends_with(arguments[0].text, arguments[1].text));
    return charge(call, arguments[1].text.size);
}

static bool bad_index(struct call *call)
{
    return fault_set(call->evaluation, "index out of range");
}

/* The byte offset of a character position; its count is one. False: out of range, and the fault is set. */
static bool offset_of(struct call *call, struct text t, int64_t index, size_t *ret_offset)
{
    if (!charge(call, t.size))
        return false;
    size_t offset = index < 0 ? TEXT_NONE : utf8_offset(t, (uint64_t)index);
    *ret_offset = offset;
    return offset != TEXT_NONE || bad_index(call);
}

static bool char_at(struct call *call, const struct value *arguments, struct value *ret_value)
{
    size_t at;
    struct text t = arguments[0].text;
    if (!offset_of(call, t, arguments[1].integer, &at))
        return false;
    uint32_t point;
    size_t size = at < t.size ? utf8_decode(text_slice(t, at, t.size), &point) : 0;
    *ret_value = value_string(text_slice(t, at, at + size));
    return true;
}

static bool substring(struct call *call, const struct value *arguments, struct value *ret_value)
{
    struct text t = arguments[0].text;
    size_t from, to;
    if (!offset_of(call, t, arguments[1].integer, &from) || !offset_of(call, t, arguments[2].integer, &to))
        return false;
    if (to < from)
        return bad_index(call);
    *ret_value = value_string(text_slice(t, from, to));
    return true;
}

static bool substring_from(struct call *call, const struct value *arguments, struct value *ret_value)
{
    size_t from;
    if (!offset_of(call, arguments[0].text, arguments[1].integer, &from))
        return false;
    *ret_value = value_string(text_slice(arguments[0].text, from, arguments[0].text.size));
    return true;
}

/* A byte offset as a position, -1 for none. */
static bool give_position(struct value *ret_value, struct text t, size_t offset)
{
    *ret_value = value_int(offset == TEXT_NONE ? -1 : (int64_t)utf8_count(text_slice(t, 0, offset)));
    return true;
}

static bool index_of(struct call *call, const struct value *arguments, struct value *ret_value)
{
    struct text t = arguments[0].text;
    return charge(call, t.size) && give_position(ret_value, t, text_find(t, arguments[1].text));
}

static bool index_of_from(struct call *call, const struct value *arguments, struct value *ret_value)
{
    struct text t = arguments[0].text;
    size_t from;
    if (!offset_of(call, t, arguments[2].integer, &from))
        return false;
    size_t found = text_find(text_slice(t, from, t.size), arguments[1].text);
    return give_position(ret_value, t, found == TEXT_NONE ? found : from + found);
}

/* The last place of `part` that starts at or before `last`. Each place costs, as the parts may nearly match everywhere. */
static bool find_last(struct call *call, struct text t, struct text part, size_t last, size_t *ret_found)
{
    *ret_found = TEXT_NONE;
    if (part.size > t.size)
        return true;
    for (size_t at = MIN_OF(last, t.size - part.size) + 1; at-- > 0;) {
        if (text_starts_with(text_slice(t, at, t.size), part)) {
            *ret_found = at;
            return true;
        }
        if (at % BYTES_PER_STEP == 0 && !evaluation_charge(call->evaluation, 1 + part.size / BYTES_PER_STEP))
            return false;
    }
    return true;
}

static bool last_index_of(struct call *call, const struct value *arguments, struct value *ret_value)
{
    struct text t = arguments[0].text;
    size_t found;
    return charge(call, t.size) && find_last(call, t, arguments[1].text, t.size, &found)
           && give_position(ret_value, t, found);
}

static bool last_index_of_from(struct call *call, const struct value *arguments, struct value *ret_value)
{
    struct text t = arguments[0].text;
    size_t last, found;
    return offset_of(call, t, arguments[2].integer, &last)
           && find_last(call, t, arguments[1].text, last, &found) && give_position(ret_value, t, found);
}

static bool join_with(struct call *call, const struct value_list *list, struct text separator,
                      struct value *ret_value)
{
    struct writer writer = {.arena = call->evaluation->arena};
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].kind != VALUE_STRING)
            return fault_overload(call->evaluation, "join", &list->items[i], 1);
        if (i)
            writer_put(&writer, separator);
        writer_put(&writer, list->items[i].text);
        if (!charge(call, separator.size + list->items[i].text.size))
            return false;
    }
    return give_text(call, &writer, ret_value);
}

static bool join(struct call *call, const struct value *arguments, struct value *ret_value)
{
    return join_with(call, arguments[0].list, TEXT(""), ret_value);
}

static bool join_separated(struct call *call, const struct value *arguments, struct value *ret_value)
{
    return join_with(call, arguments[0].list, arguments[1].text, ret_value);
}

/* The size of the part of `t` up to the next separator; an empty one stands between any two characters. TEXT_NONE: none follows. */
static size_t next_separator(struct text t, struct text separator)
{
    uint32_t point;
    if (separator.size)
        return text_find(t, separator);
    size_t size = t.size ? utf8_decode(t, &point) : 0;
    return size < t.size ? size : TEXT_NONE;
}

static size_t count_parts(struct text t, struct text separator, uint64_t limit)
{
    size_t count = 1, at;
    while (count < limit && (at = next_separator(t, separator)) != TEXT_NONE) {
        t = text_slice(t, at + separator.size, t.size);
        count++;
    }
    return count;
}

static bool split_up_to(struct call *call, struct text t, struct text separator, int64_t limit,
                        struct value *ret_value)
{
    size_t count = limit == 0 ? 0
                   : t.size == 0 && separator.size == 0
                       ? 0
                       : count_parts(t, separator, limit < 0 ? UINT64_MAX : (uint64_t)limit);
    if (!charge(call, t.size) || !evaluation_charge(call->evaluation, count / 4))
        return false;
    struct value_list *list = arena_alloc(call->evaluation->arena, sizeof *list);
    struct value *items = arena_array(call->evaluation->arena, count, sizeof *items);
    if (!list || !items)
        return fault_memory(call->evaluation);
    for (size_t i = 0; i < count; i++) {
        size_t at = i + 1 < count ? next_separator(t, separator) : t.size;
        items[i] = value_string(text_slice(t, 0, at));
        t = text_slice(t, at + separator.size, t.size);
    }
    *list = (struct value_list){count, items};
    *ret_value = value_of_list(list);
    return true;
}

static bool split(struct call *call, const struct value *arguments, struct value *ret_value)
{
    return split_up_to(call, arguments[0].text, arguments[1].text, -1, ret_value);
}

static bool split_limited(struct call *call, const struct value *arguments, struct value *ret_value)
{
    return split_up_to(call, arguments[0].text, arguments[1].text, arguments[2].integer, ret_value);
}

/* An empty part is found before each character and at the end. */
static bool replace_up_to(struct call *call, struct text t, const struct value *arguments, int64_t limit,
                          struct value *ret_value)
{
    struct text part = arguments[1].text, with = arguments[2].text;
    struct writer writer = {.arena = call->evaluation->arena};
    uint64_t left = limit < 0 ? UINT64_MAX : (uint64_t)limit;
    if (!charge(call, t.size))
        return false;
    for (bool more = true; more && left > 0; left--) {
        size_t at = text_find(t, part);
        uint32_t point;
        if (at == TEXT_NONE)
            break;
        writer_put(&writer, text_slice(t, 0, at));
        writer_put(&writer, with);
        size_t character = part.size == 0 && t.size ? utf8_decode(t, &point) : 0;
        writer_put(&writer, text_slice(t, 0, character));
        more = part.size > 0 || t.size > 0;
        t = text_slice(t, at + part.size + character, t.size);
        if (writer.failed || !charge(call, with.size + at + 8))
            return writer.failed ? fault_memory(call->evaluation) : false;
    }
    writer_put(&writer, t);
    return give_text(call, &writer, ret_value);
}

static bool replace(struct call *call, const struct value *arguments, struct value *ret_value)
{
    return replace_up_to(call, arguments[0].text, arguments, -1, ret_value);
}

static bool replace_limited(struct call *call, const struct value *arguments, struct value *ret_value)
{
    return replace_up_to(call, arguments[0].text, arguments, arguments[3].integer, ret_value);
}

static bool trim(struct call *call, const struct value *arguments, struct value *ret_value)
{
    struct text t = arguments[0].text;
    size_t end = 0;
    bool started = false;
    for (size_t at = 0; at < t.size;) {
        uint32_t point;
        size_t size = utf8_decode(text_slice(t, at, t.size), &point);
        bool space = utf8_is_space(point);
        if (space && !started) {
            t = text_slice(t, at + size, t.size);
            at = 0;
            continue;
        }
        started = true;
        at += size;
        if (!space)
            end = at;
    }
    *ret_value = value_string(text_slice(t, 0, end));
    return charge(call, arguments[0].text.size);
}

static bool change_case(struct call *call, struct text t, char first, struct value *ret_value)
{
    char *to = arena_alloc(call->evaluation->arena, t.size);
    if (!to)
        return fault_memory(call->evaluation);
    for (size_t i = 0; i < t.size; i++)
        to[i] = (unsigned char)(t.at[i] - first) < 26 ? (char)(t.at[i] ^ 0x20) : t.at[i];
    *ret_value = value_string((struct text){to, t.size});
    return charge(call, t.size);
}

static bool lower_ascii(struct call *call, const struct value *arguments, struct value *ret_value)
{
    return change_case(call, arguments[0].text, 'A', ret_value);
}

static bool upper_ascii(struct call *call, const struct value *arguments, struct value *ret_value)
{
    return change_case(call, arguments[0].text, 'a', ret_value);
}

static bool reverse(struct call *call, const struct value *arguments, struct value *ret_value)
{
    struct text t = arguments[0].text;
    char *to = arena_alloc(call->evaluation->arena, t.size);
    if (!to)
        return fault_memory(call->evaluation);
    for (size_t at = 0; at < t.size;) {
        uint32_t point;
        size_t size = utf8_decode(text_slice(t, at, t.size), &point);
        memcpy(to + t.size - at - size, t.at + at, size);
        at += size;
    }
    *ret_value = value_string((struct text){to, t.size});
    return charge(call, t.size);
}

static bool quote(struct call *call, const struct value *arguments, struct value *ret_value)
{
    static const char from[] = "\a\b\f\n\r\t\v\\\"", letters[] = "abfnrtv\\\"";
    struct text t = arguments[0].text;
    struct writer writer = {.arena = call->evaluation->arena};
    writer_char(&writer, '"');
    for (size_t at = 0; at < t.size;) {
        uint32_t point;
        at += utf8_decode(text_slice(t, at, t.size), &point);
        const char *found = point && point < 0x80 ? strchr(from, (int)point) : NULL;
        char encoded[4] = {'\\', found ? letters[found - from] : 0};
        writer_put(&writer, (struct text){encoded, found ? 2 : utf8_encode(point, encoded)});
    }
    writer_char(&writer, '"');
    return give_text(call, &writer, ret_value);
}

static const struct function rows[] = {
    {"contains",
     FUNCTION_RECEIVER,
     {SIG_STRING, SIG_STRING},
     SIG_BOOL,
     contains,
     "Whether the part is in it.",
     1,
     .example = "'gateway'.contains('tew') => true"},
    {"startsWith",
     FUNCTION_RECEIVER,
     {SIG_STRING, SIG_STRING},
     SIG_BOOL,
     starts_with,
     "Whether it begins with the prefix.",
     1,
     .example = "'/api/orders'.startsWith('/api/') => true"},
    {"endsWith",
     FUNCTION_RECEIVER,
     {SIG_STRING, SIG_STRING},
     SIG_BOOL,
     ends_with,
     "Whether it ends with the suffix.",
     1,
     .example = "'a.png'.endsWith('.png') => true"},
    {"charAt",
     FUNCTION_RECEIVER,
     {SIG_STRING, SIG_INT},
     SIG_STRING,
     char_at,
     "The character at a position; empty at the end; an error beyond.",
     2,
     .example = "'hello'.charAt(1) => \"e\""},
    {"indexOf",
     FUNCTION_RECEIVER,
     {SIG_STRING, SIG_STRING},
     SIG_INT,
     index_of,
     "The position of the first occurrence, or -1.",
     2,
     .example = "'hello'.indexOf('l') => 2"},
    {"indexOf",
     FUNCTION_RECEIVER,
     {SIG_STRING, SIG_STRING, SIG_INT},
     SIG_INT,
     index_of_from,
     "The same, from a position on.",
     2,
     .example = "'hello'.indexOf('l', 3) => 3"},
    {"lastIndexOf",
     FUNCTION_RECEIVER,
     {SIG_STRING, SIG_STRING},
     SIG_INT,
     last_index_of,
     "The position of the last occurrence, or -1.",
     2,
     .example = "'hello'.lastIndexOf('l') => 3"},
    {"lastIndexOf",
     FUNCTION_RECEIVER,
     {SIG_STRING, SIG_STRING, SIG_INT},
     SIG_INT,
     last_index_of_from,
     "The same, of those that begin at or before a position.",
     2,
     .example = "'hello'.lastIndexOf('l', 2) => 2"},
    {"join",
     FUNCTION_RECEIVER,
     {SIG_LIST_STRING},
     SIG_STRING,
     join,
     "The strings one after the other.",
     3,
     .example = "['a', 'b'].join() => \"ab\"",
     .usual = 2 * ITEMS_USUAL},
    {"join",
     FUNCTION_RECEIVER,
     {SIG_LIST_STRING, SIG_STRING},
     SIG_STRING,
     join_separated,
     "The strings with a separator between them.",
     3,
     .example = "['a', 'b'].join(', ') => \"a, b\"",
     .usual = 2 * ITEMS_USUAL},
    {"split",
     FUNCTION_RECEIVER,
     {SIG_STRING, SIG_STRING},
     SIG_LIST_STRING,
     split,
     "The parts between the separators; an empty separator gives the characters.",
     3,
     .example = "'a,b,c'.split(',') => [\"a\", \"b\", \"c\"]",
     .usual = ITEMS_USUAL / 4},
    {"split",
     FUNCTION_RECEIVER,
     {SIG_STRING, SIG_STRING, SIG_INT},
     SIG_LIST_STRING,
     split_limited,
     "The same, at most so many parts; a negative limit is none.",
     3,
     .example = "'a,b,c'.split(',', 2) => [\"a\", \"b,c\"]",
     .usual = ITEMS_USUAL / 4},
    {"replace",
     FUNCTION_RECEIVER,
     {SIG_STRING, SIG_STRING, SIG_STRING},
     SIG_STRING,
     replace,
     "With each occurrence of the first replaced by the second.",
     3,
     .example = "'banana'.replace('an', 'AN') => \"bANANa\""},
    {"replace",
     FUNCTION_RECEIVER,
     {SIG_STRING, SIG_STRING, SIG_STRING, SIG_INT},
     SIG_STRING,
     replace_limited,
     "The same for the first so many occurrences; a negative limit is none.",
     3,
     .example = "'banana'.replace('a', 'o', 1) => \"bonana\""},
    {"substring",
     FUNCTION_RECEIVER,
     {SIG_STRING, SIG_INT},
     SIG_STRING,
     substring_from,
     "From a position to the end.",
     2,
     .example = "'gateway'.substring(4) => \"way\""},
    {"substring",
     FUNCTION_RECEIVER,
     {SIG_STRING, SIG_INT, SIG_INT},
     SIG_STRING,
     substring,
     "From a position up to, and without, another.",
     2,
     .example = "'gateway'.substring(0, 4) => \"gate\""},
    {"trim",
     FUNCTION_RECEIVER,
     {SIG_STRING},
     SIG_STRING,
     trim,
     "Without white space at both ends.",
     2,
     .example = "'  a b '.trim() => \"a b\""},
    {"lowerAscii",
     FUNCTION_RECEIVER,
     {SIG_STRING},
     SIG_STRING,
     lower_ascii,
     "With A to Z in lower case.",
     2,
     .example = "'X-Tenant'.lowerAscii() => \"x-tenant\""},
    {"upperAscii",
     FUNCTION_RECEIVER,
     {SIG_STRING},
     SIG_STRING,
     upper_ascii,
     "With a to z in upper case.",
     2,
     .example = "'get'.upperAscii() => \"GET\""},
    {"reverse",
     FUNCTION_RECEIVER,
     {SIG_STRING},
     SIG_STRING,
     reverse,
     "With the characters in reverse order.",
     2,
     .example = "'abc'.reverse() => \"cba\""},
    {"strings.quote",
     FUNCTION_GLOBAL,
     {SIG_STRING},
     SIG_STRING,
     quote,
     "Between double quotes, with escapes.",
     2,
     .example = "strings.quote('say \"hi\"') => \"\\\"say \\\\\\\"hi\\\\\\\"\\\"\""},
};

const struct function_group functions_string = FUNCTION_GROUP("Strings", rows);
