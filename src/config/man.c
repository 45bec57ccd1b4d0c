/* The field tables in roff, for man pages. */
#include "base/check.h"
#include "config/bind_private.h"
#include "config/schema.h"

void man_write_text(FILE *to, struct text text)
{
    bool line_begins = true;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.at[i];
        if (line_begins && (c == '.' || c == '\''))
            fputs("\\&", to); /* or it would be a request */
        line_begins = c == '\n';
        if (c == '\\')
            fputs("\\e", to);
        else if (c == '-')
            fputs("\\-", to);
        else if (c != '`') /* code of Markdown */
            fputc(c, to);
    }
}

static void write_field(FILE *to, const struct field *field, const char *path)
{
    struct arena arena;
    arena_init(&arena, 0, 0);
    fputs(".TP\n\\fB", to);
    man_write_text(to, text_of(path));
    fputs("\\fR (", to);
    man_write_text(to, field_describe(field, &arena));
    arena_release(&arena);
    if (!field->default_value) {
        fputs("; required", to);
    } else if (*field->default_value) {
        fputs("; default ", to);
        man_write_text(to, text_of(field->default_value));
    }
    fputs(")\n", to);
    if (field->about)
        man_write_text(to, text_of(field->about));
    if (field->flags & FIELD_SHORTHAND)
        fputs(" May stand alone in place of the map.", to);
    if (field->flags & FIELD_NOT_EMPTY)
        fputs(" At least one.", to);
    if (field->example) {
        fputs(" Example: ", to);
        man_write_text(to, text_of(field->example));
    }
    fputs("\n", to);
}

void man_write_fields(FILE *to, const struct field *fields)
{
    field_write_each(to, fields, "", write_field);
}
