/* What the files of the binder share (room-private). */
#pragma once

#include <stdio.h>

#include "config/field.h"

enum { FIELDS_MAX = 128 }; /* in one table */

#define FIELDS_EACH(field, fields)                                                                           \
    for (const struct field *field = (fields); field->kind != FIELD_KIND_END; field++)

/* A value of a kind that stands in one scalar. */
bool bind_scalar(struct binder *binder, const struct field *field, const struct node *node, void *at);
bool bind_expression(struct binder *binder, const struct field *field, const struct node *node, void *at);

/* Binds the default of a field, which is not REQUIRED, for the struct at `node`. */
bool bind_default(struct binder *binder, const struct field *field, const struct node *node, void *at);

/* The default as a node in the arena; true for all defaults that are YAML. */
bool default_node(const struct field *field, struct place place, struct arena *arena, struct node *ret_node);

/* "wants ..., got ...", with a remark behind it; false. */
bool bind_mismatch(struct binder *binder, const struct field *field, const struct node *node,
                   struct text remark);

/* Is a secret bound by this field, or by one below it? Then its value is not for messages, whatever it is. */
bool field_holds_secret(const struct field *field);
bool fields_hold_secret(const struct field *fields);

/* node_show() for a place where the secret would stand if the node was right; also hides its line. */
struct text bind_show(struct binder *binder, const struct node *node, bool is_secret);

static inline bool field_has_bounds(const struct field *field)
{
    return field->min || field->max;
}

static inline bool field_has_max(const struct field *field)
{
    return field_has_bounds(field) && field->max >= field->min;
}

/* Calls `write` for each field of a table and of the tables below it, with its path: `a.b`, `list[].c`, `map.<name>.d`. */
typedef void field_write(FILE *to, const struct field *field, const char *path);
void field_write_each(FILE *to, const struct field *fields, const char *prefix, field_write *write);
