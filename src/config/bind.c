/* Field tables at work: a tree becomes structs, and all that is wrong with it becomes findings. */
#include <stdarg.h>

#include "base/check.h"
#include "base/table.h"
#include "config/bind_private.h"

enum { SAID_BYTES_MAX = 1000, NAMES_SHOWN_MAX = 24, FEW_VALUES = 16, HINTS_MAX = 100 };

const struct field field_item_text = {.kind = FIELD_KIND_TEXT, .size = sizeof(struct text)};
const struct field field_item_secret = {.kind = FIELD_KIND_SECRET, .size = sizeof(struct text)};
const struct field field_item_template = {.kind = FIELD_KIND_TEMPLATE, .size = sizeof(const struct expr *)};
const struct field field_item_integer = {.kind = FIELD_KIND_INTEGER, .size = sizeof(int64_t)};
const struct field field_item_node = {.kind = FIELD_KIND_NODE, .size = sizeof(const struct node *)};
const struct field field_item_text_pair = {
    .kind = FIELD_KIND_TEXT, .offset = offsetof(struct text_pair, value), .size = sizeof(struct text_pair)};
const struct field field_item_template_pair = {.kind = FIELD_KIND_TEMPLATE,
                                               .offset = offsetof(struct template_pair, value),
                                               .size = sizeof(struct template_pair)};

bool bind_error(struct binder *binder, const struct node *node, const char *child, const char *format, ...)
{
    char said[SAID_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(said, sizeof said, format, arguments); /* a longer one is cut */
    va_end(arguments);
    struct text path_before = binder->path;
    if (child)
        (void)bind_enter(binder, text_of(child));
    report_error(binder->report, node->place, binder->path, "%s", said);
    bind_leave(binder, path_before);
    return false;
}

bool fields_hold_secret(const struct field *fields)
{
    FIELDS_EACH (field, fields) {
        if (field_holds_secret(field))
            return true;
    }
    return false;
}

bool field_holds_secret(const struct field *field)
{
    if (field->kind == FIELD_KIND_LIST || field->kind == FIELD_KIND_MAP)
        return field_holds_secret(field->item);
    return field->kind == FIELD_KIND_SECRET
           || (field->kind == FIELD_KIND_STRUCT && fields_hold_secret(field->fields));
}

struct text bind_show(struct binder *binder, const struct node *node, bool is_secret)
{
    if (!is_secret)
        return node_show(node, binder->report->arena);
    report_hide_line(binder->report, node->place);
    return node->kind == NODE_SCALAR ? TEXT("a value that is not shown") : text_of(node_kind_name(node));
}

bool bind_mismatch(struct binder *binder, const struct field *field, const struct node *node,
                   struct text remark)
{
    struct arena *arena = binder->report->arena;
    struct text wanted = field_describe(field, arena),
                got = bind_show(binder, node, field_holds_secret(field));
    return bind_error(binder, node, NULL, "wants %.*s, got %.*s%s%.*s", TEXT_ARGS(wanted), TEXT_ARGS(got),
                      remark.size ? ": " : "", TEXT_ARGS(remark));
}

static bool check_count(struct binder *binder, const struct field *field, const struct node *node,
                        size_t count)
{
    if ((field->flags & FIELD_NOT_EMPTY) && !count)
        return bind_error(binder, node, NULL, "wants at least one entry");
    if (!field_has_bounds(field))
        return true;
    if ((int64_t)count < field->min)
        return bind_error(binder, node, NULL, "wants at least %lld entries, got %zu", (long long)field->min,
                          count);
    if (field_has_max(field) && (int64_t)count > field->max)
        return bind_error(binder, node, NULL, "wants at most %lld entries, got %zu", (long long)field->max,
                          count);
    return true;
}

static bool report_twice(struct binder *binder, const struct field *field, const struct node *node,
                         const struct node *first)
{
    struct text shown = bind_show(binder, node, field_holds_secret(field));
    struct text there = place_show(first->place, binder->report->arena);
    return bind_error(binder, node, NULL, "%.*s is in this list already, at %.*s", TEXT_ARGS(shown),
                      TEXT_ARGS(there));
}

/* No text twice in a list. */
static bool check_unique(struct binder *binder, const struct field *field, const struct node *list)
{
    bool unique = true;
    struct table seen;
    table_init(&seen);
    for (uint32_t i = 0; i < list->count; i++) {
        const struct node *item = &list->items[i], *first = NULL;
        if (item->kind != NODE_SCALAR)
            continue;
        for (uint32_t k = 0; k < i && list->count <= FEW_VALUES && !first; k++)
            first = list->items[k].kind == NODE_SCALAR && text_equal(list->items[k].text, item->text)
                        ? &list->items[k]
                        : NULL;
        if (list->count > FEW_VALUES)
            first = table_get(&seen, item->text);
        if (first)
            unique = report_twice(binder, field, item, first);
        else if (list->count > FEW_VALUES && !table_put(&seen, item->text, &list->items[i]))
            unique = bind_error(binder, list, NULL, "out of memory");
    }
    table_release(&seen);
    return unique;
}

static bool bind_list(struct binder *binder, const struct field *field, const struct node *node,
                      struct array *array)
{
    bool is_one = node->kind != NODE_LIST && node->kind != NODE_NULL && (field->flags & FIELD_ONE_OR_MORE);
    if (!is_one && node->kind != NODE_LIST && node->kind != NODE_NULL)
        return bind_mismatch(binder, field, node,
                             TEXT("write it as `[a, b]` or on lines that start with `- `"));
    size_t count = is_one ? 1 : node->kind == NODE_LIST ? node->count : 0;
    const struct node *items = is_one ? node : node->items;
    bool bound = check_count(binder, field, node, count);
    if ((field->flags & FIELD_UNIQUE) && node->kind == NODE_LIST)
        bound &= check_unique(binder, field, node);
    if (!count)
        return bound;
    char *at = arena_array(binder->arena, count, field->item->size);
    if (!at)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct text path_before = is_one ? binder->path : bind_enter_index(binder, i);
        bound &= field_bind_value(binder, field->item, &items[i],
                                  at + i * field->item->size + field->item->offset);
        bind_leave(binder, path_before);
    }
    *array = (struct array){at, count};
    return bound;
}

