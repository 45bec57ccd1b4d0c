/* JSON in and out. */
#include "expr_unit.h"

#include <stdio.h>

static void reads_at(const char *json, const char *wanted, const char *file, int line)
{
    struct arena arena;
    arena_init(&arena, 0, 0);
    struct value value;
    struct error error = {0};
    struct text got = value_from_json(text_of(json), &arena, &value, &error) ? value_to_literal(value, &arena)
                                                                             : text_of(error.said);
    bool right = text_equal(got, text_of(wanted));
    if (!right)
        print_error("%s: got %.*s, wanted %s\n", json, TEXT_ARGS(got), wanted);
    arena_release(&arena);
    if (!right)
        _fail(file, line);
}
#define reads(json, wanted) reads_at((json), (wanted), __FILE__, __LINE__)

static void values_of_each_kind(void **state)
{
    (void)state;
    reads(" {\"a\" : [ 1 , -2.5e1 , true, false, null, \"x\" ] , \"b\":{} }\n",
          "{\"a\": [1, -25.0, true, false, null, \"x\"], \"b\": {}}");
    reads("9223372036854775807", "9223372036854775807");
    reads("9223372036854775808", "9223372036854776000.0");
    reads("-0", "0");
    reads("1.0", "1.0");
    reads("\"\\u00e9\\ud83d\\ude00\\n\\/\\\"\"", "\"\xc3\xa9\xf0\x9f\x98\x80\\n/\\\"\"");
    reads("{\"a\":1,\"a\":2}", "{\"a\": 2}");
    reads("[]", "[]");
}

static void malformed_texts(void **state)
{
    (void)state;
    reads("", "JSON at byte 0: it ends where a value should stand");
    reads("[1,]", "JSON at byte 3: a malformed number");
    reads("[1", "JSON at byte 2: neither ',' nor ']' after an element");
    reads("{\"a\" 1}", "JSON at byte 5: no ':' after a name");
    reads("{a:1}", "JSON at byte 1: no name where a member should start");
    reads("{\"a\":1 \"b\":2}", "JSON at byte 7: neither ',' nor '}' after a member");
    reads("01", "JSON at byte 0: a malformed number");
    reads("1.", "JSON at byte 0: a malformed number");
    reads("1e", "JSON at byte 0: a malformed number");
    reads("+1", "JSON at byte 0: a malformed number");
    reads("1e999", "JSON at byte 5: a number beyond the range of double");
    reads("tru", "JSON at byte 0: an unknown word");
    reads("\"a", "JSON at byte 1: a string without end");
    reads("\"a\nb\"", "JSON at byte 1: a control character in a string");
    reads("\"\\x\"", "JSON at byte 3: an unknown escape");
    reads("\"\\u12\"", "JSON at byte 5: a malformed \\u escape");
    reads("\"\\ud800x\"", "JSON at byte 7: half of a surrogate pair");
    reads("\"\\ud800\\u0041\"", "JSON at byte 13: half of a surrogate pair");
    reads("\"\xff\"", "JSON at byte 1: malformed UTF-8");
    reads("1 2", "JSON at byte 2: something follows the value");
}

static void depth_is_limited(void **state)
{
    (void)state;
    char json[300];
    memset(json, '[', 100);
    memset(json + 100, ']', 100);
    json[200] = 0;
    struct arena arena;
    struct value value;
    struct error error;
    arena_init(&arena, 0, 0);
    assert_true(value_from_json(text_of(json), &arena, &value, &error));
    memset(json, '[', 101);
    assert_false(value_from_json(text_of(json), &arena, &value, &error));
    assert_non_null(strstr(error.said, "nested too deeply"));
    arena_release(&arena);
}

static void writes_at(const char *source, const char *wanted, const char *file, int line)
{
    struct arena arena;
    arena_init(&arena, 0, 0);
    struct expr_error error = {0};
    const struct expr *expr = expr_compile(&arena, text_of(source), NULL, EXPR_DYN, &error);
    struct text got = expr ? value_to_json(*expr_constant(expr), &arena) : text_of(error.said);
    bool right = text_equal(got, text_of(wanted));
    if (!right)
        print_error("%s: got %.*s, wanted %s\n", source, TEXT_ARGS(got), wanted);
    arena_release(&arena);
    if (!right)
        _fail(file, line);
}
#define writes(source, wanted) writes_at((source), (wanted), __FILE__, __LINE__)

static void writing(void **state)
{
    (void)state;
    writes("[1, 2u, 1.5, 1e300, true, null]", "[1,2,1.5,1e+300,true,null]");
    writes("'a\"\\\\\\n\\u0001\\u00e9'", "\"a\\\"\\\\\\n\\u0001\xc3\xa9\"");
    writes("{'a': 1, 2: 'b', true: {}}", "{\"a\":1,\"2\":\"b\",\"true\":{}}");
    writes("[b'\\xff\\x00a', b'ab', b'']", "[\"/wBh\",\"YWI=\",\"\"]");
    writes("[timestamp(0), duration('1.5s'), int, ip('::1')]",
           "[\"1970-01-01T00:00:00Z\",\"1.5s\",\"int\",\"::1\"]");
    writes("[double('NaN'), double('-inf')]", "[\"NaN\",\"-Infinity\"]");
    writes("[optional.of(1), optional.none()]", "[1,null]");
}

static void stray_bytes_are_replaced(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0, 0);
    struct value value = value_string(TEXT("a\xff\xc3"));
    assert_text(value_to_json(value, &arena), "\"a\xef\xbf\xbd\xef\xbf\xbd\"");
    assert_text(value_to_literal(value, &arena), "\"a\xef\xbf\xbd\xef\xbf\xbd\"");
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_each_kind),      cmocka_unit_test(malformed_texts),
        cmocka_unit_test(depth_is_limited),         cmocka_unit_test(writing),
        cmocka_unit_test(stray_bytes_are_replaced),
    };
    return RUN_TESTS(tests);
}
