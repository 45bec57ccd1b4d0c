/* Arithmetic with its overflows, comparison across types, logic that forgives failures. */
#include "expr_unit.h"

static void precedence(void **state)
{
    (void)state;
    gives("1 + 2 * 3 - 4 / 2", "5");
    gives("-2 + 3", "1");
    gives("2 - 3 - 4", "-5");
    gives("7 % 4 * 2", "6");
    is_true("1 + 1 == 2 && 2 < 3 || false");
    is_true("false && false || true");
    is_true("!false && !!true");
    gives("false ? 1 : false ? 2 : 3", "3");
    gives("true ? 1 : 2 + 3", "1");
    gives("- - 5", "5");
    gives("(1 + 2) * 3", "9");
    is_true("1 in [1] == true");
}

static void integer_arithmetic(void **state)
{
    (void)state;
    gives("7 / 2", "3");
    gives("-7 / 2", "-3");
    gives("-7 % 3", "-1");
    gives("7u / 2u", "3u");
    gives("7u % 4u", "3u");
    gives("5u - 3u", "2u");
    fails("9223372036854775807 + 1", "integer overflow");
    fails("-9223372036854775808 - 1", "integer overflow");
    fails("9223372036854775807 * 2", "integer overflow");
    fails("-9223372036854775808 / -1", "integer overflow");
    fails("-9223372036854775808 % -1", "integer overflow");
    fails("-(-9223372036854775808)", "integer overflow");
    fails("18446744073709551615u + 1u", "unsigned integer overflow");
    fails("1u - 2u", "unsigned integer overflow");
    fails("18446744073709551615u * 2u", "unsigned integer overflow");
    fails("1 / 0", "division by zero");
    fails("1 % 0", "modulus by zero");
    fails("1u / 0u", "division by zero");
    fails("1u % 0u", "modulus by zero");
}

static void double_arithmetic(void **state)
{
    (void)state;
    gives("1.5 * 2.0 - 0.5 / 2.0", "2.75");
    gives("1.0 / 0.0", "double(\"Infinity\")");
    gives("-1.0 / 0.0", "double(\"-Infinity\")");
    gives("0.0 / 0.0", "double(\"NaN\")");
    gives("-(1.5)", "-1.5");
    fails("5.0 % 2.0", "no such overload: '%' for (double, double)");
}

static void concatenation(void **state)
{
    (void)state;
    gives("'a' + 'b' + 'c'", "\"abc\"");
    gives("b'a' + b'\\xff'", "b\"a\\xff\"");
    gives("[1] + [] + [2, 'a']", "[1, 2, \"a\"]");
    gives("request.method + ':' + request.headers['x-tenant'] + ''", "\"GET:acme\"");
    gives("'1' + '2' + '3' + '4' + '5' + '6' + '7' + '8' + '9' + request.method", "\"123456789GET\"");
    gives("dynamic + dynamic", "\"dynamicdynamic\"");
}

static void no_conversion_in_arithmetic(void **state)
{
    (void)state;
    fails("1 + 1u", "no such overload: '+' for (int, uint)");
    fails("1 - 1.0", "no such overload");
    fails("1 * '2'", "no such overload");
    fails("'a' + 1", "no such overload");
    fails("-'a'", "no such overload: '-' for (string)");
}

static void equality(void **state)
{
    (void)state;
    is_true("1 == 1.0 && 1u == 1 && 1.0 == 1u && 2 != 1u");
    is_true("9007199254740993 == 9007199254740992.0"); /* beside a double an int is rounded to one */
    is_false("9007199254740993 == 9007199254740992");
    is_false("18446744073709551615u == -1");
    is_false("double('NaN') == double('NaN')");
    is_true("double('NaN') != double('NaN')");
    is_true("0.0 == -0.0");
    is_true("[1, 2u, 3.0] == [1.0, 2, 3u]");
    is_true("{'a': [1], 'b': {1: 2}} == {'b': {1u: 2.0}, 'a': [1]}");
    is_false("{'a': 1} == {'a': 1, 'b': 2}");
    is_false("[1] == [1, 2]");
    is_true("null == null && 'a' != null");
    is_true("b'a' == b'a' && b'a' != b'b'");
    is_true("timestamp('2020-01-01T00:00:00Z') == timestamp('2020-01-01T01:00:00+01:00')");
    is_true("duration('60s') == duration('1m')");
    is_true("int == type(1) && int != uint");
    is_true("optional.of(1) == optional.of(1u) && optional.none() != optional.of(1)");
    is_true("ip('::1') != ip('10.0.0.1')");
    is_false("dyn(1) == 'a'");
    is_false("dyn([1]) == {}");
}

