/* string.format(): clauses %s %d %f %e %x %X %o %b and %%, with a precision for f and e. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "expr/calendar.h"
#include "expr/function.h"
#include "expr/print.h"
#include "expr/utf8.h"

enum { PRECISION_MAX = 100, DEPTH_MAX = 100 };

struct format {
    struct evaluation *evaluation;
    struct writer writer;
    unsigned depth; /* of lists and maps in %s */
};

static bool fail(struct format *format, char clause, const struct value *value)
{
    char name[] = {'%', clause, 0};
    fault_overload(format->evaluation, "", value, 1);
    struct text copy = arena_copy(format->evaluation->arena, text_of(name));
    format->evaluation->fault.said = "format() has no such form for the value";
    format->evaluation->fault.detail = copy;
    return false;
}

static bool put_any(struct format *format, const struct value *value);

static bool put_list(struct format *format, const struct value_list *list)
{
    writer_char(&format->writer, '[');
    for (size_t i = 0; i < list->count; i++) {
        if (i)
            writer_literal(&format->writer, ", ");
        if (!put_any(format, &list->items[i]))
            return false;
    }
    writer_char(&format->writer, ']');
    return true;
}

/* An entry of a map under its formatted key. */
struct formatted {
    struct text key;
    struct value value;
};

static int by_key(const void *a, const void *b)
{
    return text_compare(((const struct formatted *)a)->key, ((const struct formatted *)b)->key);
}

/* Formats a value into a text of its own. */
static bool format_alone(struct format *format, const struct value *value, struct text *ret_text)
{
    struct format inner = {format->evaluation, {.arena = format->evaluation->arena}, format->depth};
    return put_any(&inner, value)
           && (writer_text(&inner.writer, ret_text) || fault_memory(format->evaluation));
}

static bool put_map(struct format *format, const struct value_map *map)
{
    struct evaluation *evaluation = format->evaluation;
    size_t count = 0, room = map->size(map);
    struct formatted *entries = arena_array(evaluation->arena, room, sizeof *entries);
    struct value key;
    if (!entries)
        return fault_memory(evaluation);
    for (size_t cursor = 0;
         count < room && map->next(map, &cursor, evaluation->arena, &key, &entries[count].value); count++)
        if (!format_alone(format, &key, &entries[count].key))
            return false;
    if (count)
        qsort(entries, count, sizeof *entries, by_key);
    writer_char(&format->writer, '{');
    for (size_t i = 0; i < count; i++) {
        if (i)
            writer_literal(&format->writer, ", ");
        writer_put(&format->writer, entries[i].key);
        writer_literal(&format->writer, ": ");
        if (!put_any(format, &entries[i].value))
            return false;
    }
    writer_char(&format->writer, '}');
    return true;
}

/* Bytes as text: a run of stray ones becomes one U+FFFD. */
static void put_bytes(struct format *format, struct text bytes)
{
    bool stray_before = false;
    for (size_t at = 0; at < bytes.size;) {
        uint32_t point;
        struct text rest = text_slice(bytes, at, bytes.size);
        size_t size = utf8_decode(rest, &point);
        bool stray = size == 1 && (rest.at[0] & 0x80);
        if (!stray)
            writer_put(&format->writer, text_slice(rest, 0, size));
        else if (!stray_before)
            writer_literal(&format->writer, "\357\277\275");
        stray_before = stray;
        at += size;
    }
}

static bool put_any(struct format *format, const struct value *value)
{
    bool good = evaluation_charge(format->evaluation, 1);
    if (format->depth == DEPTH_MAX)
        return fault_set(format->evaluation, "format() of a value that is nested too deeply");
    format->depth++;
    if (value->kind == VALUE_LIST)
        good = good && put_list(format, value->list);
    else if (value->kind == VALUE_MAP)
        good = good && put_map(format, value->map);
    else if (value->kind == VALUE_BYTES)
        put_bytes(format, value->text);
    else if (value->kind == VALUE_NULL)
        writer_literal(&format->writer, "null");
    else if (value->kind == VALUE_TYPE)
        writer_put(&format->writer, value->text);
    else if (value->kind == VALUE_OPTIONAL || !value_write_scalar(value, &format->writer))
        good = good && fail(format, 's', value);
    format->depth--;
    return good;
}

static bool put_decimal(struct format *format, const struct value *value)
{
    if (value->kind != VALUE_INT && value->kind != VALUE_UINT && value->kind != VALUE_DOUBLE)
        return fail(format, 'd', value);
    return value_write_scalar(value, &format->writer);
}

/* %f and %e. The C library rounds the exact value half to even. */
static bool put_real(struct format *format, const struct value *value, char clause, int precision)
{
    char text[512];
    double number = value->kind == VALUE_INT    ? (double)value->integer
                    : value->kind == VALUE_UINT ? (double)value->uinteger
                                                : value->number;
    if (value->kind != VALUE_INT && value->kind != VALUE_UINT && value->kind != VALUE_DOUBLE)
        return fail(format, clause, value);
    size_t size = !isfinite(number) ? double_write(number, text)
                  : clause == 'e'   ? (size_t)snprintf(text, sizeof text, "%.*e", precision, number)
                                    : (size_t)snprintf(text, sizeof text, "%.*f", precision, number);
    writer_put(&format->writer, (struct text){text, MIN_OF(size, sizeof text - 1)});
    return true;
}

