/* Reports: order, limits, quoted lines, JSON, and what is kept out of them. */
#include "fixture.h"

static struct place at(struct fixture *f, uint32_t line, uint32_t column)
{
    return (struct place){f->document.root.place.source, line, column};
}

static void findings_come_in_the_order_of_the_file(void **state)
{
    struct fixture *f = *state;
    assert_true(parse(f, "a: 1\nb: 2\n"));
    report_error(&f->report, at(f, 2, 1), TEXT("b"), "second");
    report_warning(&f->report, at(f, 1, 4), TEXT("a"), "first");
    report_error(&f->report, (struct place){0}, TEXT(""), "of nothing in particular");
    assert_report(
        f, "error: of nothing in particular\nt.yaml:1:4: warning: a: first\nt.yaml:2:1: error: b: second\n");
    assert_int_equal(f->report.errors, 2);
    assert_int_equal(f->report.warnings, 1);
}

static void a_line_is_quoted_with_a_caret(void **state)
{
    struct fixture *f = *state;
    assert_true(parse(f, "a: 1\nb: { \xc3\xa4: 2 }\n"));
    report_error(&f->report, at(f, 2, 9), TEXT(""), "said");
    assert_string_equal(printed(f, true),
                        "t.yaml:2:9: error: said\n     2 | b: { \xc3\xa4: 2 }\n       |         ^\n");
}

static void a_long_line_is_quoted_around_the_place(void **state)
{
    struct fixture *f = *state;
    char yaml[4096] = "a: \"";
    memset(yaml + 4, 'x', 3000);
    memcpy(yaml + 2000, "HERE", 4);
    memcpy(yaml + 3004, "\"", 2);
    assert_true(parse(f, yaml));
    report_error(&f->report, at(f, 1, 2001), TEXT(""), "said");
    const char *text = printed(f, true), *here = strstr(text, "HERE"), *caret = strchr(text, '^');
    assert_true(strlen(text) < 300);
    const char *second = strchr(text, '\n') + 1, *third = strchr(second, '\n') + 1;
    assert_int_equal(here - second, caret - third);
}

static void a_hidden_line_is_not_quoted(void **state)
{
    struct fixture *f = *state;
    assert_true(parse(f, "a: hunter2\nb: 1\n"));
    report_hide_line(&f->report, at(f, 1, 4));
    report_error(&f->report, at(f, 1, 1), TEXT(""), "said");
    report_error(&f->report, at(f, 2, 1), TEXT(""), "said");
    assert_null(strstr(printed(f, true), "hunter2"));
    assert_non_null(strstr(printed(f, true), "b: 1"));
}

static void hidden_lines_of_many_secrets_take_little(void **state)
{
    struct fixture *f = *state;
    assert_true(parse(f, "a: 1\n"));
    for (uint32_t line = 1; line < 100000; line += 3)
        report_hide_line(&f->report, at(f, line, 1));
    assert_true(f->notes.used < 10000);
}

static void control_characters_are_made_visible(void **state)
{
    struct fixture *f = *state;
    report_error(&f->report, (struct place){0}, TEXT("a\nb"), "x\x1b[31m\ty");
    assert_report(f, "error: a\\nb: x\\x1b[31m y\n");
}

static void errors_beyond_the_limit_are_counted(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 250; i++)
        report_error(&f->report, (struct place){0}, TEXT(""), "number %d", i);
    assert_int_equal(f->report.errors, 250);
    assert_int_equal(f->report.dropped, 50);
    assert_reported(f, "number 199\nand 50 more\n");
}

static void warnings_do_not_crowd_out_errors(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 1000; i++)
        report_warning(&f->report, (struct place){0}, TEXT(""), "warned");
    report_error(&f->report, (struct place){0}, TEXT(""), "the error");
    assert_reported(f, "the error");
}

static void without_memory_errors_are_counted(void **state)
{
    struct fixture *f = *state;
    arena_init(&f->notes, 0, 1);
    report_error(&f->report, (struct place){0}, TEXT(""), "said");
    assert_int_equal(f->report.errors, 1);
    assert_int_equal(f->report.dropped, 1);
    assert_report(f, "and 1 more\n");
}

static void a_long_message_is_cut_between_characters(void **state)
{
    struct fixture *f = *state;
    char said[2000];
    for (size_t i = 0; i + 1 < sizeof said; i++)
        said[i] = i % 2 ? '\xa4' : '\xc3';
    said[sizeof said - 1] = 0;
    report_error(&f->report, (struct place){0}, TEXT(""), "%s", said);
    assert_true(text_is_utf8(f->report.first->said));
}

static void json_can_be_read_back(void **state)
{
    struct fixture *f = *state;
    static char json[4096];
    assert_true(parse(f, "a: 1\n"));
    report_error(&f->report, at(f, 1, 4), TEXT("a.\"b\""), "said `\x01`\n");
    report_warning(&f->report, (struct place){0}, TEXT(""), "mind");
    FILE *to = fmemopen(json, sizeof json, "w");
    fputs("findings: ", to);
    report_print_json(&f->report, to);
    fclose(to);
    assert_true(parse(f, json));
    const struct node *list = value_of(f, "findings");
    assert_int_equal(list->count, 2);
    assert_text(node_get(&list->items[0], TEXT("severity"))->text, "warning");
    assert_text(node_get(&list->items[1], TEXT("file"))->text, "t.yaml");
    assert_text(node_get(&list->items[1], TEXT("line"))->text, "1");
    assert_text(node_get(&list->items[1], TEXT("column"))->text, "4");
    assert_text(node_get(&list->items[1], TEXT("path"))->text, "a.\"b\"");
    assert_text(node_get(&list->items[1], TEXT("message"))->text, "said `\x01`\n");
}

static void places_are_shown_as_people_write_them(void **state)
{
    struct fixture *f = *state;
    assert_true(parse(f, "a: 1\n"));
    assert_text(place_show(at(f, 3, 4), &f->notes), "t.yaml:3:4");
    assert_text(place_show(at(f, 0, 0), &f->notes), "t.yaml");
    assert_text(place_show((struct place){NULL, 3, 4}, &f->notes), "line 3:4");
    assert_text(place_show((struct place){0}, &f->notes), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(findings_come_in_the_order_of_the_file),
        CASE(a_line_is_quoted_with_a_caret),
        CASE(a_long_line_is_quoted_around_the_place),
        CASE(a_hidden_line_is_not_quoted),
        CASE(hidden_lines_of_many_secrets_take_little),
        CASE(control_characters_are_made_visible),
        CASE(errors_beyond_the_limit_are_counted),
        CASE(warnings_do_not_crowd_out_errors),
        CASE(without_memory_errors_are_counted),
        CASE(a_long_message_is_cut_between_characters),
        CASE(json_can_be_read_back),
        CASE(places_are_shown_as_people_write_them),
    };
    return RUN_TESTS(tests);
}
