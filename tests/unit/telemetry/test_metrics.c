/* Fixed metrics, series by route and service, and what an export says about them. */
#include "telemetry_test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "base/memory.h"
#include "telemetry/metrics.h"
#include "telemetry/prometheus.h"

enum { THREADS = 3, SERIES_MAX = 600, RECORDS = 20000 };

static int make_metrics(void **state)
{
    struct error error;
    *state = metrics_new(THREADS, SERIES_MAX, &error);
    return *state ? 0 : -1;
}

static int free_metrics(void **state)
{
    metrics_free(*state);
    return 0;
}

static void record(struct metrics *metrics, size_t thread, const struct metric_series *series,
                   unsigned status)
{
    struct series_sample sample = {
        .status = status, .bytes_in = 10, .bytes_out = 100, .total_ns = 2000000, .upstream_ns = 1000000};
    series_record(metrics_thread(metrics, thread), series->index, &sample);
}

static uint64_t requests(const struct metrics *metrics, const struct metric_series *series)
{
    struct series_total total;
    uint64_t count = 0;
    series_sum(metrics, series, &total);
    for (int i = 0; i < SERIES_STATUSES; i++)
        count += total.requests[i];
    return count;
}

static struct metric_series *claim_number(struct metrics *metrics, int number)
{
    char route[32];
    return series_claim(
        metrics, (struct text){route, (size_t)snprintf(route, sizeof route, "route-%d", number)}, TEXT("s"));
}

static void names_follow_the_rules(void **state)
{
    (void)state;
    for (int i = 0; i < METRIC_IDS_COUNT; i++) {
        struct text name = text_of(metric_abouts[i].name);
        assert_true(text_starts_with(name, TEXT("turnpike_")));
        assert_int_equal(text_ends_with(name, TEXT("_total")), metric_abouts[i].kind == METRIC_KIND_COUNTER);
        assert_int_equal(text_find_char(text_of(metric_abouts[i].help), '\\'), TEXT_NONE);
        assert_int_equal(text_find_char(text_of(metric_abouts[i].help), '\n'), TEXT_NONE);
        for (int j = 0; j < i; j++)
            assert_false(text_equal(name, text_of(metric_abouts[j].name)));
    }
}

static void fixed_metrics_add_up_over_threads(void **state)
{
    struct metrics *metrics = *state;
    metric_add(metrics_thread(metrics, 0), METRIC_LOG_LINES_SUPPRESSED, 2);
    metric_add(metrics_thread(metrics, 2), METRIC_LOG_LINES_SUPPRESSED, 3);
    assert_int_equal(metric_total(metrics, METRIC_LOG_LINES_SUPPRESSED), 5);
    metric_add(metrics_thread(metrics, 0), METRIC_REQUESTS_IN_FLIGHT, 1);
    metric_subtract(metrics_thread(metrics, 1), METRIC_REQUESTS_IN_FLIGHT, 3);
    assert_int_equal((int64_t)metric_total(metrics, METRIC_REQUESTS_IN_FLIGHT), -2);
}

static void block_apart_is_not_added_up(void **state)
{
    struct metrics *metrics = *state;
    struct metric_series *series = series_claim(metrics, TEXT("r"), TEXT("s"));
    struct metric_thread *apart = metrics_apart(metrics);
    struct series_sample sample = {.status = 200, .attempts = 1};
    assert_ptr_equal(metrics_apart(metrics), apart);
    metric_add(apart, METRIC_REQUESTS_IN_FLIGHT, 1);
    series_record(apart, series->index, &sample);
    assert_int_equal(metric_total(metrics, METRIC_REQUESTS_IN_FLIGHT), 0);
    assert_int_equal(requests(metrics, series), 0);
}

static void attempts_failures_and_retries_are_counted(void **state)
{
    struct metrics *metrics = *state;
    struct metric_series *series = series_claim(metrics, TEXT("r"), TEXT("s"));
    static const uint32_t attempts[] = {0, 1, 1, 3}, failures[] = {0, 0, 1, 2};
    for (size_t i = 0; i < COUNT_OF(attempts); i++) {
        struct series_sample sample = {.attempts = attempts[i], .failures = failures[i]};
        series_record(metrics_thread(metrics, i % THREADS), series->index, &sample);
    }
    struct series_total total;
    series_sum(metrics, series, &total);
    assert_int_equal(total.attempts, 5);
    assert_int_equal(total.failures, 3);
    assert_int_equal(total.retries, 2);
}

