/* Timestamps, durations, calendars and time zones. */
#include "expr_unit.h"

#include <errno.h>

#include "expr/calendar.h"
#include "expr/zone.h"

static void timestamps_from_text(void **state)
{
    (void)state;
    gives("timestamp('2009-02-13T23:31:30Z')", "timestamp(\"2009-02-13T23:31:30Z\")");
    gives("timestamp('2009-02-13T23:31:30.000000001Z')", "timestamp(\"2009-02-13T23:31:30.000000001Z\")");
    gives("timestamp('2009-02-13T23:31:30.120+01:30')", "timestamp(\"2009-02-13T22:01:30.12Z\")");
    gives("timestamp('2009-02-13t23:31:30z')", "timestamp(\"2009-02-13T23:31:30Z\")");
    gives("timestamp('0001-01-01T00:00:00Z')", "timestamp(\"0001-01-01T00:00:00Z\")");
    gives("timestamp('9999-12-31T23:59:59.999999999Z')", "timestamp(\"9999-12-31T23:59:59.999999999Z\")");
    gives("timestamp('2000-02-29T00:00:00Z')", "timestamp(\"2000-02-29T00:00:00Z\")");
    gives("timestamp(1234567890)", "timestamp(\"2009-02-13T23:31:30Z\")");
    gives("timestamp(timestamp(-1))", "timestamp(\"1969-12-31T23:59:59Z\")");
    static const char *const bad[] = {
        "",
        "2009-02-13",
        "2009-02-13T23:31:30",
        "2009-02-13 23:31:30Z",
        "2009-02-30T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2009-13-01T00:00:00Z",
        "2009-02-13T24:00:00Z",
        "2009-02-13T23:60:00Z",
        "2009-02-13T23:59:60Z",
        "2009-02-13T23:31:30.Z",
        "2009-02-13T23:31:30+0100",
        "2009-02-13T23:31:30+24:00",
        "2009-02-13T23:31:30Zx",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct value_time time;
        if (timestamp_parse(text_of(bad[i]), &time))
            fail_msg("%s", bad[i]);
    }
    fails("timestamp('x')", "not a timestamp, or out of range: 'x'");
    fails("timestamp(253402300800)", "out of range");
    fails("timestamp(-62135596801)", "out of range");
}

static void durations_from_text(void **state)
{
    (void)state;
    gives("duration('1h30m')", "duration(\"5400s\")");
    gives("duration('1.5s')", "duration(\"1.5s\")");
    gives("duration('-1.5s')", "duration(\"-1.5s\")");
    gives("duration('-0.000000001s')", "duration(\"-0.000000001s\")");
    gives("duration('2h3m4s5ms6us7ns')", "duration(\"7384.005006007s\")");
    gives("duration('0')", "duration(\"0s\")");
    gives("duration('+.5s')", "duration(\"0.5s\")");
    gives("duration('1\\u00b5s')", "duration(\"0.000001s\")");
    gives("duration('9223372036.854775807s')", "duration(\"9223372036.854775807s\")");
    gives("duration('-9223372036.854775808s')", "duration(\"-9223372036.854775808s\")");
    static const char *const bad[] = {"",
                                      "1",
                                      "s",
                                      ".s",
                                      "1x",
                                      "1 s",
                                      "--1s",
                                      "1h-5m",
                                      "1d",
                                      "-",
                                      "1s2",
                                      "1.2.3s",
                                      "99999999999999999999s",
                                      "9223372036.854775808s",
                                      "-9223372036.854775809s"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct value_time time;
        if (duration_parse(text_of(bad[i]), &time))
            fail_msg("%s", bad[i]);
    }
    fails("duration('1y')", "not a duration, or out of range: '1y'");
}

