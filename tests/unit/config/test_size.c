/* Sizes as people write them. */
#include "unit.h"

#include "config/size.h"

static int64_t parsed(const char *text)
{
    int64_t bytes = -1;
    return size_parse(text_of(text), &bytes) ? bytes : -1;
}

static void units_are_powers_of_1024_or_1000(void **state)
{
    (void)state;
    assert_int_equal(parsed("0"), 0);
    assert_int_equal(parsed("512B"), 512);
    assert_int_equal(parsed("64KiB"), 65536);
    assert_int_equal(parsed("10MB"), 10000000);
    assert_int_equal(parsed("1GiB"), 1 << 30);
    assert_int_equal(parsed("3kB"), 3000);
    assert_int_equal(parsed("1.5KiB"), 1536);
}

static void what_is_no_size_is_refused(void **state)
{
    (void)state;
    const char *const wrong[] = {"",     "KiB",  "-1",      "1 KiB",       "1k",
                                 "1kib", "0.3B", "1..5KiB", "99999999TiB", "9223372036854775808"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(parsed(wrong[i]), -1);
}

static void other_spellings_are_understood(void **state)
{
    (void)state;
    char to[64];
    assert_text(size_near_miss(TEXT("64k"), to), "64KiB");
    assert_text(size_near_miss(TEXT("10 mb"), to), "10MB");
    assert_text(size_near_miss(TEXT("1G"), to), "1GiB");
    assert_null(size_near_miss(TEXT("many"), to).at);
    assert_null(size_near_miss(TEXT("5 apples"), to).at);
}

static void the_shortest_exact_form_is_written(void **state)
{
    (void)state;
    char to[64];
    assert_text(size_format(0, to), "0");
    assert_text(size_format(1000, to), "1000");
    assert_text(size_format(65536, to), "64KiB");
    assert_text(size_format(1536ll << 20, to), "1536MiB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units_are_powers_of_1024_or_1000),
        cmocka_unit_test(what_is_no_size_is_refused),
        cmocka_unit_test(other_spellings_are_understood),
        cmocka_unit_test(the_shortest_exact_form_is_written),
    };
    return RUN_TESTS(tests);
}
