/* What the checker says: types, names with near misses, places, constants, what is used, cost. */
#include "expr_unit.h"

#include <stdio.h>

static void unknown_names_have_hints(void **state)
{
    (void)state;
    refused("request.pth == '/'", 1, 1, "unknown attribute 'request.pth'; did you mean 'request.path'?");
    refused("request == '/'", 1, 1, "unknown attribute 'request'; there is 'request.method', for example");
    refused("request.methd", 1, 1, "did you mean 'request.method'?");
    refused("numbr + 1", 1, 1, "did you mean 'number'?");
    refused("quite.other", 1, 1, "unknown attribute 'quite.other'");
    refused("'a'.startWith('b')", 1, 5, "unknown function 'startWith'; did you mean 'startsWith'?");
    refused("siz('a')", 1, 1, "did you mean 'size'?");
    refused("math.greatst(1)", 1, 6, "did you mean 'math.greatest'?");
    refused("startsWith('a', 'b')", 1, 1, "called on a value");
    refused("'a'.strings.quote()", 1, 13, "unknown function 'quote'");
    refused("'a'.string()", 1, 5, "without a receiver");
}

static void wrong_types_are_refused(void **state)
{
    (void)state;
    refused("request.path == 1", 1, 14, "'==' is not defined for string and int");
    refused("number + 'a'", 1, 8, "'+' is not defined for int and string");
    refused("request.path && true", 1, 14, "'&&' is not defined for string");
    refused("!number", 1, 1, "'!' is not defined for int");
    refused("number ? 1 : 2", 1, 8, "'?:' is not defined for int");
    refused("number < 'a'", 1, 8, "'<' is not defined for int and string");
    refused("request.path.startsWith(1)", 1, 14, "'startsWith' does not take (string, int)");
    refused("size(1)", 1, 1, "'size' does not take (int)");
    refused("request.path.x", 1, 14, "string has no field 'x'");
    refused("number[0]", 1, 7, "'[]' is not defined for int and int");
    refused("request.headers.host + 1", 1, 22, "string and int");
    refused("request.headers.all(h, h == 1)", 1, 26, "string and int");
    refused("'a' in ['b'] + [1] && 1 in ['a']", 1, 25, "'in' is not defined");
    refused("[1].all(x, 'a')", 1, 12, "the condition of 'all' is string, not bool");
    refused("number.map(x, x)", 1, 8, "'map' is for lists and maps, not for int");
    refused("math.greatest('a', 1)", 1, 6, "does not take (string, int)");
    refused("-request.path", 1, 1, "'-' is not defined for string");
}

static void dynamic_values_wait_until_they_are_there(void **state)
{
    (void)state;
    is_true("dynamic == 'dynamic' && dynamic.startsWith('dyn') && size(dynamic) == 7");
    is_true("vars.a + 1 == 2 && vars.s + 'x' == 'textx' && vars.f > 1");
    fails("dynamic + 1", "no such overload");
    fails("vars.a.startsWith('x')", "no such overload: 'startsWith' for (int");
}

static void places_in_long_sources(void **state)
{
    (void)state;
    refused("true &&\n  request.methd == 'GET'", 2, 3, "request.method");
    refused("'\xc3\xa9\xc3\xa9' + 1", 1, 6, "string and int"); /* columns count characters */
    struct arena arena;
    arena_init(&arena, 0, 0);
    struct expr_error error;
    const struct expr *expr =
        expr_compile(&arena, TEXT("true ||\n vars.zz\n.y"), &unchecked, EXPR_DYN, &error);
    assert_non_null(expr);
    expr = expr_compile(&arena, TEXT("number > 1 &&\n vars.zz == 1"), &strict, EXPR_BOOL, &error);
    struct expr_run run = run_in(&arena);
    bool holds;
    assert_non_null(expr);
    assert_false(expr_eval_bool(expr, &run, &holds, &error));
    assert_int_equal(error.line, 2);
    assert_int_equal(error.column, 7);
    arena_release(&arena);
}

static void constants_are_folded(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0, 0);
    struct expr_error error;
    const struct expr *expr =
        expr_compile(&arena, TEXT("[1, 2].map(x, x * 2)[1] + 1"), &strict, EXPR_INT, &error);
    assert_non_null(expr_constant(expr));
    assert_int_equal(expr_constant(expr)->integer, 5);
    assert_null(expr_constant(expr_compile(&arena, TEXT("number + 1"), &strict, EXPR_INT, &error)));
    assert_null(expr_constant(expr_compile(&arena, TEXT("uuid()"), &strict, EXPR_STRING, &error)));
    assert_null(expr_constant(expr_compile(&arena, TEXT("now"), &strict, EXPR_TIMESTAMP, &error)));
    arena_release(&arena);
    refused("number > 1 / 0", 1, 12, "this always fails: division by zero");
    refused("number > 0 ? 1 : {'a': 1}.b", 1, 27, "this always fails: no such key");
    refused("request.path.matches('(')", 1, 22, "regular expression");
    refused("now.getHours('Mars/Base')", 1, 14, "unknown time zone 'Mars/Base'");
    refused("cidr('10.0.0.0/33').containsIP(request.path)", 1, 1, "this always fails: not a network");
}

