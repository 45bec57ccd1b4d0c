/* JSON text to values and back: strict RFC 8259, duplicate names keep the last. */
#include "expr/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "expr/expr.h"
#include "expr/map.h"
#include "expr/print.h"
#include "expr/utf8.h"

struct reader {
    struct text json;
    size_t at;
    unsigned depth;
    struct arena *arena;
    const char *said; /* the first failure */
};

static bool read_value(struct reader *reader, struct value *ret_value);

static bool fail(struct reader *reader, const char *said)
{
    if (!reader->said)
        reader->said = said;
    return false;
}

static char peek(const struct reader *reader)
{
    return reader->at < reader->json.size ? reader->json.at[reader->at] : 0;
}

static void skip_blanks(struct reader *reader)
{
    while (reader->at < reader->json.size && memchr(" \t\r\n", reader->json.at[reader->at], 4))
        reader->at++;
}

static bool take(struct reader *reader, char c)
{
    skip_blanks(reader);
    if (peek(reader) != c)
        return false;
    reader->at++;
    return true;
}

/* Four hexadecimal digits; -1: they are not there. */
static int32_t read_hex(struct reader *reader)
{
    int32_t point = 0;
    for (int i = 0; i < 4; i++) {
        int digit = char_hex(peek(reader));
        if (digit < 0)
            return -1;
        point = point << 4 | digit;
        reader->at++;
    }
    return point;
}

