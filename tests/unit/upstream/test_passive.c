/* Passive health: what counts, ejection and its growth, the share, latencies, panic. */
#include "upstream/upstream_test.h"

#include "base/random.h"

#define TWO "endpoints: [\"http://127.0.0.1:1\", \"http://127.0.0.1:2\"]\n"
#define FOUR                                                                                                 \
    "endpoints: [\"http://127.0.0.1:1\", \"http://127.0.0.1:2\", \"http://127.0.0.1:3\", \"http://127.0.0.1:4\"]\n"

static const struct try_report good = {.status = 200, .latency_ns = 1000000};

static bool ejects(struct fixture *f, uint32_t index, struct try_report report, int64_t now_ms)
{
    return passive_report(f->service, endpoint_at(f, index), &report, now_ms);
}

/* Index of the endpoint that was chosen, or what it was instead, negative. */
static int admit(struct fixture *f, int64_t now_ms, struct admission *admission)
{
    static const struct pick nothing;
    struct picked picked;
    enum admit result = service_admit(f->service, &nothing, now_ms, &picked, admission);
    for (uint32_t i = 0; result == ADMIT_FINE && i < f->service->set->count; i++)
        if (endpoint_at(f, i) == picked.endpoint)
            return (int)i;
    return -(int)result;
}

static void test_listed_statuses_are_failures(void **state)
{
    struct fixture *f = *state;
    build(f, TWO "passive: { failures: 2, statuses: [500, 502-504] }");
    assert_false(ejects(f, 0, (struct try_report){.status = 501}, 1000));
    assert_false(ejects(f, 0, (struct try_report){.status = 500}, 1000));
    assert_true(ejects(f, 0, (struct try_report){.status = 503}, 1000));
    build(f, TWO "passive: { failures: 1, statuses: 4xx }");
    assert_true(ejects(f, 1, (struct try_report){.status = 404}, 1000));
}

static void test_only_listed_errors_are_failures(void **state)
{
    struct fixture *f = *state;
    build(f, TWO "passive: { failures: 1, errors: [connect, invalid] }");
    assert_false(ejects(f, 0, (struct try_report){.fault = FAULT_TIMEOUT}, 1000));
    assert_false(ejects(f, 0, (struct try_report){.fault = FAULT_CLOSED}, 1000));
    assert_true(ejects(f, 0, (struct try_report){.fault = FAULT_CONNECT}, 1000));
    assert_true(ejects(f, 1, (struct try_report){.fault = FAULT_INVALID}, 1000));
}

static void test_a_ratio_ejects_where_failures_are_not_in_a_row(void **state)
{
    struct fixture *f = *state;
    char reason[128];
    bool ejected = false;
    build(f, TWO "passive: { failures: 0, ratio: 40%, requests: 20, window: 10s }");
    for (int i = 0; i < 20 && !ejected; i++)
        ejected = ejects(f, 0, i % 2 ? (struct try_report){.fault = FAULT_CLOSED} : good, 1000 + i);
    assert_true(ejected);
    assert_text(passive_reason(&endpoint_at(f, 0)->passive, reason), "10 of 20 requests failed");
    for (int i = 0; i < 200; i++)
        assert_false(ejects(f, 1, i % 3 == 0 ? (struct try_report){.fault = FAULT_CLOSED} : good, 1000 + i));
}

static void test_ejections_grow_and_grow_no_more_after_good_conduct(void **state)
{
    struct fixture *f = *state;
    static const int64_t wanted[] = {1000, 2000, 4000, 5000, 5000};
    int64_t now_ms = 100000;
    build(f, TWO "passive: { failures: 1, window: 1s, eject: 1s, eject_max: 5s, jitter: 0 }");
    struct endpoint *endpoint = endpoint_at(f, 0);
    for (size_t i = 0; i < COUNT_OF(wanted); i++) {
        assert_true(ejects(f, 0, (struct try_report){.fault = FAULT_CLOSED}, now_ms));
        assert_true(endpoint_is_ejected(endpoint, now_ms + wanted[i] - 1));
        assert_false(endpoint_is_ejected(endpoint, now_ms + wanted[i]));
        now_ms += wanted[i] + 10;
    }
    now_ms += 5001;
    assert_true(ejects(f, 0, (struct try_report){.fault = FAULT_CLOSED}, now_ms));
    assert_false(endpoint_is_ejected(endpoint, now_ms + 1000));
}

