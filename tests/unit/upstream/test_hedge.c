/* When an answer is late: percentiles of the latest times, that follow when these change. */
#include "unit.h"

#include "base/check.h"
#include "upstream/hedge.h"

static struct hedge_times times;

static struct hedge_rules rules_of(double percentile)
{
    memset(&times, 0, sizeof times);
    return (struct hedge_rules){.percentile = percentile, .min_ms = 1, .times = &times};
}

static void answer(const struct hedge_rules *rules, unsigned count, int64_t ms)
{
    for (unsigned i = 0; i < count; i++)
        hedge_answered(rules, ms * 1000000);
}

static void test_a_fixed_time(void **state)
{
    struct hedge_rules rules = {.after_ms = 70, .times = &times};
    (void)state;
    assert_int_equal(hedge_after_ms(&rules, 1), 70);
    rules.times = NULL;
    assert_int_equal(hedge_after_ms(&rules, 1), -1);
}

static void test_too_little_is_known(void **state)
{
    struct hedge_rules rules = rules_of(0.5);
    (void)state;
    answer(&rules, 49, 10);
    assert_int_equal(hedge_after_ms(&rules, 1000), -1);
    answer(&rules, 1, 10);
    assert_in_range(hedge_after_ms(&rules, 1000), 10, 13);
    answer(&rules, 500, 50);
    assert_in_range(hedge_after_ms(&rules, 1099), 10, 13); /* not computed anew at once */
    assert_in_range(hedge_after_ms(&rules, 1100), 50, 64);
}

static void test_the_share_that_was_asked_for(void **state)
{
    struct hedge_rules rules = rules_of(0.9);
    (void)state;
    answer(&rules, 90, 20);
    answer(&rules, 10, 500);
    assert_in_range(hedge_after_ms(&rules, 1000), 20, 25);
    answer(&rules, 10, 500);
    assert_in_range(hedge_after_ms(&rules, 2000), 500, 640);
}

static void test_old_times_fade(void **state)
{
    struct hedge_rules rules = rules_of(0.5);
    (void)state;
    answer(&rules, 8000, 1000);
    answer(&rules, 30000, 10);
    assert_in_range(hedge_after_ms(&rules, 1000), 10, 13);
}

static void test_never_earlier_than_the_minimum(void **state)
{
    struct hedge_rules rules = rules_of(0.5);
    (void)state;
    rules.min_ms = 40;
    answer(&rules, 100, 0);
    assert_int_equal(hedge_after_ms(&rules, 1000), 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_fixed_time),
        cmocka_unit_test(test_too_little_is_known),
        cmocka_unit_test(test_the_share_that_was_asked_for),
        cmocka_unit_test(test_old_times_fade),
        cmocka_unit_test(test_never_earlier_than_the_minimum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