static void arithmetic(void **state)
{
    (void)state;
    gives("timestamp(0) + duration('1h') + duration('0.5s')", "timestamp(\"1970-01-01T01:00:00.5Z\")");
    gives("duration('1h') + timestamp(0)", "timestamp(\"1970-01-01T01:00:00Z\")");
    gives("timestamp(0) - duration('0.5s')", "timestamp(\"1969-12-31T23:59:59.5Z\")");
    gives("timestamp(10) - timestamp(20)", "duration(\"-10s\")");
    gives("duration('0.7s') + duration('0.6s')", "duration(\"1.3s\")");
    gives("duration('0.1s') - duration('0.6s')", "duration(\"-0.5s\")");
    fails("timestamp('9999-12-31T23:59:59Z') + duration('1s')", "timestamp out of range");
    fails("timestamp('0001-01-01T00:00:00Z') - duration('0.1s')", "timestamp out of range");
    fails("duration('9223372036.854775807s') + duration('1ns')", "duration out of range");
    fails("duration('-9223372036.854775808s') - duration('1ns')", "duration out of range");
    fails("timestamp(0) + timestamp(0)", "no such overload");
    fails("duration('1s') - timestamp(0)", "no such overload");
    fails("duration('1s') * 2", "no such overload");
    is_true("now - timestamp('2023-11-14T22:13:20Z') == duration('123456789ns') && now == now");
}

static void parts_of_timestamps(void **state)
{
    (void)state;
    is_true(
        "cel.bind(t, timestamp('2009-02-13T23:31:30.123Z'), t.getFullYear() == 2009 && t.getMonth() == 1 && t.getDate() == 13"
        " && t.getDayOfMonth() == 12 && t.getDayOfWeek() == 5 && t.getDayOfYear() == 43 && t.getHours() == 23"
        " && t.getMinutes() == 31 && t.getSeconds() == 30 && t.getMilliseconds() == 123)");
    is_true(
        "cel.bind(t, timestamp('1969-12-31T23:59:59.9Z'), t.getFullYear() == 1969 && t.getDayOfWeek() == 3"
        " && t.getDayOfYear() == 364 && t.getMilliseconds() == 900)");
    is_true("timestamp('2024-12-31T00:00:00Z').getDayOfYear() == 365");
    refused("timestamp(0).getHour()", 1, 14, "did you mean 'getHours'?");
}

static void parts_of_durations(void **state)
{
    (void)state;
    is_true(
        "cel.bind(d, duration('3730.321s'), d.getHours() == 1 && d.getMinutes() == 62 && d.getSeconds() == 3730"
        " && d.getMilliseconds() == 321)");
    is_true(
        "cel.bind(d, duration('-90.5s'), d.getHours() == 0 && d.getMinutes() == -1 && d.getSeconds() == -90"
        " && d.getMilliseconds() == -500)");
    refused("duration('1s').getHours('UTC')", 1, 16, "does not take (duration, string)");
}

static void fixed_offsets(void **state)
{
    (void)state;
    gives("timestamp('2009-02-13T23:31:30Z').getHours('+01:00')", "0");
    gives("timestamp('2009-02-13T23:31:30Z').getDate('+01:00')", "14");
    gives("timestamp('2009-02-13T23:31:30Z').getMinutes('-03:45')", "46");
    gives("timestamp('2009-02-13T23:31:30Z').getHours('02:00')", "1");
    gives("timestamp('2009-02-13T23:31:30Z').getHours('UTC')", "23");
    fails("timestamp(0).getHours('+1:00')", "unknown time zone: '+1:00'");
    fails("timestamp(0).getHours('+24:00')", "unknown time zone");
    fails("timestamp(0).getHours('+01:60')", "unknown time zone");
}

static void zones_of_the_database(void **state)
{
    (void)state;
    gives("timestamp('2023-07-01T12:00:00Z').getHours('America/New_York')", "8");
    gives("timestamp('2023-01-01T12:00:00Z').getHours('America/New_York')", "7");
    gives("timestamp('2023-03-26T00:59:59Z').getHours('Europe/Paris')", "1");
    gives("timestamp('2023-03-26T01:00:00Z').getHours('Europe/Paris')", "3");
    gives("timestamp('2023-10-29T00:59:59Z').getHours('Europe/Paris')", "2");
    gives("timestamp('2023-10-29T01:00:00Z').getHours('Europe/Paris')", "2");
    gives("timestamp('2023-01-01T00:00:00Z').getMinutes('Asia/Kolkata')", "30");
    gives("timestamp('1900-01-01T00:00:00Z').getFullYear('Europe/Paris')", "1900");
    is_true("['Europe/Paris', 'Asia/Tokyo', 'US/Central'].all(z, timestamp(0).getHours(z) >= 0)");
    fails("timestamp(0).getHours('Europe/Nowhere')", "unknown time zone");
    fails("timestamp(0).getHours('../../../etc/passwd')", "unknown time zone");
    fails("timestamp(0).getHours('/etc/passwd')", "unknown time zone");
    fails("timestamp(0).getHours('')", "unknown time zone");
    fails("timestamp(0).getHours('tzdata.zi')", "unknown time zone");
}

