/* The breaker: what opens it, for how long, who may try, what closes it, and that threads agree. */
#include "unit.h"

#include <pthread.h>

#include "base/check.h"
#include "base/random.h"
#include "upstream/breaker.h"
#include "upstream/fault.h"

static struct breaker breaker;
static struct breaker_rules rules;

static int begin(void **state)
{
    (void)state;
    random_seed(1);
    breaker = (struct breaker){0};
    rules = (struct breaker_rules){.window_ms = 10000,
                                   .failures = 3,
                                   .requests = 10,
                                   .open_ms = 1000,
                                   .open_max_ms = 8000,
                                   .probes = 1,
                                   .successes = 1,
                                   .retry_after = true};
    return 0;
}

/* A request from start to end. */
static bool request(enum breaker_result result, int64_t now_ms)
{
    struct breaker_pass pass;
    if (!breaker_pass(&breaker, &rules, now_ms, &pass))
        return false;
    breaker_report(&breaker, &rules, &pass, result, 0, now_ms);
    return true;
}

static void fail_until_open(int64_t now_ms)
{
    for (int i = 0; i < 100 && breaker_state(&breaker, now_ms) != BREAKER_OPEN; i++)
        request(BREAKER_BAD, now_ms);
    assert_int_equal(breaker_state(&breaker, now_ms), BREAKER_OPEN);
}

/* --- what opens it --- */

static void test_failures_by_number_open_it(void **state)
{
    char reason[128];
    (void)state;
    request(BREAKER_BAD, 20000);
    request(BREAKER_GOOD, 20001);
    request(BREAKER_BAD, 20002);
    assert_int_equal(breaker_state(&breaker, 20002), BREAKER_CLOSED);
    request(BREAKER_BAD, 20003);
    assert_int_equal(breaker_state(&breaker, 20003), BREAKER_OPEN);
    assert_false(request(BREAKER_GOOD, 20004));
    assert_int_equal(breaker.refused, 1);
    assert_int_equal(breaker.openings, 1);
    assert_text(breaker_reason(&breaker, reason), "3 requests failed within the window");
}

static void test_failures_that_are_far_apart_do_not(void **state)
{
    (void)state;
    for (int64_t now_ms = 20000; now_ms < 100000; now_ms += 6000)
        request(BREAKER_BAD, now_ms);
    assert_int_equal(breaker.openings, 0);
}

static void test_a_share_opens_it_once_there_are_enough(void **state)
{
    char reason[128];
    (void)state;
    rules.failures = 0;
    rules.ratio = 0.5;
    for (int i = 0; i < 9; i++)
        request(i % 2 ? BREAKER_GOOD : BREAKER_BAD, 20000);
    assert_int_equal(breaker_state(&breaker, 20000), BREAKER_CLOSED);
    request(BREAKER_BAD, 20000);
    assert_int_equal(breaker_state(&breaker, 20000), BREAKER_OPEN);
    assert_text(breaker_reason(&breaker, reason), "6 of 10 requests failed");
}

static void test_a_share_below_the_limit_does_not(void **state)
{
    (void)state;
    rules.failures = 0;
    rules.ratio = 0.5;
    for (int i = 0; i < 300; i++)
        request(i % 3 ? BREAKER_GOOD : BREAKER_BAD, 20000 + i);
    assert_int_equal(breaker.openings, 0);
}

static void test_slow_answers_open_it(void **state)
{
    char reason[128];
    (void)state;
    rules.slow_ms = 100;
    rules.slow_ratio = 0.8;
    for (int i = 0; i < 10; i++)
        request(i < 2 ? BREAKER_GOOD : BREAKER_SLOW, 20000);
    assert_int_equal(breaker_state(&breaker, 20000), BREAKER_OPEN);
    assert_text(breaker_reason(&breaker, reason), "8 of 10 requests were slow");
}

static void test_what_is_unknown_counts_for_nothing(void **state)
{
    (void)state;
    rules.failures = 0;
    rules.ratio = 1;
    for (int i = 0; i < 100; i++)
        request(BREAKER_UNKNOWN, 20000);
    for (int i = 0; i < 9; i++)
        request(BREAKER_BAD, 20000);
    assert_int_equal(breaker.openings, 0);
    request(BREAKER_BAD, 20000);
    assert_int_equal(breaker.openings, 1);
}

static void test_an_answer_that_breaks_off_becomes_a_failure(void **state)
{
    (void)state;
    rules.failures = 0;
    rules.ratio = 1;
    for (int i = 0; i < 10; i++) {
        request(BREAKER_GOOD, 20000);
        breaker_amend(&breaker, &rules, 20000);
    }
    assert_int_equal(breaker.openings, 1);
}

/* --- for how long --- */

