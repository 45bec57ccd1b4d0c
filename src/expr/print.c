/* Values and numbers as text: as string() does, and as literals of the language. */
#include "expr/print.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "expr/calendar.h"
#include "expr/expr.h"
#include "expr/utf8.h"

enum { ESCAPED_SIZE_MAX = 6 }; /* bytes that one byte may become: \u0000 */

size_t uint_write(uint64_t value, char *to)
{
    char digits[20];
    size_t count = 0;
    do
        digits[count++] = (char)('0' + value % 10);
    while (value /= 10);
    for (size_t i = 0; i < count; i++)
        to[i] = digits[count - 1 - i];
    return count;
}

size_t int_write(int64_t value, char *to)
{
    if (value >= 0)
        return uint_write((uint64_t)value, to);
    to[0] = '-';
    return 1 + uint_write(0 - (uint64_t)value, to + 1);
}

/* Writes digits with an exponent of ten as a plain decimal: "1234" and 2 give "12.34". */
static size_t write_plain(const char *digits, int count, int whole, char *to)
{
    size_t size = 0;
    for (int i = 0; i < whole || i < count; i++) {
        if (i == whole)
            to[size++] = '.';
        to[size++] = i < count ? digits[i] : '0';
    }
    return size;
}

size_t double_write(double value, char *to)
{
    if (!isfinite(value)) {
        const char *name = isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity";
        return (size_t)snprintf(to, NUMBER_TEXT_MAX, "%s", name);
    }
    if (fabs(value) < 0x1p53 && value == (double)(int64_t)value && (value != 0 || !signbit(value)))
        return int_write((int64_t)value, to);
    char scientific[NUMBER_TEXT_MAX];
    /* 15 digits always come back in a double of full precision; a subnormal one may need fewer. */
    for (int precision = fabs(value) < 0x1p-1022 ? 0 : 14; precision <= 16; precision++) {
        snprintf(scientific, sizeof scientific, "%.*e", precision, value);
        if (strtod(scientific, NULL) == value)
            break;
    }
    char digits[24];
    int count = 0, exponent = (int)strtol(strchr(scientific, 'e') + 1, NULL, 10);
    const char *from = scientific + (scientific[0] == '-');
    for (; *from != 'e'; from++)
        if (*from != '.')
            digits[count++] = *from;
    while (count > 1 && digits[count - 1] == '0')
        count--;
    size_t size = 0;
    if (signbit(value))
        to[size++] = '-';
    if (exponent >= 0 && exponent < 21)
        return size + write_plain(digits, count, exponent + 1, to + size);
    if (exponent < 0 && exponent >= -4) {
        memcpy(to + size, "0.0000", 6);
        size += (size_t)(1 - exponent);
        memcpy(to + size, digits, (size_t)count);
        return size + (size_t)count;
    }
    size += write_plain(digits, count, 1, to + size);
    return size + (size_t)snprintf(to + size, 8, "e%+03d", exponent);
}

bool value_write_scalar(const struct value *value, struct writer *writer)
{
    char text[NUMBER_TEXT_MAX];
    size_t size;
    switch (value->kind) {
    case VALUE_STRING: writer_put(writer, value->text); return true;
    case VALUE_BYTES:
        if (!text_is_utf8(value->text))
            return false;
        writer_put(writer, value->text);
        return true;
    case VALUE_BOOL: writer_put(writer, value->boolean ? TEXT("true") : TEXT("false")); return true;
    case VALUE_INT: size = int_write(value->integer, text); break;
    case VALUE_UINT: size = uint_write(value->uinteger, text); break;
    case VALUE_DOUBLE: size = double_write(value->number, text); break;
    case VALUE_TIMESTAMP: size = timestamp_write(value->time, text); break;
    case VALUE_DURATION: size = duration_write(value->time, text); break;
    case VALUE_HOST:
        writer_put(writer, value->host.type->write(value->host.data, writer->arena));
        return true;
    case VALUE_NULL:
    case VALUE_LIST:
    case VALUE_MAP:
    case VALUE_TYPE:
    case VALUE_OPTIONAL:
    default: return false;
    }
    writer_put(writer, (struct text){text, size});
    return true;
}

void value_write_text(const struct value *value, struct writer *writer)
{
    if (value->kind == VALUE_OPTIONAL) {
        if (value->optional)
            value_write_text(value->optional, writer);
    } else if (value->kind == VALUE_TYPE) {
        writer_put(writer, value->text);
    } else if (!value_write_scalar(value, writer)) {
        value_write_json(value, writer);
    }
}

static void write_html(struct text t, struct writer *writer)
{
    for (size_t i = 0; i < t.size; i++) {
        switch (t.at[i]) {
        case '&': writer_literal(writer, "&amp;"); break;
        case '<': writer_literal(writer, "&lt;"); break;
        case '>': writer_literal(writer, "&gt;"); break;
        case '"': writer_literal(writer, "&quot;"); break;
        case '\'': writer_literal(writer, "&#39;"); break;
        default: writer_char(writer, t.at[i]);
        }
    }
}

