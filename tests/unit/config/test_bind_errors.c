/* What field tables say about bad documents: place, path, value, rule and remedy, all in one run. */
#include "fixture.h"

#include "sample.h"

/* The only finding, without the name of the file. */
static void refused(struct fixture *f, const char *yaml, const char *wanted)
{
    struct sample s = {0};
    assert_false(bind(f, sample_fields, yaml, &s));
    const char *text = printed(f, false);
    assert_true(text_starts_with(text_of(text), TEXT("t.yaml:")));
    assert_text(text_slice(text_of(text), 7, strlen(text) - 1), wanted);
}

static void an_unknown_field_has_a_near_miss(void **state)
{
    refused(*state, "wrokers: 1\n", "1:1: error: unknown field `wrokers`; did you mean `workers`?");
}

static void an_unknown_field_without_a_near_miss_lists_the_fields(void **state)
{
    refused(*state, "services: { a: { endpoints: [{ url: x, colour: red }] } }\n",
            "1:40: error: services.a.endpoints[0]: unknown field `colour`; the fields here are url, weight");
}

static void a_missing_field_is_named_with_what_it_does(void **state)
{
    refused(
        *state, "services:\n  a: { balance: random }\n",
        "2:6: error: services.a.endpoints: the required field `endpoints` is missing: Where requests go.");
}

static void all_errors_come_in_one_run(void **state)
{
    struct fixture *f = *state;
    struct sample s = {0};
    assert_false(bind(f, sample_fields,
                      "workers: x\ndebug: 3\nwindow: 1\nservices: { a: {}, b: [] }\nbody: -1\n", &s));
    assert_int_equal(f->report.errors, 6);
}

static void a_boolean_says_what_yes_should_be(void **state)
{
    refused(*state, "debug: yes\n",
            "1:8: error: debug: wants true or false, got `yes`: did you mean `true`?");
}

static void a_boolean_in_quotes_is_text(void **state)
{
    refused(*state, "debug: \"true\"\n",
            "1:8: error: debug: wants true or false, got `true`: write it without quotes");
}

static void an_integer_has_bounds(void **state)
{
    refused(*state, "workers: 65\n", "1:10: error: workers: wants a whole number from 1 to 64, got `65`");
}

static void an_integer_in_quotes_is_text(void **state)
{
    refused(*state, "workers: \"6\"\n",
            "1:10: error: workers: wants a whole number from 1 to 64, got `6`: write it without quotes");
}

static void an_integer_out_of_range_is_no_integer(void **state)
{
    refused(*state, "workers: 99999999999999999999\n",
            "1:10: error: workers: wants a whole number from 1 to 64, got `99999999999999999999`");
}

static void a_number_is_finite(void **state)
{
    refused(*state, "ratio: .inf\n", "1:8: error: ratio: wants a number, got `.inf`");
}

static void a_duration_says_what_it_looks_like(void **state)
{
    refused(
        *state, "services: { a: { endpoints: x, timeouts: { idle: abc } } }\n",
        "1:50: error: services.a.timeouts.idle: wants a duration such as 30s, got `abc`: units are ms, s, m, h, d and w, the "
        "largest first");
}

static void a_duration_needs_its_unit(void **state)
{
    refused(
        *state, "services: { a: { endpoints: x, timeouts: { idle: 30 } } }\n",
        "1:50: error: services.a.timeouts.idle: wants a duration such as 30s, got `30`: the unit is missing; did you mean `30s` "
        "or `30ms`?");
}

static void a_duration_below_a_millisecond_is_refused(void **state)
{
    refused(
        *state, "services: { a: { endpoints: x, timeouts: { idle: 10us } } }\n",
        "1:50: error: services.a.timeouts.idle: wants a duration such as 30s, got `10us`: one millisecond is the shortest time "
        "here");
}

static void a_duration_has_bounds(void **state)
{
    refused(*state, "services: { a: { endpoints: x, limit: { limit: 1, window: 2d } } }\n",
            "1:59: error: services.a.limit.window: wants a duration such as 30s, from 1s to 1d, got `2d`");
}

static void a_size_in_another_spelling_is_understood(void **state)
{
    refused(*state, "body: 64k\n",
            "1:7: error: body: wants a size such as 64KiB, from 0 to 1GiB, got `64k`: did you mean `64KiB`?");
}

static void a_size_has_bounds(void **state)
{
    refused(*state, "body: 2GiB\n",
            "1:7: error: body: wants a size such as 64KiB, from 0 to 1GiB, got `2GiB`");
}

static void a_percentage_needs_its_sign(void **state)
{
    refused(
        *state, "budget: 20\n",
        "1:9: error: budget: wants a percentage from 0% to 100% (or a number from 0 to 1), got `20`: did you mean `20%`?");
}

static void a_choice_lists_what_there_is(void **state)
{
    refused(
        *state, "retry_on: [rest]\n",
        "1:12: error: retry_on[0]: wants `connect-failure`, `reset` or `503`, got `rest`: did you mean `reset`?");
}

static void a_text_has_bounds(void **state)
{
    refused(*state, "services: { a: '' }\n",
            "1:16: error: services.a.endpoints.url: wants text of 1 to 100 bytes, got ``: it has 0 bytes");
}

