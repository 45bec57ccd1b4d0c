/* Defaults are bound by the same code as what stands in the file. Nearly all are one plain word, for which no parser has to run. */
#include "base/check.h"
#include "config/bind_private.h"
#include "config/reading.h"

static bool is_plain(struct text t)
{
    return t.size && !strchr("[{\"'|>&*!%@`#", t.at[0]) && text_find_char(t, '\n') == TEXT_NONE
           && text_find(t, TEXT(": ")) == TEXT_NONE && !text_starts_with(t, TEXT("- "));
}

static bool is_empty(struct text t)
{
    return text_equal(t, TEXT("[]")) || text_equal(t, TEXT("{}"));
}

bool default_node(const struct field *field, struct place place, struct arena *arena, struct node *ret_node)
{
    struct text written = text_of(field->default_value);
    *ret_node = (struct node){.place = place};
    if (is_empty(written)) {
        ret_node->kind = written.at[0] == '[' ? NODE_LIST : NODE_MAP;
        ret_node->hash = node_hash_children(ret_node);
        return true;
    }
    if (is_plain(written)) {
        ret_node->kind = scalar_is_null(written) ? NODE_NULL : NODE_SCALAR;
        ret_node->text = written;
        ret_node->hash = node_hash_scalar(ret_node);
        return true;
    }
    struct report report;
    struct reading reading;
    report_init(&report, arena);
    reading_init(&reading, NULL, arena, &report);
    struct source *source = reading_source(&reading, TEXT(""), TEXT(""), written);
    bool built = source && tree_build(&reading, source, ret_node);
    reading_release(&reading);
    return built;
}

enum default_use {
    USE_VALUE, /* bound to a value of its own */
    USE_NODE,  /* what is bound may point into the default's tree, which therefore has to live as long */
};

static enum default_use use_of(const struct field *field)
{
    switch (field->kind) {
    case FIELD_KIND_NODE:
    case FIELD_KIND_CUSTOM:
    case FIELD_KIND_STRUCT: return USE_NODE;
    case FIELD_KIND_LIST:
    case FIELD_KIND_MAP: return use_of(field->item);
    case FIELD_KIND_END:
    case FIELD_KIND_BOOL:
    case FIELD_KIND_INTEGER:
    case FIELD_KIND_NUMBER:
    case FIELD_KIND_TEXT:
    case FIELD_KIND_SECRET:
    case FIELD_KIND_DURATION:
    case FIELD_KIND_SIZE:
    case FIELD_KIND_PERCENT:
    case FIELD_KIND_CHOICE:
    case FIELD_KIND_EXPRESSION:
    case FIELD_KIND_TEMPLATE: return USE_VALUE;
    }
    UNREACHABLE();
}

static bool is_expression(const struct field *field)
{
    return field->kind == FIELD_KIND_EXPRESSION || field->kind == FIELD_KIND_TEMPLATE
           || (field->item && is_expression(field->item));
}

/* In an empty list or map there is nothing to point to. */
static bool holds_nothing(const struct field *field)
{
    bool is_whole =
        field->kind == FIELD_KIND_LIST || field->kind == FIELD_KIND_MAP || field->kind == FIELD_KIND_STRUCT;
    return is_whole && is_empty(text_of(field->default_value));
}

static bool bind_node_default(struct binder *binder, const struct field *field, const struct node *node,
                              void *at)
{
    struct node here, *value = holds_nothing(field) ? &here : ARENA_NEW(binder->arena, struct node);
    return value && default_node(field, node->place, binder->arena, value)
           && field_bind_value(binder, field, value, at);
}

bool bind_default(struct binder *binder, const struct field *field, const struct node *node, void *at)
{
    if (use_of(field) == USE_NODE)
        return bind_node_default(binder, field, node, at);
    struct node value;
    struct arena scratch;
    arena_init(&scratch, 0, 0);
    bool made = default_node(field, node->place, &scratch, &value);
    bool bound = made && field_bind_value(binder, field, &value, at);
    arena_release(&scratch);
    /* A default that its own table refuses is a mistake in the program, which field_check_table() finds in the tests. Whether an expression is
     * right depends on the environment, so that one is reported. */
    CHECK(bound || !made || binder->arena->failed || binder->report->arena->failed || is_expression(field));
    return bound;
}
