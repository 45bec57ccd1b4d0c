/* What field tables say, as JSON Schema (2020-12), as Markdown, and in roff. */
#pragma once

#include <stdio.h>

#include "config/field.h"

/* A named table, as the parts of the whole file are. */
struct object_kind {
    const char *name; /* "routes"; "" for the top level */
    const struct field *fields;
    const char *about;
    bool is_part; /* of other objects, which refer to it; not a map of the top level */
};

/* One JSON Schema object for a table: {"type":"object","additionalProperties":false,"properties":{...},"required":[...]}. Nested
 * tables in place. `indent` is the level to start at. */
void schema_write(FILE *to, const struct field *fields, int indent);

/* The same as a value: what stands for the whole of it (a shorthand, nothing at all) is accepted as well. */
void schema_write_value(FILE *to, const struct field *fields, int indent);

/* Markdown table "Field | Type | Default | What it does", nested fields as `a.b` rows. */
void manual_write_fields(FILE *to, const struct field *fields, const char *prefix);

/* A list for a man page, nested fields as `a.b`. */
void man_write_fields(FILE *to, const struct field *fields);

/* Text that roff shows as it is; Markdown's backquotes are left out. */
void man_write_text(FILE *to, struct text text);
