/* Which endpoint is next: shares and smoothness of turns, the least loaded, and those that are out of service. */
#include "upstream/upstream_test.h"

#include <pthread.h>

#include "base/random.h"

#define FOUR                                                                                                 \
    "endpoints: [\"http://127.0.0.1:1\", \"http://127.0.0.1:2\", \"http://127.0.0.1:3\", \"http://127.0.0.1:4\"]\n"

static void report(const struct service *service, struct endpoint *endpoint, bool failed, int64_t now_ms)
{
    struct admission admission = {0};
    struct try_report how = {.fault = failed ? FAULT_CLOSED : FAULT_NONE, .status = 200, .latency_ns = 1000};
    service_ended(service, endpoint, &admission, &how, now_ms);
}

/* --- turns --- */

static const uint16_t *turns_of(struct fixture *f, const uint32_t *weights, uint32_t count,
                                uint32_t *ret_count)
{
    struct candidate *candidates = arena_array(&f->tree, count, sizeof *candidates);
    for (uint32_t i = 0; i < count; i++)
        candidates[i].weight = weights[i];
    return balance_turns(&f->tree, candidates, count, ret_count);
}

static void test_turns_are_as_smooth_as_published(void **state)
{
    static const uint16_t wanted[] = {0, 0, 1, 0, 2, 0, 0};
    uint32_t count;
    const uint16_t *turns = turns_of(*state, (const uint32_t[]){5, 1, 1}, 3, &count);
    assert_int_equal(count, 7);
    assert_memory_equal(turns, wanted, sizeof wanted);
}

static void test_weights_are_taken_in_lowest_terms(void **state)
{
    uint32_t count;
    turns_of(*state, (const uint32_t[]){300, 100, 200}, 3, &count);
    assert_int_equal(count, 6);
    turns_of(*state, (const uint32_t[]){65535, 65535}, 2, &count);
    assert_int_equal(count, 2);
}

static void test_each_gets_its_share_of_a_round(void **state)
{
    random_seed(1);
    for (int round = 0; round < 200; round++) {
        uint32_t weights[8], seen[8] = {0}, total = 0, count, endpoints = 1 + (uint32_t)random_below(8);
        for (uint32_t i = 0; i < endpoints; i++)
            total += weights[i] = 1 + (uint32_t)random_below(20);
        const uint16_t *turns = turns_of(*state, weights, endpoints, &count);
        assert_true(total % count == 0);
        for (uint32_t i = 0; i < count; i++)
            seen[turns[i]]++;
        for (uint32_t i = 0; i < endpoints; i++)
            assert_int_equal(seen[i] * (total / count), weights[i]);
    }
}

/* At no point of a round has one had a whole turn more or less than its share, times the number of others. */
static void test_no_prefix_of_a_round_strays_far(void **state)
{
    random_seed(2);
    for (int round = 0; round < 100; round++) {
        uint32_t weights[5], seen[5] = {0}, total = 0, count;
        for (uint32_t i = 0; i < 5; i++)
            total += weights[i] = 1 + (uint32_t)random_below(9);
        const uint16_t *turns = turns_of(*state, weights, 5, &count);
        for (uint32_t turn = 0; turn < count; turn++) {
            seen[turns[turn]]++;
            for (uint32_t i = 0; i < 5; i++) {
                double share = (double)(turn + 1) * weights[i] / total;
                assert_true(seen[i] > share - 5 && seen[i] < share + 5);
            }
        }
    }
}

static void test_equal_weights_take_strict_turns(void **state)
{
    struct fixture *f = *state;
    build(f, FOUR);
    int first = picked_at(f, NULL, 0);
    for (int i = 1; i < 12; i++)
        assert_int_equal(picked_at(f, NULL, 0), (first + i) % 4);
}

static void test_huge_weights_are_scaled_and_nobody_is_left_out(void **state)
{
    uint32_t count, seen[3] = {0};
    const uint16_t *turns = turns_of(*state, (const uint32_t[]){65535, 65534, 1}, 3, &count);
    assert_true(count >= 4000 && count <= 4100);
    for (uint32_t i = 0; i < count; i++)
        seen[turns[i]]++;
    assert_true(seen[2] == 1 && seen[0] > 2000 && seen[1] > 2000);
}

static void test_weight_zero_takes_nothing(void **state)
{
    struct fixture *f = *state;
    build(f, "endpoints: [{ url: \"http://127.0.0.1:1\", weight: 0 }, \"http://127.0.0.1:2\"]");
    for (int i = 0; i < 5; i++)
        assert_int_equal(picked_at(f, NULL, 0), 1);
}

static void test_where_all_weigh_nothing_there_is_none(void **state)
{
    struct fixture *f = *state;
    build(
        f,
        "endpoints: [{ url: \"http://127.0.0.1:1\", weight: 0 }, { url: \"http://127.0.0.1:2\", weight: 0 }]");
    assert_int_equal(picked_at(f, NULL, 0), -1);
}