/* Behind "\u": a code point, of two escapes if they are a surrogate pair. */
static bool read_unicode(struct reader *reader, uint32_t *ret_point)
{
    int32_t high = read_hex(reader);
    if (high < 0 || (high >= 0xdc00 && high < 0xe000))
        return fail(reader, "a malformed \\u escape");
    *ret_point = (uint32_t)high;
    if (high < 0xd800 || high >= 0xe000)
        return true;
    struct text rest = text_slice(reader->json, reader->at, reader->json.size);
    if (!text_starts_with(rest, TEXT("\\u")))
        return fail(reader, "half of a surrogate pair");
    reader->at += 2;
    int32_t low = read_hex(reader);
    if (low < 0xdc00 || low >= 0xe000)
        return fail(reader, "half of a surrogate pair");
    *ret_point = 0x10000 + (((uint32_t)high - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
    return true;
}

/* One escape, behind the backslash, into `to`; the size, 0: malformed. */
static size_t read_escape(struct reader *reader, char *to)
{
    static const char from[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    char c = peek(reader);
    reader->at++;
    uint32_t point;
    if (c == 'u')
        return read_unicode(reader, &point) ? utf8_encode(point, to) : 0;
    const char *found = c ? strchr(from, c) : NULL;
    if (!found)
        return fail(reader, "an unknown escape"), 0;
    *to = means[found - from];
    return 1;
}

/* The end of the string whose contents start at `at`, which is its quote; whether it has escapes. */
static bool string_end(struct reader *reader, size_t *ret_end, bool *ret_escaped)
{
    *ret_escaped = false;
    for (size_t i = reader->at; i < reader->json.size; i++) {
        char c = reader->json.at[i];
        if (c == '"') {
            *ret_end = i;
            return true;
        }
        if ((unsigned char)c < 0x20)
            return fail(reader, "a control character in a string");
        if (c == '\\') {
            *ret_escaped = true;
            i++;
        }
    }
    return fail(reader, "a string without end");
}

static bool read_string(struct reader *reader, struct text *ret_text)
{
    size_t end;
    bool escaped;
    reader->at++;
    if (!string_end(reader, &end, &escaped))
        return false;
    struct text raw = text_slice(reader->json, reader->at, end);
    if (!text_is_utf8(raw))
        return fail(reader, "malformed UTF-8");
    if (!escaped) {
        *ret_text = arena_copy(reader->arena, raw);
        reader->at = end + 1;
        return ret_text->size == raw.size || fail(reader, "out of memory");
    }
    char *to = arena_alloc(reader->arena, raw.size);
    if (!to)
        return fail(reader, "out of memory");
    size_t size = 0;
    while (reader->at < end) {
        char c = reader->json.at[reader->at++];
        size_t written = 1;
        if (c != '\\')
            to[size] = c;
        else if (!(written = read_escape(reader, to + size)))
            return false;
        size += written;
    }
    reader->at = end + 1;
    *ret_text = (struct text){to, size};
    return true;
}

static size_t skip_digits(const struct reader *reader, size_t at)
{
    while (at < reader->json.size && char_is_digit(reader->json.at[at]))
        at++;
    return at;
}

/* The end of the number at reader->at by the grammar of RFC 8259, 0: malformed. */
static size_t number_end(const struct reader *reader, bool *ret_whole)
{
    struct text json = reader->json;
    size_t at = reader->at + (peek(reader) == '-'), end = skip_digits(reader, at);
    *ret_whole = true;
    if (end == at || (json.at[at] == '0' && end > at + 1))
        return 0;
    at = end;
    if (at < json.size && json.at[at] == '.') {
        *ret_whole = false;
        end = skip_digits(reader, at + 1);
        if (end == at + 1)
            return 0;
        at = end;
    }
    if (at < json.size && (json.at[at] | 0x20) == 'e') {
        *ret_whole = false;
        at++;
        at += at < json.size && (json.at[at] == '+' || json.at[at] == '-');
        end = skip_digits(reader, at);
        if (end == at)
            return 0;
    }
    return end;
}

static bool read_number(struct reader *reader, struct value *ret_value)
{
    char copy[512];
    bool whole;
    size_t end = number_end(reader, &whole);
    if (!end)
        return fail(reader, "a malformed number");
    struct text number = text_slice(reader->json, reader->at, end);
    reader->at = end;
    int64_t integer;
    if (whole && text_to_int64(number, &integer)) {
        *ret_value = value_int(integer);
        return true;
    }
    if (number.size >= sizeof copy)
        return fail(reader, "a number of too many digits");
    memcpy(copy, number.at, number.size);
    copy[number.size] = 0;
    *ret_value = value_double(strtod(copy, NULL));
    return isfinite(ret_value->number) || fail(reader, "a number beyond the range of double");
}

static bool read_word(struct reader *reader, struct text word, struct value value, struct value *ret_value)
{
    if (!text_starts_with(text_slice(reader->json, reader->at, reader->json.size), word))
        return fail(reader, "an unknown word");
    reader->at += word.size;
    *ret_value = value;
    return true;
}

static bool read_list(struct reader *reader, struct value *ret_value)
{
    size_t count = 0, capacity = 0;
    struct value *items = NULL;
    reader->at++;
    bool end = take(reader, ']');
    while (!end) {
        if (count == capacity) {
            capacity = capacity ? 2 * capacity : 4;
            struct value *larger = arena_array(reader->arena, capacity, sizeof *larger);
            if (!larger)
                return fail(reader, "out of memory");
            if (count)
                memcpy(larger, items, count * sizeof *items);
            items = larger;
        }
        if (!read_value(reader, &items[count++]))
            return false;
        end = take(reader, ']');
        if (!end && !take(reader, ','))
            return fail(reader, "neither ',' nor ']' after an element");
    }
    struct value_list *list = arena_alloc(reader->arena, sizeof *list);
    if (!list)
        return fail(reader, "out of memory");
    *list = (struct value_list){count, items};
    *ret_value = value_of_list(list);
    return true;
}

static bool read_map(struct reader *reader, struct value *ret_value)
{
    struct map *map = map_new(reader->arena, 0);
    if (!map)
        return fail(reader, "out of memory");
    reader->at++;
    bool end = take(reader, '}');
    while (!end) {
        struct value key = {.kind = VALUE_STRING}, value;
        skip_blanks(reader);
        if (peek(reader) != '"')
            return fail(reader, "no name where a member should start");
        if (!read_string(reader, &key.text))
            return false;
        if (!take(reader, ':'))
            return fail(reader, "no ':' after a name");
        if (!read_value(reader, &value))
            return false;
        if (map_put(map, key, value, true, reader->arena) != MAP_PUT)
            return fail(reader, "out of memory");
        end = take(reader, '}');
        if (!end && !take(reader, ','))
            return fail(reader, "neither ',' nor '}' after a member");
    }
    *ret_value = value_of_map(&map->map);
    return true;
}

static bool read_value(struct reader *reader, struct value *ret_value)
{
    skip_blanks(reader);
    bool good;
    switch (peek(reader)) {
    case '{':
    case '[':
        if (++reader->depth > JSON_DEPTH_MAX)
            return fail(reader, "nested too deeply");
        good = peek(reader) == '{' ? read_map(reader, ret_value) : read_list(reader, ret_value);
        reader->depth--;
        return good;
    case '"': ret_value->kind = VALUE_STRING; return read_string(reader, &ret_value->text);
    case 't': return read_word(reader, TEXT("true"), value_bool(true), ret_value);
    case 'f': return read_word(reader, TEXT("false"), value_bool(false), ret_value);
    case 'n': return read_word(reader, TEXT("null"), value_null(), ret_value);
    case 0: return fail(reader, "it ends where a value should stand");
    default: return read_number(reader, ret_value);
    }
}

const char *json_parse(struct text json, struct arena *arena, struct value *ret_value, size_t *ret_at)
{
    struct reader reader = {.json = json, .arena = arena};
    bool good = read_value(&reader, ret_value);
    skip_blanks(&reader);
    if (good && reader.at < json.size)
        good = fail(&reader, "something follows the value");
    *ret_at = reader.at;
    return good ? NULL : reader.said;
}

bool value_from_json(struct text json, struct arena *arena, struct value *ret_value, struct error *reterr)
{
    size_t at;
    const char *said = json_parse(json, arena, ret_value, &at);
    if (said)
        error_set(reterr, 0, "JSON at byte %zu: %s", at, said);
    return !said;
}
