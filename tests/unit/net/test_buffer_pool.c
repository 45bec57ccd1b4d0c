/* Buffers: the warmest first, a budget that all pools share, memory that goes back. */
#include "unit.h"

#include <pthread.h>

#include "base/memory.h"
#include "net/buffer_pool.h"

static struct buffer_budget budget;
static struct buffer_pool pool;

static void begin(int64_t buffers_max, size_t free_max)
{
    budget = (struct buffer_budget){.bytes_max = buffers_max * BUFFER_SIZE};
    buffer_pool_init(&pool, &budget, free_max);
}

static void test_a_buffer_is_empty_and_has_its_whole_room(void **state)
{
    (void)state;
    begin(1, 1);
    struct buffer *buffer = buffer_take(&pool);
    assert_non_null(buffer);
    assert_true(buffer->start == 0 && buffer->end == 0 && !buffer->next);
    memset(buffer->at, 'x', BUFFER_ROOM); /* AddressSanitizer watches */
    buffer_give(&pool, buffer);
    buffer_pool_release(&pool);
    assert_int_equal(budget.bytes, 0);
}

static void test_the_one_given_last_is_taken_first_and_is_empty_again(void **state)
{
    (void)state;
    begin(4, 4);
    struct buffer *first = buffer_take(&pool), *second = buffer_take(&pool);
    second->start = 3, second->end = 7, second->next = first;
    buffer_give(&pool, first);
    buffer_give(&pool, second);
    struct buffer *again = buffer_take(&pool);
    assert_ptr_equal(again, second);
    assert_true(again->start == 0 && again->end == 0 && !again->next);
    assert_ptr_equal(buffer_take(&pool), first);
    buffer_give(&pool, first);
    buffer_give(&pool, second);
    buffer_pool_release(&pool);
}

static void test_taking_again_does_not_allocate(void **state)
{
    (void)state;
    begin(2, 1);
    buffer_give(&pool, buffer_take(&pool));
    uint64_t calls = memory_calls();
    for (int i = 0; i < 100; i++)
        buffer_give(&pool, buffer_take(&pool));
    assert_int_equal(memory_calls(), calls);
    buffer_pool_release(&pool);
}

static void test_the_budget_ends_at_its_last_byte_and_counts_refusals(void **state)
{
    (void)state;
    begin(2, 2);
    struct buffer *a = buffer_take(&pool), *b = buffer_take(&pool);
    assert_true(a && b);
    assert_null(buffer_take(&pool));
    assert_null(buffer_take(&pool));
    assert_int_equal(budget.refused, 2);
    assert_int_equal(budget.bytes, 2 * BUFFER_SIZE);
    buffer_give(&pool, a);
    a = buffer_take(&pool);
    assert_non_null(a);
    buffer_give(&pool, a);
    buffer_give(&pool, b);
    buffer_pool_release(&pool);
}

static void test_a_budget_below_one_buffer_gives_none(void **state)
{
    (void)state;
    begin(1, 1);
    budget.bytes_max = BUFFER_SIZE - 1;
    assert_null(buffer_take(&pool));
    assert_int_equal(budget.bytes, 0);
    buffer_pool_release(&pool);
}

static void test_more_than_the_most_that_are_kept_goes_back_to_the_heap(void **state)
{
    struct buffer *taken[5];
    (void)state;
    begin(10, 2);
    for (int i = 0; i < 5; i++)
        taken[i] = buffer_take(&pool);
    for (int i = 0; i < 5; i++)
        buffer_give(&pool, taken[i]);
    assert_int_equal(pool.free_count, 2);
    assert_int_equal(budget.bytes, 2 * BUFFER_SIZE);
    buffer_pool_release(&pool);
    assert_int_equal(budget.bytes, 0);
}

