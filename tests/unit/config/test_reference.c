/* ${env:} and ${file:}: what they bring in, what stays, and that nothing of it is ever shown. */
#include "fixture.h"

#include "base/memory.h"

static char folder[] = "/tmp/turnpike-reference_XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static void write_file(const char *name, struct text content)
{
    FILE *file = fopen(name, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(content.at, 1, content.size, file), content.size);
    fclose(file);
}

static int remove_folder(void **state)
{
    (void)state;
    (void)unlink("secret"); /* some tests did not make them */
    (void)unlink("binary");
    return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

static void a_variable_is_put_in(void **state)
{
    struct fixture *f = *state;
    setenv("TURNPIKE_TEST", "value", 1);
    assert_true(parse(f, "a: \"<${env:TURNPIKE_TEST}>\"\n"));
    assert_text(value_of(f, "a")->text, "<value>");
    assert_true(value_of(f, "a")->secret);
    assert_true(value_of(f, "a")->quoted);
}

static void a_reference_alone_may_be_a_number(void **state)
{
    struct fixture *f = *state;
    setenv("TURNPIKE_TEST", "8080", 1);
    assert_true(parse(f, "a: \"${env:TURNPIKE_TEST}\"\n"));
    assert_false(value_of(f, "a")->quoted);
}

static void a_default_stands_in_for_what_is_not_set_or_empty(void **state)
{
    struct fixture *f = *state;
    unsetenv("TURNPIKE_TEST");
    assert_true(parse(f, "a: ${env:TURNPIKE_TEST:-x:-y}\nb: \"${env:TURNPIKE_TEST:-}\"\n"));
    assert_text(value_of(f, "a")->text, "x:-y");
    assert_false(value_of(f, "a")->secret); /* it stands in the file */
    assert_text(value_of(f, "b")->text, "");
    setenv("TURNPIKE_TEST", "", 1);
    assert_true(parse(f, "a: ${env:TURNPIKE_TEST:-z}\n"));
    assert_text(value_of(f, "a")->text, "z");
}

static void what_is_not_set_is_an_error(void **state)
{
    struct fixture *f = *state;
    unsetenv("TURNPIKE_TEST");
    assert_false(parse(f, "a: x\nb: ${env:TURNPIKE_TEST}\n"));
    assert_reported(f, "t.yaml:2:4: error: `TURNPIKE_TEST`: this environment variable is not set");
}

static void all_references_are_tried(void **state)
{
    struct fixture *f = *state;
    unsetenv("TURNPIKE_TEST");
    assert_false(parse(f, "a: \"${env:TURNPIKE_TEST} ${env:1X} ${vault:k}\"\nb: \"${file:/nowhere}\"\n"));
    assert_int_equal(f->report.errors, 4);
    assert_reported(f, "`1X`: not the name of an environment variable");
    assert_reported(f, "`${vault:k}`: no vault is configured");
    assert_reported(f, "`/nowhere`: cannot be opened: No such file or directory");
}

static void a_reference_needs_its_end(void **state)
{
    struct fixture *f = *state;
    assert_false(parse(f, "a: \"${env:HOME\"\n"));
    assert_reported(f, "a reference without its `}`");
}

static void a_file_is_put_in_without_its_last_newline(void **state)
{
    struct fixture *f = *state;
    write_file("secret", TEXT("one\ntwo\r\n"));
    assert_true(parse(f, "a: ${file:secret}\n"));
    assert_text(value_of(f, "a")->text, "one\ntwo");
    assert_int_equal(f->document.files_count, 1);
    assert_true(f->document.files[0].path.at[0] == '/');
    assert_true(text_ends_with(f->document.files[0].path, TEXT("/secret")));
}

static void a_binary_file_is_refused(void **state)
{
    struct fixture *f = *state;
    write_file("binary", TEXT("a\0b"));
    assert_false(parse(f, "a: ${file:binary}\n"));
    assert_reported(f, "`binary`: the file holds binary data");
}

static void a_folder_is_refused(void **state)
{
    struct fixture *f = *state;
    assert_false(parse(f, "a: ${file:/tmp}\nb: ${file:/dev/zero}\n"));
    assert_reported(f, "`/tmp`: a folder, not a file");
    assert_reported(f, "`/dev/zero`: not a regular file");
}

static void templates_stay(void **state)
{
    struct fixture *f = *state;
    assert_true(parse(f, "a: \"x ${request.path} y\"\n"));
    assert_text(value_of(f, "a")->text, "x ${request.path} y");
    assert_text(node_template(value_of(f, "a")), "x ${request.path} y");
    assert_false(value_of(f, "a")->secret);
}

static void two_dollars_are_a_literal_one(void **state)
{
    struct fixture *f = *state;
    assert_true(parse(f, "a: \"$${x} $y $${env:HOME}\"\n"));
    assert_text(value_of(f, "a")->text, "${x} $y ${env:HOME}");
    assert_text(node_template(value_of(f, "a")), "$${x} $y $${env:HOME}");
}

static void what_is_put_in_is_never_a_template(void **state)
{
    struct fixture *f = *state;
    setenv("TURNPIKE_TEST", "a${b}c", 1);
    assert_true(parse(f, "a: \"${env:TURNPIKE_TEST} ${d}\"\n"));
    assert_text(value_of(f, "a")->text, "a${b}c ${d}");
    assert_text(node_template(value_of(f, "a")), "a$${b}c ${d}");
}

static void what_is_put_in_is_not_resolved_again(void **state)
{
    struct fixture *f = *state;
    setenv("TURNPIKE_TEST", "${env:HOME}", 1);
    assert_true(parse(f, "a: ${env:TURNPIKE_TEST}\n"));
    assert_text(value_of(f, "a")->text, "${env:HOME}");
}

static void the_hash_follows_the_value(void **state)
{
    struct fixture *f = *state;
    setenv("TURNPIKE_TEST", "one", 1);
    assert_true(parse(f, "a: ${env:TURNPIKE_TEST}\n"));
    uint64_t hash = f->document.root.hash;
    setenv("TURNPIKE_TEST", "two", 1);
    assert_true(parse(f, "a: ${env:TURNPIKE_TEST}\n"));
    assert_int_not_equal(f->document.root.hash, hash);
}

static void a_value_that_was_put_in_is_not_shown(void **state)
{
    struct fixture *f = *state;
    struct {
        int64_t port;
    } into = {0};
    const struct field fields[] = {
        {.name = "port", .kind = FIELD_KIND_INTEGER, .size = 8, .default_value = REQUIRED}, FIELD_END};
    setenv("TURNPIKE_TEST", "hidden", 1);
    assert_false(bind(f, fields, "port: ${env:TURNPIKE_TEST}\n", &into));
    assert_report(
        f,
        "t.yaml:1:7: error: port: wants a whole number, got a value that a reference brought in and that is not shown\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_variable_is_put_in),
        CASE(a_reference_alone_may_be_a_number),
        CASE(a_default_stands_in_for_what_is_not_set_or_empty),
        CASE(what_is_not_set_is_an_error),
        CASE(all_references_are_tried),
        CASE(a_reference_needs_its_end),
        CASE(a_file_is_put_in_without_its_last_newline),
        CASE(a_binary_file_is_refused),
        CASE(a_folder_is_refused),
        CASE(templates_stay),
        CASE(two_dollars_are_a_literal_one),
        CASE(what_is_put_in_is_never_a_template),
        CASE(what_is_put_in_is_not_resolved_again),
        CASE(the_hash_follows_the_value),
        CASE(a_value_that_was_put_in_is_not_shown),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
