/* The field tables as Markdown, for the manual's pages. */
#include "base/check.h"
#include "config/bind_private.h"
#include "config/schema.h"

/* A `|` would end the cell, even in code. */
static void write_cell(FILE *to, struct text text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.at[i] == '|')
            fputc('\\', to);
        fputc(text.at[i] == '\n' ? ' ' : text.at[i], to);
    }
}

static void write_row(FILE *to, const struct field *field, const char *path)
{
    struct arena arena;
    arena_init(&arena, 0, 0);
    fprintf(to, "| `%s` | ", path);
    write_cell(to, field_describe(field, &arena));
    arena_release(&arena);
    if (!field->default_value)
        fputs(" | required | ", to);
    else if (!*field->default_value)
        fputs(" | | ", to);
    else {
        fputs(" | `", to);
        write_cell(to, text_of(field->default_value));
        fputs("` | ", to);
    }
    if (field->about)
        write_cell(to, text_of(field->about));
    if (field->flags & FIELD_SHORTHAND)
        fputs(" May stand alone in place of the map.", to);
    if (field->flags & FIELD_NOT_EMPTY)
        fputs(" At least one.", to);
    if (field->example) {
        fputs(" Example: `", to);
        write_cell(to, text_of(field->example));
        fputc('`', to);
    }
    fputs(" |\n", to);
}

void manual_write_fields(FILE *to, const struct field *fields, const char *prefix)
{
    fputs("| Field | Type | Default | What it does |\n|---|---|---|---|\n", to);
    field_write_each(to, fields, prefix ? prefix : "", write_row);
}