static void test_without_memory_there_are_no_turns(void **state)
{
    struct fixture *f = *state;
    struct candidate candidates[] = {{.weight = 1}, {.weight = 2}};
    struct arena arena;
    uint32_t count;
    (void)f;
    arena_init(&arena, 0, 0);
    memory_fail_at(1);
    assert_null(balance_turns(&arena, candidates, 2, &count));
    memory_fail_at(0);
    arena_release(&arena);
}

/* --- who is avoided --- */

static void test_another_try_goes_to_another_endpoint(void **state)
{
    struct fixture *f = *state;
    build(f, FOUR);
    struct pick pick = {0};
    for (int i = 0; i < 4; i++) {
        int index = picked_at(f, &pick, 0);
        assert_true(index >= 0 && !pick_was_tried(&pick, endpoint_at(f, (uint32_t)index)));
        pick_note_tried(&pick, endpoint_at(f, (uint32_t)index));
    }
    assert_true(picked_at(f, &pick, 0) >= 0); /* all were tried: any is better than none */
}

static void test_an_ejected_endpoint_is_avoided_until_its_time_is_over(void **state)
{
    struct fixture *f = *state;
    build(f, FOUR "passive: { failures: 2, window: 10s, eject: 5s, jitter: 0 }");
    for (int i = 0; i < 2; i++)
        report(f->service, endpoint_at(f, 1), true, 1000);
    assert_int_equal(endpoint_at(f, 1)->passive.ejections, 1);
    for (int i = 0; i < 8; i++)
        assert_int_not_equal(picked_at(f, NULL, 5999), 1);
    bool taken = false;
    for (int i = 0; i < 4; i++)
        taken |= picked_at(f, NULL, 6000) == 1;
    assert_true(taken);
}

static void test_one_that_was_tried_is_better_than_one_that_is_ejected(void **state)
{
    struct fixture *f = *state;
    build(f, "endpoints: [\"http://127.0.0.1:1\", \"http://127.0.0.1:2\"]\npassive: { failures: 1 }");
    report(f->service, endpoint_at(f, 0), true, 1000);
    struct pick pick = {0};
    pick_note_tried(&pick, endpoint_at(f, 1));
    for (int i = 0; i < 4; i++)
        assert_int_equal(picked_at(f, &pick, 1001), 1);
}

static void test_where_all_are_ejected_they_still_take_turns(void **state)
{
    struct fixture *f = *state;
    build(f, FOUR "passive: { failures: 1 }");
    bool seen[4] = {false};
    for (uint32_t i = 0; i < 4; i++)
        report(f->service, endpoint_at(f, i), true, 1000);
    for (int i = 0; i < 100; i++)
        seen[picked_at(f, NULL, 1001)] = true;
    assert_true(seen[0] && seen[1] && seen[2] && seen[3]);
}

static void test_a_success_forgives_what_came_before(void **state)
{
    struct fixture *f = *state;
    build(f, FOUR "passive: { failures: 2 }");
    report(f->service, endpoint_at(f, 0), true, 1000);
    report(f->service, endpoint_at(f, 0), false, 1001);
    report(f->service, endpoint_at(f, 0), true, 1002);
    assert_false(endpoint_is_ejected(endpoint_at(f, 0), 1003));
    report(f->service, endpoint_at(f, 0), true, 1003);
    assert_true(endpoint_is_ejected(endpoint_at(f, 0), 1004));
    assert_int_equal(endpoint_at(f, 0)->requests, 4);
    assert_int_equal(endpoint_at(f, 0)->failed, 3);
}

static void test_failures_far_apart_do_not_add_up(void **state)
{
    struct fixture *f = *state;
    build(f, FOUR "passive: { failures: 2, window: 1s }");
    for (int64_t now_ms = 10000; now_ms < 20000; now_ms += 1001)
        report(f->service, endpoint_at(f, 0), true, now_ms);
    assert_int_equal(endpoint_at(f, 0)->passive.ejections, 0);
}

static void test_failures_zero_never_ejects(void **state)
{
    struct fixture *f = *state;
    build(f, FOUR "passive: { failures: 0 }");
    for (int i = 0; i < 100; i++)
        report(f->service, endpoint_at(f, 0), true, 1000);
    assert_false(endpoint_is_ejected(endpoint_at(f, 0), 1000));
}

/* --- least requests --- */

static void test_the_least_loaded_is_picked(void **state)
{
    struct fixture *f = *state;
    build(f, FOUR "balance: least-requests");
    for (uint32_t i = 0; i < 4; i++)
        endpoint_at(f, i)->in_flight = i == 2 ? 1 : 5;
    for (int i = 0; i < 20; i++)
        assert_int_equal(picked_at(f, NULL, 0), 2);
    struct pick pick = {0};
    pick_note_tried(&pick, endpoint_at(f, 2));
    assert_int_not_equal(picked_at(f, &pick, 0), 2);
    for (uint32_t i = 0; i < 4; i++)
        endpoint_at(f, i)->in_flight = 0;
}

