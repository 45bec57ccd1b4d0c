/* Literals of every type: escapes, raw and long strings, numbers at their limits. */
#include "expr_unit.h"

static void integers(void **state)
{
    (void)state;
    gives("0", "0");
    gives("9223372036854775807", "9223372036854775807");
    gives("-9223372036854775808", "-9223372036854775808");
    gives("0x7f", "127");
    gives("-0xFF", "-255");
    gives("18446744073709551615u", "18446744073709551615u");
    gives("0xFFu", "255u");
    gives("5U", "5u");
    refused("9223372036854775808", 1, 1, "range of int");
    refused("18446744073709551616u", 1, 1, "range of uint");
    refused("-1u", 1, 2, "uint cannot be negative");
    refused("12abc", 1, 1, "malformed number");
    refused("0x", 1, 1, "malformed number");
}

static void doubles(void **state)
{
    (void)state;
    gives("1.5", "1.5");
    gives(".5", "0.5");
    gives("1e3", "1000.0");
    gives("1.25E-2", "0.0125");
    gives("-0.0", "-0.0");
    gives("-2.5e+3", "-2500.0");
    gives("1e21", "1e+21");
    gives("123456789012345680000.0", "123456789012345680000.0");
    gives("0.1 + 0.2", "0.30000000000000004");
    gives("5e-324", "5e-324");
    gives("1.7976931348623157e308", "1.7976931348623157e+308");
    refused("1e999", 1, 1, "range of double");
    refused("1.", 1, 3, "ends where a field should follow");
}

static void strings_and_their_escapes(void **state)
{
    (void)state;
    gives("''", "\"\"");
    gives("'a\"b'", "\"a\\\"b\"");
    gives("\"it's\"", "\"it's\"");
    gives("'\\a\\b\\f\\n\\r\\t\\v'", "\"\\a\\b\\f\\n\\r\\t\\v\"");
    gives("'\\\\ \\? \\\" \\' \\`'", "\"\\\\ ? \\\" ' `\"");
    gives("'\\x41\\X42\\103'", "\"ABC\"");
    gives("'\\u00e9\\U0001F600'", "\"\xc3\xa9\xf0\x9f\x98\x80\"");
    gives("'\\377' == '\\u00ff'", "true"); /* a code point, not a byte */
    refused("'\\q'", 1, 2, "escape");
    refused("'\\u12'", 1, 2, "escape");
    refused("'\\ud800'", 1, 2, "escape");
    refused("'\\U00110000'", 1, 2, "escape");
    refused("'\\400'", 1, 2, "escape");
    refused("'abc", 1, 1, "no end");
    refused("1 + 'a\nb'", 1, 5, "no end");
}

static void raw_and_long_strings(void **state)
{
    (void)state;
    gives("r'\\d\\n'", "\"\\\\d\\\\n\"");
    gives("R\"\\\"", "\"\\\\\"");
    gives("'''a'b\n''c'''", "\"a'b\\n''c\"");
    gives("\"\"\"\\u0041\"\"\"", "\"A\"");
    gives("r\"\"\"\\u0041\n\"\"\"", "\"\\\\u0041\\n\"");
    gives("''''''", "\"\"");
}

static void bytes(void **state)
{
    (void)state;
    gives("b'abc'", "b\"abc\"");
    gives("b'\\xff\\377\\000'", "b\"\\xff\\xff\\x00\"");
    gives("b'\xc3\xa9'", "b\"\\xc3\\xa9\"");
    gives("B\"x\"", "b\"x\"");
    gives("br'\\x'", "b\"\\\\x\"");
    gives("bR'''a\nb'''", "b\"a\\nb\"");
    refused("b'\\u00e9'", 1, 3, "escape for bytes");
}

static void lists_maps_and_types(void **state)
{
    (void)state;
    gives("[]", "[]");
    gives("[1, 'a', 2.5,]", "[1, \"a\", 2.5]");
    gives("{}", "{}");
    gives("{'a': 1, 2: 'b', true: null, 3u: [],}", "{\"a\": 1, 2: \"b\", true: null, 3u: []}");
    gives("type(null)", "null_type");
    gives("[int, uint, double, bool, string, bytes, list, map, type]",
          "[int, uint, double, bool, string, bytes, list, map, type]");
    is_true("type(1) == int && type(1u) == uint && type([]) == list && type({}) == map");
    is_true("type(type(1)) == type && type(int) == type");
    is_true("type(now) == google.protobuf.Timestamp && type(duration('1s')) == google.protobuf.Duration");
    is_true("type(optional.none()) == optional_type");
    refused("{'a': 1, 'a': 2}", 1, 10, "repeated key");
    refused("{1: 'a', 1u: 'b'}", 1, 10, "repeated key");
    refused("{1.5: 'a'}", 1, 2, "unsupported type of key");
    refused("{null: 'a'}", 1, 2, "unsupported type of key");
}

static void comments_and_blanks(void **state)
{
    (void)state;
    gives("1 // one\n + // and\n\t2 // two", "3");
    gives("'// no comment'", "\"// no comment\"");
    refused("// only", 1, 8, "ends where a value should follow");
    refused("", 1, 1, "ends where a value should follow");
}

static void long_maps_find_their_keys(void **state)
{
    (void)state;
    is_true("lists.range(100).transformMap(i, v, v * v)[37] == 1369");
    is_true("lists.range(100).transformMapEntry(i, v, {string(v): v})['99'] == 99");
    is_false("'100' in lists.range(100).transformMapEntry(i, v, {string(v): v})");
    is_true(
        "lists.range(50).transformMap(i, v, v)[49u] == 49 && lists.range(50).transformMap(i, v, v)[7.0] == 7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers),
        cmocka_unit_test(doubles),
        cmocka_unit_test(strings_and_their_escapes),
        cmocka_unit_test(raw_and_long_strings),
        cmocka_unit_test(bytes),
        cmocka_unit_test(lists_maps_and_types),
        cmocka_unit_test(comments_and_blanks),
        cmocka_unit_test(long_maps_find_their_keys),
    };
    return RUN_TESTS(tests);
}