static void wanted_types(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0, 0);
    struct expr_error error;
    struct expr_run run = run_in(&arena);
    struct value value;
    assert_null(expr_compile(&arena, TEXT("number"), &strict, EXPR_BOOL, &error));
    assert_string_equal(error.said, "it is int, where bool is wanted");
    const struct expr *expr = expr_compile(&arena, TEXT("dynamic"), &strict, EXPR_BOOL, &error);
    assert_non_null(expr);
    assert_false(expr_eval(expr, &run, &value, &error));
    assert_string_equal(error.said, "the result is string, where bool is wanted");
    expr = expr_compile(&arena, TEXT("dynamic"), &strict, EXPR_STRING, &error);
    assert_true(expr_eval(expr, &run, &value, &error));
    assert_false(
        expr_eval(expr_compile(&arena, TEXT("vars.zz"), &strict, EXPR_DYN, &error), &run, &value, NULL));
    arena_release(&arena);
}

static void uses_source_type_and_cost(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0, 0);
    struct expr_error error;
    char source[] = "has(request.headers.host) && vars.a == 1";
    const struct expr *expr = expr_compile(&arena, text_of(source), &strict, EXPR_BOOL, &error);
    memset(source, 'x', sizeof source - 1); /* it was copied */
    assert_text(expr_source(expr), "has(request.headers.host) && vars.a == 1");
    assert_true(expr_uses(expr, HEADERS) && expr_uses(expr, VARS));
    assert_false(expr_uses(expr, PATH) || expr_uses(expr, METHOD));
    assert_int_equal(expr_result_type(expr), EXPR_BOOL);
    uint64_t small = expr_cost(expr);
    expr = expr_compile(&arena, TEXT("vars.b.all(x, vars.b.all(y, x == y))"), &strict, EXPR_BOOL, &error);
    assert_true(expr_cost(expr) > 10000 && small < 20);
    arena_release(&arena);
}

/* What the walk over the functions has seen. */
struct seen {
    size_t count, examples;
    char name[64]; /* of the row before */
    bool has_example;
};

static void example_holds(const char *example)
{
    struct arena arena;
    struct expr_error error = {0};
    const char *arrow = strstr(example, " => ");
    assert_non_null(arrow);
    arena_init(&arena, 0, 0);
    struct text source = {example, (size_t)(arrow - example)};
    struct text got = result_of(expr_compile(&arena, source, &strict, EXPR_DYN, &error), &arena, &error);
    if (!text_equal(got, text_of(arrow + strlen(" => "))))
        fail_msg("%s: got %.*s", example, TEXT_ARGS(got));
    arena_release(&arena);
}

static void every_function_has_its_text(void *walk, const struct expr_function *function)
{
    struct seen *seen = walk;
    assert_true(function->group[0] && function->signature.size && function->about[0]);
    assert_true(function->about[strlen(function->about) - 1] == '.');
    assert_true(text_find(function->signature, TEXT(" -> ")) != TEXT_NONE);
    assert_true(text_find(function->signature, text_of(function->name)) != TEXT_NONE);
    if (strcmp(seen->name, function->name) != 0) {
        if (seen->count && !seen->has_example)
            fail_msg("no example: %s", seen->name);
        seen->has_example = false;
    }
    snprintf(seen->name, sizeof seen->name, "%s", function->name);
    if (function->example)
        example_holds(function->example);
    seen->has_example |= function->example != NULL;
    seen->examples += function->example != NULL;
    seen->count++;
}

static void functions_are_listed_with_examples_that_hold(void **state)
{
    (void)state;
    struct seen seen = {0};
    expr_functions_each(every_function_has_its_text, &seen);
    assert_true(seen.count > 150 && seen.examples > 130 && seen.has_example);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_names_have_hints),
        cmocka_unit_test(wrong_types_are_refused),
        cmocka_unit_test(dynamic_values_wait_until_they_are_there),
        cmocka_unit_test(places_in_long_sources),
        cmocka_unit_test(constants_are_folded),
        cmocka_unit_test(wanted_types),
        cmocka_unit_test(uses_source_type_and_cost),
        cmocka_unit_test(functions_are_listed_with_examples_that_hold),
    };
    return RUN_TESTS(tests);
}
