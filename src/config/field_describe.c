/* What a field wants, in words: the same ones in messages and in the manual; and the walk over a table that manuals are written by. */
#include "base/check.h"
#include "base/time.h"
#include "config/bind_private.h"
#include "config/size.h"

enum { PATH_BYTES_MAX = 512 };

static struct text bound(const struct field *field, int64_t value, struct arena *arena)
{
    char room[64];
    if (field->kind == FIELD_KIND_DURATION)
        return arena_copy(arena, time_format_duration(value * NS_PER_MS, room));
    if (field->kind == FIELD_KIND_SIZE)
        return arena_copy(arena, size_format(value, room));
    return arena_format(arena, "%lld", (long long)value);
}

static struct text with_bounds(const struct field *field, const char *what, const char *unit,
                               struct arena *arena)
{
    if (!field_has_bounds(field))
        return text_of(what);
    struct text from = bound(field, field->min, arena);
    if (!field_has_max(field))
        return arena_format(arena, "%s of at least %.*s%s", what, TEXT_ARGS(from), unit);
    struct text to = bound(field, field->max, arena);
    if (field->kind == FIELD_KIND_DURATION || field->kind == FIELD_KIND_SIZE)
        return arena_format(arena, "%s, from %.*s to %.*s", what, TEXT_ARGS(from), TEXT_ARGS(to));
    if (field->kind == FIELD_KIND_INTEGER || field->kind == FIELD_KIND_NUMBER)
        return arena_format(arena, "%s from %.*s to %.*s", what, TEXT_ARGS(from), TEXT_ARGS(to));
    return arena_format(arena, "%s of %.*s to %.*s%s", what, TEXT_ARGS(from), TEXT_ARGS(to), unit);
}

static struct text choices(const struct field *field, struct arena *arena)
{
    struct text list = TEXT("");
    for (size_t i = 0; field->choices[i]; i++) {
        const char *separator = i == 0 ? "" : field->choices[i + 1] ? ", " : " or ";
        list = arena_format(arena, "%.*s%s`%s`", TEXT_ARGS(list), separator, field->choices[i]);
    }
    return list;
}

/* What an expression has to give; types that no field asks for are not listed. */
static const char *const type_names[] = {
    [EXPR_BOOL] = " that gives true or false",  [EXPR_INT] = " that gives a whole number",
    [EXPR_UINT] = " that gives a whole number", [EXPR_DOUBLE] = " that gives a number",
    [EXPR_STRING] = " that gives text",         [EXPR_BYTES] = " that gives bytes",
    [EXPR_LIST] = " that gives a list",         [EXPR_MAP] = " that gives a map",
    [EXPR_TIMESTAMP] = " that gives a time",    [EXPR_DURATION] = " that gives a duration",
    [EXPR_IP] = " that gives an IP address",    [EXPR_CIDR] = " that gives a network",
};

static struct text expression(const struct field *field, struct arena *arena)
{
    bool is_named = (size_t)field->type < COUNT_OF(type_names) && type_names[field->type];
    return arena_format(arena, "an expression%s", is_named ? type_names[field->type] : "");
}

static struct text list_of(const struct field *field, struct arena *arena)
{
    struct text item = field_describe(field->item, arena);
    const char *one_or_more = field->flags & FIELD_ONE_OR_MORE ? "one or a list, each " : "a list, each ";
    return arena_format(arena, "%s%.*s", one_or_more, TEXT_ARGS(item));
}

struct text field_describe(const struct field *field, struct arena *arena)
{
    switch (field->kind) {
    case FIELD_KIND_BOOL: return TEXT("true or false");
    case FIELD_KIND_INTEGER: return with_bounds(field, "a whole number", "", arena);
    case FIELD_KIND_NUMBER: return with_bounds(field, "a number", "", arena);
    case FIELD_KIND_TEXT: return with_bounds(field, "text", " bytes", arena);
    case FIELD_KIND_SECRET: return with_bounds(field, "a secret", " bytes", arena);
    case FIELD_KIND_DURATION: return with_bounds(field, "a duration such as 30s", "", arena);
    case FIELD_KIND_SIZE: return with_bounds(field, "a size such as 64KiB", "", arena);
    case FIELD_KIND_PERCENT: return TEXT("a percentage from 0% to 100% (or a number from 0 to 1)");
    case FIELD_KIND_CHOICE: return choices(field, arena);
    case FIELD_KIND_EXPRESSION: return expression(field, arena);
    case FIELD_KIND_TEMPLATE: return TEXT("text, with `${...}` for expressions");
    case FIELD_KIND_LIST: return list_of(field, arena);
    case FIELD_KIND_MAP: {
        struct text item = field_describe(field->item, arena);
        return arena_format(arena, "a map from names, each to %.*s", TEXT_ARGS(item));
    }
    case FIELD_KIND_STRUCT: return TEXT("a map of fields");
    case FIELD_KIND_NODE:
    case FIELD_KIND_CUSTOM: return TEXT("a value");
    case FIELD_KIND_END: break;
    }
    UNREACHABLE();
}

void field_write_each(FILE *to, const struct field *fields, const char *prefix, field_write *write)
{
    FIELDS_EACH (field, fields) {
        char path[PATH_BYTES_MAX];
        bool is_list = field->kind == FIELD_KIND_LIST, is_map = field->kind == FIELD_KIND_MAP;
        int size = snprintf(path, sizeof path, "%s%s", prefix, field->name);
        CHECK(size >= 0 && (size_t)size + sizeof ".<name>." < sizeof path);
        write(to, field, path);
        const struct field *inner = is_list || is_map ? field->item : field;
        if (inner->kind != FIELD_KIND_STRUCT)
            continue;
        (void)snprintf(path + size, sizeof path - (size_t)size, "%s",
                       is_list  ? "[]."
                       : is_map ? ".<name>."
                                : ".");
        field_write_each(to, inner->fields, path, write);
    }
}
