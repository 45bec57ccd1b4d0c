/* Expressions and templates from hostile sources: compiled strictly, without the checker and without folding; what compiles runs on a
 * fixed context. A result written as a literal reads back as an equal value, folding changes no result, a strictly compiled
 * expression gives what the unchecked one gives, and what it gives is of the type that the checker said. */
#include "fuzz.h"

#include "base/arena.h"
#include "base/check.h"
#include "expr/compiler.h"
#include "expr/expr.h"

enum { SOURCE_MAX = 4096, COMPILE_BYTES = 32 << 20, RUN_BYTES = 16 << 20, STEPS = 20000 };

enum { PATH, HEADERS, VARS, COUNT, LIST, ANY };

static const struct expr_attribute attributes[] = {
    {"request.path", EXPR_STRING, EXPR_DYN, PATH, ""},
    {"request.headers", EXPR_MAP, EXPR_STRING, HEADERS, ""},
    {"vars", EXPR_MAP, EXPR_DYN, VARS, ""},
    {"n", EXPR_INT, EXPR_DYN, COUNT, ""},
    {"l", EXPR_LIST, EXPR_INT, LIST, ""},
    {"x", EXPR_DYN, EXPR_DYN, ANY, ""},
};

static const char context[] =
    "{\"h\":{\"host\":\"shop.example\",\"x-tenant\":\"acme\"},"
    "\"v\":{\"a\":1,\"b\":[1,2.5,null,true,\"s\"],\"c\":{\"d\":{}},\"e\":\"\\u00e9\\ud83d\\ude00\"},"
    "\"l\":[3,1,2]}";

/* A member of the context; parsed each time, so that the runs share nothing. */
static bool look_up(void *ignored, uint16_t id, struct arena *arena, struct value *ret_value)
{
    static const char *const members[] = {[HEADERS] = "h", [VARS] = "v", [LIST] = "l", [ANY] = "v"};
    struct value all;
    (void)ignored;
    if (id == PATH) {
        *ret_value = value_string(TEXT("/orders/42"));
        return true;
    }
    if (id == COUNT) {
        *ret_value = value_int(7);
        return true;
    }
    return value_from_json(text_of(context), arena, &all, NULL)
           && all.map->get(all.map, value_string(text_of(members[id])), arena, ret_value);
}

static bool evaluate(const struct expr *expr, struct arena *arena, struct value *ret_value,
                     struct expr_error *error)
{
    struct expr_run run = {
        .lookup = look_up, .arena = arena, .steps_max = STEPS, .now_ns = 1700000000123456789};
    bool good = expr_eval(expr, &run, ret_value, error);
    CHECK(good || error->said[0]);
    return good;
}

/* Of limits: another order of work may not reach them. */
static bool is_limit(const struct expr_error *error)
{
    struct text said = text_of(error->said);
    return text_starts_with(said, TEXT("too many steps")) || text_starts_with(said, TEXT("out of memory"));
}

static void check_literal(struct value value, struct arena *arena)
{
    struct expr_error error;
    struct text literal = value_to_literal(value, arena);
    if (literal.size == 0 || literal.size > 1 << 18
        || !value_equal(value, value, arena)) /* NaN is not equal to itself */
        return;
    CHECK(text_is_utf8(literal));
    const struct expr *again = expr_compile(arena, literal, NULL, EXPR_DYN, &error);
    if (!again) {
        CHECK(arena->failed || text_find(text_of(error.said), TEXT("deep")) != TEXT_NONE
              || text_find(text_of(error.said), TEXT("nesting")) != TEXT_NONE);
        return;
    }
    if (!expr_constant(again))
        return; /* too large to fold */
    CHECK(value_equal(*expr_constant(again), value, arena));
    struct text json = value_to_json(value, arena);
    struct value parsed;
    struct error why = {0};
    if (json.size && !value_from_json(json, arena, &parsed, &why))
        CHECK(arena->failed || text_ends_with(text_of(why.said), TEXT("nested too deeply")));
}

static bool is_random(struct text source)
{
    return text_find(source, TEXT("random")) != TEXT_NONE || text_find(source, TEXT("uuid")) != TEXT_NONE;
}

static bool same(struct value a, struct value b, struct arena *arena)
{
    if (!value_equal(a, a, arena))
        return true; /* NaN somewhere */
    return value_equal(a, b, arena);
}

static void check_expression(struct text source, struct arena *compiled, struct arena *arena)
{
    struct expr_environment strict = {attributes, COUNT_OF(attributes), false};
    struct expr_environment unchecked = {attributes, COUNT_OF(attributes), true};
    struct expr_error error = {0}, other = {0};
    struct value value, again;
    const struct expr *folded = expr_compile(compiled, source, &unchecked, EXPR_DYN, &error);
    const struct expr *unfolded = expr_compile_unfolded(compiled, source, &unchecked, EXPR_DYN, &other);
    CHECK(folded || error.said[0]);
    CHECK(!folded == !unfolded || compiled->failed);
    if (!folded || !unfolded)
        return;
    bool good = evaluate(folded, arena, &value, &error),
         good_again = evaluate(unfolded, arena, &again, &other);
    if (good)
        check_literal(value, arena);
    if (is_random(source) || arena->failed || (!good && is_limit(&error))
        || (!good_again && is_limit(&other)))
        return;
    CHECK(good == good_again);
    CHECK(!good || same(value, again, arena));
    const struct expr *checked = expr_compile(compiled, source, &strict, EXPR_DYN, &error);
    if (!checked)
        return;
    good_again = evaluate(checked, arena, &again, &other);
    if (!good_again && is_limit(&other))
        return;
    CHECK(good == good_again && (!good || same(value, again, arena)));
    if (good)
        CHECK(value_bit(&again) & type_bits(expr_result_type(checked)));
}

static void check_template(struct text source, struct arena *compiled, struct arena *arena)
{
    struct expr_environment environment = {attributes, COUNT_OF(attributes), false};
    struct expr_run run = {.lookup = look_up, .arena = arena, .steps_max = STEPS};
    struct expr_error error = {0};
    struct text text;
    const struct expr *expr = expr_compile_template(compiled, source, &environment, &error);
    CHECK(expr || error.said[0]);
    if (expr && expr_eval_text(expr, &run, &text, &error) && text_find_char(source, '$') == TEXT_NONE)
        CHECK(text_equal(text, source));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text source = {(const char *)data, size};
    if (size > SOURCE_MAX)
        return 0;
    struct arena compiled, arena;
    arena_init(&compiled, 0, COMPILE_BYTES);
    arena_init(&arena, 0, RUN_BYTES);
    check_expression(source, &compiled, &arena);
    check_template(source, &compiled, &arena);
    arena_release(&arena);
    arena_release(&compiled);
    return 0;
}