static void memory_that_is_told_grows_with_series(void **state)
{
    struct metrics *metrics = *state;
    size_t before = metrics_bytes(metrics);
    record(metrics, 0, series_claim(metrics, TEXT("r"), TEXT("s")), 200);
    assert_true(metrics_bytes(metrics) >= before + sizeof(struct series_block));
}

static void record_counts_class_bytes_and_durations(void **state)
{
    struct metrics *metrics = *state;
    struct metric_series *series = series_claim(metrics, TEXT("r"), TEXT("s"));
    static const unsigned statuses[] = {0, 101, 200, 204, 301, 404, 500, 599, 600, 99999};
    for (size_t i = 0; i < COUNT_OF(statuses); i++)
        record(metrics, i % THREADS, series, statuses[i]);
    struct series_sample refused = {.status = 403,
                                    .total_ns = 1,
                                    .upstream_ns = -1,
                                    .own_ns = 7000,
                                    .queued_ns = 2000,
                                    .waited_ns = 30000};
    series_record(metrics_thread(metrics, 0), series->index, &refused);
    struct series_total total;
    series_sum(metrics, series, &total);
    static const uint64_t wanted[SERIES_STATUSES] = {3, 1, 2, 1, 2, 2};
    assert_memory_equal(total.requests, wanted, sizeof wanted);
    assert_int_equal(total.bytes_in, 100);
    assert_int_equal(total.bytes_out, 1000);
    assert_int_equal(total.total.count, 11);
    assert_int_equal(total.total.sum_ns, 20000001);
    assert_int_equal(total.upstream.count, 10); /* without the one that had no attempt */
    assert_int_equal(total.own.count, 11);
    assert_int_equal(total.own.sum_ns, 7000);
    assert_int_equal(total.own.buckets[1], 1); /* 5 to 10 us */
    assert_int_equal(total.queued.count, 11);
    assert_int_equal(total.queued.sum_ns, 2000);
    assert_int_equal(total.waited.count, 1); /* only where a policy waited */
    assert_int_equal(total.waited.buckets[3], 1);
}

static void same_names_are_the_same_series(void **state)
{
    struct metrics *metrics = *state;
    struct metric_series *a = series_claim(metrics, TEXT("r"), TEXT("s"));
    assert_ptr_equal(series_claim(metrics, TEXT("r"), TEXT("s")), a);
    assert_int_equal(a->claims, 2);
    assert_true(text_equal(a->route, TEXT("r")) && text_equal(a->service, TEXT("s")));
    static const char *const others[][2] = {{"rs", ""}, {"", "rs"}, {"r", ""}, {"s", "r"}, {"", ""}};
    for (size_t i = 0; i < COUNT_OF(others); i++)
        assert_ptr_not_equal(series_claim(metrics, text_of(others[i][0]), text_of(others[i][1])), a);
}

static void series_goes_on_counting_when_claimed_again(void **state)
{
    struct metrics *metrics = *state;
    struct metric_series *series = series_claim(metrics, TEXT("r"), TEXT("s"));
    record(metrics, 0, series, 200);
    struct metric_series *next =
        series_claim(metrics, TEXT("r"), TEXT("s")); /* a reload: the new snapshot claims first */
    series_unclaim(metrics, series);
    record(metrics, 1, next, 200);
    series_unclaim(metrics, next);
    series_unclaim(metrics, NULL);
    series = series_claim(metrics, TEXT("r"), TEXT("s")); /* also after a gap */
    assert_int_equal(requests(metrics, series), 2);
}

static void beyond_the_limit_all_share_the_overflow_series(void **state)
{
    struct metrics *metrics = *state;
    for (int i = 0; i < SERIES_MAX; i++)
        assert_int_not_equal(claim_number(metrics, i)->index, SERIES_OVERFLOW);
    struct metric_series *a = claim_number(metrics, SERIES_MAX), *b = claim_number(metrics, SERIES_MAX + 1);
    assert_ptr_equal(a, b);
    assert_int_equal(a->index, SERIES_OVERFLOW);
    assert_true(text_equal(a->route, TEXT("_overflow")));
    record(metrics, 0, a, 200);
    record(metrics, 1, b, 200);
    assert_int_equal(requests(metrics, a), 2);
    assert_int_equal(metric_total(metrics, METRIC_SERIES_OVERFLOWED), 2);
    assert_int_not_equal(claim_number(metrics, 5)->index, SERIES_OVERFLOW); /* known ones are found as ever */
    assert_ptr_not_equal(series_claim(metrics, TEXT("_overflow"), TEXT("_overflow")), NULL);
    series_unclaim(metrics, a);
    series_unclaim(metrics, b);
}

