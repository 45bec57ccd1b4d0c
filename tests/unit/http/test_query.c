/* Percent-encoding, query strings, cookies. */
#include "http/h1_unit.h"

static void escapes_are_decoded_and_malformed_ones_kept(void **state)
{
    (void)state;
    assert_text(uri_decode(TEXT("a%20b%c3%A9"), false, &unit_arena), "a b\xc3\xa9");
    assert_text(uri_decode(TEXT("100%"), false, &unit_arena), "100%");
    assert_text(uri_decode(TEXT("%zz%4"), false, &unit_arena), "%zz%4");
    assert_text(uri_decode(TEXT("%2541"), false, &unit_arena), "%41");
}

static void a_plus_is_a_space_in_forms_only(void **state)
{
    (void)state;
    assert_text(uri_decode(TEXT("a+b"), false, &unit_arena), "a+b");
    assert_text(uri_decode(TEXT("a+b%2B"), true, &unit_arena), "a b+");
}

static void a_text_without_escapes_is_not_copied(void **state)
{
    (void)state;
    struct text plain = TEXT("a%b+c");
    assert_ptr_equal(uri_decode(plain, false, &unit_arena).at, plain.at);
    assert_text(uri_encode(TEXT("a-b"), false, &unit_arena), "a-b");
    assert_null(unit_arena.blocks);
}

static void all_but_unreserved_characters_are_encoded(void **state)
{
    (void)state;
    assert_text(uri_encode(TEXT("a b/\xc3\xa9~"), false, &unit_arena), "a%20b%2F%C3%A9~");
    assert_text(uri_encode(TEXT("a/b c"), true, &unit_arena), "a/b%20c");
}

static void every_byte_survives_encoding_and_decoding(void **state)
{
    (void)state;
    char bytes[256];
    for (unsigned i = 0; i < 256; i++)
        bytes[i] = (char)i;
    struct text all = {bytes, sizeof bytes};
    assert_true(text_equal(uri_decode(uri_encode(all, false, &unit_arena), true, &unit_arena), all));
}

static void parameters_are_walked_in_order(void **state)
{
    (void)state;
    struct text rest = TEXT("a=1&b&=c&&d=e=f&"), name, value;
    static const char *const wanted[] = {"a", "1", "b", "", "", "c", "d", "e=f"};
    for (size_t i = 0; i < COUNT_OF(wanted); i += 2) {
        assert_true(uri_query_next(&rest, &name, &value));
        assert_text(name, wanted[i]);
        assert_text(value, wanted[i + 1]);
    }
    assert_false(uri_query_next(&rest, &name, &value));
    assert_false(uri_query_next(&rest, &name, &value));
}

static void no_query_has_no_parameters(void **state)
{
    (void)state;
    struct text none = {NULL, 0}, name, value;
    assert_false(uri_query_next(&none, &name, &value));
    assert_null(uri_query_get(none, TEXT("a"), &unit_arena).at);
}

static void the_first_value_of_a_parameter_is_decoded(void **state)
{
    (void)state;
    struct text query = TEXT("x=0&a%62=1+2%21&ab=second&empty");
    assert_text(uri_query_get(query, TEXT("ab"), &unit_arena), "1 2!");
    assert_text(uri_query_get(query, TEXT("empty"), &unit_arena), "");
    assert_non_null(uri_query_get(query, TEXT("empty"), &unit_arena).at);
    assert_null(uri_query_get(query, TEXT("a"), &unit_arena).at);
}

static void a_cookie_is_found_by_its_exact_name(void **state)
{
    (void)state;
    struct text field = TEXT("a=1; session=\"x=y\" ;b; A=2;empty=");
    assert_text(cookie_get(field, TEXT("a")), "1");
    assert_text(cookie_get(field, TEXT("A")), "2");
    assert_text(cookie_get(field, TEXT("session")), "\"x=y\"");
    assert_text(cookie_get(field, TEXT("empty")), "");
    assert_null(cookie_get(field, TEXT("b")).at);
    assert_null(cookie_get(field, TEXT("ession")).at);
    assert_null(cookie_get((struct text){NULL, 0}, TEXT("a")).at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        H1_TEST(escapes_are_decoded_and_malformed_ones_kept),
        H1_TEST(a_plus_is_a_space_in_forms_only),
        H1_TEST(a_text_without_escapes_is_not_copied),
        H1_TEST(all_but_unreserved_characters_are_encoded),
        H1_TEST(every_byte_survives_encoding_and_decoding),
        H1_TEST(parameters_are_walked_in_order),
        H1_TEST(no_query_has_no_parameters),
        H1_TEST(the_first_value_of_a_parameter_is_decoded),
        H1_TEST(a_cookie_is_found_by_its_exact_name),
    };
    return RUN_TESTS(tests);
}
