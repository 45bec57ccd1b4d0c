/* Is a field table itself sound? Tests ask it of every table, so that the binder may rely on it. */
#include "base/check.h"
#include "config/bind_private.h"

enum { DEPTH_MAX = 16 };

struct checking {
    struct binder binder;
    unsigned depth;
};

static size_t size_of_member(const struct field *field)
{
    switch (field->kind) {
    case FIELD_KIND_BOOL: return sizeof(bool);
    case FIELD_KIND_INTEGER:
    case FIELD_KIND_DURATION:
    case FIELD_KIND_SIZE: return sizeof(int64_t);
    case FIELD_KIND_NUMBER:
    case FIELD_KIND_PERCENT: return sizeof(double);
    case FIELD_KIND_TEXT:
    case FIELD_KIND_SECRET: return sizeof(struct text);
    case FIELD_KIND_CHOICE: return sizeof(int);
    case FIELD_KIND_EXPRESSION:
    case FIELD_KIND_TEMPLATE:
    case FIELD_KIND_NODE: return sizeof(void *);
    case FIELD_KIND_LIST:
    case FIELD_KIND_MAP: return sizeof(struct array);
    case FIELD_KIND_STRUCT:
    case FIELD_KIND_CUSTOM:
    case FIELD_KIND_END: return 0; /* any */
    }
    UNREACHABLE();
}

static void complain(struct checking *c, const char *said)
{
    report_error(c->binder.report, (struct place){0}, c->binder.path, "%s", said);
}

static void check_table(struct checking *c, const struct field *fields);

/* What a kind needs beside its name: choices, an item, a binder. */
static void check_kind(struct checking *c, const struct field *field)
{
    size_t size = size_of_member(field);
    if (size && field->size < size + (field->name ? 0 : field->offset))
        complain(c, "the member is too small for the kind");
    else if (size && field->name && field->size != size)
        complain(c, "the member has not the type of the kind");
    if (field->kind == FIELD_KIND_CHOICE && (!field->choices || !field->choices[0]))
        complain(c, "no choices");
    if (field->kind == FIELD_KIND_CUSTOM && (!field->bind || !field->schema))
        complain(c, "a custom field needs a binder and a schema");
    if ((field->kind == FIELD_KIND_LIST || field->kind == FIELD_KIND_MAP)
        && (!field->item || !field->item->size))
        complain(c, "no description of the items");
    else if (field->kind == FIELD_KIND_LIST || field->kind == FIELD_KIND_MAP)
        check_kind(c, field->item);
    if (field->kind == FIELD_KIND_STRUCT)
        check_table(c, field->fields);
}

static void check_default(struct checking *c, const struct field *field)
{
    if (!field->default_value || !*field->default_value)
        return;
    char *member = arena_array(c->binder.arena, 1, field->size);
    struct node value;
    if (!member || !default_node(field, (struct place){0}, c->binder.arena, &value))
        complain(c, "the default is not YAML");
    else
        (void)field_bind_value(&c->binder, field, &value, member); /* it reports */
}

static void check_table(struct checking *c, const struct field *fields)
{
    if (!fields || ++c->depth > DEPTH_MAX) {
        complain(c, fields ? "tables nested too deeply, or within themselves" : "no fields");
        return;
    }
    FIELDS_EACH (field, fields) {
        struct text path_before = bind_enter(&c->binder, field->name ? text_of(field->name) : TEXT("?"));
        if (!field->name || !*field->name)
            complain(c, "no name");
        if (!field->about || !text_ends_with(text_of(field->about), TEXT(".")))
            complain(c, "what it does is missing, or ends without a full stop");
        if (field - fields >= FIELDS_MAX)
            complain(c, "too many fields");
        for (const struct field *other = fields; other < field && field->name; other++)
            if (other->name && text_equal(text_of(other->name), text_of(field->name)))
                complain(c, "this name comes twice");
        uint32_t errors_before = c->binder.report->errors;
        check_kind(c, field);
        if (c->binder.report->errors == errors_before)
            check_default(c, field);
        bind_leave(&c->binder, path_before);
    }
    c->depth--;
}

bool field_check_table(const struct field *fields, const struct expr_environment *environment, void *context,
                       struct report *report)
{
    struct arena arena;
    arena_init(&arena, 0, 0);
    struct checking checking = {
        .binder = {.arena = &arena, .report = report, .environment = environment, .context = context},
    };
    uint32_t errors_before = report->errors;
    check_table(&checking, fields);
    arena_release(&arena);
    return report->errors == errors_before;
}
