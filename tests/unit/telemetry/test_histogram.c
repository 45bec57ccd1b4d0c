/* Buckets of durations. */
#include "telemetry_test.h"

#include "base/random.h"
#include "telemetry/histogram.h"

static unsigned bucket_by_search(uint64_t ns)
{
    unsigned bucket = 0;
    while (bucket < HISTOGRAM_BOUNDS && ns > histogram_bounds_ns[bucket])
        bucket++;
    return bucket;
}

static void bounds_rise_and_end_with_a_sentinel(void **state)
{
    (void)state;
    for (int i = 0; i < HISTOGRAM_BOUNDS; i++)
        assert_true(histogram_bounds_ns[i] < histogram_bounds_ns[i + 1]);
    assert_true(histogram_bounds_ns[HISTOGRAM_BOUNDS] == UINT64_MAX);
    assert_int_equal(histogram_bounds_ns[0], 5000);
    assert_true(histogram_bounds_ns[HISTOGRAM_BOUNDS - 1] == 60000000000);
}

static void bound_is_inside_its_bucket(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++) {
        assert_int_equal(histogram_bucket(histogram_bounds_ns[i] - 1), i);
        assert_int_equal(histogram_bucket(histogram_bounds_ns[i]), i);
        assert_int_equal(histogram_bucket(histogram_bounds_ns[i] + 1), i + 1);
    }
}

static void bucket_agrees_with_a_search_everywhere(void **state)
{
    (void)state;
    assert_int_equal(histogram_bucket(0), 0);
    assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BOUNDS);
    for (int bit = 0; bit < 64; bit++)
        for (int64_t by = -1; by <= 1; by++) {
            uint64_t ns = (1ull << bit) + (uint64_t)by;
            assert_int_equal(histogram_bucket(ns), bucket_by_search(ns));
        }
    random_seed(5);
    for (int i = 0; i < 100000; i++) {
        uint64_t ns = random_uint64() >> random_below(64);
        assert_int_equal(histogram_bucket(ns), bucket_by_search(ns));
    }
}

static void records_add_up(void **state)
{
    (void)state;
    static struct histogram a, b;
    struct histogram_total total = {.count = 0};
    histogram_record(&a, 3000);
    histogram_record(&a, 3000000);
    histogram_record(&b, 3000000);
    histogram_record(&b, -7);
    histogram_record(&b, 61000000000);
    histogram_sum(&a, &total);
    histogram_sum(&b, &total);
    assert_int_equal(total.count, 5);
    assert_int_equal(total.buckets[0], 2);
    assert_int_equal(total.buckets[histogram_bucket(3000000)], 2);
    assert_int_equal(total.buckets[HISTOGRAM_BOUNDS], 1);
    assert_true(total.sum_ns == 3000 + 6000000 + 61000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_rise_and_end_with_a_sentinel),
        cmocka_unit_test(bound_is_inside_its_bucket),
        cmocka_unit_test(bucket_agrees_with_a_search_everywhere),
        cmocka_unit_test(records_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
