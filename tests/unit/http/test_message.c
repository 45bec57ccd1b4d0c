/* Field lines, methods, tokens and lists. */
#include "http/h1_unit.h"

static struct fields fields_of_three(void)
{
    struct fields fields;
    fields_init(&fields, &unit_arena);
    assert_true(fields_add(&fields, TEXT("X-One"), TEXT("1")));
    assert_true(fields_add(&fields, TEXT("cookie"), TEXT("a=b")));
    assert_true(fields_add(&fields, TEXT("x-one"), TEXT("2")));
    return fields;
}

static void init_allocates_nothing_and_an_empty_list_finds_nothing(void **state)
{
    (void)state;
    struct fields fields;
    fields_init(&fields, &unit_arena);
    assert_null(unit_arena.blocks);
    assert_null(fields_find_known(&fields, NAME_HOST));
    assert_null(fields_find(&fields, TEXT("X")));
    assert_null(fields_get(&fields, TEXT("X")).at);
    assert_null(fields_joined(&fields, TEXT("X"), &unit_arena).at);
    assert_int_equal(fields_remove(&fields, TEXT("X")), 0);
    FIELDS_EACH (line, &fields)
        fail();
}

static void lines_are_found_without_case_and_in_order(void **state)
{
    (void)state;
    struct fields fields = fields_of_three();
    assert_text(fields_get(&fields, TEXT("X-ONE")), "1");
    assert_text(fields_get(&fields, TEXT("Cookie")), "a=b");
    assert_text(fields_get_known(&fields, NAME_COOKIE), "a=b");
    assert_text(fields_find(&fields, TEXT("x-one"))->name, "X-One");
    assert_null(fields_find(&fields, TEXT("X-Two")));
    assert_null(fields_get_known(&fields, NAME_HOST).at);
}

static void an_empty_value_is_not_absent(void **state)
{
    (void)state;
    struct fields fields;
    fields_init(&fields, &unit_arena);
    assert_true(fields_add_known(&fields, NAME_ACCEPT, TEXT("")));
    assert_non_null(fields_get_known(&fields, NAME_ACCEPT).at);
}

static void a_list_grows_and_keeps_its_lines(void **state)
{
    (void)state;
    struct fields fields;
    char names[200][4];
    fields_init(&fields, &unit_arena);
    for (unsigned i = 0; i < 200; i++) {
        names[i][0] = 'X', names[i][1] = (char)('a' + i / 26), names[i][2] = (char)('a' + i % 26);
        assert_true(fields_add(&fields, (struct text){names[i], 3}, TEXT("v")));
    }
    assert_int_equal(fields.count, 200);
    for (unsigned i = 0; i < 200; i++)
        assert_ptr_equal(fields_find(&fields, (struct text){names[i], 3}), &fields.lines[i]);
}

static void set_replaces_all_lines_by_one_in_the_place_of_the_first(void **state)
{
    (void)state;
    struct fields fields = fields_of_three();
    assert_true(fields_set(&fields, TEXT("x-ONE"), TEXT("new")));
    assert_int_equal(fields.count, 3);
    assert_text(fields.lines[0].value, "new");
    assert_true(fields.lines[2].removed);
}

static void set_appends_where_there_was_none(void **state)
{
    (void)state;
    struct fields fields = fields_of_three();
    assert_true(fields_set_known(&fields, NAME_VIA, TEXT("1.1 gateway")));
    assert_int_equal(fields.count, 4);
    assert_text(fields.lines[3].name, "Via");
    assert_text(fields_get_known(&fields, NAME_VIA), "1.1 gateway");
}

static void set_after_remove_makes_a_new_line(void **state)
{
    (void)state;
    struct fields fields = fields_of_three();
    assert_int_equal(fields_remove_known(&fields, NAME_COOKIE), 1);
    assert_true(fields_set_known(&fields, NAME_COOKIE, TEXT("c=d")));
    assert_text(fields_get_known(&fields, NAME_COOKIE), "c=d");
    assert_true(fields.lines[1].removed);
}

static void removed_lines_stay_in_place_and_are_not_found(void **state)
{
    (void)state;
    struct fields fields = fields_of_three();
    assert_int_equal(fields_remove(&fields, TEXT("x-one")), 2);
    assert_int_equal(fields_remove(&fields, TEXT("x-one")), 0);
    assert_int_equal(fields.count, 3);
    assert_null(fields_find(&fields, TEXT("x-one")));
    unsigned seen = 0;
    FIELDS_EACH (line, &fields) {
        assert_text(line->value, "a=b");
        seen++;
    }
    assert_int_equal(seen, 1);
}

static void a_clear_bit_means_absent(void **state)
{
    (void)state;
    struct fields fields = fields_of_three();
    assert_true(fields_may_hold(&fields, NAME_COOKIE));
    assert_false(fields_may_hold(&fields, NAME_HOST));
    fields_remove_known(&fields, NAME_COOKIE);
    assert_false(fields_may_hold(&fields, NAME_COOKIE));
}

static void values_of_one_name_are_joined_by_comma_and_space(void **state)
{
    (void)state;
    struct fields fields = fields_of_three();
    assert_text(fields_joined(&fields, TEXT("X-One"), &unit_arena), "1, 2");
    assert_true(fields_add(&fields, TEXT("X-One"), TEXT("")));
    assert_text(fields_joined(&fields, TEXT("X-One"), &unit_arena), "1, 2, ");
}