/* A name that is computed as the expression runs is looked up in what was read when it was compiled. */
static void no_file_is_opened_by_a_run(void **state)
{
    (void)state;
    struct arena arena;
    struct expr_error error = {0};
    struct value value;
    arena_init(&arena, 0, 0);
    static const char *const sources[] = {
        "timestamp(0).getHours(request.path == '' ? '' : 'Africa/Nairobi')", /* in no other test */
        "timestamp(0).getHours(request.method + '/Nowhere')",
        "timestamp(0).getHours(dynamic)",
        "timestamp(0).getHours('America/Argentina/Ushuaia')",
    };
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        const struct expr *expr = expr_compile(&arena, text_of(sources[i]), &strict, EXPR_DYN, &error);
        struct expr_run run = run_in(&arena);
        assert_non_null(expr);
        uint64_t before = zone_files_opened();
        bool good = expr_eval(expr, &run, &value, &error);
        assert_int_equal(zone_files_opened(), before);
        assert_int_equal(good, i == 0 || i == 3);
    }
    arena_release(&arena);
}

/* A constant name reads its own file; links to one file share what is in it. */
static void constant_names_read_one_file(void **state)
{
    (void)state;
    const struct zone *zone, *link;
    assert_int_equal(zone_load(TEXT("Nowhere/City"), &zone), -ENOENT);
    assert_int_equal(zone_load(TEXT("zone.tab"), &zone), -ENOENT);
    assert_int_equal(zone_load(TEXT("Europe"), &zone), -ENOENT);
    uint64_t before = zone_files_opened();
    assert_int_equal(zone_load(TEXT("Asia/Singapore"), &zone), 0);
    assert_int_equal(zone_load(TEXT("Asia/Singapore"), &link), 0);
    assert_true(zone == link && zone_files_opened() - before <= 1);
    assert_int_equal(zone_load(TEXT("Singapore"), &link), 0);
    assert_ptr_equal(zone, link);
}

/* Behind the last transition of the file its rule holds, on both hemispheres. */
static void years_beyond_the_file(void **state)
{
    (void)state;
    gives("timestamp('2150-07-01T12:00:00Z').getHours('Europe/Paris')", "14");
    gives("timestamp('2150-12-01T12:00:00Z').getHours('Europe/Paris')", "13");
    gives("timestamp('2150-07-01T12:00:00Z').getHours('Australia/Sydney')", "22");
    gives("timestamp('2150-12-01T12:00:00Z').getHours('Australia/Sydney')", "23");
    gives("timestamp('2150-07-01T12:00:00Z').getHours('Asia/Tokyo')", "21");
}

static void dates_there_and_back(void **state)
{
    (void)state;
    for (int64_t day = -720000; day < 2940000; day += 37) {
        struct date date = calendar_date(day * 86400 + 86399);
        assert_int_equal(calendar_days(date.year, date.month, date.day), day);
        assert_int_equal(date.hour * 3600 + date.minute * 60 + date.second, 86399);
        assert_true(date.day >= 1 && date.day <= calendar_month_days(date.year, date.month));
        assert_int_equal(date.weekday, ((day + 4) % 7 + 7) % 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timestamps_from_text),
        cmocka_unit_test(durations_from_text),
        cmocka_unit_test(arithmetic),
        cmocka_unit_test(parts_of_timestamps),
        cmocka_unit_test(parts_of_durations),
        cmocka_unit_test(fixed_offsets),
        cmocka_unit_test(zones_of_the_database),
        cmocka_unit_test(no_file_is_opened_by_a_run),
        cmocka_unit_test(constant_names_read_one_file),
        cmocka_unit_test(years_beyond_the_file),
        cmocka_unit_test(dates_there_and_back),
    };
    return RUN_TESTS(tests);
}
