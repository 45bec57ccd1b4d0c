/* Macros with one and two variables, and cel.bind(). */
#include "expr_unit.h"

static void all_and_exists(void **state)
{
    (void)state;
    is_true("[1, 2].all(x, x > 0) && [].all(x, false)");
    is_false("[1, 2].all(x, x > 1)");
    is_true("[1, 2].exists(x, x == 2)");
    is_false("[].exists(x, true)");
    is_true("{'a': 1}.all(k, k == 'a') && {'a': 1}.exists(k, k == 'a')");
    is_true("vars.b.exists(x, x == 3)");
    is_true("request.headers.exists(h, h.startsWith('x-'))");
}

static void all_and_exists_forgive_failures(void **state)
{
    (void)state;
    is_false("[1, 2, 3].all(x, 6 / (2 - x) == 6)");
    is_true("[1, 2, 3].exists(x, 6 / (2 - x) == -6)");
    fails("[1, 2].all(x, 6 / (2 - x) == 6)", "division by zero");
    fails("[2, 3].exists(x, 6 / (2 - x) == 0)", "division by zero");
    fails("[1].all(x, x)", "no such overload");
    fails("dyn(1).all(x, true)", "no such overload");
}

static void exists_one(void **state)
{
    (void)state;
    is_true("[1, 2, 3].exists_one(x, x > 2) && [1, 2].existsOne(x, x == 1)");
    is_false("[1, 2, 3].exists_one(x, x > 1)");
    is_false("[].exists_one(x, true)");
    fails("[1, 2, 0].exists_one(x, 1 / x == 1)", "division by zero"); /* no failure is forgiven */
}

static void map_and_filter(void **state)
{
    (void)state;
    gives("[1, 2, 3].map(x, x * x)", "[1, 4, 9]");
    gives("[1, 2, 3].map(x, x > 1, x * 10)", "[20, 30]");
    gives("[].map(x, 1 / 0)", "[]");
    gives("[1, 2, 3, 4].filter(x, x % 2 == 0)", "[2, 4]");
    gives("{'a': 1, 'b': 2}.filter(k, k != 'a')", "[\"b\"]");
    gives("{'a': 1, 'b': 2}.map(k, k + k)", "[\"aa\", \"bb\"]");
    gives("vars.b.map(x, [x]).filter(l, l[0] != 2)", "[[1], [3]]");
    fails("[1, 0].map(x, 1 / x)", "division by zero");
    fails("[1].filter(x, 'a')", "no such overload");
}

static void two_variables(void **state)
{
    (void)state;
    is_true("[1, 2].all(i, v, i < v) && {'a': 1}.all(k, v, k == 'a' && v == 1)");
    is_true("[5, 6].exists(i, v, i == 1 && v == 6)");
    is_true("[5, 6].existsOne(i, v, v > 5) && [5, 6].exists_one(i, v, i == 0)");
    gives("[5, 6].transformList(i, v, i * v)", "[0, 6]");
    gives("[5, 6].transformList(i, v, i > 0, v)", "[6]");
    gives("{'a': 1, 'b': 2}.transformList(k, v, k + string(v))", "[\"a1\", \"b2\"]");
    gives("{'a': 1, 'b': 2}.transformMap(k, v, v * 2)", "{\"a\": 2, \"b\": 4}");
    gives("{'a': 1, 'b': 2}.transformMap(k, v, v > 1, v * 2)", "{\"b\": 4}");
    gives("[7, 8].transformMap(i, v, v)", "{0: 7, 1: 8}");
    gives("{'a': 'x'}.transformMapEntry(k, v, {v: k})", "{\"x\": \"a\"}");
    gives("['a', 'b'].transformMapEntry(i, v, i == 1, {v: i})", "{\"b\": 1}");
    fails("['a', 'a'].transformMapEntry(i, v, {v: i})", "repeated key: 'a'");
    refused("[1].all(x, x, true)", 1, 12, "must differ");
}

static void bindings(void **state)
{
    (void)state;
    gives("cel.bind(a, 'x', a + a)", "\"xx\"");
    gives("cel.bind(a, 1, cel.bind(b, a + 1, [a, b]))", "[1, 2]");
    gives("cel.bind(l, vars.b, l.filter(x, x in l && x > 1))", "[2, 3]");
    refused("cel.bind(1, 2, 3)", 1, 10, "simple name");
}

static void variables_hide_attributes(void **state)
{
    (void)state;
    gives("[1].map(number, number + 1)", "[2]");
    gives("[{'path': 5}].map(request, request.path)", "[5]");
    gives("[1].map(number, .number)", "[7]"); /* a leading dot looks past them */
    gives("[1, 2].map(x, [x * 10].map(x, x + 1))", "[[11], [21]]");
    gives("[[1, 2], [3]].map(x, x.map(y, y + size(x)))", "[[3, 4], [4]]");
}

static void names_of_macros_are_no_functions(void **state)
{
    (void)state;
    refused("[1].map(x)", 1, 5, "'map' is called like this: range.map(x, expression)");
    refused("[1].all(x.y, true)", 1, 11, "simple name");
    refused("[1].filter(1, true)", 1, 12, "simple name");
}

static void sorting_by_a_key(void **state)
{
    (void)state;
    gives("['ccc', 'a', 'bb'].sortBy(s, size(s))", "[\"a\", \"bb\", \"ccc\"]");
    gives("[{'n': 2}, {'n': 1}].sortBy(m, m.n)", "[{\"n\": 1}, {\"n\": 2}]");
    gives("[3, 1, 2].sortBy(x, -x)", "[3, 2, 1]");
    gives("['b1', 'a1', 'b2', 'a2'].sortBy(s, s.substring(0, 1))",
          "[\"a1\", \"a2\", \"b1\", \"b2\"]"); /* stable */
    fails("[1, 'a'].sortBy(x, x)", "no such overload");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_and_exists),
        cmocka_unit_test(all_and_exists_forgive_failures),
        cmocka_unit_test(exists_one),
        cmocka_unit_test(map_and_filter),
        cmocka_unit_test(two_variables),
        cmocka_unit_test(bindings),
        cmocka_unit_test(variables_hide_attributes),
        cmocka_unit_test(names_of_macros_are_no_functions),
        cmocka_unit_test(sorting_by_a_key),
    };
    return RUN_TESTS(tests);
}
