/* Number and string literals of the language. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/check.h"
#include "expr/ast.h"
#include "expr/utf8.h"

static size_t digits(struct text t, size_t at)
{
    while (at < t.size && char_is_digit(t.at[at]))
        at++;
    return at;
}

static bool number_end_is_clean(struct source *source, size_t at, size_t end)
{
    char next = end < source->text.size ? source->text.at[end] : 0;
    if (char_is_alpha(next) || char_is_digit(next) || next == '_')
        return source_fail(source, at, "a malformed number"), false;
    return true;
}

/* The end of a double that starts at `at`, 0: it is an integer. ".5", "1.5", "1e9", "1.5e-9", but not "1.". */
static size_t double_end(struct text t, size_t at)
{
    size_t end = digits(t, at), fraction = end;
    if (end < t.size && t.at[end] == '.' && digits(t, end + 1) > end + 1)
        fraction = digits(t, end + 1);
    size_t exponent = fraction;
    if (exponent < t.size && (t.at[exponent] == 'e' || t.at[exponent] == 'E')) {
        exponent++;
        if (exponent < t.size && (t.at[exponent] == '+' || t.at[exponent] == '-'))
            exponent++;
        if (digits(t, exponent) > exponent)
            return digits(t, exponent);
    }
    return fraction > end ? fraction : 0;
}

static bool parse_double(struct source *source, struct token *token, bool minus)
{
    char copy[400];
    size_t size = token->end - token->at;
    if (size >= sizeof copy)
        return source_fail(source, token->at, "a number of too many digits"), false;
    memcpy(copy, source->text.at + token->at, size);
    copy[size] = 0;
    double number = strtod(copy, NULL);
    if (!isfinite(number))
        return source_fail(source, token->at, "a number beyond the range of double"), false;
    token->value = value_double(minus ? -number : number);
    return number_end_is_clean(source, token->at, token->end);
}

/* Digits of base 10 or 16 to a magnitude; false: too large. */
static bool parse_magnitude(struct text t, uint64_t base, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (size_t i = 0; i < t.size; i++)
        if (__builtin_mul_overflow(value, base, &value)
            || __builtin_add_overflow(value, (uint64_t)char_hex(t.at[i]), &value))
            return false;
    *ret_value = value;
    return true;
}

static bool parse_integer(struct source *source, struct token *token, bool minus)
{
    struct text t = source->text;
    size_t start = token->at, end = digits(t, start);
    bool hexadecimal =
        t.at[start] == '0' && start + 1 < t.size && (t.at[start + 1] == 'x' || t.at[start + 1] == 'X');
    if (hexadecimal) {
        start += 2;
        for (end = start; end < t.size && char_hex(t.at[end]) >= 0;)
            end++;
    }
    uint64_t magnitude;
    bool fits = parse_magnitude(text_slice(t, start, end), hexadecimal ? 16 : 10, &magnitude);
    bool is_uint = end < t.size && (t.at[end] == 'u' || t.at[end] == 'U');
    token->end = end + is_uint;
    if (end == start || !number_end_is_clean(source, token->at, token->end))
        return source_fail(source, token->at, "a malformed number"), false;
    if (!fits || (!is_uint && magnitude > (uint64_t)INT64_MAX + minus))
        return source_fail(source, token->at, "a number beyond the range of %s", is_uint ? "uint" : "int"),
               false;
    if (is_uint && minus)
        return source_fail(source, token->at, "a uint cannot be negative"), false;
    token->value = is_uint ? value_uint(magnitude) : value_int((int64_t)(minus ? 0 - magnitude : magnitude));
    return true;
}

bool literal_number(struct source *source, struct token *token, bool minus)
{
    size_t end = double_end(source->text, token->at);
    if (!end)
        return parse_integer(source, token, minus);
    token->end = end;
    return parse_double(source, token, minus);
}

/* Reads `count` digits of base 8 or 16; false: they are not there. */
static bool escape_digits(struct text t, size_t count, unsigned base, uint32_t *ret_value)
{
    uint32_t value = 0;
    if (t.size < count)
        return false;
    for (size_t i = 0; i < count; i++) {
        int digit = char_hex(t.at[i]);
        if (digit < 0 || (unsigned)digit >= base)
            return false;
        value = value * base + (uint32_t)digit;
    }
    *ret_value = value;
    return true;
}

/* The one-letter escapes; 0: none of them. */
static char escape_letter(char c)
{
    static const char from[] = "abfnrtv\\?\"'`", to[] = "\a\b\f\n\r\t\v\\?\"'`";
    const char *found = c ? strchr(from, c) : NULL;
    return found ? to[found - from] : 0;
}

/* One escape behind its backslash: writes what it stands for, returns how many bytes of the source it took, 0: it is none. */
static size_t escape(struct text t, bool bytes, char *to, size_t *ret_size)
{
    char c = t.size ? t.at[0] : 0;
    uint32_t point = 0;
    if (escape_letter(c)) {
        *to = escape_letter(c);
        *ret_size = 1;
        return 1;
    }
    size_t count = 0;
    bool is_octet = true;
    if (c == 'x' || c == 'X') {
        count = escape_digits(text_slice(t, 1, t.size), 2, 16, &point) ? 3 : 0;
    } else if (c >= '0' && c <= '3') {
        count = escape_digits(t, 3, 8, &point) ? 3 : 0;
    } else if ((c == 'u' || c == 'U') && !bytes) {
        size_t wanted = c == 'u' ? 4 : 8;
        count = escape_digits(text_slice(t, 1, t.size), wanted, 16, &point) ? wanted + 1 : 0;
        is_octet = false;
    }
    if (!count || point > 0x10ffff || (!is_octet && point >= 0xd800 && point < 0xe000))
        return 0;
    if (bytes)
        *to = (char)point;
    *ret_size = bytes ? 1 : utf8_encode(point, to);
    return count;
}

bool literal_unescape(struct source *source, size_t at, size_t end, bool bytes, struct text *ret_text)
{
    struct text contents = text_slice(source->text, at, end);
    if (text_find_char(contents, '\\') == TEXT_NONE) {
        *ret_text = contents;
        return true;
    }
    char *to = arena_alloc(source->arena, contents.size); /* no escape grows */
    if (!to)
        return source_fail_memory(source), false;
    size_t size = 0;
    for (size_t i = 0; i < contents.size;) {
        if (contents.at[i] != '\\') {
            to[size++] = contents.at[i++];
            continue;
        }
        size_t written = 0,
               taken = escape(text_slice(contents, i + 1, contents.size), bytes, to + size, &written);
        if (!taken)
            return source_fail(source, at + i, "an unknown or malformed escape%s", bytes ? " for bytes" : ""),
                   false;
        size += written;
        i += 1 + taken;
    }
    *ret_text = (struct text){to, size};
    return true;
}
