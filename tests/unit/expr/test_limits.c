/* Limits: depth, steps, memory; no heap in steady state; every allocation may fail. */
#include "expr_unit.h"

#include "base/memory.h"

static void depth(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0, 0);
    char source[2000];
    struct expr_error error;
    memset(source, '(', 500);
    memset(source + 500, ')', 500);
    source[1000] = 0;
    assert_null(expr_compile(&arena, text_of(source), &strict, EXPR_DYN, &error));
    assert_non_null(strstr(error.said, "levels of nesting"));
    memset(source, '-', 1000);
    assert_null(expr_compile(&arena, text_of(source), &strict, EXPR_DYN, &error));
    assert_non_null(strstr(error.said, "levels of nesting"));
    for (size_t i = 0; i < 1000; i++)
        memcpy(source + 2 * i, i ? "-1" : "10", 2);
    assert_null(expr_compile(&arena, (struct text){source, 2000}, &strict, EXPR_DYN, &error));
    assert_non_null(strstr(error.said, "nested more than"));
    assert_non_null(expr_compile(&arena, (struct text){source, 500}, &strict, EXPR_DYN, &error));
    memset(source, '[', 60);
    memset(source + 60, ']', 60);
    assert_non_null(expr_compile(&arena, (struct text){source, 120}, &strict, EXPR_DYN, &error));
    arena_release(&arena);
}

static void variables_at_once(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0, 0);
    struct expr_error error;
    struct text source = TEXT("1");
    for (int i = 0; i < 49; i++) {
        source = arena_format(&arena, "cel.bind(v%d, 1, %.*s)", i, TEXT_ARGS(source));
        const struct expr *expr = expr_compile(&arena, source, &strict, EXPR_INT, &error);
        assert_true(i < 48 ? expr != NULL : expr == NULL);
    }
    assert_string_equal(error.said, "more than 48 variables at once");
    arena_release(&arena);
}

static void steps(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "lists.range(number * 1000).all(a, lists.range(1000).all(b, a != b - 1000000))",
        "cel.bind(a, request.path + request.path, lists.range(40).map(i, lists.range(1000).map(j, a + a)).size() > 0)",
        "vars.zz == 1 || lists.range(number * 1000).all(a, lists.range(1000).all(b, a >= 0))",
        "lists.range(number * 300).map(i, string(i)).distinct().size() > 0",
        "lists.range(number * 300).exists(i, 'x'.matches('x' + string(i)))",
    };
    struct arena arena;
    arena_init(&arena, 0, 0);
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        struct expr_error error = {0};
        struct value value;
        struct expr_run run = run_in(&arena);
        const struct expr *expr = expr_compile(&arena, text_of(sources[i]), &strict, EXPR_BOOL, &error);
        if (!expr || expr_eval(expr, &run, &value, &error) || !strstr(error.said, "too many steps"))
            fail_msg("%s: %s", sources[i], error.said);
    }
    struct expr_error error;
    struct value value;
    struct expr_run run = run_in(&arena);
    run.steps_max = 10;
    const struct expr *expr =
        expr_compile(&arena, TEXT("vars.b.all(x, x > 0 && x < 9 && x != 5)"), &strict, EXPR_BOOL, &error);
    assert_false(expr_eval(expr, &run, &value, &error));
    run.steps_max = 100;
    assert_true(expr_eval(expr, &run, &value, &error));
    arena_release(&arena);
}

/* Values that double at each level end at the limit of the arena, or of the steps. */
static void memory_is_limited(void **state)
{
    (void)state;
    struct arena compiled, arena;
    arena_init(&compiled, 0, 0);
    arena_init(&arena, 0, 256 * 1024);
    struct text source = TEXT("v");
    for (int i = 0; i < 30; i++)
        source = arena_format(&compiled, "cel.bind(v, v + v, %.*s)", TEXT_ARGS(source));
    source = arena_format(&compiled, "cel.bind(v, request.path, %.*s)", TEXT_ARGS(source));
    struct expr_error error;
    struct value value;
    struct expr_run run = run_in(&arena);
    const struct expr *expr = expr_compile(&compiled, source, &strict, EXPR_STRING, &error);
    assert_non_null(expr);
    assert_false(expr_eval(expr, &run, &value, &error));
    assert_string_equal(error.said, "out of memory for the evaluation");
    arena_release(&arena);
    arena_release(&compiled);
}

