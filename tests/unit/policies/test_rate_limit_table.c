/* Counts of rate limits: each algorithm by the clock, several threads on the same keys, a table that is full. */
#include "unit.h"

#include <pthread.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/time.h"
#include "policies/rate_limit_table.h"

enum { THREADS = 4, MINUTE_MS = 60000 };

static const int64_t minute_start_ns = 28000000ll * MINUTE_MS * NS_PER_MS;

static struct rate_clock at_ms(int64_t ms)
{
    return (struct rate_clock){minute_start_ns + ms * NS_PER_MS, NS_PER_SECOND + ms * NS_PER_MS};
}

struct fixture {
    struct rate_table *table;
    struct rate_rule rule;
    struct rate_answer answer;
};

static struct fixture begin(enum rate_algorithm algorithm, int64_t window_ms, int64_t limit, int64_t burst)
{
    struct fixture f = {.table = rate_table_new(algorithm, window_ms, 1000)};
    assert_non_null(f.table);
    assert_true(rate_rule_init(&f.rule, f.table, limit, burst));
    return f;
}

static bool take_key(struct fixture *f, uint64_t key, int64_t ms, uint64_t cost)
{
    struct rate_clock clock = at_ms(ms);
    struct rate_entry *entry = rate_table_find(f->table, hash_mix(key), &clock);
    assert_non_null(entry);
    return rate_take(f->table, entry, &f->rule, &clock, cost, true, &f->answer);
}

static bool take(struct fixture *f, int64_t ms)
{
    return take_key(f, 1, ms, 1);
}

static unsigned take_many(struct fixture *f, int64_t ms, unsigned tries)
{
    unsigned passed = 0;
    for (unsigned i = 0; i < tries; i++)
        passed += take(f, ms);
    return passed;
}

static void a_fixed_window_allows_its_limit_and_starts_anew_at_the_minute(void **state)
{
    (void)state;
    struct fixture f = begin(RATE_FIXED_WINDOW, MINUTE_MS, 3, 0);
    assert_true(take(&f, 1000));
    assert_int_equal(f.answer.remaining, 2);
    assert_int_equal(f.answer.reset_ns, 59 * NS_PER_SECOND);
    assert_int_equal(take_many(&f, 2000, 5), 2);
    assert_false(f.answer.allowed);
    assert_int_equal(f.answer.remaining, 0);
    assert_int_equal(f.answer.retry_ns, 58 * NS_PER_SECOND);
    assert_int_equal(take_many(&f, MINUTE_MS - 1, 5), 0);
    assert_int_equal(take_many(&f, MINUTE_MS, 5), 3);
    rate_table_free(f.table);
}

static void a_sliding_window_fades_out(void **state)
{
    (void)state;
    struct fixture f = begin(RATE_SLIDING_WINDOW, MINUTE_MS, 100, 0);
    assert_int_equal(take_many(&f, MINUTE_MS - 1, 200), 100);
    assert_int_equal(f.answer.retry_ns / NS_PER_MS, 1 + 600); /* until one hundredth of a minute has faded */
    assert_int_equal(take_many(&f, MINUTE_MS, 200), 0);
    int64_t retry_ms = (f.answer.retry_ns + NS_PER_MS - 1) / NS_PER_MS;
    assert_in_range(retry_ms, 600, 601);
    assert_int_equal(take_many(&f, MINUTE_MS + retry_ms, 200), 1);
    assert_int_equal(take_many(&f, MINUTE_MS + MINUTE_MS / 2, 200), 49);
    assert_int_equal(take_many(&f, 3 * MINUTE_MS, 200), 100);
    rate_table_free(f.table);
}

static void a_token_bucket_lets_a_burst_through_and_then_an_even_rate(void **state)
{
    (void)state;
    struct fixture f = begin(RATE_TOKEN_BUCKET, 1000, 10, 5);
    assert_int_equal(take_many(&f, 0, 20), 5);
    assert_int_equal(f.answer.retry_ns, 100 * NS_PER_MS);
    assert_int_equal(f.answer.reset_ns, 500 * NS_PER_MS);
    assert_false(take(&f, 99));
    assert_true(take(&f, 100));
    assert_false(take(&f, 199));
    assert_int_equal(take_many(&f, 400, 20), 3);
    assert_int_equal(take_many(&f, 60000, 20), 5);
    rate_table_free(f.table);
}

