/* Field tables as JSON Schema and as Markdown. */
#include "fixture.h"

#include "config/schema.h"
#include "sample.h"

static char written[1 << 17];

/* The schema, read back as a document. */
static const struct node *schema(struct fixture *f, const struct field *fields)
{
    FILE *to = fmemopen(written, sizeof written, "w");
    schema_write(to, fields, 0);
    fclose(to);
    assert_true(parse(f, written));
    return &f->document.root;
}

static const struct node *at(const struct node *node, const char *path)
{
    struct text rest = text_of(path);
    while (rest.at) {
        struct text part = text_split(&rest, '/');
        uint64_t index;
        if (node->kind == NODE_LIST && text_to_uint64(part, &index)) {
            assert_true(index < node->count);
            node = &node->items[index];
        } else {
            node = node_get(node, part);
        }
        if (!node)
            print_error("%s: no %.*s\n", path, TEXT_ARGS(part));
        assert_non_null(node);
    }
    return node;
}

static void a_table_is_an_object_without_other_members(void **state)
{
    const struct node *root = schema(*state, sample_fields);
    assert_text(at(root, "type")->text, "object");
    assert_text(at(root, "additionalProperties")->text, "false");
    assert_int_equal(at(root, "properties")->count, COUNT_OF(sample_fields) - 1);
    assert_null(node_get(root, TEXT("required")));
}

static void descriptions_and_defaults_are_there(void **state)
{
    const struct node *root = schema(*state, sample_fields);
    assert_text(at(root, "properties/workers/description")->text, "Threads.");
    assert_text(at(root, "properties/workers/default")->text, "2");
    assert_false(at(root, "properties/workers/default")->quoted);
    assert_true(at(root, "properties/version/default")->quoted);
    assert_text(at(root, "properties/retry_on/default/1")->text, "503");
    assert_int_equal(at(root, "properties/headers/default")->kind, NODE_MAP);
}

static void bounds_are_there(void **state)
{
    const struct node *root = schema(*state, sample_fields);
    assert_text(at(root, "properties/workers/anyOf/0/minimum")->text, "1");
    assert_text(at(root, "properties/workers/anyOf/0/maximum")->text, "64");
    assert_text(at(root, "properties/body/x-maximum")->text, "1073741824");
}

static void choices_are_an_enumeration(void **state)
{
    const struct node *root = schema(*state, sample_service_fields);
    assert_text(at(root, "properties/balance/anyOf/0/enum/1")->text, "least-requests");
}

static void required_fields_are_listed(void **state)
{
    const struct node *root = schema(*state, sample_limit_fields);
    assert_int_equal(at(root, "required")->count, 1);
    assert_text(at(root, "required/0")->text, "limit");
}

static void a_struct_or_its_shorthand(void **state)
{
    const struct node *root = schema(*state, sample_service_fields);
    assert_text(at(root, "properties/limit/anyOf/0/type")->text, "object");
    assert_text(at(root, "properties/limit/anyOf/1/anyOf/0/type")->text, "integer");
}

static void a_secret_is_only_written(void **state)
{
    const struct node *root = schema(*state, sample_user_fields);
    assert_text(at(root, "properties/password/writeOnly")->text, "true");
}

static void a_custom_field_brings_its_schema(void **state)
{
    const struct node *root = schema(*state, sample_fields);
    assert_text(at(root, "properties/even/anyOf/0/multipleOf")->text, "2");
}

static void examples_are_there(void **state)
{
    const struct node *root = schema(*state, sample_endpoint_fields);
    assert_text(at(root, "properties/url/examples/0")->text, "http://127.0.0.1:7001");
}

static void markdown_has_a_row_for_each_field(void **state)
{
    (void)state;
    FILE *to = fmemopen(written, sizeof written, "w");
    manual_write_fields(to, sample_service_fields, "service.");
    fclose(to);
    assert_non_null(strstr(written, "| Field | Type | Default | What it does |\n|---|---|---|---|\n"));
    assert_non_null(strstr(
        written,
        "| `service.endpoints` | one or a list, each a map of fields | required | Where requests go."));
    assert_non_null(strstr(
        written, "| `service.endpoints[].weight` | a whole number from 0 to 100 | `1` | Its share. |\n"));
    assert_non_null(
        strstr(written, "| `service.timeouts.idle` | a duration such as 30s | `1m30s` | Between bytes. |\n"));
    assert_non_null(strstr(written, "How much \\| of it."));
}

static void the_sample_table_is_sound(void **state)
{
    struct fixture *f = *state;
    bool is_sound = field_check_table(sample_fields, NULL, NULL, &f->report);
    assert_report(f, "");
    assert_true(is_sound);
}

static void an_unsound_table_is_found(void **state)
{
    struct fixture *f = *state;
    static const char *const none[] = {NULL};
    const struct field fields[] = {
        {.name = "a",
         .kind = FIELD_KIND_INTEGER,
         .size = 8,
         .default_value = "70",
         .min = 1,
         .max = 64,
         .about = "A."},
        {.name = "a", .kind = FIELD_KIND_BOOL, .size = 1, .default_value = OPTIONAL, .about = "No full stop"},
        {.name = "b", .kind = FIELD_KIND_INTEGER, .size = 4, .default_value = OPTIONAL, .about = "B."},
        {.name = "c",
         .kind = FIELD_KIND_CHOICE,
         .size = 4,
         .default_value = OPTIONAL,
         .about = "C.",
         .choices = none},
        {.name = "d", .kind = FIELD_KIND_LIST, .size = 16, .default_value = OPTIONAL, .about = "D."},
        {.name = "e",
         .kind = FIELD_KIND_LIST,
         .size = 16,
         .default_value = "[",
         .about = "E.",
         .item = &field_item_text},
        FIELD_END,
    };
    assert_false(field_check_table(fields, NULL, NULL, &f->report));
    assert_report(f, "error: a: wants a whole number from 1 to 64, got `70`\n"
                     "error: a: what it does is missing, or ends without a full stop\n"
                     "error: a: this name comes twice\n"
                     "error: b: the member is too small for the kind\n"
                     "error: c: no choices\n"
                     "error: d: no description of the items\n"
                     "error: e: the default is not YAML\n");
}

static void bind_bad_default(void)
{
    void *state;
    set_up(&state);
    struct fixture *f = state;
    const struct field fields[] = {
        {.name = "a", .kind = FIELD_KIND_BOOL, .size = 1, .default_value = "maybe"}, FIELD_END};
    bool into;
    (void)bind(f, fields, "{}", &into);
}

static void a_bad_default_is_a_mistake_of_the_program(void **state)
{
    (void)state;
    assert_true(aborts(bind_bad_default));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_table_is_an_object_without_other_members),
        CASE(descriptions_and_defaults_are_there),
        CASE(bounds_are_there),
        CASE(choices_are_an_enumeration),
        CASE(required_fields_are_listed),
        CASE(a_struct_or_its_shorthand),
        CASE(a_secret_is_only_written),
        CASE(a_custom_field_brings_its_schema),
        CASE(examples_are_there),
        CASE(markdown_has_a_row_for_each_field),
        CASE(the_sample_table_is_sound),
        CASE(an_unsound_table_is_found),
        CASE(a_bad_default_is_a_mistake_of_the_program),
    };
    return RUN_TESTS(tests);
}
