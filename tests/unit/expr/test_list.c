/* Functions of lists, sets and optional values. */
#include "expr_unit.h"

static void slices(void **state)
{
    (void)state;
    gives("[1, 2, 3, 4].slice(1, 3)", "[2, 3]");
    gives("[1, 2, 3, 4].slice(2, 4)", "[3, 4]");
    gives("[1].slice(1, 1)", "[]");
    fails("[1, 2].slice(-1, 1)", "index out of range");
    fails("[1, 2].slice(1, 0)", "index out of range");
    fails("[1, 2].slice(0, 3)", "index out of range");
}

static void flattening(void **state)
{
    (void)state;
    gives("[1, [2, 3], [4]].flatten()", "[1, 2, 3, 4]");
    gives("[1, [2, [3, [4]]]].flatten()", "[1, 2, [3, [4]]]");
    gives("[1, [2, [3, [4]]]].flatten(2)", "[1, 2, 3, [4]]");
    gives("[1, [2, [3, [4]]]].flatten(99)", "[1, 2, 3, 4]");
    gives("[1, [2]].flatten(0)", "[1, [2]]");
    gives("[[], [[]]].flatten()", "[[]]");
    fails("[[1]].flatten(-1)", "negative depth");
}

static void sorting(void **state)
{
    (void)state;
    gives("[3, 1, 2].sort()", "[1, 2, 3]");
    gives("['b', 'a', 'B'].sort()", "[\"B\", \"a\", \"b\"]");
    gives("[2.5, 1, 3u].sort()", "[1, 2.5, 3u]");
    gives("[].sort()", "[]");
    gives("[true, false].sort()", "[false, true]");
    gives("[timestamp(2), timestamp(1)].sort()",
          "[timestamp(\"1970-01-01T00:00:01Z\"), timestamp(\"1970-01-01T00:00:02Z\")]");
    fails("[1, 'a'].sort()", "no such overload: 'sort' for (int, string)");
    fails("[[1], [2]].sort()", "no such overload");
    is_true("lists.range(200).map(i, (i * 37) % 200).sort() == lists.range(200)");
}

static void other_lists(void **state)
{
    (void)state;
    gives("[1, 2, 2, 1.0, 'a', 'a', [1], [1u]].distinct()", "[1, 2, \"a\", [1]]");
    gives("[1, 2, 3].reverse()", "[3, 2, 1]");
    gives("lists.range(3)", "[0, 1, 2]");
    gives("lists.range(0) + lists.range(-1)", "[]");
    gives("[1, 2].first()", "optional.of(1)");
    gives("[1, 2].last()", "optional.of(2)");
    gives("[].first()", "optional.none()");
    gives("[].last()", "optional.none()");
}

static void sets(void **state)
{
    (void)state;
    is_true(
        "sets.contains([], []) && sets.contains([1, 2, 3, 4], [2, 3]) && sets.contains([1, 2.0, 3u], [1.0, 2u, 3])");
    is_false("sets.contains([], [1]) || sets.contains([1, 2], [2, 3])");
    is_true(
        "sets.equivalent([], []) && sets.equivalent([1], [1, 1]) && sets.equivalent([1, 2, 3], [3u, 2.0, 1])");
    is_false("sets.equivalent([1], [1, 2]) || sets.equivalent([1, 2], [1])");
    is_true("sets.intersects([1], [1, 2]) && sets.intersects([[1], [2, 3]], [[1, 2], [2, 3.0]])");
    is_false("sets.intersects([1], []) || sets.intersects([], [1]) || sets.intersects([1], [2])");
}

static void optionals(void **state)
{
    (void)state;
    gives("optional.of(1).value()", "1");
    is_true("optional.of(null).hasValue() && !optional.none().hasValue()");
    fails("optional.none().value()", "the value of optional.none()");
    gives("optional.none().orValue(2)", "2");
    gives("optional.of(1).orValue(2)", "1");
    gives("optional.none().or(optional.of(3)).value()", "3");
    gives("optional.of(1).or(optional.of(3))", "optional.of(1)");
    gives("optional.none().or(optional.none())", "optional.none()");
    gives("optional.of(1).orValue(1 / 0)", "1");
    gives("optional.of(1).or(optional.of([][0]))", "optional.of(1)");
    fails("optional.none().orValue(1 / 0)", "division by zero");
    is_true(
        "['', b'', 0, 0u, 0.0, false, null, [], {}, duration('0')].all(z, !optional.ofNonZeroValue(z).hasValue())");
    is_true("['a', b'a', 1, 1u, 0.5, true, [0], {'a': 0}].all(z, optional.ofNonZeroValue(z).hasValue())");
    gives("optional.of(2).optMap(x, x * 2)", "optional.of(4)");
    gives("optional.none().optMap(x, x * 2)", "optional.none()");
    gives("optional.of({'k': 1}).optFlatMap(m, m.?k)", "optional.of(1)");
    gives("optional.of({}).optFlatMap(m, m.?k)", "optional.none()");
    gives("optional.none().optFlatMap(m, m.?k)", "optional.none()");
    fails("optional.of(1).optFlatMap(x, x)", "no such overload");
    fails("dyn(1).optMap(x, x)", "no such overload");
    gives("optional.unwrap([optional.of(1), optional.none(), optional.of(2)])", "[1, 2]");
    gives("[optional.of(1)].unwrapOpt()", "[1]");
    gives("optional.of(optional.none())", "optional.of(optional.none())");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices),      cmocka_unit_test(flattening), cmocka_unit_test(sorting),
        cmocka_unit_test(other_lists), cmocka_unit_test(sets),       cmocka_unit_test(optionals),
    };
    return RUN_TESTS(tests);
}
