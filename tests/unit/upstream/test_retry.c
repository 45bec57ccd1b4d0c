/* The budget of retries: a share of the requests in a sliding window, exact whoever counts; waits that grow. */
#include "unit.h"

#include <pthread.h>

#include "base/check.h"
#include "upstream/retry.h"

static _Alignas(64) struct retry_budget budget;

static struct retry_rules rules_of(double share, uint64_t min)
{
    memset(&budget, 0, sizeof budget);
    return (struct retry_rules){.budget_share = share,
                                .budget_min = min,
                                .budget_window_ms = 10000,
                                .backoff_base_ms = 10,
                                .backoff_max_ms = 100,
                                .budget = &budget};
}

static unsigned taken(const struct retry_rules *rules, int64_t now_ms)
{
    unsigned count = 0;
    while (count < 100000 && retry_take(rules, now_ms))
        count++;
    return count;
}

static void test_a_minimum_is_always_there(void **state)
{
    struct retry_rules rules = rules_of(0.2, 3);
    (void)state;
    assert_int_equal(taken(&rules, 1000), 3);
    assert_int_equal(budget.made, 3);
    assert_int_equal(budget.refused, 1);
}

static void test_it_is_a_share_of_the_requests_of_all_workers(void **state)
{
    struct retry_rules rules = rules_of(0.2, 0);
    (void)state;
    for (unsigned i = 0; i < 100; i++)
        retry_count_request(&rules, i, 1000);
    assert_int_equal(taken(&rules, 1500), 20);
}

static void test_the_window_slides(void **state)
{
    struct retry_rules rules = rules_of(0.5, 0);
    (void)state;
    for (unsigned i = 0; i < 100; i++)
        retry_count_request(&rules, 0, 0);
    assert_int_equal(taken(&rules, 0), 50);
    assert_int_equal(taken(&rules, 9999), 0);  /* the same window */
    assert_int_equal(taken(&rules, 10000), 0); /* requests and retries are both forgotten */
    for (unsigned i = 0; i < 10; i++)
        retry_count_request(&rules, 0, 10000);
    assert_int_equal(taken(&rules, 10000), 5);
}

static struct retry_rules shared_rules;
static _Atomic unsigned allowed;

static void *hammer(void *argument)
{
    (void)argument;
    for (int i = 0; i < 20000; i++)
        if (retry_take(&shared_rules, 5000 + i / 100))
            atomic_fetch_add(&allowed, 1);
    return NULL;
}

static void test_many_threads_never_take_too_many(void **state)
{
    pthread_t threads[4];
    (void)state;
    shared_rules = rules_of(0, 1000);
    allowed = 0;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(allowed, 1000);
}

static void test_waits_grow_up_to_the_longest(void **state)
{
    struct retry_rules rules = rules_of(0, 0);
    int64_t longest[12] = {0};
    (void)state;
    for (unsigned tries = 1; tries < 12; tries++) {
        for (int i = 0; i < 2000; i++) {
            int64_t wait_ms = retry_backoff_ms(&rules, tries);
            longest[tries] = MAX_OF(longest[tries], wait_ms);
        }
        assert_true(longest[tries] <= 100);
    }
    assert_true(longest[1] <= 10 && longest[1] >= 8);
    assert_true(longest[2] <= 20 && longest[2] > 12);
    assert_true(longest[11] > 90);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_minimum_is_always_there),
        cmocka_unit_test(test_it_is_a_share_of_the_requests_of_all_workers),
        cmocka_unit_test(test_the_window_slides),
        cmocka_unit_test(test_many_threads_never_take_too_many),
        cmocka_unit_test(test_waits_grow_up_to_the_longest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
