/* Field names and their numbers. */
#include "unit.h"

#include "http/names.h"

static void every_name_in_the_table_is_found_in_any_case(void **state)
{
    (void)state;
    for (unsigned id = 1; id < NAMES_COUNT; id++) {
        struct text name = field_name_text((enum field_name)id);
        char lower[64] = {0}, upper[64] = {0};
        for (size_t i = 0; i < name.size; i++) {
            lower[i] = char_lower(name.at[i]);
            upper[i] = char_is_alpha(name.at[i]) ? (char)(name.at[i] & ~0x20) : name.at[i];
        }
        assert_int_equal(field_name_parse(name), id);
        assert_int_equal(field_name_parse((struct text){lower, name.size}), id);
        assert_int_equal(field_name_parse((struct text){upper, name.size}), id);
        assert_int_equal(field_name_parse_within((struct text){lower, name.size}, lower + sizeof lower), id);
        assert_int_equal(field_name_parse_within((struct text){upper, name.size}, upper + name.size), id);
    }
}

static void a_name_with_any_byte_changed_is_another_name(void **state)
{
    (void)state;
    for (unsigned id = 1; id < NAMES_COUNT; id++) {
        struct text name = field_name_text((enum field_name)id);
        for (size_t i = 0; i < name.size; i++)
            for (unsigned byte = 0; byte < 256; byte++) {
                char changed[64] = {0};
                memcpy(changed, name.at, name.size);
                changed[i] = (char)byte;
                struct text t = {changed, name.size};
                bool same = text_equal_nocase(t, name);
                assert_int_equal(field_name_parse(t) == id, same);
                assert_int_equal(field_name_parse_within(t, changed + sizeof changed) == id, same);
            }
    }
}

static void a_part_of_a_name_and_a_longer_name_are_others(void **state)
{
    (void)state;
    assert_int_equal(field_name_parse(TEXT("")), NAME_OTHER);
    assert_int_equal(field_name_parse((struct text){NULL, 0}), NAME_OTHER);
    assert_int_equal(field_name_parse(TEXT("Hos")), NAME_OTHER);
    assert_int_equal(field_name_parse(TEXT("Hosts")), NAME_OTHER);
    assert_int_equal(field_name_parse(TEXT("Access-Control-Request-Headers-And-More")), NAME_OTHER);
}

static void a_text_is_as_the_registry_has_it(void **state)
{
    (void)state;
    assert_text(field_name_text(NAME_WWW_AUTHENTICATE), "WWW-Authenticate");
    assert_text(field_name_text(NAME_ETAG), "ETag");
    assert_text(field_name_text(NAME_OTHER), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_in_the_table_is_found_in_any_case),
        cmocka_unit_test(a_name_with_any_byte_changed_is_another_name),
        cmocka_unit_test(a_part_of_a_name_and_a_longer_name_are_others),
        cmocka_unit_test(a_text_is_as_the_registry_has_it),
    };
    return RUN_TESTS(tests);
}