static void place_of_the_series_longest_unclaimed_is_taken_at_the_limit(void **state)
{
    struct metrics *metrics = *state;
    struct metric_series *series[SERIES_MAX];
    for (int i = 0; i < SERIES_MAX; i++)
        series[i] = claim_number(metrics, i);
    for (size_t thread = 0; thread < THREADS; thread++)
        record(metrics, thread, series[7], 200);
    uint32_t index = series[7]->index;
    series_unclaim(metrics, series[7]);
    series_unclaim(metrics, series[3]);
    struct metric_series *newcomer = claim_number(metrics, 1000);
    assert_int_equal(newcomer->index, index);
    assert_int_equal(requests(metrics, newcomer), 0);
    record(metrics, 0, newcomer, 200);
    assert_int_equal(requests(metrics, newcomer), 1);
    assert_ptr_equal(claim_number(metrics, 3), series[3]); /* no longer up for taking */
    assert_int_equal(claim_number(metrics, 7)->index, SERIES_OVERFLOW);
}

static void many_reloads_with_new_names_stay_bounded(void **state)
{
    struct metrics *metrics = *state;
    for (int i = 0; i < 10 * SERIES_MAX; i++) {
        struct metric_series *series = claim_number(metrics, i);
        record(metrics, 0, series, 200);
        assert_true(series->index > 0 && series->index <= SERIES_MAX);
        series_unclaim(metrics, series);
    }
    uint32_t cursor = 0, count = 0;
    while (series_next(metrics, &cursor))
        count++;
    assert_int_equal(count, SERIES_MAX + 1);
}

static void recording_allocates_only_on_first_use(void **state)
{
    struct metrics *metrics = *state;
    struct metric_series *series = series_claim(metrics, TEXT("r"), TEXT("s"));
    record(metrics, 0, series, 200);
    uint64_t before = memory_calls();
    for (int i = 0; i < 100; i++)
        record(metrics, 0, series, 200);
    assert_int_equal(memory_calls(), before);
}

static void without_memory_for_a_block_the_overflow_series_counts(void **state)
{
    struct metrics *metrics = *state;
    struct metric_series *series = series_claim(metrics, TEXT("r"), TEXT("s"));
    memory_fail_at(1);
    record(metrics, 0, series, 200);
    memory_fail_at(0);
    assert_int_equal(requests(metrics, series), 0);
    uint32_t cursor = 0;
    assert_int_equal(requests(metrics, series_next(metrics, &cursor)), 1);
}

static void claims_survive_each_failure_of_memory(void **state)
{
    struct metrics *metrics = *state;
    for (uint64_t nth = 1; nth < 8; nth++) {
        memory_fail_at(nth);
        struct metric_series *series = claim_number(metrics, (int)nth);
        memory_fail_at(0);
        record(metrics, 0, series, 200);
        assert_int_equal(requests(metrics, series) > 0, 1);
        series_unclaim(metrics, series);
    }
    struct error error = {0};
    for (uint64_t nth = 1; nth < 6; nth++) {
        memory_fail_at(nth);
        assert_null(metrics_new(THREADS, SERIES_MAX, &error));
        memory_fail_at(0);
        assert_int_equal(error.code, -ENOMEM);
    }
    metrics_free(NULL);
}

static void limit_of_zero_leaves_the_overflow_series(void **state)
{
    (void)state;
    struct error error;
    struct metrics *metrics = metrics_new(1, 0, &error);
    struct metric_series *series = series_claim(metrics, TEXT("r"), TEXT("s"));
    assert_int_equal(series->index, SERIES_OVERFLOW);
    record(metrics, 0, series, 200);
    metrics_free(metrics);
}