static void nothing_is_no_value(void **state)
{
    refused(
        *state, "workers:\n",
        "1:9: error: workers: wants a whole number from 1 to 64, got nothing: give it a value or leave it out");
}

static void a_map_is_no_scalar(void **state)
{
    refused(*state, "title: { a: b }\n", "1:8: error: title: wants text, got a map");
}

static void a_scalar_is_no_list(void **state)
{
    refused(
        *state, "users: { a: { groups: x } }\n",
        "1:23: error: users.a.groups: wants a list, each text, got `x`: write it as `[a, b]` or on lines that start with `- `");
}

static void a_list_is_no_map(void **state)
{
    refused(
        *state, "headers: [a]\n",
        "1:10: error: headers: wants a map from names, each to text, with `${...}` for expressions, got a list: write it as "
        "`name: value` lines");
}

static void a_list_that_must_not_be_empty_is_not(void **state)
{
    refused(*state, "hosts: []\n", "1:8: error: hosts: wants at least one entry");
}

static void a_value_twice_names_both_places(void **state)
{
    refused(*state, "hosts: [a, b, a]\n", "1:15: error: hosts: `a` is in this list already, at t.yaml:1:9");
}

static void a_value_twice_in_a_long_list_is_found(void **state)
{
    refused(*state, "hosts: [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, k]\n",
            "1:69: error: hosts: `k` is in this list already, at t.yaml:1:39");
}

static void a_name_is_not_empty(void **state)
{
    refused(*state, "labels: { '': x }\n", "1:11: error: labels.: a name must not be empty");
}

static void a_custom_binder_reports_with_the_path(void **state)
{
    refused(*state, "even: 3\n", "1:7: error: even: wants an even number");
}

static void an_expression_is_pointed_into(void **state)
{
    struct fixture *f = *state;
    struct sample s = {0};
    assert_false(bind(f, sample_fields, "title: x\nwhen: \"true && #\"\n", &s));
    assert_reported(f, "t.yaml:2:16: error: when: ");
}

static void an_expression_with_a_reference_is_not_shown(void **state)
{
    struct sample s = {0};
    struct fixture *f = *state;
    setenv("TURNPIKE_TEST", "hidden", 1);
    assert_false(bind(f, sample_fields, "when: \"'${env:TURNPIKE_TEST}' == #\"\n", &s));
    assert_report(
        f,
        "t.yaml:1:7: error: when: not a valid expression (not shown: a reference brought in a part of it)\n");
}

static void secrets_are_not_shown_where_they_do_not_fit(void **state)
{
    struct fixture *f = *state;
    struct sample s = {0};
    assert_false(bind(f, sample_fields,
                      "users:\n  a: { keys: hunter2 }\n  b: hunter3\n  c: { keys: [hunter4, hunter4] }\n",
                      &s));
    assert_int_equal(f->report.errors, 3);
    assert_null(strstr(printed(f, true), "hunter"));
}

static void a_table_within_a_table_is_bound_once_for_each_entry(void **state)
{
    struct fixture *f = *state;
    struct sample s = {0};
    assert_false(bind(f, sample_fields, "services: { a: { endpoints: [{}, {}] } }\n", &s));
    assert_reported(f, "t.yaml:1:30: error: services.a.endpoints[0].url: the required field");
    assert_reported(f, "t.yaml:1:34: error: services.a.endpoints[1].url: the required field");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_unknown_field_has_a_near_miss),
        CASE(an_unknown_field_without_a_near_miss_lists_the_fields),
        CASE(a_missing_field_is_named_with_what_it_does),
        CASE(all_errors_come_in_one_run),
        CASE(a_boolean_says_what_yes_should_be),
        CASE(a_boolean_in_quotes_is_text),
        CASE(an_integer_has_bounds),
        CASE(an_integer_in_quotes_is_text),
        CASE(an_integer_out_of_range_is_no_integer),
        CASE(a_number_is_finite),
        CASE(a_duration_says_what_it_looks_like),
        CASE(a_duration_needs_its_unit),
        CASE(a_duration_below_a_millisecond_is_refused),
        CASE(a_duration_has_bounds),
        CASE(a_size_in_another_spelling_is_understood),
        CASE(a_size_has_bounds),
        CASE(a_percentage_needs_its_sign),
        CASE(a_choice_lists_what_there_is),
        CASE(a_text_has_bounds),
        CASE(nothing_is_no_value),
        CASE(a_map_is_no_scalar),
        CASE(a_scalar_is_no_list),
        CASE(a_list_is_no_map),
        CASE(a_list_that_must_not_be_empty_is_not),
        CASE(a_value_twice_names_both_places),
        CASE(a_value_twice_in_a_long_list_is_found),
        CASE(a_name_is_not_empty),
        CASE(a_custom_binder_reports_with_the_path),
        CASE(an_expression_is_pointed_into),
        CASE(an_expression_with_a_reference_is_not_shown),
        CASE(secrets_are_not_shown_where_they_do_not_fit),
        CASE(a_table_within_a_table_is_bound_once_for_each_entry),
    };
    return RUN_TESTS(tests);
}
