/* Templates: literal text, holes, escapes, types and failures. */
#include "expr_unit.h"

static void template_at(const char *source, const char *wanted, enum expr_escape escape, const char *file,
                        int line)
{
    struct arena arena;
    arena_init(&arena, 0, 0);
    struct expr_error error = {0};
    struct expr_run run = run_in(&arena);
    run.escape = escape;
    struct text text = TEXT("");
    const struct expr *expr = expr_compile_template(&arena, text_of(source), &strict, &error);
    bool right = expr && expr_eval_text(expr, &run, &text, &error) && text_equal(text, text_of(wanted));
    if (!right)
        print_error("%s: got \"%.*s\" %s, wanted \"%s\"\n", source, TEXT_ARGS(text), error.said, wanted);
    arena_release(&arena);
    if (!right)
        _fail(file, line);
}
#define writes(source, wanted)         template_at((source), (wanted), EXPR_ESCAPE_NONE, __FILE__, __LINE__)
#define writes_escaped(source, wanted) template_at((source), (wanted), EXPR_ESCAPE_JSON, __FILE__, __LINE__)
#define writes_html(source, wanted)    template_at((source), (wanted), EXPR_ESCAPE_HTML, __FILE__, __LINE__)

static void text_and_holes(void **state)
{
    (void)state;
    writes("", "");
    writes("plain", "plain");
    writes("Bearer ${vars.s}", "Bearer text");
    writes("${request.method} ${request.path}!", "GET /api/orders/42!");
    writes("${'a'}${'b'}", "ab");
    writes("a ${ {'k': '}'}.k } b", "a } b");
    writes("${vars.b.map(x, x * 2)[0]}-${ // a comment\n number }", "2-7");
}

static void a_dollar_alone_is_text(void **state)
{
    (void)state;
    writes("$5 and $ and $$", "$5 and $ and $$");
    writes("$${number}", "${number}");
    writes("a$$${number}", "a$${number}");
    writes("{number} }", "{number} }");
}

static void values_as_text(void **state)
{
    (void)state;
    writes("<${number}|${1.5}|${2u}|${true}|${null}>", "<7|1.5|2|true|null>");
    writes("<${vars.b}|${vars.c}>", "<[1,2,3]|{\"d\":\"e\"}>");
    writes("<${vars.?a}|${vars.?zz}>", "<1|>");
    writes("<${duration('90s')}|${timestamp(0)}>", "<90s|1970-01-01T00:00:00Z>");
    writes("<${b'abc'}|${type(1)}|${ip('::1')}>", "<abc|int|::1>");
    writes("${number}", "7");
}

static void holes_are_escaped_where_that_is_asked_and_text_is_not(void **state)
{
    (void)state;
    writes_escaped("{\"a\":\"${vars.s + '\"\\n'}\"}", "{\"a\":\"text\\\"\\u000a\"}");
    writes_escaped("${vars.s + '\"'}", "text\\\"");
    writes_escaped("<${vars.c}|${number}|${vars.?zz}>", "<{\\\"d\\\":\\\"e\\\"}|7|>");
    writes_escaped("a \"${number}\" ${vars.s}", "a \"7\" text");
    writes_escaped("\"text\"", "\"text\"");
    writes_escaped("", "");
}

static void holes_are_escaped_for_html(void **state)
{
    (void)state;
    writes_html("<b title=\"${vars.s + '\"&'}\">", "<b title=\"text&quot;&amp;\">");
    writes_html("${vars.s + \"<i>'\"}", "text&lt;i&gt;&#39;");
    writes_html("<${vars.c}|${number}|${vars.?zz}>", "<{&quot;d&quot;:&quot;e&quot;}|7|>");
    writes_html("<p>&amp;</p>", "<p>&amp;</p>");
}

static void one_hole_keeps_its_type(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0, 0);
    struct expr_error error;
    const struct expr *expr = expr_compile_template(&arena, TEXT("${number}"), &strict, &error);
    assert_int_equal(expr_result_type(expr), EXPR_INT);
    expr = expr_compile_template(&arena, TEXT("${number} "), &strict, &error);
    assert_int_equal(expr_result_type(expr), EXPR_STRING);
    expr = expr_compile_template(&arena, TEXT("a${1 + 1}"), &strict, &error);
    assert_text(expr_constant(expr)->text, "a2");
    arena_release(&arena);
}

static void failures_have_places_in_the_template(void **state)
{
    (void)state;
    static const struct {
        const char *source;
        unsigned line, column;
        const char *said;
    } cases[] = {
        {"abc ${numbr} d", 1, 7, "did you mean 'number'?"},
        {"abc\n${number", 2, 1, "this ${ has no }"},
        {"${}", 1, 3, "a value should"},
        {"x ${number number}", 1, 12, "should end the ${"},
        {"${'a", 1, 3, "no end"},
    };
    struct arena arena;
    arena_init(&arena, 0, 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct expr_error error = {0};
        assert_null(expr_compile_template(&arena, text_of(cases[i].source), &strict, &error));
        if (error.line != cases[i].line || error.column != cases[i].column
            || !strstr(error.said, cases[i].said))
            fail_msg("%s: %u:%u %s", cases[i].source, error.line, error.column, error.said);
    }
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_holes),
        cmocka_unit_test(a_dollar_alone_is_text),
        cmocka_unit_test(values_as_text),
        cmocka_unit_test(holes_are_escaped_where_that_is_asked_and_text_is_not),
        cmocka_unit_test(holes_are_escaped_for_html),
        cmocka_unit_test(one_hole_keeps_its_type),
        cmocka_unit_test(failures_have_places_in_the_template),
    };
    return RUN_TESTS(tests);
}
