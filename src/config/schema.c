/* JSON Schema (2020-12) from field tables, for editors, the admin API and the console's forms.
 *
 * It accepts what the binder accepts, references included; where JSON Schema cannot say a rule (bounds of durations), "x-kind", "x-minimum"
 * and "x-maximum" carry it for the forms. */
#include "config/schema.h"

#include "base/check.h"
#include "config/bind_private.h"
#include "config/json_writer.h"

static const char pattern_reference[] = "\"\\\\$\\\\{(env|file|vault):[^}]+\\\\}\"";
static const char pattern_duration[] =
    "\"^(?=[0-9])([0-9]+(\\\\.[0-9]+)?w)?([0-9]+(\\\\.[0-9]+)?d)?([0-9]+(\\\\.[0-9]+)?h)?([0-9]+(\\\\.[0-9]+)?m)?"
    "([0-9]+(\\\\.[0-9]+)?s)?([0-9]+(\\\\.[0-9]+)?ms)?([0-9]+(\\\\.[0-9]+)?us)?([0-9]+(\\\\.[0-9]+)?ns)?$\"";
static const char pattern_size[] = "\"^[0-9]+(\\\\.[0-9]+)?(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)?$\"";
static const char pattern_percent[] = "\"^[0-9]+(\\\\.[0-9]+)?%$\"";

static void write_value(struct json_writer *json, const char *key, const struct field *field);
static void write_table(struct json_writer *json, const char *key, const struct field *fields);

static void alternative_text(struct json_writer *json, const char *pattern)
{
    json_open(json, NULL, '{');
    json_raw(json, "type", "\"string\"");
    json_raw(json, "pattern", pattern);
    json_close(json, '}');
}

static void bounds(struct json_writer *json, const struct field *field, const char *minimum,
                   const char *maximum)
{
    if (field_has_bounds(field))
        json_integer(json, minimum, field->min);
    if (field_has_max(field))
        json_integer(json, maximum, field->max);
}

static void alternative_number(struct json_writer *json, const struct field *field, const char *type)
{
    json_open(json, NULL, '{');
    json_raw(json, "type", type);
    bounds(json, field, "minimum", "maximum");
    json_close(json, '}');
}

static void write_choices(struct json_writer *json, const struct field *field)
{
    json_open(json, NULL, '{');
    json_open(json, "enum", '[');
    for (size_t i = 0; field->choices[i]; i++) {
        uint64_t number;
        json_text(json, NULL, text_of(field->choices[i]));
        if (text_to_uint64(text_of(field->choices[i]), &number)) /* 503 without quotes is meant as well */
            json_raw(json, NULL, field->choices[i]);
    }
    json_close(json, ']');
    json_close(json, '}');
}

/* Kinds that stand in one scalar: forms of their own, or a reference. */
static void write_scalar_forms(struct json_writer *json, const struct field *field)
{
    bool has_pattern = field->kind == FIELD_KIND_DURATION || field->kind == FIELD_KIND_SIZE
                       || field->kind == FIELD_KIND_PERCENT;
    if (has_pattern) {
        json_raw(json, "x-kind",
                 field->kind == FIELD_KIND_DURATION ? "\"duration\""
                 : field->kind == FIELD_KIND_SIZE   ? "\"size\""
                                                    : "\"percentage\"");
        bounds(json, field, "x-minimum", "x-maximum");
    }
    json_open(json, "anyOf", '[');
    if (field->kind == FIELD_KIND_BOOL)
        json_raw(json, NULL, "{\"type\": \"boolean\"}");
    else if (field->kind == FIELD_KIND_INTEGER)
        alternative_number(json, field, "\"integer\"");
    else if (field->kind == FIELD_KIND_NUMBER)
        alternative_number(json, field, "\"number\"");
    else if (field->kind == FIELD_KIND_CHOICE)
        write_choices(json, field);
    else if (field->kind == FIELD_KIND_DURATION)
        json_raw(json, NULL, "{\"enum\": [0, \"0\"]}");
    else if (field->kind == FIELD_KIND_SIZE)
        json_raw(json, NULL, "{\"type\": \"integer\", \"minimum\": 0}");
    else
        json_raw(json, NULL, "{\"type\": \"number\", \"minimum\": 0, \"maximum\": 1}");
    if (has_pattern)
        alternative_text(json, field->kind == FIELD_KIND_DURATION ? pattern_duration
                               : field->kind == FIELD_KIND_SIZE   ? pattern_size
                                                                  : pattern_percent);
    alternative_text(json, pattern_reference);
    json_close(json, ']');
}

static void write_text(struct json_writer *json, const struct field *field)
{
    json_raw(json, "type", "[\"string\", \"number\", \"boolean\"]");
    if (field->kind == FIELD_KIND_SECRET)
        json_raw(json, "writeOnly", "true");
    if (!field_has_bounds(field))
        return;
    json_open(json, "anyOf", '[');
    json_open(json, NULL, '{');
    if (field->min > 0)
        json_integer(json, "minLength", 1); /* the bounds are bytes, these are characters */
    if (field_has_max(field))
        json_integer(json, "maxLength", field->max);
    json_close(json, '}');
    alternative_text(json, pattern_reference);
    json_close(json, ']');
}