static bool bind_map(struct binder *binder, const struct field *field, const struct node *node,
                     struct array *array)
{
    if (node->kind != NODE_MAP && node->kind != NODE_NULL)
        return bind_mismatch(binder, field, node, TEXT("write it as `name: value` lines"));
    size_t count = node->kind == NODE_MAP ? node->count : 0;
    bool bound = check_count(binder, field, node, count);
    if (!count)
        return bound;
    char *at = arena_array(binder->arena, count, field->item->size);
    if (!at)
        return false;
    for (size_t i = 0; i < count; i++) {
        char *entry = at + i * field->item->size;
        struct text path_before = bind_enter(binder, node->keys[i].text);
        if (!node->keys[i].text.size)
            bound = bind_error(binder, &node->keys[i], NULL, "a name must not be empty");
        bound &= field_bind_value(binder, field->item, &node->items[i], entry + field->item->offset);
        struct text *key = (struct text *)(void *)(entry + field->key_offset);
        *key = arena_copy(binder->arena, node->keys[i].text);
        bind_leave(binder, path_before);
    }
    *array = (struct array){at, count};
    return bound;
}

static bool report_unknown(struct binder *binder, const struct field *fields, const struct node *key)
{
    if (binder->report->errors > HINTS_MAX) /* whoever reads that far knows what the fields are */
        return bind_error(binder, key, NULL, "unknown field %.*s",
                          TEXT_ARGS(node_show(key, binder->report->arena)));
    struct text names[FIELDS_MAX], list = TEXT("");
    size_t count = 0;
    FIELDS_EACH (field, fields)
        names[count++] = text_of(field->name);
    struct text near = near_miss(key->text, names, count);
    struct text word = node_show(key, binder->report->arena);
    if (near.at)
        return bind_error(binder, key, NULL, "unknown field %.*s; did you mean `%.*s`?", TEXT_ARGS(word),
                          TEXT_ARGS(near));
    struct arena *arena = binder->report->arena;
    for (size_t i = 0; i < MIN_OF(count, (size_t)NAMES_SHOWN_MAX); i++)
        list = arena_format(arena, "%.*s%s%.*s", TEXT_ARGS(list), i ? ", " : "", TEXT_ARGS(names[i]));
    if (!count)
        return bind_error(binder, key, NULL, "unknown field %.*s; there are no fields here", TEXT_ARGS(word));
    return bind_error(binder, key, NULL, "unknown field %.*s; the fields here are %.*s%s", TEXT_ARGS(word),
                      TEXT_ARGS(list), count > NAMES_SHOWN_MAX ? ", ..." : "");
}