static void test_load_is_counted_for_each_unit_of_weight(void **state)
{
    struct fixture *f = *state;
    int picked[2] = {0};
    build(
        f,
        "balance: least-requests\nendpoints: [{ url: \"http://127.0.0.1:1\", weight: 3 }, \"http://127.0.0.1:2\"]");
    for (int i = 0; i < 400; i++) {
        int index = picked_at(f, NULL, 0);
        picked[index]++;
        endpoint_at(f, (uint32_t)index)->in_flight++;
    }
    assert_in_range(picked[0], 298, 302);
    endpoint_at(f, 0)->in_flight = endpoint_at(f, 1)->in_flight = 0;
}

static void test_idle_endpoints_share_without_a_favourite(void **state)
{
    struct fixture *f = *state;
    int picked[4] = {0};
    random_seed(3);
    build(f, FOUR "balance: least-requests");
    for (int i = 0; i < 4000; i++)
        picked[picked_at(f, NULL, 0)]++;
    for (int i = 0; i < 4; i++)
        assert_in_range(picked[i], 800, 1200);
}

static void test_of_many_two_are_compared(void **state)
{
    struct fixture *f = *state;
    char yaml[4096];
    int size = snprintf(yaml, sizeof yaml, "balance: least-requests\nendpoints:\n");
    for (int i = 1; i <= 40; i++)
        size += snprintf(yaml + size, sizeof yaml - (size_t)size, "- http://127.0.0.1:%d\n", i);
    random_seed(4);
    build(f, yaml);
    int most = 0;
    for (int i = 0; i < 4000; i++)
        endpoint_at(f, (uint32_t)picked_at(f, NULL, 0))->in_flight++;
    for (uint32_t i = 0; i < 40; i++) {
        most = MAX_OF(most, endpoint_at(f, i)->in_flight);
        endpoint_at(f, i)->in_flight = 0;
    }
    assert_in_range(most, 100, 110); /* chance alone would give about 125 */
}

/* --- threads --- */

enum { PICKS = 10000, THREADS = 4 };

static void *pick_many(void *service_)
{
    const struct service *service = service_;
    for (int i = 0; i < PICKS; i++) {
        struct pick pick = {0};
        struct endpoint *endpoint = service_pick(service, &pick, 1000).endpoint;
        atomic_fetch_add(&endpoint->in_flight, 1);
        report(service, endpoint, i % 7 == 0, 1000 + i);
        atomic_fetch_sub(&endpoint->in_flight, 1);
    }
    return NULL;
}

static void test_workers_share_the_turns(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[THREADS];
    build(f, FOUR "passive: { failures: 0 }");
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, pick_many, f->service), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(endpoint_at(f, i)->requests, PICKS * THREADS / 4);
}

static void test_workers_may_eject_at_the_same_time(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[THREADS];
    build(f, FOUR "balance: least-requests\npassive: { failures: 3, window: 1s, eject: 10ms }");
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, pick_many, f->service), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    uint64_t requests = 0;
    for (uint32_t i = 0; i < 4; i++) {
        requests += endpoint_at(f, i)->requests;
        assert_int_equal(endpoint_at(f, i)->in_flight, 0);
    }
    assert_int_equal(requests, PICKS * THREADS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_turns_are_as_smooth_as_published),
        CASE(test_weights_are_taken_in_lowest_terms),
        CASE(test_each_gets_its_share_of_a_round),
        CASE(test_no_prefix_of_a_round_strays_far),
        CASE(test_equal_weights_take_strict_turns),
        CASE(test_huge_weights_are_scaled_and_nobody_is_left_out),
        CASE(test_weight_zero_takes_nothing),
        CASE(test_where_all_weigh_nothing_there_is_none),
        CASE(test_without_memory_there_are_no_turns),
        CASE(test_another_try_goes_to_another_endpoint),
        CASE(test_an_ejected_endpoint_is_avoided_until_its_time_is_over),
        CASE(test_one_that_was_tried_is_better_than_one_that_is_ejected),
        CASE(test_where_all_are_ejected_they_still_take_turns),
        CASE(test_a_success_forgives_what_came_before),
        CASE(test_failures_far_apart_do_not_add_up),
        CASE(test_failures_zero_never_ejects),
        CASE(test_the_least_loaded_is_picked),
        CASE(test_load_is_counted_for_each_unit_of_weight),
        CASE(test_idle_endpoints_share_without_a_favourite),
        CASE(test_of_many_two_are_compared),
        CASE(test_workers_share_the_turns),
        CASE(test_workers_may_eject_at_the_same_time),
    };
    return RUN_TESTS(tests);
}