static void order(void **state)
{
    (void)state;
    is_true("1 < 2 && 2 <= 2 && 3 > 2 && 3 >= 3");
    is_true("1 < 1.5 && 1u < 2 && -1 < 0u && 1.5 > 1u");
    is_false("9223372036854775807 < 9223372036854775808.0");
    is_true("9223372036854775807 < 9223372036854777856.0 && 9223372036854775807 < 9223372036854775808u");
    is_true("-1 < 18446744073709551615u && 18446744073709551615u > -1.0");
    is_false("1.0 < double('NaN') || 1.0 >= double('NaN')");
    is_false("1 < double('NaN') || 1u > double('NaN')");
    is_true("1 < double('Infinity') && 0u > double('-Infinity')");
    is_true("'a' < 'b' && 'a' < 'aa' && 'Z' < 'a' && 'z' < '\\u00e9'");
    is_true("b'a' < b'b' && b'' < b'\\x00'");
    is_true("false < true && true >= true");
    is_true("timestamp('2020-01-01T00:00:00Z') < timestamp('2020-01-01T00:00:00.001Z')");
    is_true("duration('-1s') < duration('0')");
    fails("dyn(1) < 'a'", "no such overload: '<' for (int, string)");
    fails("[1] < [2]", "no such overload");
    fails("null < null", "no such overload");
}

static void logic_is_commutative_with_errors(void **state)
{
    (void)state;
    is_true("true || 1 / 0 == 1");
    is_true("1 / 0 == 1 || true");
    is_false("false && 1 / 0 == 1");
    is_false("1 / 0 == 1 && false");
    fails("1 / 0 == 1 || false", "division by zero");
    fails("true && 1 / 0 == 1", "division by zero");
    fails("1 / 0 == 1 || 1 % 0 == 1", "division by zero");
    is_true("number / 0 == 1 || number == 7");
    is_true("auth.absent == 'x' || request.method == 'GET'");
    is_true("number == 1 || number == 2 || number / 0 == 1 || number == 7");
}

static void logic_wants_bool(void **state)
{
    (void)state;
    fails("true && 1", "no such overload: '&&' for (int)");
    fails("'a' || false", "no such overload");
    fails("!1", "no such overload");
    fails("1 ? 2 : 3", "no such overload");
    struct arena arena;
    arena_init(&arena, 0, 0);
    struct expr_error error;
    assert_text(
        result_of(expr_compile(&arena, TEXT("false && 32"), &unchecked, EXPR_DYN, &error), &arena, &error),
        "false");
    assert_text(
        result_of(expr_compile(&arena, TEXT("32 || true"), &unchecked, EXPR_DYN, &error), &arena, &error),
        "true");
    assert_text(
        result_of(expr_compile(&arena, TEXT("nobody || true"), &unchecked, EXPR_DYN, &error), &arena, &error),
        "true");
    arena_release(&arena);
}

static void conditional_takes_one_branch(void **state)
{
    (void)state;
    gives("true ? 1 : 1 / 0", "1");
    gives("false ? 1 / 0 : 2", "2");
    gives("number > 5 ? 'many' : 'few'", "\"many\"");
    fails("1 / 0 > 0 ? 1 : 2", "division by zero");
}

static void long_conditions(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0, 0);
    struct text parts[2000];
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        parts[i] = i + 1 < COUNT_OF(parts) ? TEXT("number == 1 || ") : TEXT("number == 7");
    struct text source = arena_join(&arena, parts, COUNT_OF(parts));
    struct expr_error error = {0};
    assert_text(result_of(expr_compile(&arena, source, &strict, EXPR_BOOL, &error), &arena, &error), "true");
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(precedence),
        cmocka_unit_test(integer_arithmetic),
        cmocka_unit_test(double_arithmetic),
        cmocka_unit_test(concatenation),
        cmocka_unit_test(no_conversion_in_arithmetic),
        cmocka_unit_test(equality),
        cmocka_unit_test(order),
        cmocka_unit_test(logic_is_commutative_with_errors),
        cmocka_unit_test(logic_wants_bool),
        cmocka_unit_test(conditional_takes_one_branch),
        cmocka_unit_test(long_conditions),
    };
    return RUN_TESTS(tests);
}