static void a_cost_counts_and_one_above_the_limit_never_fits(void **state)
{
    (void)state;
    for (int algorithm = RATE_FIXED_WINDOW; algorithm <= RATE_TOKEN_BUCKET; algorithm++) {
        struct fixture f = begin((enum rate_algorithm)algorithm, MINUTE_MS, 10, 0);
        assert_true(take_key(&f, 1, 0, 7));
        assert_int_equal(f.answer.remaining, 3);
        assert_false(take_key(&f, 1, 0, 4));
        assert_true(take_key(&f, 1, 0, 0));
        assert_true(take_key(&f, 1, 0, 3));
        assert_true(take_key(&f, 1, 0, 0));
        assert_false(take_key(&f, 2, 0, 11));
        assert_false(take_key(&f, 2, 0, UINT64_MAX));
        assert_true(f.answer.retry_ns > 0);
        assert_int_equal(f.answer.remaining, 10);
        rate_table_free(f.table);
    }
}

static void asking_changes_nothing_and_a_refund_gives_back(void **state)
{
    (void)state;
    for (int algorithm = RATE_FIXED_WINDOW; algorithm <= RATE_TOKEN_BUCKET; algorithm++) {
        struct fixture f = begin((enum rate_algorithm)algorithm, MINUTE_MS, 10, 0);
        struct rate_clock clock = at_ms(30);
        struct rate_entry *entry = rate_table_find(f.table, 7, &clock);
        assert_true(rate_take(f.table, entry, &f.rule, &clock, 4, false, &f.answer));
        assert_int_equal(f.answer.remaining, 6);
        assert_true(rate_take(f.table, entry, &f.rule, &clock, 10, true, &f.answer));
        rate_refund(f.table, entry, &f.rule, 10, &f.answer);
        assert_true(rate_take(f.table, entry, &f.rule, &clock, 10, true, &f.answer));
        assert_false(rate_take(f.table, entry, &f.rule, &clock, 1, true, &f.answer));
        rate_table_free(f.table);
    }
}

static void a_lower_limit_holds_for_what_was_counted_before(void **state)
{
    (void)state;
    struct fixture f = begin(RATE_FIXED_WINDOW, MINUTE_MS, 10, 0);
    assert_int_equal(take_many(&f, 0, 8), 8);
    assert_true(rate_rule_init(&f.rule, f.table, 5, 0));
    assert_false(take(&f, 0));
    assert_int_equal(f.answer.remaining, 0);
    assert_true(rate_rule_init(&f.rule, f.table, 12, 0));
    assert_int_equal(take_many(&f, 0, 8), 4);
    rate_table_free(f.table);
}

static void a_worker_whose_clock_lags_joins_the_newest_window(void **state)
{
    (void)state;
    for (int algorithm = RATE_FIXED_WINDOW; algorithm <= RATE_SLIDING_WINDOW; algorithm++) {
        struct fixture f = begin((enum rate_algorithm)algorithm, MINUTE_MS, 4, 0);
        assert_int_equal(take_many(&f, MINUTE_MS, 3), 3);
        assert_int_equal(take_many(&f, MINUTE_MS - 1, 3), 1);
        assert_int_equal(take_many(&f, MINUTE_MS, 3), 0);
        rate_table_free(f.table);
    }
}

static void a_wall_clock_that_was_set_back_does_not_lock_a_key_out(void **state)
{
    (void)state;
    for (int algorithm = RATE_FIXED_WINDOW; algorithm <= RATE_SLIDING_WINDOW; algorithm++) {
        struct fixture f = begin((enum rate_algorithm)algorithm, 1000, 4, 0);
        assert_int_equal(take_many(&f, 3600000, 5), 4);
        assert_int_equal(take_many(&f, 0, 5), 4);
        rate_table_free(f.table);
    }
}