/* An integer in base 2, 8 or 16. */
static void put_radix(struct format *format, const struct value *value, unsigned base, const char *digits)
{
    char text[64];
    size_t at = sizeof text;
    bool negative = value->kind == VALUE_INT && value->integer < 0;
    uint64_t magnitude = value->kind == VALUE_BOOL ? value->boolean
                         : negative                ? 0 - value->uinteger
                                                   : value->uinteger;
    do
        text[--at] = digits[magnitude % base];
    while (magnitude /= base);
    if (negative)
        writer_char(&format->writer, '-');
    writer_put(&format->writer, (struct text){text + at, sizeof text - at});
}

static bool put_hexadecimal(struct format *format, const struct value *value, char clause)
{
    const char *digits = clause == 'x' ? "0123456789abcdef" : "0123456789ABCDEF";
    if (value->kind == VALUE_INT || value->kind == VALUE_UINT) {
        put_radix(format, value, 16, digits);
        return true;
    }
    if (value->kind != VALUE_STRING && value->kind != VALUE_BYTES)
        return fail(format, clause, value);
    for (size_t i = 0; i < value->text.size; i++) {
        writer_char(&format->writer, digits[(unsigned char)value->text.at[i] >> 4]);
        writer_char(&format->writer, digits[value->text.at[i] & 15]);
    }
    return true;
}

static bool put_clause(struct format *format, const struct value *value, char clause, int precision)
{
    bool whole = value->kind == VALUE_INT || value->kind == VALUE_UINT;
    switch (clause) {
    case 's': return put_any(format, value);
    case 'd': return put_decimal(format, value);
    case 'f':
    case 'e': return put_real(format, value, clause, precision);
    case 'x':
    case 'X': return put_hexadecimal(format, value, clause);
    case 'o':
        if (!whole)
            return fail(format, clause, value);
        put_radix(format, value, 8, "01234567");
        return true;
    case 'b':
        if (!whole && value->kind != VALUE_BOOL)
            return fail(format, clause, value);
        put_radix(format, value, 2, "01");
        return true;
    default: return fault_set(format->evaluation, "format() has an unknown clause");
    }
}

/* ".12" behind the per cent sign; -1: malformed. */
static int take_precision(struct text *t)
{
    if (!t->size || t->at[0] != '.')
        return 6;
    size_t i = 1;
    int precision = 0;
    for (; i < t->size && char_is_digit(t->at[i]) && precision <= PRECISION_MAX; i++)
        precision = 10 * precision + (t->at[i] - '0');
    bool good = i > 1 && precision <= PRECISION_MAX;
    *t = text_slice(*t, i, t->size);
    return good ? precision : -1;
}

static bool format_all(struct format *format, struct text t, const struct value_list *arguments)
{
    size_t used = 0;
    while (t.size) {
        size_t at = text_find_char(t, '%');
        writer_put(&format->writer, text_slice(t, 0, at));
        if (at == TEXT_NONE)
            break;
        t = text_slice(t, at + 1, t.size);
        if (t.size && t.at[0] == '%') {
            writer_char(&format->writer, '%');
            t = text_slice(t, 1, t.size);
            continue;
        }
        int precision = take_precision(&t);
        if (precision < 0 || !t.size)
            return fault_set(format->evaluation, "format() has a malformed clause");
        if (used == arguments->count)
            return fault_set(format->evaluation, "format() has more clauses than arguments");
        if (!put_clause(format, &arguments->items[used++], t.at[0], precision))
            return false;
        t = text_slice(t, 1, t.size);
    }
    return !format->writer.failed || fault_memory(format->evaluation);
}

static bool format_string(struct call *call, const struct value *arguments, struct value *ret_value)
{
    struct format format = {call->evaluation, {.arena = call->evaluation->arena}, 0};
    if (!format_all(&format, arguments[0].text, arguments[1].list))
        return false;
    ret_value->kind = VALUE_STRING;
    if (!writer_text(&format.writer, &ret_value->text))
        return fault_memory(call->evaluation);
    return evaluation_charge_bytes(call->evaluation, ret_value->text.size);
}

static const struct function rows[] = {
    {"format",
     FUNCTION_RECEIVER,
     {SIG_STRING, SIG_LIST_DYN},
     SIG_STRING,
     format_string,
     "With %s, %d, %.2f, %e, %x, %X, %o, %b filled in from the list, %% for a per cent sign.",
     5,
     .example = "'%s: %.2f, %x'.format(['a', 3.14159, 255]) => \"a: 3.14, ff\"",
     .usual = ITEMS_USUAL},
};

const struct function_group functions_format = FUNCTION_GROUP("Formatting", rows);
