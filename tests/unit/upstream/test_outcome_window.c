/* The sliding window: what it counts, what it forgets, and that threads lose nothing. */
#include "unit.h"

#include <pthread.h>

#include "base/check.h"
#include "upstream/outcome_window.h"

static struct outcome_window window;

static int empty(void **state)
{
    (void)state;
    outcome_window_clear(&window);
    return 0;
}

static void add(int64_t now_ms, uint32_t failed, uint32_t slow)
{
    outcome_window_add(&window, 1000, now_ms, (struct outcome_sums){1, failed, slow});
}

static struct outcome_sums sum(int64_t now_ms)
{
    struct outcome_sums sums;
    outcome_window_sum(&window, 1000, now_ms, &sums);
    return sums;
}

static void test_it_counts_what_happened_within_it(void **state)
{
    (void)state;
    add(5000, 1, 0);
    add(5050, 0, 1);
    add(5900, 0, 0);
    struct outcome_sums sums = sum(5999);
    assert_int_equal(sums.total, 3);
    assert_int_equal(sums.failed, 1);
    assert_int_equal(sums.slow, 1);
}

static void test_what_is_older_than_the_window_is_forgotten_by_tenths(void **state)
{
    (void)state;
    for (int64_t now_ms = 5000; now_ms < 6000; now_ms += 100)
        add(now_ms, 1, 0);
    assert_int_equal(sum(5999).failed, 10);
    assert_int_equal(sum(6000).failed, 9);
    assert_int_equal(sum(6450).failed, 5);
    assert_int_equal(sum(6900).failed, 0);
}

static void test_a_tenth_that_is_used_again_begins_anew(void **state)
{
    (void)state;
    for (int64_t now_ms = 5000; now_ms <= 9000; now_ms += 1000)
        add(now_ms, 1, 1);
    assert_int_equal(sum(9000).total, 1);
    assert_int_equal(sum(9000).failed, 1);
    assert_int_equal(sum(9000).slow, 1);
}

static void test_a_pause_of_any_length_forgets_all(void **state)
{
    (void)state;
    add(5000, 1, 1);
    for (int64_t later_ms = 6000; later_ms < 10000000000; later_ms *= 3) {
        struct outcome_sums sums = sum(later_ms);
        assert_int_equal(sums.total + sums.failed + sums.slow, 0);
    }
}

static void test_a_failure_alone_may_be_added_to_a_try_that_was_counted(void **state)
{
    (void)state;
    add(5000, 0, 0);
    outcome_window_add(&window, 1000, 5000, (struct outcome_sums){.failed = 1});
    assert_int_equal(sum(5000).total, 1);
    assert_int_equal(sum(5000).failed, 1);
}

static void test_windows_shorter_than_ten_milliseconds_work(void **state)
{
    struct outcome_sums sums;
    (void)state;
    outcome_window_add(&window, 1, 5000, (struct outcome_sums){1, 1, 0});
    outcome_window_sum(&window, 1, 5000, &sums);
    assert_int_equal(sums.failed, 1);
    outcome_window_sum(&window, 1, 5010, &sums);
    assert_int_equal(sums.failed, 0);
}

static void test_counts_stay_at_their_end(void **state)
{
    (void)state;
    for (int i = 0; i < 70000; i++)
        add(5000, 1, 1);
    assert_int_equal(sum(5000).total, 70000);
    assert_int_equal(sum(5000).failed, UINT16_MAX);
    assert_int_equal(sum(5000).slow, UINT16_MAX);
}

enum { THREADS = 4, ADDS = 20000 };

static void *add_many(void *argument)
{
    (void)argument;
    for (int i = 0; i < ADDS; i++)
        add(5000 + i % 900, i % 4 == 0, i % 8 == 0);
    return NULL;
}

/* Ticks go back and forth here, as clocks of workers may by a turn: each tenth is reset only by another tick. */
static void test_threads_lose_nothing(void **state)
{
    pthread_t threads[THREADS];
    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(sum(5899).total, THREADS * ADDS);
    assert_int_equal(sum(5899).failed, THREADS * ADDS / 4);
    assert_int_equal(sum(5899).slow, THREADS * ADDS / 8);
}

#define CASE(test) cmocka_unit_test_setup(test, empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_it_counts_what_happened_within_it),
        CASE(test_what_is_older_than_the_window_is_forgotten_by_tenths),
        CASE(test_a_tenth_that_is_used_again_begins_anew),
        CASE(test_a_pause_of_any_length_forgets_all),
        CASE(test_a_failure_alone_may_be_added_to_a_try_that_was_counted),
        CASE(test_windows_shorter_than_ten_milliseconds_work),
        CASE(test_counts_stay_at_their_end),
        CASE(test_threads_lose_nothing),
    };
    return RUN_TESTS(tests);
}
