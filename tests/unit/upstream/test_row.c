/* The row without locks: in order, bounded, and nothing lost or doubled between threads. */
#include "unit.h"

#include <pthread.h>
#include <sched.h>

#include "upstream/row.h"

static struct row_cell cells[64];
static struct row row;

static void test_first_in_first_out(void **state)
{
    uint32_t value;
    (void)state;
    row_init(&row, cells, 4);
    assert_true(row_is_empty(&row));
    assert_false(row_pop(&row, &value));
    for (uint32_t round = 0; round < 100; round++) {
        for (uint32_t i = 0; i < 4; i++)
            assert_true(row_push(&row, round + i));
        assert_false(row_push(&row, 99));
        for (uint32_t i = 0; i < 4; i++) {
            assert_true(row_pop(&row, &value));
            assert_int_equal(value, round + i);
        }
        assert_true(row_is_empty(&row));
    }
}

enum { THREADS = 3, EACH = 20000 };
static _Atomic uint32_t popped;
static _Atomic uint64_t sum;

static void *push(void *argument)
{
    uint32_t base = *(const uint32_t *)argument;
    for (uint32_t i = 0; i < EACH; i++)
        while (!row_push(&row, base + i))
            sched_yield();
    return NULL;
}

static void *pop(void *argument)
{
    uint32_t value;
    (void)argument;
    while (atomic_load(&popped) < THREADS * EACH) {
        if (!row_pop(&row, &value)) {
            sched_yield();
            continue;
        }
        atomic_fetch_add(&sum, value);
        atomic_fetch_add(&popped, 1);
    }
    return NULL;
}

static void test_threads_lose_nothing(void **state)
{
    pthread_t threads[2 * THREADS];
    uint32_t bases[THREADS];
    uint64_t expected = 0;
    (void)state;
    row_init(&row, cells, 64);
    for (uint32_t i = 0; i < THREADS; i++) {
        bases[i] = i * EACH;
        assert_int_equal(pthread_create(&threads[i], NULL, push, &bases[i]), 0);
        assert_int_equal(pthread_create(&threads[THREADS + i], NULL, pop, NULL), 0);
    }
    for (uint32_t i = 0; i < 2 * THREADS; i++)
        pthread_join(threads[i], NULL);
    for (uint64_t i = 0; i < THREADS * EACH; i++)
        expected += i;
    assert_int_equal(sum, expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_in_first_out),
        cmocka_unit_test(test_threads_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