static void shared_parts_do_not_explode(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0, 8 << 20);
    struct text source = TEXT("v == v");
    for (int i = 0; i < 40; i++)
        source = arena_format(&arena, "cel.bind(v, [v, v], %.*s)", TEXT_ARGS(source));
    source = arena_format(&arena, "cel.bind(v, number, %.*s)", TEXT_ARGS(source));
    struct expr_error error;
    struct value value;
    struct expr_run run = run_in(&arena);
    const struct expr *expr = expr_compile(&arena, source, &strict, EXPR_BOOL, &error);
    assert_non_null(expr);
    assert_false(expr_eval(expr, &run, &value, &error));
    assert_string_equal(error.said, "too many steps");
    arena_release(&arena);
}

static const char *const everything[] = {
    "request.method == 'GET' && request.path.startsWith('/api/')",
    "request.headers['x-tenant'] + ':' + string(number) + ':' + request.path.replace('a', 'b')",
    "vars.b.filter(x, x > 1).map(x, [x]).flatten().sort().reverse().distinct().size() == 2",
    "vars.b.transformMap(i, v, v)[0] == 1 && {'a': number, ?'b': vars.?zz}.a == 7 && [?vars.?a].size() == 1",
    "regex.extract(request.path, '/([0-9]+)').orValue('') + hash.sha256(request.path) + url.encode(request.path)",
    "'%s %d %.2f'.format([vars.c, number, vars.f]) + json.encode(vars.b) + base64.encode(request.path)",
    "request.path.matches('^/' + 'api') && cidr('10.0.0.0/8').containsIP(ip('10.0.0.1'))",
    "now.getHours('Europe/Paris') >= 0 && string(now) != '' && optional.of(number).optMap(x, x + 1).hasValue()",
    "json.decode('{\"a\": [1, \"\\\\u00e9\"]}').a.size() == number - 5 && jwt.decode('e30.e30.').claims == {}",
    "cookie.parse('a=1').a + url.query('b=%20').b + request.path.split('/').join('-') + regex.replace(request.path, '[0-9]', 'n')",
    "vars.b.sortBy(x, -x) == [3, 2, 1] && vars.b + [number] != [] && sets.contains(vars.b, [1]) && lists.range(3).size() == 3",
    "uuid().size() + random(5) + int(strings.quote(request.path).size()) > 0",
};

static void no_heap_in_steady_state(void **state)
{
    (void)state;
    struct arena compiled, arena;
    arena_init(&compiled, 0, 0);
    arena_init(&arena, 256 * 1024, 0);
    for (size_t i = 0; i < COUNT_OF(everything); i++) {
        struct expr_error error = {0};
        struct value value;
        struct expr_run run = run_in(&arena);
        const struct expr *expr = expr_compile(&compiled, text_of(everything[i]), &strict, EXPR_DYN, &error);
        if (!expr || !expr_eval(expr, &run, &value, &error))
            fail_msg("%s: %u: %s", everything[i], error.column, error.said);
        arena_reset(&arena);
        uint64_t before = memory_calls();
        assert_true(expr_eval(expr, &run, &value, &error));
        if (!strstr(everything[i], "'^/' + 'api'"))
            assert_int_equal(memory_calls() - before, 0);
        arena_reset(&arena);
    }
    arena_release(&arena);
    arena_release(&compiled);
}