static void test_no_more_than_the_share_is_ejected_but_one_always_may(void **state)
{
    struct fixture *f = *state;
    build(f, FOUR "passive: { failures: 1, ejected_max: 50% }");
    assert_true(ejects(f, 0, (struct try_report){.fault = FAULT_CLOSED}, 1000));
    assert_true(ejects(f, 1, (struct try_report){.fault = FAULT_CLOSED}, 1000));
    assert_false(ejects(f, 2, (struct try_report){.fault = FAULT_CLOSED}, 1000));
    assert_false(endpoint_is_ejected(endpoint_at(f, 2), 1000));
    build_named(f, "small", TWO "passive: { failures: 1, ejected_max: 10% }");
    assert_true(ejects(f, 0, (struct try_report){.fault = FAULT_CLOSED}, 1000));
    assert_false(ejects(f, 1, (struct try_report){.fault = FAULT_CLOSED}, 1000));
}

static void test_forgiving_puts_it_back(void **state)
{
    struct fixture *f = *state;
    build(f, TWO "passive: { failures: 1 }");
    assert_true(ejects(f, 0, (struct try_report){.fault = FAULT_CLOSED}, 1000));
    passive_forgive(&endpoint_at(f, 0)->passive);
    assert_true(endpoint_usable(f->service, endpoint_at(f, 0), 1000));
}

/* --- latencies --- */

static void test_a_percentile_is_near_the_truth(void **state)
{
    static struct latencies latencies;
    uint32_t us;
    (void)state;
    random_seed(1);
    for (int i = 0; i < 10000; i++)
        latency_record(&latencies, (int64_t)random_below(100000000)); /* evenly up to 100 ms */
    assert_int_equal(latency_take(&latencies, 0.9, &us), 10000);
    assert_in_range(us, 85000, 95000);
    assert_int_equal(latency_take(&latencies, 0.9, &us), 0); /* empty now */
    latency_record(&latencies, 50);
    latency_record(&latencies, INT64_MAX);
    assert_int_equal(latency_take(&latencies, 0.5, &us), 2);
    assert_in_range(us, 0, 80);
}

static void test_the_slow_one_is_found_and_only_it(void **state)
{
    struct latency_of all[] = {
        {.us = 10000, .index = 0}, {.us = 95000, .index = 1}, {.us = 12000, .index = 2}};
    (void)state;
    assert_int_equal(latency_compare(all, 3, 3, 50000), 1);
    assert_int_equal(all[0].index, 1);
    assert_int_equal(all[0].others_us, 10000);
    struct latency_of even[] = {{.us = 10000}, {.us = 11000}, {.us = 12000}, {.us = 13000}};
    assert_int_equal(latency_compare(even, 4, 1.5, 0), 0);
    struct latency_of fast[] = {{.us = 100}, {.us = 900}};
    assert_int_equal(latency_compare(fast, 2, 3, 1000), 0); /* slower, but not slow */
    struct latency_of pair[] = {{.us = 100000}, {.us = 2000}};
    assert_int_equal(latency_compare(pair, 2, 3, 1000), 1);
    struct latency_of one[] = {{.us = 100000}};
    assert_int_equal(latency_compare(one, 1, 3, 1000), 0); /* slower than whom? */
}

static void test_when_all_become_slow_none_is_an_outlier(void **state)
{
    struct latency_of all[] = {{.us = 900000}, {.us = 950000}, {.us = 1000000}};
    (void)state;
    assert_int_equal(latency_compare(all, 3, 2, 0), 0);
}

/* --- panic --- */

static void eject(struct fixture *f, uint32_t index, int64_t now_ms)
{
    assert_true(passive_eject(f->service, endpoint_at(f, index), EJECTED_BY_FAILURES, 1, 0, now_ms));
    service_health_changed(f->service);
}

static void test_below_the_threshold_health_is_ignored(void **state)
{
    struct fixture *f = *state;
    build(f, FOUR "panic: { below: 50% }");
    eject(f, 0, 1000);
    eject(f, 1, 1000);
    assert_int_equal(service_panic(f->service, 1000), PANIC_NONE);
    assert_false(endpoint_usable(f->service, endpoint_at(f, 0), 1000));
    eject(f, 2, 1000);
    assert_int_equal(service_panic(f->service, 1000), PANIC_IGNORE);
    assert_true(endpoint_usable(f->service, endpoint_at(f, 0), 1000));
}

