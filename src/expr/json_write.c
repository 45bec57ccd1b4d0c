/* Values as JSON, by the language's own mapping: bytes in base64, times as their strings, and so are NaN and
 * Infinity; none is null. */
#include <math.h>
#include <stdio.h>

#include "base/check.h"
#include "expr/base64.h"
#include "expr/expr.h"
#include "expr/print.h"
#include "expr/utf8.h"

static void write_string(struct text t, struct writer *writer)
{
    static const char from[] = "\b\f\n\r\t\\\"", letters[] = "bfnrt\\\"";
    writer_char(writer, '"');
    for (size_t at = 0; at < t.size;) {
        uint32_t point;
        at += utf8_decode(text_slice(t, at, t.size), &point);
        char code[8], encoded[4];
        const char *found = point && point < 0x80 ? strchr(from, (int)point) : NULL;
        if (found) {
            writer_char(writer, '\\');
            writer_char(writer, letters[found - from]);
        } else if (point < 0x20) {
            writer_put(writer,
                       (struct text){code, (size_t)snprintf(code, sizeof code, "\\u%04x", point & 0xff)});
        } else {
            writer_put(writer, (struct text){encoded, utf8_encode(point, encoded)});
        }
    }
    writer_char(writer, '"');
}

static void write_map(const struct value_map *map, struct writer *writer)
{
    struct value key, value;
    bool first = true;
    writer_char(writer, '{');
    for (size_t cursor = 0; !writer->failed && map->next(map, &cursor, writer->arena, &key, &value);
         first = false) {
        if (!first)
            writer_char(writer, ',');
        struct writer name = {.arena = writer->arena};
        struct text text = {NULL, 0};
        (void)value_write_scalar(&key, &name); /* keys are scalars */
        writer->failed |= !writer_text(&name, &text);
        write_string(text, writer);
        writer_char(writer, ':');
        value_write_json(&value, writer);
    }
    writer_char(writer, '}');
}

static void write_list(const struct value_list *list, struct writer *writer)
{
    writer_char(writer, '[');
    for (size_t i = 0; i < list->count && !writer->failed; i++) {
        if (i)
            writer_char(writer, ',');
        value_write_json(&list->items[i], writer);
    }
    writer_char(writer, ']');
}

static void write_bytes(struct text bytes, struct writer *writer)
{
    writer_char(writer, '"');
    if (writer_reserve(writer, base64_size(bytes.size)))
        writer->size += base64_write(bytes, BASE64_STANDARD, writer->at + writer->size);
    writer_char(writer, '"');
}

static void write_quoted_scalar(const struct value *value, struct writer *writer)
{
    writer_char(writer, '"');
    (void)value_write_scalar(value, writer); /* it has that form, without characters to escape */
    writer_char(writer, '"');
}

void value_write_json(const struct value *value, struct writer *writer)
{
    switch (value->kind) {
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_UINT: (void)value_write_scalar(value, writer); break; /* it is one */
    case VALUE_DOUBLE:
        if (isfinite(value->number))
            (void)value_write_scalar(value, writer); /* it is one */
        else
            write_quoted_scalar(value, writer);
        break;
    case VALUE_STRING:
    case VALUE_TYPE: write_string(value->text, writer); break;
    case VALUE_BYTES: write_bytes(value->text, writer); break;
    case VALUE_LIST: write_list(value->list, writer); break;
    case VALUE_MAP: write_map(value->map, writer); break;
    case VALUE_TIMESTAMP:
    case VALUE_DURATION:
    case VALUE_HOST: write_quoted_scalar(value, writer); break;
    case VALUE_OPTIONAL:
        if (value->optional)
            value_write_json(value->optional, writer);
        else
            writer_literal(writer, "null");
        break;
    case VALUE_NULL: writer_literal(writer, "null"); break;
    }
}

struct text value_to_json(struct value value, struct arena *arena)
{
    struct writer writer = {.arena = arena};
    struct text text;
    value_write_json(&value, &writer);
    return writer_text(&writer, &text) ? text : TEXT("");
}
