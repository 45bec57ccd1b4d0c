/* Texts: searching, comparing, splitting, numbers, UTF-8 and distances. */
#include "unit.h"

#include <math.h>

#include "base/check.h"

static const struct text none = {NULL, 0};

static void comparisons_fold_ascii_only_when_asked(void **state)
{
    (void)state;
    assert_true(text_equal(TEXT("a\0b"), TEXT("a\0b")));
    assert_false(text_equal(TEXT("a"), TEXT("A")));
    assert_true(text_equal(none, TEXT("")));
    assert_true(text_equal_nocase(TEXT("Content-LENGTH"), TEXT("content-length")));
    assert_false(text_equal_nocase(TEXT("@[`{"), TEXT("`{@[")));
    assert_false(text_equal_nocase(TEXT("\xc3\x89"), TEXT("\xc3\xa9"))); /* É, é */
    assert_true(text_starts_with_nocase(TEXT("Bearer x"), TEXT("bearer ")));
    assert_false(text_starts_with_nocase(TEXT("Bear"), TEXT("bearer")));
    assert_true(text_equal_nocase(none, TEXT("")));
}

static void prefixes_and_suffixes(void **state)
{
    (void)state;
    assert_true(text_starts_with(TEXT("/orders/7"), TEXT("/orders")));
    assert_false(text_starts_with(TEXT("/or"), TEXT("/orders")));
    assert_true(text_ends_with(TEXT("a.json"), TEXT(".json")));
    assert_false(text_ends_with(TEXT("json"), TEXT(".json")));
    assert_true(text_starts_with(none, none) && text_ends_with(none, none));
}

static void slices_are_clamped(void **state)
{
    (void)state;
    assert_text(text_slice(TEXT("abcdef"), 2, 4), "cd");
    assert_text(text_slice(TEXT("abcdef"), 4, 99), "ef");
    assert_text(text_slice(TEXT("abcdef"), 4, 2), "");
    assert_text(text_slice(TEXT("abcdef"), 99, 100), "");
    assert_text(text_slice(none, 1, 2), "");
}

static void finding(void **state)
{
    (void)state;
    assert_int_equal(text_find(TEXT("a-b-c"), TEXT("-b")), 1);
    assert_int_equal(text_find(TEXT("a-b-c"), TEXT("-d")), TEXT_NONE);
    assert_int_equal(text_find(TEXT("abc"), TEXT("")), 0);
    assert_int_equal(text_find(none, TEXT("x")), TEXT_NONE);
    assert_int_equal(text_find(TEXT("ab"), TEXT("abc")), TEXT_NONE);
    assert_int_equal(text_find_char(TEXT("a-b-c"), '-'), 1);
    assert_int_equal(text_find_last_char(TEXT("a-b-c"), '-'), 3);
    assert_int_equal(text_find_char(none, '-'), TEXT_NONE);
    assert_int_equal(text_find_last_char(TEXT("abc"), '-'), TEXT_NONE);
}

static void ordering_is_by_bytes_then_by_length(void **state)
{
    (void)state;
    assert_true(text_compare(TEXT("a"), TEXT("b")) < 0);
    assert_true(text_compare(TEXT("\xff"), TEXT("a")) > 0);
    assert_true(text_compare(TEXT("ab"), TEXT("a")) > 0);
    assert_true(text_compare(none, TEXT("a")) < 0);
    assert_int_equal(text_compare(none, TEXT("")), 0);
}

static void secrets_compare_equal_only_when_they_are(void **state)
{
    (void)state;
    assert_true(text_equal_constant_time(TEXT("secret"), TEXT("secret")));
    assert_false(text_equal_constant_time(TEXT("secret"), TEXT("secreT")));
    assert_false(text_equal_constant_time(TEXT("secret"), TEXT("xecret")));
    assert_false(text_equal_constant_time(TEXT("secret"), TEXT("secre")));
    assert_true(text_equal_constant_time(none, none));
}

