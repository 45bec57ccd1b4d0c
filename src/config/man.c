/* The field tables in roff, for man pages. */
#include "base/check.h"
#include "config/bind_private.h"
#include "config/schema.h"

enum { PATH_BYTES_MAX = 512 };

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

static void write_all(FILE *to, const struct field *fields, const char *prefix)
{
    FIELDS_EACH (field, fields) {
        char path[PATH_BYTES_MAX];
        bool is_list = field->kind == FIELD_KIND_LIST, is_map = field->kind == FIELD_KIND_MAP;
        int size = snprintf(path, sizeof path, "%s%s", prefix, field->name);
        CHECK(size >= 0 && (size_t)size + sizeof ".<name>." < sizeof path);
        write_field(to, field, path);
        const struct field *inner = is_list || is_map ? field->item : field;
        if (inner->kind != FIELD_KIND_STRUCT)
            continue;
        (void)snprintf(path + size, sizeof path - (size_t)size, "%s",
                       is_list  ? "[]."
                       : is_map ? ".<name>."
                                : ".");
        write_all(to, inner->fields, path);
    }
}

void man_write_fields(FILE *to, const struct field *fields)
{
    write_all(to, fields, "");
}