void value_write_escaped(const struct value *value, enum expr_escape escape, struct writer *writer)
{
    struct writer plain = {.arena = writer->arena};
    struct text text;
    if (value->kind == VALUE_STRING) {
        text = value->text;
    } else {
        value_write_text(value, &plain);
        writer->failed |= !writer_text(&plain, &text);
    }
    if (escape == EXPR_ESCAPE_HTML) {
        write_html(text, writer);
        return;
    }
    size_t size = text.size * ESCAPED_SIZE_MAX; /* of a text in memory: no overflow */
    if (size == 0 || (size > writer->room - writer->size && !writer_reserve(writer, size)))
        return;
    writer->size += log_escape_json(text, writer->at + writer->size, writer->room - writer->size);
}

/* The letter of a short escape, 0: there is none. */
static char escape_letter(uint32_t point)
{
    static const char from[] = "\a\b\f\n\r\t\v\\\"", to[] = "abfnrtv\\\"";
    const char *found = point && point < 0x80 ? strchr(from, (int)point) : NULL;
    return found ? to[found - from] : 0;
}

void text_write_quoted(struct text t, struct writer *writer)
{
    writer_char(writer, '"');
    for (size_t at = 0; at < t.size;) {
        uint32_t point;
        size_t size = utf8_decode(text_slice(t, at, t.size), &point);
        char letter = escape_letter(point), code[8];
        if (letter) {
            writer_char(writer, '\\');
            writer_char(writer, letter);
        } else if (point < 0x20 || point == 0x7f) {
            writer_put(writer,
                       (struct text){code, (size_t)snprintf(code, sizeof code, "\\u%04x", point & 0xff)});
        } else {
            char encoded[4]; /* not the bytes themselves: a stray one has become U+FFFD */
            writer_put(writer, (struct text){encoded, utf8_encode(point, encoded)});
        }
        at += size;
    }
    writer_char(writer, '"');
}

static void write_bytes(struct text t, struct writer *writer)
{
    writer_literal(writer, "b\"");
    for (size_t i = 0; i < t.size; i++) {
        unsigned char c = (unsigned char)t.at[i];
        char letter = escape_letter(c), code[8];
        if (letter) {
            writer_char(writer, '\\');
            writer_char(writer, letter);
        } else if (c < 0x20 || c >= 0x7f) {
            writer_put(writer, (struct text){code, (size_t)snprintf(code, sizeof code, "\\x%02x", c)});
        } else {
            writer_char(writer, (char)c);
        }
    }
    writer_char(writer, '"');
}

/* A double reads back as a double: 1 becomes 1.0. */
static void write_double(double number, struct writer *writer)
{
    char text[NUMBER_TEXT_MAX];
    size_t size = double_write(number, text);
    if (!isfinite(number)) {
        writer_literal(writer, "double(\"");
        writer_put(writer, (struct text){text, size});
        writer_literal(writer, "\")");
        return;
    }
    writer_put(writer, (struct text){text, size});
    if (!memchr(text, '.', size) && !memchr(text, 'e', size))
        writer_literal(writer, ".0");
}

static void write_call(const char *name, const struct value *value, struct writer *writer)
{
    writer_put(writer, text_of(name));
    writer_literal(writer, "(\"");
    (void)value_write_scalar(value, writer); /* times and host types have that form */
    writer_literal(writer, "\")");
}

static void write_list(const struct value_list *list, struct writer *writer)
{
    writer_char(writer, '[');
    for (size_t i = 0; i < list->count && !writer->failed; i++) {
        if (i)
            writer_literal(writer, ", ");
        value_write_literal(&list->items[i], writer);
    }
    writer_char(writer, ']');
}

static void write_map(const struct value_map *map, struct writer *writer)
{
    struct value key, value;
    bool first = true;
    writer_char(writer, '{');
    for (size_t cursor = 0; !writer->failed && map->next(map, &cursor, writer->arena, &key, &value);
         first = false) {
        if (!first)
            writer_literal(writer, ", ");
        value_write_literal(&key, writer);
        writer_literal(writer, ": ");
        value_write_literal(&value, writer);
    }
    writer_char(writer, '}');
}

static void write_optional(const struct value *value, struct writer *writer)
{
    if (!value) {
        writer_literal(writer, "optional.none()");
        return;
    }
    writer_literal(writer, "optional.of(");
    value_write_literal(value, writer);
    writer_char(writer, ')');
}

void value_write_literal(const struct value *value, struct writer *writer)
{
    switch (value->kind) {
    case VALUE_NULL: writer_literal(writer, "null"); break;
    case VALUE_BOOL:
    case VALUE_INT: (void)value_write_scalar(value, writer); break; /* it is one */
    case VALUE_UINT:
        (void)value_write_scalar(value, writer); /* it is one */
        writer_char(writer, 'u');
        break;
    case VALUE_DOUBLE: write_double(value->number, writer); break;
    case VALUE_STRING: text_write_quoted(value->text, writer); break;
    case VALUE_BYTES: write_bytes(value->text, writer); break;
    case VALUE_LIST: write_list(value->list, writer); break;
    case VALUE_MAP: write_map(value->map, writer); break;
    case VALUE_TYPE: writer_put(writer, value->text); break;
    case VALUE_TIMESTAMP: write_call("timestamp", value, writer); break;
    case VALUE_DURATION: write_call("duration", value, writer); break;
    case VALUE_OPTIONAL: write_optional(value->optional, writer); break;
    case VALUE_HOST: write_call(value->host.type->constructor, value, writer); break;
    }
}

struct text value_to_literal(struct value value, struct arena *arena)
{
    struct writer writer = {.arena = arena};
    struct text text;
    value_write_literal(&value, &writer);
    return writer_text(&writer, &text) ? text : TEXT("");
}
