/* The field tables as Markdown, for the manual's pages. */
#include "base/check.h"
#include "config/bind_private.h"
#include "config/schema.h"

enum { PATH_BYTES_MAX = 512 };

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

static void write_rows(FILE *to, const struct field *fields, const char *prefix)
{
    FIELDS_EACH (field, fields) {
        char path[PATH_BYTES_MAX];
        bool is_list = field->kind == FIELD_KIND_LIST, is_map = field->kind == FIELD_KIND_MAP;
        int size = snprintf(path, sizeof path, "%s%s", prefix, field->name);
        CHECK(size >= 0 && (size_t)size + sizeof ".<name>." < sizeof path);
        write_row(to, field, path);
        const struct field *inner = is_list || is_map ? field->item : field;
        if (inner->kind != FIELD_KIND_STRUCT)
            continue;
        (void)snprintf(path + size, sizeof path - (size_t)size, "%s",
                       is_list  ? "[]."
                       : is_map ? ".<name>."
                                : ".");
        write_rows(to, inner->fields, path);
    }
}

void manual_write_fields(FILE *to, const struct field *fields, const char *prefix)
{
    fputs("| Field | Type | Default | What it does |\n|---|---|---|---|\n", to);
    write_rows(to, fields, prefix ? prefix : "");
}
