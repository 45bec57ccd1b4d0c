/* Dates and durations as they are written and read. */
#include "unit.h"

#include "base/check.h"
#include "base/time.h"

static void dates_of_http(void **state)
{
    (void)state;
    static const struct {
        int64_t seconds;
        const char *written;
    } dates[] = {
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},         {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},
        {951827696, "Tue, 29 Feb 2000 12:34:56 GMT"}, {4102444799, "Thu, 31 Dec 2099 23:59:59 GMT"},
        {-1, "Wed, 31 Dec 1969 23:59:59 GMT"},
    };
    for (size_t i = 0; i < COUNT_OF(dates); i++) {
        char to[TIME_HTTP_SIZE];
        time_write_http(dates[i].seconds * NS_PER_SECOND, to);
        assert_text(((struct text){to, sizeof to}), dates[i].written);
    }
}

static void dates_of_rfc_3339(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        const char *written;
    } dates[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {784111777 * NS_PER_SECOND + 123999999, "1994-11-06T08:49:37.123Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {-500 * NS_PER_MS, "1969-12-31T23:59:59.500Z"},
        {INT64_MAX, "2262-04-11T23:47:16.854Z"},
        {INT64_MIN, "1677-09-21T00:12:43.145Z"},
    };
    for (size_t i = 0; i < COUNT_OF(dates); i++) {
        char to[TIME_ISO_SIZE];
        time_write_iso(dates[i].ns, to);
        assert_text(((struct text){to, sizeof to}), dates[i].written);
    }
}

static void durations_are_read(void **state)
{
    (void)state;
    static const struct {
        struct text written;
        int64_t ns;
    } durations[] = {
        {TEXT_INIT("250ms"), 250 * NS_PER_MS},
        {TEXT_INIT("1m30s"), 90 * NS_PER_SECOND},
        {TEXT_INIT("1.5h"), 5400 * NS_PER_SECOND},
        {TEXT_INIT("2d"), 172800 * NS_PER_SECOND},
        {TEXT_INIT("1w"), 604800 * NS_PER_SECOND},
        {TEXT_INIT("0s"), 0},
        {TEXT_INIT("3us2ns"), 3002},
        {TEXT_INIT("1d1h1m1s1ms1us1ns"), 90061001001001},
        {TEXT_INIT("0.1s"), 100 * NS_PER_MS},
        {TEXT_INIT("106751d"), 106751ll * 86400 * NS_PER_SECOND},
    };
    for (size_t i = 0; i < COUNT_OF(durations); i++) {
        int64_t ns = -1;
        assert_true(time_parse_duration(durations[i].written, &ns));
        assert_int_equal(ns, durations[i].ns);
    }
}

static void what_is_no_duration_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    static const struct text bad[] = {
        TEXT_INIT(""),       TEXT_INIT("1"),    TEXT_INIT("s"),          TEXT_INIT("-1s"),
        TEXT_INIT("+1s"),    TEXT_INIT("1 s"),  TEXT_INIT("1s "),        TEXT_INIT("1S"),
        TEXT_INIT("1x"),     TEXT_INIT("1s1m"), TEXT_INIT("1s1s"),       TEXT_INIT("1m30"),
        TEXT_INIT("1.2.3s"), TEXT_INIT("1e3s"), TEXT_INIT(".s"),         TEXT_INIT("1ms1m"),
        TEXT_INIT("99999w"), TEXT_INIT("1s\0"), TEXT_INIT("106751d24h"),
    };
    int64_t ns = 7;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(time_parse_duration(bad[i], &ns));
    assert_int_equal(ns, 7);
}

static void whole_nanoseconds_are_read_exactly(void **state)
{
    (void)state;
    int64_t ns = 0;
    assert_true(time_parse_duration(TEXT("9007199254740993ns"), &ns)); /* 2^53 + 1 */
    assert_true(ns == 9007199254740993);
}

static void durations_are_written_as_they_are_read(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        const char *written;
    } durations[] = {
        {0, "0s"},
        {90 * NS_PER_SECOND, "1m30s"},
        {250 * NS_PER_MS, "250ms"},
        {14 * 86400 * NS_PER_SECOND, "14d"},
        {INT64_MAX, "106751d23h47m16s854ms775us807ns"},
    };
    for (size_t i = 0; i < COUNT_OF(durations); i++) {
        char to[64];
        int64_t again = 0;
        struct text written = time_format_duration(durations[i].ns, to);
        assert_text(written, durations[i].written);
        assert_true(time_parse_duration(written, &again));
        assert_true(again == durations[i].ns);
    }
}

static void the_monotonic_clock_does_not_go_back(void **state)
{
    (void)state;
    int64_t before = time_monotonic_ns();
    for (int i = 0; i < 1000; i++) {
        int64_t now = time_monotonic_ns();
        assert_true(now >= before);
        before = now;
    }
    assert_true(time_wall_ns() > 1600000000 * NS_PER_SECOND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_of_http),
        cmocka_unit_test(dates_of_rfc_3339),
        cmocka_unit_test(durations_are_read),
        cmocka_unit_test(what_is_no_duration_is_refused_and_changes_nothing),
        cmocka_unit_test(whole_nanoseconds_are_read_exactly),
        cmocka_unit_test(durations_are_written_as_they_are_read),
        cmocka_unit_test(the_monotonic_clock_does_not_go_back),
    };
    return RUN_TESTS(tests);
}