static void write_list(struct json_writer *json, const struct field *field)
{
    bool is_one_or_more = field->flags & FIELD_ONE_OR_MORE, is_filled = field->flags & FIELD_NOT_EMPTY;
    if (is_one_or_more) {
        json_open(json, "anyOf", '[');
        write_value(json, NULL, field->item);
        json_open(json, NULL, '{');
    }
    json_raw(json, "type", is_filled ? "\"array\"" : "[\"array\", \"null\"]");
    write_value(json, "items", field->item);
    if (is_filled && field->min < 1)
        json_integer(json, "minItems", 1);
    bounds(json, field, "minItems", "maxItems");
    if (field->flags & FIELD_UNIQUE)
        json_raw(json, "uniqueItems", "true");
    if (is_one_or_more) {
        json_close(json, '}');
        json_close(json, ']');
    }
}

static void write_map(struct json_writer *json, const struct field *field)
{
    bool is_filled = field->flags & FIELD_NOT_EMPTY;
    json_raw(json, "type", is_filled ? "\"object\"" : "[\"object\", \"null\"]");
    json_raw(json, "propertyNames", "{\"minLength\": 1}");
    write_value(json, "additionalProperties", field->item);
    if (is_filled && field->min < 1)
        json_integer(json, "minProperties", 1);
    bounds(json, field, "minProperties", "maxProperties");
}

/* A struct; members that may stand for the whole of it are alternatives. */
static void write_struct(struct json_writer *json, const struct field *fields)
{
    json_open(json, "anyOf", '[');
    write_table(json, NULL, fields);
    bool needs_nothing = true;
    FIELDS_EACH (field, fields) {
        needs_nothing &= field->default_value != NULL;
        if (field->flags & FIELD_SHORTHAND)
            write_value(json, NULL, field);
    }
    if (needs_nothing)
        json_raw(json, NULL, "{\"type\": \"null\"}");
    json_close(json, ']');
}

static bool is_text(const struct field *field)
{
    bool has_item = field->kind == FIELD_KIND_LIST || field->kind == FIELD_KIND_MAP;
    return has_item ? is_text(field->item)
                    : field->kind == FIELD_KIND_TEXT || field->kind == FIELD_KIND_TEMPLATE
                          || field->kind == FIELD_KIND_SECRET || field->kind == FIELD_KIND_CHOICE
                          || field->kind == FIELD_KIND_EXPRESSION;
}

/* A default or example, written in YAML. */
static void write_yaml(struct json_writer *json, const char *key, const struct field *field, const char *yaml)
{
    struct arena arena;
    struct node node;
    struct field written = *field;
    arena_init(&arena, 0, 0);
    written.default_value = yaml;
    if (default_node(&written, (struct place){0}, &arena, &node))
        json_node(json, key, &node, is_text(field));
    arena_release(&arena);
}

static void write_annotations(struct json_writer *json, const struct field *field)
{
    if (field->about)
        json_text(json, "description", text_of(field->about));
    if (field->default_value && *field->default_value)
        write_yaml(json, "default", field, field->default_value);
    if (field->example) {
        json_open(json, "examples", '[');
        write_yaml(json, NULL, field, field->example);
        json_close(json, ']');
    }
}

static void write_value(struct json_writer *json, const char *key, const struct field *field)
{
    json_open(json, key, '{');
    write_annotations(json, field);
    switch (field->kind) {
    case FIELD_KIND_BOOL:
    case FIELD_KIND_INTEGER:
    case FIELD_KIND_NUMBER:
    case FIELD_KIND_DURATION:
    case FIELD_KIND_SIZE:
    case FIELD_KIND_PERCENT:
    case FIELD_KIND_CHOICE: write_scalar_forms(json, field); break;
    case FIELD_KIND_TEXT:
    case FIELD_KIND_SECRET: write_text(json, field); break;
    case FIELD_KIND_EXPRESSION:
    case FIELD_KIND_TEMPLATE:
        json_raw(json, "x-kind", field->kind == FIELD_KIND_EXPRESSION ? "\"expression\"" : "\"template\"");
        json_raw(json, "type", "[\"string\", \"number\", \"boolean\"]");
        break;
    case FIELD_KIND_LIST: write_list(json, field); break;
    case FIELD_KIND_MAP: write_map(json, field); break;
    case FIELD_KIND_STRUCT: write_struct(json, field->fields); break;
    case FIELD_KIND_CUSTOM:
        json_open(json, "anyOf", '[');
        json_raw(json, NULL, field->schema);
        alternative_text(json, pattern_reference);
        json_close(json, ']');
        break;
    case FIELD_KIND_NODE:
        if (field->schema) {
            json_open(json, "allOf", '[');
            json_raw(json, NULL, field->schema);
            json_close(json, ']');
        }
        break;
    case FIELD_KIND_END: break;
    }
    json_close(json, '}');
}

static void write_table(struct json_writer *json, const char *key, const struct field *fields)
{
    json_open(json, key, '{');
    json_raw(json, "type", "\"object\"");
    json_raw(json, "additionalProperties", "false");
    json_open(json, "properties", '{');
    bool has_required = false;
    FIELDS_EACH (field, fields) {
        write_value(json, field->name, field);
        has_required |= !field->default_value;
    }
    json_close(json, '}');
    if (has_required) {
        json_open(json, "required", '[');
        FIELDS_EACH (field, fields) {
            if (!field->default_value)
                json_text(json, NULL, text_of(field->name));
        }
        json_close(json, ']');
    }
    json_close(json, '}');
}

void schema_write(FILE *to, const struct field *fields, int indent)
{
    struct json_writer json = {.to = to, .indent = indent, .is_fresh = true};
    write_table(&json, NULL, fields);
}

void schema_write_value(FILE *to, const struct field *fields, int indent)
{
    struct json_writer json = {.to = to, .indent = indent, .is_fresh = true};
    json_open(&json, NULL, '{');
    write_struct(&json, fields);
    json_close(&json, '}');
}