/* Compiles and runs with the nth allocation failing: it succeeds, or fails with a reason, and nothing else. */
static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(everything); i++) {
        unsigned failures = 0;
        for (uint64_t nth = 1;; nth++) {
            struct arena compiled, arena;
            arena_init(&compiled, 64, 0); /* nearly every allocation asks the heap */
            arena_init(&arena, 64, 0);
            struct expr_error error = {0};
            struct value value;
            struct expr_run run = run_in(&arena);
            memory_fail_at(nth);
            const struct expr *expr =
                expr_compile(&compiled, text_of(everything[i]), &strict, EXPR_DYN, &error);
            bool good = expr && expr_eval(expr, &run, &value, &error);
            bool reached = !compiled.failed && !arena.failed && good;
            memory_fail_at(0);
            assert_true(good || error.said[0]);
            arena_release(&arena);
            arena_release(&compiled);
            failures += !good;
            if (reached && nth > 20)
                break;
        }
        assert_true(failures > 10);
    }
}

static void errors_may_be_ignored(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0, 0);
    struct value value;
    struct text text;
    struct expr_run run = run_in(&arena);
    assert_null(expr_compile(&arena, TEXT("1 +"), &strict, EXPR_DYN, NULL));
    assert_null(expr_compile(&arena, TEXT("\xff"), NULL, EXPR_DYN, NULL));
    const struct expr *expr = expr_compile(&arena, TEXT("vars.zz"), &strict, EXPR_DYN, NULL);
    assert_false(expr_eval(expr, &run, &value, NULL));
    assert_false(expr_eval_text(expr, &run, &text, NULL));
    arena_release(&arena);
}

/* What running takes stays below the bound while lists and texts are of usual size, and a round of a loop charges nothing twice. */
static void costs_bound_what_runs_take(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "lists.range(number).size()",
        "[[1, number], [2]].flatten() == [1, number, 2]",
        "lists.range(number).sortBy(x, -x) == lists.range(number)",
        "sets.equivalent(lists.range(number), lists.range(number))",
        "lists.range(number).distinct().reverse().sort().map(x, string(x)).join(',').split(',').size()",
        "[1, 2].exists(a, [a, 2].exists(b, [a, b].exists(c, [c].exists(d, {'a': d} == {'a': 0, 'b': number}))))",
        "vars.b.transformMapEntry(i, x, {x: i}).map(k, k) in [[1], [2]]",
        "request.path.matches(request.method + '|' + request.path)",
        "'%s'.format([vars])",
    };
    struct arena arena;
    struct expr_error error = {0};
    struct value value;
    arena_init(&arena, 0, 0);
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        const struct expr *expr = expr_compile(&arena, text_of(sources[i]), &strict, EXPR_DYN, &error);
        struct expr_run run = run_in(&arena);
        struct evaluation evaluation;
        assert_non_null(expr);
        evaluation_init(&evaluation, &run);
        uint64_t before = evaluation.steps;
        assert_true(node_run(expr->root, &evaluation, &value));
        if (before - evaluation.steps > expr_cost(expr))
            fail_msg("%s: %llu steps, bound %llu", sources[i],
                     (unsigned long long)(before - evaluation.steps), (unsigned long long)expr_cost(expr));
    }
    arena_release(&arena);
}

/* Lists within lists within lists: a round costs what its own items cost, and not again what they charge themselves. */
static void loops_within_loops_cost_what_they_do(void **state)
{
    (void)state;
    is_true(
        "[1, 2, 3].map(a, lists.range(12).map(b, lists.range(12).map(c, lists.range(12).map(d, a * b + c - d))))"
        ".size() == 3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(depth),
        cmocka_unit_test(variables_at_once),
        cmocka_unit_test(steps),
        cmocka_unit_test(memory_is_limited),
        cmocka_unit_test(shared_parts_do_not_explode),
        cmocka_unit_test(no_heap_in_steady_state),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(errors_may_be_ignored),
        cmocka_unit_test(costs_bound_what_runs_take),
        cmocka_unit_test(loops_within_loops_cost_what_they_do),
    };
    return RUN_TESTS(tests);
}