static void test_it_stays_open_for_its_time_and_doubles_it_up_to_a_limit(void **state)
{
    static const int64_t wanted[] = {1000, 2000, 4000, 8000, 8000};
    int64_t now_ms = 20000;
    (void)state;
    fail_until_open(now_ms);
    for (size_t i = 0; i < COUNT_OF(wanted); i++) {
        assert_int_equal(breaker_wait_ms(&breaker, now_ms), wanted[i]);
        assert_false(request(BREAKER_GOOD, now_ms + wanted[i] - 1));
        now_ms += wanted[i];
        assert_int_equal(breaker_state(&breaker, now_ms), BREAKER_HALF_OPEN);
        assert_true(request(BREAKER_BAD, now_ms));
        assert_int_equal(breaker_state(&breaker, now_ms), BREAKER_OPEN);
    }
}

static void test_growth_ends_when_it_stayed_closed_long_enough(void **state)
{
    (void)state;
    fail_until_open(20000);
    assert_true(request(BREAKER_BAD, 21000)); /* open for 2 s now */
    assert_true(request(BREAKER_GOOD, 23000));
    fail_until_open(24999); /* flapping: closed for less than it had been open */
    assert_int_equal(breaker_wait_ms(&breaker, 24999), 4000);
    assert_true(request(BREAKER_GOOD, 29000));
    fail_until_open(33000);
    assert_int_equal(breaker_wait_ms(&breaker, 33000), 1000);
}

static void test_jitter_makes_it_longer_within_its_share(void **state)
{
    int64_t least = INT64_MAX, most = 0;
    (void)state;
    rules.jitter = 0.5;
    for (int i = 0; i < 200; i++) {
        breaker = (struct breaker){0};
        fail_until_open(20000);
        least = MIN_OF(least, breaker_wait_ms(&breaker, 20000));
        most = MAX_OF(most, breaker_wait_ms(&breaker, 20000));
    }
    assert_in_range(least, 1000, 1050);
    assert_in_range(most, 1450, 1500);
}

static void open_with_retry_after(int64_t retry_after_ms)
{
    for (int i = 0; i < 3; i++) {
        struct breaker_pass pass;
        assert_true(breaker_pass(&breaker, &rules, 20000, &pass));
        breaker_report(&breaker, &rules, &pass, BREAKER_BAD, retry_after_ms, 20000);
    }
}

static void test_retry_after_is_honoured_within_the_limit(void **state)
{
    (void)state;
    open_with_retry_after(5000);
    assert_int_equal(breaker_wait_ms(&breaker, 20000), 5000);
    begin(state);
    open_with_retry_after(60000);
    assert_int_equal(breaker_wait_ms(&breaker, 20000), 8000);
    begin(state);
    open_with_retry_after(10); /* never shorter than its own time */
    assert_int_equal(breaker_wait_ms(&breaker, 20000), 1000);
    begin(state);
    rules.retry_after = false;
    open_with_retry_after(5000);
    assert_int_equal(breaker_wait_ms(&breaker, 20000), 1000);
}

/* --- who may try --- */

static void test_only_so_many_try_at_once(void **state)
{
    struct breaker_pass passes[4];
    (void)state;
    rules.probes = 3;
    fail_until_open(20000);
    for (int i = 0; i < 3; i++)
        assert_true(breaker_pass(&breaker, &rules, 21000, &passes[i]));
    assert_false(breaker_would_pass(&breaker, &rules, 21000));
    assert_false(breaker_pass(&breaker, &rules, 21000, &passes[3]));
    breaker_report(&breaker, &rules, &passes[0], BREAKER_UNKNOWN, 0,
                   21001); /* its client left: the place is free */
    assert_true(breaker_pass(&breaker, &rules, 21001, &passes[3]));
    assert_false(breaker_would_pass(&breaker, &rules, 21001));
}

static void test_enough_successes_close_it_and_what_was_before_is_forgotten(void **state)
{
    (void)state;
    rules.successes = 2;
    fail_until_open(20000);
    assert_true(request(BREAKER_GOOD, 21000));
    assert_int_equal(breaker_state(&breaker, 21000), BREAKER_HALF_OPEN);
    assert_true(request(BREAKER_GOOD, 21000));
    assert_int_equal(breaker_state(&breaker, 21000), BREAKER_CLOSED);
    request(BREAKER_BAD, 21001);
    request(BREAKER_BAD, 21002);
    assert_int_equal(breaker_state(&breaker, 21002), BREAKER_CLOSED);
}

static void test_a_slow_answer_of_who_tries_opens_it_again(void **state)
{
    (void)state;
    fail_until_open(20000);
    assert_true(request(BREAKER_SLOW, 21000));
    assert_int_equal(breaker_state(&breaker, 21000), BREAKER_OPEN);
}

static void test_it_never_sticks_when_who_tries_says_nothing(void **state)
{
    struct breaker_pass lost, next;
    (void)state;
    fail_until_open(20000);
    assert_true(breaker_pass(&breaker, &rules, 21000, &lost)); /* an answer that does not end */
    assert_false(breaker_pass(&breaker, &rules, 21999, &next));
    assert_true(breaker_pass(&breaker, &rules, 22000, &next));
    breaker_report(&breaker, &rules, &lost, BREAKER_UNKNOWN, 0,
                   22001); /* gives back no place of the new period */
    assert_false(breaker_would_pass(&breaker, &rules, 22001));
    breaker_report(&breaker, &rules, &next, BREAKER_GOOD, 0, 22002);
    assert_int_equal(breaker_state(&breaker, 22002), BREAKER_CLOSED);
}