static void test_panic_ends_when_ejections_do(void **state)
{
    struct fixture *f = *state;
    build(f, TWO "panic: { below: 60% }\npassive: { eject: 5s, jitter: 0 }");
    eject(f, 0, 1000);
    assert_int_equal(service_panic(f->service, 1000), PANIC_IGNORE);
    assert_int_equal(service_panic(f->service, 5999), PANIC_IGNORE);
    assert_int_equal(service_panic(f->service, 6000), PANIC_NONE);
}

static void test_without_a_threshold_the_last_ones_are_used(void **state)
{
    struct fixture *f = *state;
    build(f, TWO);
    eject(f, 0, 1000);
    assert_int_equal(service_panic(f->service, 1000), PANIC_NONE);
    eject(f, 1, 1000);
    assert_int_equal(service_panic(f->service, 1000), PANIC_IGNORE);
}

static void test_refusing_sends_nothing(void **state)
{
    struct fixture *f = *state;
    struct admission admission;
    build(f, FOUR "panic: { below: 50%, action: refuse }");
    for (uint32_t i = 0; i < 3; i++)
        eject(f, i, 1000);
    assert_int_equal(admit(f, 1000, &admission), -ADMIT_NONE);
    passive_forgive(&endpoint_at(f, 0)->passive);
    service_health_changed(f->service);
    assert_true(admit(f, 1000, &admission) >= 0);
}

static void test_who_was_taken_out_by_hand_does_not_count_for_panic(void **state)
{
    struct fixture *f = *state;
    build(f, FOUR "panic: { below: 60% }");
    atomic_store(&endpoint_at(f, 0)->hand, HAND_DOWN);
    atomic_store(&endpoint_at(f, 1)->hand, HAND_DRAIN);
    assert_int_equal(service_panic(f->service, 1000), PANIC_NONE);
    eject(f, 2, 1000);
    assert_int_equal(service_panic(f->service, 1000), PANIC_IGNORE); /* one of two */
}

static void test_what_a_person_took_out_is_never_used(void **state)
{
    struct fixture *f = *state;
    build(f, TWO "panic: { below: 50% }");
    atomic_store(&endpoint_at(f, 0)->hand, HAND_DOWN);
    eject(f, 1, 1000);
    assert_int_equal(service_panic(f->service, 1000), PANIC_IGNORE); /* none of the one that is left */
    for (int i = 0; i < 4; i++)
        assert_int_equal(picked_at(f, NULL, 1000), 1);
    atomic_store(&endpoint_at(f, 1)->hand, HAND_DRAIN);
    assert_int_equal(picked_at(f, NULL, 1000), -1);
    atomic_store(&endpoint_at(f, 1)->hand, HAND_UP); /* although it is ejected */
    assert_int_equal(endpoint_use(f->service, endpoint_at(f, 1), 1000), ENDPOINT_GOOD);
}

/* --- breakers of service and endpoints --- */

static void request(struct fixture *f, struct try_report report, int64_t now_ms)
{
    struct admission admission;
    int index = admit(f, now_ms, &admission);
    assert_true(index >= 0);
    service_ended(f->service, endpoint_at(f, (uint32_t)index), &admission, &report, now_ms);
}

static void test_the_breaker_of_a_service_refuses_all(void **state)
{
    struct fixture *f = *state;
    struct admission admission;
    struct breaker_answer answer;
    build(f,
          TWO "breaker: { failures: 2, open: 5s, jitter: 0, answer: { status: 429, detail: \"Later.\" } }");
    request(f, (struct try_report){.status = 503}, 1000);
    request(f, (struct try_report){.status = 503}, 1000);
    assert_int_equal(admit(f, 1001, &admission), -ADMIT_BREAKER);
    service_breaker_answer(f->service, 2500, &answer);
    assert_int_equal(answer.status, 429);
    assert_text(answer.detail, "Later.");
    assert_int_equal(answer.retry_after_s, 4);
    request(f, good, 6000);
    assert_int_equal(breaker_state(&f->service->health->breaker, 6000), BREAKER_CLOSED);
}

