/* Values and numbers as text. Internal to the room. */
#pragma once

#include "expr/expr.h"
#include "expr/writer.h"

enum { NUMBER_TEXT_MAX = 40 };

/* Decimal digits; the shortest digits that read back as the same double (1e+21 and 1e-05 and beyond with exponent, NaN, Infinity).
 * Return the size, at most NUMBER_TEXT_MAX; no zero byte. */
size_t int_write(int64_t value, char *to);
size_t uint_write(uint64_t value, char *to);
size_t double_write(double value, char *to);

/* What string() makes of a scalar; false: it has no such form (list, map, type, ...), or bytes that are not UTF-8. */
bool value_write_scalar(const struct value *value, struct writer *writer);

/* For templates and texts of the gateway: scalars as string() does, null as null, lists and maps as JSON, an optional as its value. */
void value_write_text(const struct value *value, struct writer *writer);

/* The same, escaped. */
void value_write_escaped(const struct value *value, enum expr_escape escape, struct writer *writer);

void value_write_literal(const struct value *value, struct writer *writer);
void value_write_json(const struct value *value, struct writer *writer);

/* A string between quotes with the escapes of the language; stray bytes as U+FFFD. */
void text_write_quoted(struct text t, struct writer *writer);