static void test_a_success_that_comes_late_closes_it_all_the_same(void **state)
{
    struct breaker_pass slow, next;
    (void)state;
    fail_until_open(20000);
    assert_true(breaker_pass(&breaker, &rules, 21000, &slow));
    assert_true(breaker_pass(&breaker, &rules, 22000, &next));
    breaker_report(&breaker, &rules, &slow, BREAKER_GOOD, 0, 22500);
    assert_int_equal(breaker_state(&breaker, 22500), BREAKER_CLOSED);
    breaker_report(&breaker, &rules, &next, BREAKER_BAD, 0, 22600); /* too late to matter */
    assert_int_equal(breaker_state(&breaker, 22600), BREAKER_CLOSED);
}

static void test_who_passed_before_it_opened_says_nothing_new(void **state)
{
    struct breaker_pass early[10];
    (void)state;
    for (int i = 0; i < 10; i++)
        assert_true(breaker_pass(&breaker, &rules, 20000, &early[i]));
    for (int i = 0; i < 10; i++)
        breaker_report(&breaker, &rules, &early[i], BREAKER_BAD, 0, 20000 + i);
    assert_int_equal(breaker.openings, 1);
    assert_int_equal(breaker_wait_ms(&breaker, 20002), 1000);
}

static void test_a_pass_is_taken_back_once(void **state)
{
    struct breaker_pass pass;
    (void)state;
    rules.failures = 2;
    assert_true(breaker_pass(&breaker, &rules, 20000, &pass));
    breaker_report(&breaker, &rules, &pass, BREAKER_BAD, 0, 20000);
    breaker_report(&breaker, &rules, &pass, BREAKER_BAD, 0, 20000);
    assert_int_equal(breaker.openings, 0);
}

/* --- threads --- */

enum { THREADS = 4, ROUNDS = 2000 };
static _Atomic int trying, most_trying, passed, opened;

static void *try_at_once(void *argument)
{
    struct breaker_pass pass;
    (void)argument;
    for (int i = 0; i < ROUNDS; i++) {
        if (!breaker_pass(&breaker, &rules, 21000, &pass))
            continue;
        int now = atomic_fetch_add(&trying, 1) + 1, most = atomic_load(&most_trying);
        while (now > most && !atomic_compare_exchange_weak(&most_trying, &most, now))
            continue;
        atomic_fetch_add(&passed, 1);
        atomic_fetch_sub(&trying, 1);
        breaker_report(&breaker, &rules, &pass, BREAKER_UNKNOWN, 0, 21000);
    }
    return NULL;
}

static void run_threads(void *(*run)(void *))
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void test_threads_never_try_in_greater_number(void **state)
{
    (void)state;
    rules.probes = 2;
    fail_until_open(20000);
    trying = most_trying = passed = 0;
    run_threads(try_at_once);
    assert_true(passed > 0);
    assert_in_range(most_trying, 1, 2);
}

static void *fail_once_each(void *argument)
{
    struct breaker_pass pass;
    (void)argument;
    for (int i = 0; i < ROUNDS; i++)
        if (breaker_pass(&breaker, &rules, 20000, &pass)
            && breaker_report(&breaker, &rules, &pass, BREAKER_BAD, 0, 20000))
            atomic_fetch_add(&opened, 1);
    return NULL;
}

static void test_threads_open_it_once(void **state)
{
    (void)state;
    opened = 0;
    run_threads(fail_once_each);
    assert_int_equal(opened, 1);
    assert_int_equal(breaker.openings, 1);
    assert_int_equal(breaker.row, 1);
}

#define CASE(test) cmocka_unit_test_setup(test, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_failures_by_number_open_it),
        CASE(test_failures_that_are_far_apart_do_not),
        CASE(test_a_share_opens_it_once_there_are_enough),
        CASE(test_a_share_below_the_limit_does_not),
        CASE(test_slow_answers_open_it),
        CASE(test_what_is_unknown_counts_for_nothing),
        CASE(test_an_answer_that_breaks_off_becomes_a_failure),
        CASE(test_it_stays_open_for_its_time_and_doubles_it_up_to_a_limit),
        CASE(test_growth_ends_when_it_stayed_closed_long_enough),
        CASE(test_jitter_makes_it_longer_within_its_share),
        CASE(test_retry_after_is_honoured_within_the_limit),
        CASE(test_only_so_many_try_at_once),
        CASE(test_enough_successes_close_it_and_what_was_before_is_forgotten),
        CASE(test_a_slow_answer_of_who_tries_opens_it_again),
        CASE(test_it_never_sticks_when_who_tries_says_nothing),
        CASE(test_a_success_that_comes_late_closes_it_all_the_same),
        CASE(test_who_passed_before_it_opened_says_nothing_new),
        CASE(test_a_pass_is_taken_back_once),
        CASE(test_threads_never_try_in_greater_number),
        CASE(test_threads_open_it_once),
    };
    return RUN_TESTS(tests);
}
