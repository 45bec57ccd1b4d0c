/* One compiled expression on several threads, beside compilations of their own. */
#include "expr_unit.h"

#include <pthread.h>

static const char *const sources[] = {
    "request.path.matches('^/api/') && regex.extract(request.path, '([0-9]+)').orValue('') == '42'",
    "hash.sha256(request.path) == hash.sha256('/api/orders/42') && hmac.sha256('k', 'm').size() == 64",
    "['Europe/Paris', 'Asia/Tokyo', 'America/New_York', 'UTC', 'Asia/Kolkata'].all(z, timestamp(0).getHours(z) >= 0)",
    "vars.b.map(x, x * 2).sort().reverse()[0] == 6 && uuid() != uuid()",
};

static const struct expr *shared[COUNT_OF(sources)];

static void *evaluate(void *ignored)
{
    struct arena arena;
    arena_init(&arena, 0, 0);
    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < COUNT_OF(sources); i++) {
            struct expr_error error = {0};
            struct expr_run run = run_in(&arena);
            bool holds;
            const struct expr *own =
                round % 50 ? NULL : expr_compile(&arena, text_of(sources[i]), &strict, EXPR_BOOL, &error);
            CHECK(round % 50 || own);
            CHECK(expr_eval_bool(own ? own : shared[i], &run, &holds, &error) && holds);
        }
        arena_reset(&arena);
    }
    arena_release(&arena);
    return ignored;
}

static void threads_share_expressions(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0, 0);
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        struct expr_error error = {0};
        shared[i] = expr_compile(&arena, text_of(sources[i]), &strict, EXPR_BOOL, &error);
        if (!shared[i])
            fail_msg("%s: %s", sources[i], error.said);
    }
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, evaluate, NULL), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(threads_share_expressions)};
    return RUN_TESTS(tests);
}