static bool bind_member(struct binder *binder, const struct field *field, const struct node *parent,
                        const struct node *value, char *into)
{
    struct text path_before = bind_enter(binder, text_of(field->name));
    bool bound = true;
    if (value)
        bound = field_bind_value(binder, field, value, into + field->offset);
    else if (!field->default_value)
        bound = bind_error(binder, parent, NULL, "the required field `%s` is missing%s%s", field->name,
                           field->about ? ": " : "", field->about ? field->about : "");
    else if (*field->default_value)
        bound = bind_default(binder, field, parent, into + field->offset);
    bind_leave(binder, path_before);
    return bound;
}

/* The member that takes a scalar or a list where a struct is wanted. */
static const struct field *shorthand_of(const struct field *fields, const struct node *node)
{
    const struct field *chosen = NULL;
    FIELDS_EACH (field, fields) {
        if (!(field->flags & FIELD_SHORTHAND))
            continue;
        bool fits = (field->kind == FIELD_KIND_LIST) == (node->kind == NODE_LIST);
        if (!chosen || fits)
            chosen = field;
    }
    return chosen;
}

/* Sorts the entries of a map by the table's fields; false: one of them is unknown. */
static bool match_fields(struct binder *binder, const struct field *fields, const struct node *map,
                         const struct node **values)
{
    bool known = true;
    for (uint32_t i = 0; i < map->count; i++) {
        const struct field *found = NULL;
        FIELDS_EACH (field, fields) {
            if (!strncmp(field->name, map->keys[i].text.at, map->keys[i].text.size)
                && !field->name[map->keys[i].text.size]) {
                found = field;
                break;
            }
        }
        if (found)
            values[found - fields] = &map->items[i];
        else
            known = report_unknown(binder, fields, &map->keys[i]);
    }
    return known;
}

static bool bind_struct(struct binder *binder, const struct field *fields, const struct node *node,
                        void *into)
{
    const struct node *values[FIELDS_MAX] = {0};
    bool bound = true;
    if (node->kind == NODE_MAP) {
        bound = match_fields(binder, fields, node, values);
    } else if (node->kind != NODE_NULL) {
        const struct field *shorthand = shorthand_of(fields, node);
        if (!shorthand)
            return bind_error(binder, node, NULL, "wants a map of fields (`name: value`), got %.*s",
                              TEXT_ARGS(bind_show(binder, node, fields_hold_secret(fields))));
        values[shorthand - fields] = node;
    }
    FIELDS_EACH (field, fields) {
        CHECK(field - fields < FIELDS_MAX);
        bound &= bind_member(binder, field, node, values[field - fields], into);
    }
    return bound;
}

bool field_bind_value(struct binder *binder, const struct field *field, const struct node *node, void *at)
{
    switch (field->kind) {
    case FIELD_KIND_END: break;
    case FIELD_KIND_BOOL:
    case FIELD_KIND_INTEGER:
    case FIELD_KIND_NUMBER:
    case FIELD_KIND_TEXT:
    case FIELD_KIND_SECRET:
    case FIELD_KIND_DURATION:
    case FIELD_KIND_SIZE:
    case FIELD_KIND_PERCENT:
    case FIELD_KIND_CHOICE: return bind_scalar(binder, field, node, at);
    case FIELD_KIND_EXPRESSION:
    case FIELD_KIND_TEMPLATE: return bind_expression(binder, field, node, at);
    case FIELD_KIND_LIST: return bind_list(binder, field, node, at);
    case FIELD_KIND_MAP: return bind_map(binder, field, node, at);
    case FIELD_KIND_STRUCT: return bind_struct(binder, field->fields, node, at);
    case FIELD_KIND_NODE: *(const struct node **)at = node; return true;
    case FIELD_KIND_CUSTOM: return field->bind(binder, field, node, at);
    }
    UNREACHABLE();
}

bool field_bind(struct binder *binder, const struct field *fields, const struct node *node, void *into)
{
    uint32_t errors_before = binder->report->errors;
    bool bound = bind_struct(binder, fields, node, into);
    if (binder->arena->failed || binder->report->arena->failed)
        bound = false;
    if (!bound && binder->report->errors == errors_before)
        report_error(binder->report, node->place, binder->path,
                     "out of memory, or the limit for this object is reached");
    return bound;
}