static void export_holds_fixed_metrics_and_used_series(void **state)
{
    struct metrics *metrics = *state;
    struct metric_series *used = series_claim(metrics, TEXT("a \"route\""), TEXT("orders"));
    (void)series_claim(metrics, TEXT("unused"), TEXT("orders"));
    record(metrics, 0, used, 200);
    record(metrics, 1, used, 503);
    metric_add(metrics_thread(metrics, 0), METRIC_LOG_LINES_SUPPRESSED, 2);
    struct prometheus writer;
    struct text text;
    prometheus_init(&writer, PROMETHEUS_TEXT, 1 << 20);
    metrics_write(metrics, &writer);
    assert_true(prometheus_finish(&writer, &text));
    static const char *const wanted[] = {
        "# TYPE turnpike_log_lines_suppressed_total counter\nturnpike_log_lines_suppressed_total 2\n",
        "# TYPE turnpike_requests_in_flight gauge\nturnpike_requests_in_flight 0\n",
        "# TYPE turnpike_requests_total counter\n",
        "turnpike_requests_total{route=\"a \\\"route\\\"\",service=\"orders\",status=\"2xx\"} 1\n",
        "turnpike_requests_total{route=\"a \\\"route\\\"\",service=\"orders\",status=\"5xx\"} 1\n",
        "turnpike_response_bytes_total{route=\"a \\\"route\\\"\",service=\"orders\"} 200\n",
        "turnpike_request_duration_seconds_bucket{route=\"a \\\"route\\\"\",service=\"orders\",le=\"0.0025\"} 2\n",
        "turnpike_upstream_duration_seconds_sum{route=\"a \\\"route\\\"\",service=\"orders\"} 0.002\n",
    };
    for (size_t i = 0; i < COUNT_OF(wanted); i++)
        if (text_find(text, text_of(wanted[i])) == TEXT_NONE)
            fail_msg("missing: %s", wanted[i]);
    assert_int_equal(text_find(text, TEXT("unused")), TEXT_NONE);
    assert_int_equal(text_find(text, TEXT("_overflow\"")), TEXT_NONE);
    prometheus_release(&writer);
}

struct worker {
    struct metrics *metrics;
    size_t number;
    _Atomic(struct metric_series *) *published; /* as a snapshot would be */
    _Atomic bool *stop;
    uint64_t records;
};

static void *work(void *argument)
{
    struct worker *worker = argument;
    do {
        struct metric_series *series = atomic_load_explicit(worker->published, memory_order_acquire);
        record(worker->metrics, worker->number, series, 200);
        worker->records++;
    } while (!atomic_load(worker->stop) || worker->records < RECORDS);
    return NULL;
}

static void claims_and_exports_run_beside_recording_workers(void **state)
{
    struct metrics *metrics = *state;
    _Atomic(struct metric_series *) published = claim_number(metrics, 0);
    _Atomic bool stop = false;
    struct worker workers[THREADS - 1];
    pthread_t threads[THREADS - 1];
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        workers[i] = (struct worker){.metrics = metrics, .number = i, .published = &published, .stop = &stop};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 1; i < SERIES_MAX; i++) { /* grows into new chunks */
        atomic_store_explicit(&published, claim_number(metrics, i), memory_order_release);
        struct prometheus writer;
        prometheus_init(&writer, PROMETHEUS_TEXT, 8 << 20);
        if (i % 50 == 0)
            metrics_write(metrics, &writer);
        prometheus_release(&writer);
    }
    atomic_store(&stop, true);
    uint64_t recorded = 0, counted = 0;
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        pthread_join(threads[i], NULL);
        recorded += workers[i].records;
    }
    uint32_t cursor = 0;
    for (const struct metric_series *series; (series = series_next(metrics, &cursor));)
        counted += requests(metrics, series);
    assert_int_equal(recorded, counted);
}

int main(void)
{
#define METRICS_TEST(name) cmocka_unit_test_setup_teardown(name, make_metrics, free_metrics)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_follow_the_rules),
        METRICS_TEST(fixed_metrics_add_up_over_threads),
        METRICS_TEST(block_apart_is_not_added_up),
        METRICS_TEST(attempts_failures_and_retries_are_counted),
        METRICS_TEST(memory_that_is_told_grows_with_series),
        METRICS_TEST(record_counts_class_bytes_and_durations),
        METRICS_TEST(same_names_are_the_same_series),
        METRICS_TEST(series_goes_on_counting_when_claimed_again),
        METRICS_TEST(beyond_the_limit_all_share_the_overflow_series),
        METRICS_TEST(place_of_the_series_longest_unclaimed_is_taken_at_the_limit),
        METRICS_TEST(many_reloads_with_new_names_stay_bounded),
        METRICS_TEST(recording_allocates_only_on_first_use),
        METRICS_TEST(without_memory_for_a_block_the_overflow_series_counts),
        METRICS_TEST(claims_survive_each_failure_of_memory),
        cmocka_unit_test(limit_of_zero_leaves_the_overflow_series),
        METRICS_TEST(export_holds_fixed_metrics_and_used_series),
        METRICS_TEST(claims_and_exports_run_beside_recording_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