static void test_pools_share_one_budget(void **state)
{
    struct buffer_pool other;
    (void)state;
    begin(1, 1);
    buffer_pool_init(&other, &budget, 1);
    struct buffer *buffer = buffer_take(&other);
    assert_non_null(buffer);
    assert_null(buffer_take(&pool));
    buffer_give(&other, buffer);
    buffer = buffer_take(&pool);
    assert_non_null(buffer);
    buffer_give(&pool, buffer);
    buffer_pool_release(&other);
    buffer_pool_release(&pool);
}

static void test_when_half_of_the_budget_is_used_none_is_hoarded(void **state)
{
    struct buffer *taken[4];
    (void)state;
    begin(4, 4);
    for (int i = 0; i < 4; i++)
        taken[i] = buffer_take(&pool);
    for (int i = 0; i < 4; i++)
        buffer_give(&pool, taken[i]);
    assert_int_equal(pool.free_count, 2);
    assert_int_equal(budget.bytes, 2 * BUFFER_SIZE);
    buffer_pool_release(&pool);
    assert_int_equal(budget.bytes, 0);
}

static void test_without_memory_there_is_none_and_nothing_is_counted(void **state)
{
    (void)state;
    begin(2, 2);
    memory_fail_at(1);
    assert_null(buffer_take(&pool));
    assert_int_equal(budget.bytes, 0);
    assert_int_equal(pool.used_count, 0);
    struct buffer *buffer = buffer_take(&pool);
    assert_non_null(buffer);
    buffer_give(&pool, buffer);
    buffer_pool_release(&pool);
}

static void test_giving_none_does_nothing(void **state)
{
    (void)state;
    begin(1, 1);
    buffer_give(&pool, NULL);
    assert_int_equal(pool.free_count, 0);
    buffer_pool_release(&pool);
}

static void release_while_one_is_out(void)
{
    begin(1, 1);
    (void)buffer_take(&pool); /* on purpose */
    buffer_pool_release(&pool);
}

static void give_one_too_many(void)
{
    static struct buffer foreign;
    begin(1, 1);
    buffer_give(&pool, &foreign);
}

static void test_mistakes_of_owners_end_the_process(void **state)
{
    (void)state;
    assert_true(aborts(release_while_one_is_out));
    assert_true(aborts(give_one_too_many));
}

/* --- threads --- */

enum { THREADS = 4, ROUNDS = 2000 };

static void *take_and_give(void *unused)
{
    struct buffer_pool own;
    (void)unused;
    buffer_pool_init(&own, &budget, 0); /* each one goes back to the heap at once */
    for (int i = 0; i < ROUNDS; i++) {
        struct buffer *buffer = buffer_take(&own);
        if (buffer)
            buffer->at[0] = 'x';
        buffer_give(&own, buffer);
    }
    buffer_pool_release(&own);
    return NULL;
}

static void test_the_budget_adds_up_across_threads(void **state)
{
    pthread_t threads[THREADS];
    (void)state;
    begin(THREADS - 1, 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(budget.bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_buffer_is_empty_and_has_its_whole_room),
        cmocka_unit_test(test_the_one_given_last_is_taken_first_and_is_empty_again),
        cmocka_unit_test(test_taking_again_does_not_allocate),
        cmocka_unit_test(test_the_budget_ends_at_its_last_byte_and_counts_refusals),
        cmocka_unit_test(test_a_budget_below_one_buffer_gives_none),
        cmocka_unit_test(test_more_than_the_most_that_are_kept_goes_back_to_the_heap),
        cmocka_unit_test(test_pools_share_one_budget),
        cmocka_unit_test(test_when_half_of_the_budget_is_used_none_is_hoarded),
        cmocka_unit_test(test_without_memory_there_is_none_and_nothing_is_counted),
        cmocka_unit_test(test_giving_none_does_nothing),
        cmocka_unit_test(test_mistakes_of_owners_end_the_process),
        cmocka_unit_test(test_the_budget_adds_up_across_threads),
    };
    return RUN_TESTS(tests);
}