static void rules_that_cannot_be_counted_are_refused(void **state)
{
    (void)state;
    struct fixture f = begin(RATE_TOKEN_BUCKET, 1000, 1000000000, 0);
    assert_false(rate_rule_init(&f.rule, f.table, 2000000000, 0));
    rate_table_free(f.table);
    f = begin(RATE_TOKEN_BUCKET, RATE_WINDOW_MS_MAX, 1, 50);
    assert_false(rate_rule_init(&f.rule, f.table, 1, 60));
    rate_table_free(f.table);
}

static void keys_are_counted_apart(void **state)
{
    (void)state;
    struct fixture f = begin(RATE_FIXED_WINDOW, MINUTE_MS, 2, 0);
    for (unsigned round = 0; round < 3; round++)
        for (uint64_t key = 0; key < 1000; key++)
            assert_int_equal(take_key(&f, key, 0, 1), round < 2);
    assert_int_equal(atomic_load(&f.table->used), 1000);
    assert_int_equal(atomic_load(&f.table->evictions), 0);
    rate_table_free(f.table);
}

static void entries_whose_window_is_over_are_used_again(void **state)
{
    (void)state;
    for (int algorithm = RATE_FIXED_WINDOW; algorithm <= RATE_TOKEN_BUCKET; algorithm++) {
        struct fixture f = begin((enum rate_algorithm)algorithm, MINUTE_MS, 1, 0);
        for (uint64_t key = 0; key < 20000;
             key++) /* 500 in each minute, twice that many live in a sliding window */
            assert_true(take_key(&f, key, (int64_t)(key / 500) * MINUTE_MS, 1));
        assert_int_equal(atomic_load(&f.table->evictions), 0);
        rate_table_free(f.table);
    }
}

static void a_full_table_forgets_the_oldest_and_counts_it(void **state)
{
    (void)state;
    struct fixture f = begin(RATE_FIXED_WINDOW, MINUTE_MS, 1, 0);
    for (uint64_t key = 0; key < 20000; key++)
        assert_true(take_key(&f, key, 0, 1));
    uint64_t used = atomic_load(&f.table->used), evictions = atomic_load(&f.table->evictions);
    assert_true(used >= 1000 && used <= 2000 + RATE_PROBES);
    assert_int_equal(used + evictions, 20000);
    assert_false(take_key(&f, 19999, 0, 1));
    rate_table_free(f.table);
}

static void finding_a_key_allocates_only_once(void **state)
{
    (void)state;
    struct fixture f = begin(RATE_FIXED_WINDOW, MINUTE_MS, 5, 0);
    take(&f, 0);
    uint64_t before = memory_calls();
    for (uint64_t key = 0; key < 5000; key++)
        take_key(&f, key, 0, 1);
    assert_int_equal(memory_calls(), before);
    rate_table_free(f.table);
}

static void without_memory_there_is_no_entry(void **state)
{
    (void)state;
    struct rate_clock clock = at_ms(0);
    memory_fail_at(1);
    assert_null(rate_table_new(RATE_FIXED_WINDOW, MINUTE_MS, 10));
    struct fixture f = begin(RATE_FIXED_WINDOW, MINUTE_MS, 5, 0);
    memory_fail_at(1);
    assert_null(rate_table_find(f.table, 1, &clock));
    assert_non_null(rate_table_find(f.table, 1, &clock));
    rate_table_free(f.table);
    rate_table_free(NULL);
}

/* --- threads --- */

enum { KEYS = 200, LIMIT = 50, TRIES = LIMIT * 2 };

struct crowd {
    struct rate_table *tables[2];
    struct rate_rule rules[2];
    unsigned tables_count;
    pthread_barrier_t start;
    _Atomic unsigned passed[KEYS];
};

/* As the policy takes from several limits: what cannot be taken from the second is given back to the first. */
static bool take_from_all(struct crowd *crowd, uint64_t hash, const struct rate_clock *clock)
{
    struct rate_answer answers[2];
    struct rate_entry *entries[2];
    for (unsigned i = 0; i < crowd->tables_count; i++) {
        entries[i] = rate_table_find(crowd->tables[i], hash, clock);
        CHECK(entries[i]);
        if (rate_take(crowd->tables[i], entries[i], &crowd->rules[i], clock, 1, true, &answers[i]))
            continue;
        while (i-- > 0)
            rate_refund(crowd->tables[i], entries[i], &crowd->rules[i], 1, &answers[i]);
        return false;
    }
    return true;
}

