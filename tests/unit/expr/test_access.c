/* Fields, elements, has(), in, and the optional forms. */
#include "expr_unit.h"

static void fields_and_elements(void **state)
{
    (void)state;
    gives("vars.c.d", "\"e\"");
    gives("vars['c']['d']", "\"e\"");
    gives("vars.b[2]", "3");
    gives("vars.b[2u]", "3");
    gives("vars.b[1.0]", "2");
    gives("request.headers.host", "\"shop.example\"");
    gives("request.headers.`x-tenant`", "\"acme\"");
    gives("request.headers['x-tenant']", "\"acme\"");
    gives("{1: 'a'}[1u] + {2u: 'b'}[2] + {3: 'c'}[3.0]", "\"abc\"");
    gives("{true: 1}[true]", "1");
    gives("[[1, 2], [3]][0][1]", "2");
    gives("{'package': 1, 'in': 2}.package", "1"); /* a reserved word is a field */
    refused("{'in': 2}.in", 1, 11, "field");
}

static void what_is_absent_fails(void **state)
{
    (void)state;
    fails("vars.zz", "no such key: 'zz'");
    fails("vars['zz']", "no such key: 'zz'");
    fails("vars.b[3]", "index out of bounds");
    fails("vars.b[-1]", "index out of bounds");
    fails("vars.b[0.5]", "index out of bounds");
    fails("{1: 2}[3]", "no such key");
    fails("vars.a.x", "no such overload");
    fails("vars.b['x']", "no such overload");
    fails("number.x", "no such overload");
    fails("auth.absent", "no value here for: 'auth.absent'");
    fails("lying", "another type than declared: 'lying'");
}

static void presence(void **state)
{
    (void)state;
    is_true("has(vars.a) && has(vars.c.d) && has(request.headers.host) && has(vars.n)");
    is_false("has(vars.zz) || has({}.a) || has(vars.c.zz)");
    is_true("has(request.path)");
    is_false("has(auth.absent)");
    is_true("has(vars.a) ? vars.a == 1 : false");
    fails("has(vars.zz.a)", "no such key: 'zz'");
    fails("has(vars.a.b)", "no such overload");
    refused("has(vars)", 1, 1, "has() takes the selection of a field");
    refused("has(vars['a'])", 1, 1, "has() takes the selection of a field");
    refused("has(1)", 1, 1, "has() takes the selection of a field");
}

static void membership(void **state)
{
    (void)state;
    is_true("2 in [1, 2] && 'a' in ['a'] && 2 in [1.0, 2u] && null in [null]");
    is_false("3 in [1, 2] || 'a' in dyn([1]) || 1 in dyn(['1'])");
    is_true("'host' in request.headers && 'a' in {'a': 1} && 1u in {1: 2} && 2.0 in {2: 3}");
    is_false("'b' in {'a': 1} || 1.5 in {1: 2} || null in dyn({1: 2})");
    is_true("[1] in [[1], [2]] && {} in [{}]");
    is_true("request.method in ['POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'GET']");
    is_false("request.method in ['POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'TRACE']");
    is_true("number in [1u, 2, 3, 4, 5, 6, 7u, 8]");
    fails("1 in 1", "no such overload: 'in' for (int, int)");
}

static void optional_selection(void **state)
{
    (void)state;
    gives("vars.?a", "optional.of(1)");
    gives("vars.?zz", "optional.none()");
    gives("vars.?c.d", "optional.of(\"e\")");
    gives("vars.?zz.d", "optional.none()");
    gives("vars.?c.?zz", "optional.none()");
    gives("vars[?'a']", "optional.of(1)");
    gives("vars.b[?7]", "optional.none()");
    gives("vars.b[?0]", "optional.of(1)");
    gives("vars.?b[1]", "optional.of(2)");
    gives("vars.?b[?9].orValue(5)", "5");
    gives("vars.?c.d.orValue('') + request.headers[?'nope'].orValue('-')", "\"e-\"");
    is_true("has(vars.?c.d) && !has(vars.?zz.d)");
    fails("vars.?a.b", "no such overload");
    fails("number.?x", "no such overload");
}

static void optional_entries(void **state)
{
    (void)state;
    gives("[?vars.?a, ?vars.?zz, 3]", "[1, 3]");
    gives("{?'a': vars.?a, ?'z': vars.?zz, 'k': 1}", "{\"a\": 1, \"k\": 1}");
    fails("[?1]", "no such overload: '?' for (int)");
    fails("{?'a': 1}", "no such overload: '?' for (int)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_and_elements),
        cmocka_unit_test(what_is_absent_fails),
        cmocka_unit_test(presence),
        cmocka_unit_test(membership),
        cmocka_unit_test(optional_selection),
        cmocka_unit_test(optional_entries),
    };
    return RUN_TESTS(tests);
}
