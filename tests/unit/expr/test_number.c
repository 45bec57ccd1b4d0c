/* Functions and conversions of numbers. */
#include "expr_unit.h"

static void conversions(void **state)
{
    (void)state;
    gives("int(1.9)", "1");
    gives("int(-1.9)", "-1");
    gives("int(5u)", "5");
    gives("int(timestamp('1970-01-01T00:01:00.9Z'))", "60");
    gives("uint(1.9)", "1u");
    gives("uint(7)", "7u");
    gives("double(7)", "7.0");
    gives("double(7u)", "7.0");
    gives("dyn(1) + 1", "2");
    fails("int(9223372036854775808u)", "out of the range of int");
    fails("int(9223372036854775808.0)", "out of the range of int");
    fails("int(-1e19)", "out of the range of int");
    fails("int(double('NaN'))", "out of the range of int");
    fails("int(double('inf'))", "out of the range of int");
    fails("uint(-1)", "out of the range of uint");
    fails("uint(-1.0)", "out of the range of uint");
    fails("uint(1.9e19)", "out of the range of uint");
    fails("int(dyn([]))", "no such overload: 'int' for (list)");
}

static void extremes(void **state)
{
    (void)state;
    gives("math.greatest(1)", "1");
    gives("math.greatest(1u, 2u)", "2u");
    gives("math.greatest(-42.0, -21.5, -100.0)", "-21.5");
    gives("math.greatest([-42.0, -21.5])", "-21.5");
    gives("math.greatest(1, 2.5, 3u)", "3u");
    gives("math.greatest(1, 1.0)", "1"); /* the first of equals */
    gives("math.least(1, 2.5, -3)", "-3");
    gives("math.least([5u, 4u])", "4u");
    gives("math.least(vars.b)", "1");
    fails("math.greatest([])", "the list is empty");
    fails("math.greatest(dyn('a'))", "no such overload");
    fails("math.greatest([1, 'a'])", "no such overload");
}

static void rounding(void **state)
{
    (void)state;
    gives("[math.ceil(1.2), math.ceil(-1.2)]", "[2.0, -1.0]");
    gives("[math.floor(1.2), math.floor(-1.2)]", "[1.0, -2.0]");
    gives("[math.round(1.5), math.round(-1.5), math.round(1.4), math.round(2.5)]", "[2.0, -2.0, 1.0, 3.0]");
    gives("[math.trunc(1.9), math.trunc(-1.9)]", "[1.0, -1.0]");
    gives("math.round(double('NaN'))", "double(\"NaN\")");
    refused("math.ceil(1)", 1, 6, "does not take (int)");
}

static void signs(void **state)
{
    (void)state;
    gives("[math.abs(-1), math.abs(1)]", "[1, 1]");
    gives("math.abs(-1.5)", "1.5");
    gives("math.abs(1u)", "1u");
    fails("math.abs(-9223372036854775808)", "integer overflow");
    gives("[math.sign(-42), math.sign(0), math.sign(42)]", "[-1, 0, 1]");
    gives("[math.sign(-0.3), math.sign(0.0), math.sign(0.3)]", "[-1.0, 0.0, 1.0]");
    gives("[math.sign(0u), math.sign(42u)]", "[0u, 1u]");
    gives("math.sign(double('NaN'))", "double(\"NaN\")");
}

static void kinds_of_doubles(void **state)
{
    (void)state;
    is_true("math.isNaN(0.0 / 0.0) && !math.isNaN(1.0)");
    is_true("math.isInf(1.0 / 0.0) && math.isInf(-1.0 / 0.0) && !math.isInf(1.2)");
    is_true("math.isFinite(1.2) && !math.isFinite(0.0 / 0.0) && !math.isFinite(1.0 / 0.0)");
    gives("[math.sqrt(81), math.sqrt(985.25), math.sqrt(4u)]", "[9.0, 31.388692231439016, 2.0]");
    is_true("math.isNaN(math.sqrt(-15))");
}

static void bits(void **state)
{
    (void)state;
    gives("[math.bitAnd(3, 5), math.bitAnd(-3, -5)]", "[1, -7]");
    gives("math.bitAnd(3u, 2u)", "2u");
    gives("math.bitOr(1, -2)", "-1");
    gives("math.bitOr(1u, 2u)", "3u");
    gives("math.bitXor(3, 5)", "6");
    gives("math.bitXor(3u, 5u)", "6u");
    gives("[math.bitNot(1), math.bitNot(-1)]", "[-2, 0]");
    gives("math.bitNot(0u)", "18446744073709551615u");
    gives("[math.bitShiftLeft(1, 2), math.bitShiftLeft(1, 200), math.bitShiftLeft(-1, 1)]", "[4, 0, -2]");
    gives("math.bitShiftLeft(1u, 63)", "9223372036854775808u");
    gives("[math.bitShiftRight(1024, 2), math.bitShiftRight(-1024, 3), math.bitShiftRight(-1, 64)]",
          "[256, 2305843009213693824, 0]");
    gives("math.bitShiftRight(1024u, 2)", "256u");
    fails("math.bitShiftLeft(1, -1)", "negative shift");
    fails("math.bitShiftRight(1u, -1)", "negative shift");
    refused("math.bitAnd(1, 1u)", 1, 6, "does not take (int, uint)");
}

static void random_numbers(void **state)
{
    (void)state;
    is_true("lists.range(50).all(i, random() >= 0.0 && random() < 1.0)");
    is_true("lists.range(50).all(i, random(6) >= 0 && random(6) < 6)");
    is_true("random(1) == 0 && lists.range(50).exists(i, random(1000000) != random(1000000))");
    fails("random(0)", "not positive");
    is_true("uuid() != uuid()");
    is_true("uuid().matches('^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$')");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conversions),    cmocka_unit_test(extremes), cmocka_unit_test(rounding),
        cmocka_unit_test(signs),          cmocka_unit_test(bits),     cmocka_unit_test(kinds_of_doubles),
        cmocka_unit_test(random_numbers),
    };
    return RUN_TESTS(tests);
}
