/* Bodies in one piece: small ones in a buffer of the pool, larger ones on the heap, all of it under the budget. */
#include "unit.h"

#include "net/whole.h"

static struct buffer_budget budget;
static struct buffer_pool pool;

static int set_up(void **state)
{
    (void)state;
    budget = (struct buffer_budget){.bytes_max = 8 * BUFFER_SIZE};
    buffer_pool_init(&pool, &budget, 1);
    return 0;
}

/* Nothing is left behind, whatever the test did. */
static int tear_down(void **state)
{
    (void)state;
    buffer_pool_release(&pool);
    assert_int_equal(budget.bytes, 0);
    return 0;
}

static char some[BUFFER_SIZE];

static void test_pieces_become_one_text(void **state)
{
    struct whole whole = {.at = NULL};
    (void)state;
    assert_int_equal(whole_text(&whole).size, 0);
    assert_true(whole_add(&whole, &pool, TEXT("one ")));
    assert_true(whole_add(&whole, &pool, TEXT("")));
    assert_true(whole_add(&whole, &pool, TEXT("text")));
    assert_true(text_equal(whole_text(&whole), TEXT("one text")));
    assert_int_equal(budget.bytes, BUFFER_SIZE);
    whole_release(&whole, &pool);
}

static void test_it_moves_to_the_heap_and_keeps_its_bytes(void **state)
{
    struct whole whole = {.at = NULL};
    (void)state;
    assert_true(whole_add(&whole, &pool, TEXT("first")));
    for (int i = 0; i < 3; i++)
        assert_true(whole_add(&whole, &pool, (struct text){some, sizeof some}));
    assert_int_equal(whole.size, 5 + 3 * sizeof some);
    assert_memory_equal(whole.at, "first", 5);
    assert_int_equal(budget.bytes, BUFFER_SIZE + whole.room); /* and the buffer that the pool keeps */
    whole_release(&whole, &pool);
    assert_null(whole.at);
}

static void test_the_budget_is_a_bound_and_what_was_kept_stays(void **state)
{
    struct whole whole = {.at = NULL};
    size_t pieces = 0;
    (void)state;
    while (whole_add(&whole, &pool, (struct text){some, sizeof some}))
        pieces++;
    assert_in_range(pieces, 4, 8);
    assert_int_equal(whole.size, pieces * sizeof some);
    assert_true(budget.bytes <= budget.bytes_max);
    assert_int_equal(budget.refused, 1);
    whole_release(&whole, &pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pieces_become_one_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_it_moves_to_the_heap_and_keeps_its_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_budget_is_a_bound_and_what_was_kept_stays, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