static void test_the_breaker_of_an_endpoint_sends_requests_elsewhere(void **state)
{
    struct fixture *f = *state;
    struct admission admission;
    build(f, TWO "endpoint_breaker: { failures: 1, open: 5s, jitter: 0 }");
    int first = admit(f, 1000, &admission);
    service_ended(f->service, endpoint_at(f, (uint32_t)first), &admission,
                  &(struct try_report){.status = 500}, 1000);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(admit(f, 1001, &admission), 1 - first);
        service_ended(f->service, endpoint_at(f, (uint32_t)(1 - first)), &admission, &good, 1001);
    }
    assert_int_equal(admit(f, 1002, &admission), 1 - first);
    service_ended(f->service, endpoint_at(f, (uint32_t)(1 - first)), &admission,
                  &(struct try_report){.fault = FAULT_TIMEOUT}, 1002);
    assert_int_equal(admit(f, 1003, &admission), -ADMIT_BREAKER);
}

static void test_the_head_of_an_endless_answer_closes_a_breaker(void **state)
{
    struct fixture *f = *state;
    struct admission admission;
    build(f, TWO "breaker: { failures: 1, open: 5s, jitter: 0 }");
    request(f, (struct try_report){.status = 500}, 1000);
    int index = admit(f, 6000, &admission);
    service_answered(f->service, endpoint_at(f, (uint32_t)index), &admission, &good, 6001);
    assert_int_equal(breaker_state(&f->service->health->breaker, 6001), BREAKER_CLOSED);
    service_ended(f->service, endpoint_at(f, (uint32_t)index), &admission,
                  &(struct try_report){.fault = FAULT_CLOSED, .status = 200},
                  7000); /* it broke off: that is one */
    assert_int_equal(breaker_state(&f->service->health->breaker, 7000), BREAKER_OPEN);
}

static void test_a_request_without_endpoint_gives_the_breaker_its_place_back(void **state)
{
    struct fixture *f = *state;
    struct admission admission;
    build(f, TWO "breaker: { failures: 1, open: 5s, jitter: 0 }");
    request(f, (struct try_report){.status = 500}, 1000);
    for (uint32_t i = 0; i < 2; i++)
        atomic_store(&endpoint_at(f, i)->hand, HAND_DOWN);
    for (int i = 0; i < 3; i++)
        assert_int_equal(admit(f, 6000, &admission), -ADMIT_NONE);
    atomic_store(&endpoint_at(f, 0)->hand, HAND_AUTO);
    assert_int_equal(admit(f, 6000, &admission), 0);
}

static void test_what_is_refused(void **state)
{
    struct fixture *f = *state;
    refused(f, TWO "breaker: {}", "says nothing about when it opens");
    refused(f, TWO "breaker: { failures: 1, statuses: [600] }", "wants a status such as");
    refused(f, TWO "breaker: { failures: 1, statuses: 504-500 }", "wants a status such as");
    refused(f, TWO "passive: { errors: [reset] }", "connect");
    refused(f, TWO "health: { type: tcp, path: /a }", "has no meaning for `type: tcp`");
    refused(f, TWO "health: { path: health }", "wants a path");
    refused(f, TWO "health: { method: HEAD, contains: ok }", "no body to look at");
    refused(f, TWO "health: { headers: { \"a b\": c } }", "no header field");
    refused(f, TWO "health: { expect: \"response.statu == 1\" }", "response.statu");
    refused(f, TWO "health: { expect: \"request.path == 'a'\" }", "request");
    refused(f, TWO "panic: { action: flee }", "ignore");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_listed_statuses_are_failures),
        CASE(test_only_listed_errors_are_failures),
        CASE(test_a_ratio_ejects_where_failures_are_not_in_a_row),
        CASE(test_ejections_grow_and_grow_no_more_after_good_conduct),
        CASE(test_no_more_than_the_share_is_ejected_but_one_always_may),
        CASE(test_forgiving_puts_it_back),
        CASE(test_a_percentile_is_near_the_truth),
        CASE(test_the_slow_one_is_found_and_only_it),
        CASE(test_when_all_become_slow_none_is_an_outlier),
        CASE(test_below_the_threshold_health_is_ignored),
        CASE(test_panic_ends_when_ejections_do),
        CASE(test_without_a_threshold_the_last_ones_are_used),
        CASE(test_refusing_sends_nothing),
        CASE(test_who_was_taken_out_by_hand_does_not_count_for_panic),
        CASE(test_what_a_person_took_out_is_never_used),
        CASE(test_the_breaker_of_a_service_refuses_all),
        CASE(test_the_breaker_of_an_endpoint_sends_requests_elsewhere),
        CASE(test_the_head_of_an_endless_answer_closes_a_breaker),
        CASE(test_a_request_without_endpoint_gives_the_breaker_its_place_back),
        CASE(test_what_is_refused),
    };
    return RUN_TESTS(tests);
}