static void the_value_of_a_single_line_is_not_copied(void **state)
{
    (void)state;
    struct fields fields = fields_of_three();
    assert_ptr_equal(fields_joined(&fields, TEXT("Cookie"), &unit_arena).at, fields.lines[1].value.at);
}

static void an_arena_that_is_full_refuses_a_line(void **state)
{
    (void)state;
    struct arena tight;
    struct fields fields;
    arena_init(&tight, 64, 2048);
    fields_init(&fields, &tight);
    unsigned added = 0;
    while (fields_add(&fields, TEXT("X"), TEXT("y")))
        added++;
    assert_int_equal(added, fields.count);
    assert_true(added >= 16 && tight.failed);
    assert_text(fields_get(&fields, TEXT("X")), "y");
    arena_release(&tight);
}

static void methods_are_known_by_their_exact_name(void **state)
{
    (void)state;
    for (unsigned i = METHOD_GET; i < METHODS_COUNT; i++)
        assert_int_equal(method_parse(method_text((enum http_method)i)), i);
    assert_int_equal(method_parse(TEXT("get")), METHOD_OTHER);
    assert_int_equal(method_parse(TEXT("GETS")), METHOD_OTHER);
    assert_int_equal(method_parse(TEXT("")), METHOD_OTHER);
    assert_text(method_text(METHOD_OTHER), "");
}

static void safe_and_idempotent_methods_are_those_of_the_standard(void **state)
{
    (void)state;
    assert_true(method_is_safe(METHOD_GET) && method_is_safe(METHOD_HEAD) && method_is_safe(METHOD_OPTIONS));
    assert_true(method_is_safe(METHOD_TRACE));
    assert_false(method_is_safe(METHOD_PUT) || method_is_safe(METHOD_POST) || method_is_safe(METHOD_OTHER));
    assert_true(method_is_idempotent(METHOD_PUT) && method_is_idempotent(METHOD_DELETE));
    assert_false(method_is_idempotent(METHOD_POST) || method_is_idempotent(METHOD_PATCH));
    assert_false(method_is_idempotent(METHOD_OTHER) || method_is_idempotent(METHOD_CONNECT));
}

static void a_token_has_only_token_characters(void **state)
{
    (void)state;
    const char *allowed = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    assert_true(http_is_token(text_of(allowed)));
    assert_false(http_is_token(TEXT("")));
    for (unsigned byte = 0; byte < 256; byte++) {
        char c = (char)byte;
        assert_int_equal(http_is_token((struct text){&c, 1}), byte && strchr(allowed, c) != NULL);
    }
}

static void a_field_value_has_no_control_byte_but_tab_wherever_it_is(void **state)
{
    (void)state;
    assert_true(http_is_field_value(TEXT("")));
    assert_true(http_is_field_value((struct text){NULL, 0}));
    for (size_t size = 1; size < 70; size++)
        for (unsigned byte = 0; byte < 256; byte++) {
            char value[80];
            memset(value, 'v', sizeof value);
            value[size - 1] = (char)byte;
            bool wanted = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
            assert_int_equal(http_is_field_value((struct text){value, size}), wanted);
            assert_int_equal(http_is_field_value((struct text){value, 70}), wanted);
        }
}

static void a_list_holds_its_members_without_case_and_space(void **state)
{
    (void)state;
    assert_true(http_list_contains(TEXT("gzip, BR\t,deflate"), TEXT("br")));
    assert_true(http_list_contains(TEXT("close"), TEXT("Close")));
    assert_false(http_list_contains(TEXT("closed, disclose"), TEXT("close")));
    assert_false(http_list_contains(TEXT(""), TEXT("close")));
    assert_false(http_list_contains((struct text){NULL, 0}, TEXT("close")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        H1_TEST(init_allocates_nothing_and_an_empty_list_finds_nothing),
        H1_TEST(lines_are_found_without_case_and_in_order),
        H1_TEST(an_empty_value_is_not_absent),
        H1_TEST(a_list_grows_and_keeps_its_lines),
        H1_TEST(set_replaces_all_lines_by_one_in_the_place_of_the_first),
        H1_TEST(set_appends_where_there_was_none),
        H1_TEST(set_after_remove_makes_a_new_line),
        H1_TEST(removed_lines_stay_in_place_and_are_not_found),
        H1_TEST(a_clear_bit_means_absent),
        H1_TEST(values_of_one_name_are_joined_by_comma_and_space),
        H1_TEST(the_value_of_a_single_line_is_not_copied),
        H1_TEST(an_arena_that_is_full_refuses_a_line),
        cmocka_unit_test(methods_are_known_by_their_exact_name),
        cmocka_unit_test(safe_and_idempotent_methods_are_those_of_the_standard),
        cmocka_unit_test(a_token_has_only_token_characters),
        cmocka_unit_test(a_field_value_has_no_control_byte_but_tab_wherever_it_is),
        cmocka_unit_test(a_list_holds_its_members_without_case_and_space),
    };
    return RUN_TESTS(tests);
}
