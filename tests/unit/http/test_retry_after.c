/* Retry-After in both of its forms, and what is none. */
#include "unit.h"

#include "base/time.h"
#include "http/retry_after.h"

#define NOW_NS (784111777 * NS_PER_SECOND) /* Sun, 06 Nov 1994 08:49:37 GMT */

static int64_t ms_of(const char *value)
{
    return retry_after_ms(text_of(value), NOW_NS);
}

static void test_seconds(void **state)
{
    (void)state;
    assert_int_equal(ms_of("120"), 120000);
    assert_int_equal(ms_of(" 0 "), 0);
    assert_int_equal(ms_of("99999999999999999999"), 0); /* no number that fits */
    assert_int_equal(ms_of("18446744073709551615"), RETRY_AFTER_MAX_MS);
}

static void test_a_date(void **state)
{
    (void)state;
    assert_int_equal(ms_of("Sun, 06 Nov 1994 08:49:47 GMT"), 10000);
    assert_int_equal(ms_of("Mon, 07 Nov 1994 08:49:37 GMT"), 86400000);
    assert_int_equal(ms_of("Sun, 06 Nov 1994 08:49:37 GMT"), 0);
    assert_int_equal(ms_of("Sat, 05 Nov 1994 08:49:37 GMT"), 0);
    assert_int_equal(ms_of("Fri, 06 Nov 2150 08:49:37 GMT"), RETRY_AFTER_MAX_MS);
}

static void test_what_is_none(void **state)
{
    static const char *const values[] = {"",
                                         "soon",
                                         "-1",
                                         "1.5",
                                         "Sun, 06 Nov 1994 08:49:47 CET",
                                         "Sun, 06 Foo 1994 08:49:47 GMT",
                                         "Sun, 06 ovD 1994 08:49:47 GMT",
                                         "Sun, ab Nov 1994 08:49:47 GMT",
                                         "Sunday, 06-Nov-94 08:49:47 GMT"};
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        assert_int_equal(ms_of(values[i]), 0);
    assert_int_equal(retry_after_ms((struct text){NULL, 0}, NOW_NS), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seconds),
        cmocka_unit_test(test_a_date),
        cmocka_unit_test(test_what_is_none),
    };
    return RUN_TESTS(tests);
}