static void trimming_takes_spaces_and_tabs_only(void **state)
{
    (void)state;
    assert_text(text_trim(TEXT(" \t a b\t ")), "a b");
    assert_text(text_trim(TEXT(" \t")), "");
    assert_text(text_trim(TEXT("\r\n")), "\r\n");
    assert_text(text_trim(none), "");
}

static void splitting_gives_every_part_the_empty_ones_too(void **state)
{
    (void)state;
    struct text rest = TEXT("a,,b,");
    assert_text(text_split(&rest, ','), "a");
    assert_text(text_split(&rest, ','), "");
    assert_text(text_split(&rest, ','), "b");
    assert_non_null(rest.at);
    assert_text(text_split(&rest, ','), "");
    assert_null(rest.at);
    rest = TEXT("");
    assert_text(text_split(&rest, ','), "");
    assert_null(rest.at);
}

static void whole_numbers_in_range_are_read(void **state)
{
    (void)state;
    uint64_t u = 0;
    int64_t i = 0;
    assert_true(text_to_uint64(TEXT("18446744073709551615"), &u) && u == UINT64_MAX);
    assert_true(text_to_uint64(TEXT("007"), &u) && u == 7);
    assert_true(text_to_int64(TEXT("-9223372036854775808"), &i) && i == INT64_MIN);
    assert_true(text_to_int64(TEXT("9223372036854775807"), &i) && i == INT64_MAX);
    assert_true(text_to_int64(TEXT("-0"), &i) && i == 0);
}

static void what_is_no_whole_number_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    static const struct text bad[] = {
        TEXT_INIT(""),
        TEXT_INIT("+1"),
        TEXT_INIT(" 1"),
        TEXT_INIT("1 "),
        TEXT_INIT("-"),
        TEXT_INIT("--1"),
        TEXT_INIT("1e3"),
        TEXT_INIT("0x1"),
        TEXT_INIT("1\0"),
        TEXT_INIT("\xd9\xa1"),
        TEXT_INIT("1_0"),
        TEXT_INIT("1.0"),
        TEXT_INIT("1-"),
        TEXT_INIT("184467440737095516150"),
        TEXT_INIT("18446744073709551616"),
    };
    uint64_t u = 99;
    int64_t i = 99;
    for (size_t k = 0; k < COUNT_OF(bad); k++) {
        assert_false(text_to_uint64(bad[k], &u));
        assert_false(text_to_int64(bad[k], &i));
    }
    assert_false(text_to_uint64(TEXT("-1"), &u));
    assert_false(text_to_int64(TEXT("9223372036854775808"), &i));
    assert_false(text_to_int64(TEXT("-9223372036854775809"), &i));
    assert_false(text_to_int64(none, &i));
    assert_true(u == 99 && i == 99);
}

static void real_numbers(void **state)
{
    (void)state;
    double d = 0;
    assert_true(text_to_double(TEXT("1.5"), &d) && d > 1.49 && d < 1.51);
    assert_true(text_to_double(TEXT("-2e3"), &d) && d > -2001 && d < -1999);
    assert_true(text_to_double(TEXT("0"), &d) && fabs(d) < 1e-300);
    static const struct text bad[] = {TEXT_INIT(""),      TEXT_INIT("nan"),   TEXT_INIT("inf"),
                                      TEXT_INIT("0x1p3"), TEXT_INIT("1e999"), TEXT_INIT("1 "),
                                      TEXT_INIT("1.2.3"), TEXT_INIT("-"),     TEXT_INIT("e"),
                                      TEXT_INIT("1,5"),   TEXT_INIT("1\0")};
    for (size_t k = 0; k < COUNT_OF(bad); k++)
        assert_false(text_to_double(bad[k], &d));
}

static void hexadecimal(void **state)
{
    (void)state;
    char to[8];
    text_hex("\x00\x7f\xab\xff", 4, to);
    assert_text(((struct text){to, 8}), "007fabff");
    for (int c = 0; c < 256; c++) {
        int value = char_hex((char)c);
        bool digit = c && strchr("0123456789abcdefABCDEF", c);
        assert_int_equal(value >= 0, digit);
    }
    assert_int_equal(char_hex('f'), 15);
    assert_int_equal(char_hex('A'), 10);
}