static void *push(void *crowd_)
{
    struct crowd *crowd = crowd_;
    struct rate_clock clock = at_ms(5);
    pthread_barrier_wait(&crowd->start);
    for (unsigned key = 0; key < KEYS; key++) /* every key is new to all of them at nearly the same moment */
        for (unsigned i = 0; i < TRIES; i++)
            if (take_from_all(crowd, hash_mix(key + 1), &clock))
                atomic_fetch_add_explicit(&crowd->passed[key], 1, memory_order_relaxed);
    return NULL;
}

static void run_crowd(struct crowd *crowd)
{
    pthread_t threads[THREADS];
    assert_int_equal(pthread_barrier_init(&crowd->start, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, push, crowd), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&crowd->start);
}

static void threads_together_take_exactly_the_limit(void **state)
{
    (void)state;
    for (int algorithm = RATE_FIXED_WINDOW; algorithm <= RATE_TOKEN_BUCKET; algorithm++) {
        struct fixture f = begin((enum rate_algorithm)algorithm, MINUTE_MS, LIMIT, 0);
        struct crowd crowd = {.tables = {f.table}, .rules = {f.rule}, .tables_count = 1};
        run_crowd(&crowd);
        for (unsigned key = 0; key < KEYS; key++)
            assert_int_equal(atomic_load(&crowd.passed[key]), LIMIT);
        assert_int_equal(atomic_load(&f.table->used), KEYS);
        rate_table_free(f.table);
    }
}

static void threads_never_take_more_than_the_lowest_of_several_limits(void **state)
{
    (void)state;
    struct fixture wide = begin(RATE_TOKEN_BUCKET, MINUTE_MS, LIMIT, 0),
                   narrow = begin(RATE_SLIDING_WINDOW, MINUTE_MS, LIMIT / 2, 0);
    struct crowd crowd = {
        .tables = {wide.table, narrow.table}, .rules = {wide.rule, narrow.rule}, .tables_count = 2};
    run_crowd(&crowd);
    for (unsigned key = 0; key < KEYS; key++) {
        assert_int_equal(atomic_load(&crowd.passed[key]), LIMIT / 2);
        struct rate_clock clock = at_ms(5); /* all that was given back is there again */
        struct rate_entry *entry = rate_table_find(wide.table, hash_mix(key + 1), &clock);
        rate_take(wide.table, entry, &wide.rule, &clock, 0, false, &wide.answer);
        assert_int_equal(wide.answer.remaining, LIMIT / 2);
    }
    rate_table_free(wide.table);
    rate_table_free(narrow.table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fixed_window_allows_its_limit_and_starts_anew_at_the_minute),
        cmocka_unit_test(a_sliding_window_fades_out),
        cmocka_unit_test(a_token_bucket_lets_a_burst_through_and_then_an_even_rate),
        cmocka_unit_test(a_cost_counts_and_one_above_the_limit_never_fits),
        cmocka_unit_test(asking_changes_nothing_and_a_refund_gives_back),
        cmocka_unit_test(a_lower_limit_holds_for_what_was_counted_before),
        cmocka_unit_test(a_worker_whose_clock_lags_joins_the_newest_window),
        cmocka_unit_test(a_wall_clock_that_was_set_back_does_not_lock_a_key_out),
        cmocka_unit_test(rules_that_cannot_be_counted_are_refused),
        cmocka_unit_test(keys_are_counted_apart),
        cmocka_unit_test(entries_whose_window_is_over_are_used_again),
        cmocka_unit_test(a_full_table_forgets_the_oldest_and_counts_it),
        cmocka_unit_test(finding_a_key_allocates_only_once),
        cmocka_unit_test(without_memory_there_is_no_entry),
        cmocka_unit_test(threads_together_take_exactly_the_limit),
        cmocka_unit_test(threads_never_take_more_than_the_lowest_of_several_limits),
    };
    return RUN_TESTS(tests);
}