/* Encodes a code point without judging it. */
static struct text encode(uint32_t point, int size, char to[4])
{
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (int i = size - 1; i > 0; i--, point >>= 6)
        to[i] = (char)(0x80 | (point & 0x3f));
    to[0] = (char)(lead[size] | point);
    return (struct text){to, (size_t)size};
}

static void utf8_is_judged_right_for_every_code_point_and_length(void **state)
{
    (void)state;
    char to[4];
    static const uint32_t first[] = {0, 0, 0x80, 0x800, 0x10000},
                          past[] = {0, 0x80, 0x800, 0x10000, 0x200000};
    for (int size = 1; size <= 4; size++) {
        for (uint32_t point = 0; point < past[size]; point += size == 4 ? 13 : 1) {
            bool good = point >= first[size] && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
            if (text_is_utf8(encode(point, size, to)) != good)
                fail_msg("U+%04X in %d bytes", (unsigned)point, size);
        }
    }
}

static void broken_utf8_is_refused(void **state)
{
    (void)state;
    static const struct text bad[] = {TEXT_INIT("\x80"),
                                      TEXT_INIT("a\xc3"),
                                      TEXT_INIT("\xe2\x82"),
                                      TEXT_INIT("\xf0\x9f\x9a"),
                                      TEXT_INIT("\xc3\xc3\xa9"),
                                      TEXT_INIT("\xc3"
                                                "a"),
                                      TEXT_INIT("\xff"),
                                      TEXT_INIT("\xf8\x88\x80\x80\x80")};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(text_is_utf8(bad[i]));
    assert_true(text_is_utf8(none));
    assert_true(text_is_utf8(TEXT("plain, \xc3\xa9, \xf0\x9f\x9a\xa6, \0")));
}

static void distances_count_edits_up_to_the_maximum(void **state)
{
    (void)state;
    assert_int_equal(text_distance(TEXT("rate-limit"), TEXT("rate-limit"), 3), 0);
    assert_int_equal(text_distance(TEXT("rate-limt"), TEXT("rate-limit"), 3), 1);
    assert_int_equal(text_distance(TEXT("kitten"), TEXT("sitting"), 9), 3);
    assert_int_equal(text_distance(TEXT("abc"), TEXT("xyz"), 2), 2);
    assert_int_equal(text_distance(TEXT(""), TEXT("abc"), 9), 3);
    assert_int_equal(text_distance(none, none, 9), 0);
    char longer[65];
    memset(longer, 'a', sizeof longer);
    assert_int_equal(text_distance((struct text){longer, 65}, TEXT("a"), 4), 4);
    assert_int_equal(text_distance((struct text){longer, 64}, TEXT(""), 99), 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparisons_fold_ascii_only_when_asked),
        cmocka_unit_test(prefixes_and_suffixes),
        cmocka_unit_test(slices_are_clamped),
        cmocka_unit_test(finding),
        cmocka_unit_test(ordering_is_by_bytes_then_by_length),
        cmocka_unit_test(secrets_compare_equal_only_when_they_are),
        cmocka_unit_test(trimming_takes_spaces_and_tabs_only),
        cmocka_unit_test(splitting_gives_every_part_the_empty_ones_too),
        cmocka_unit_test(whole_numbers_in_range_are_read),
        cmocka_unit_test(what_is_no_whole_number_is_refused_and_changes_nothing),
        cmocka_unit_test(real_numbers),
        cmocka_unit_test(hexadecimal),
        cmocka_unit_test(utf8_is_judged_right_for_every_code_point_and_length),
        cmocka_unit_test(broken_utf8_is_refused),
        cmocka_unit_test(distances_count_edits_up_to_the_maximum),
    };
    return RUN_TESTS(tests);
}
