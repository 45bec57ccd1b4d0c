/* How the types of balancing share requests out: distributions, and what a change of the endpoints moves. */
#include "upstream/upstream_test.h"

#include <math.h>

#include "base/hash.h"
#include "base/random.h"

enum { MANY = 64 };

/* A service of `count` endpoints, those of `without` (a bit for each) left out; the rules are YAML. */
static void build_many(struct fixture *f, uint32_t count, uint64_t without, const char *rules)
{
    static char yaml[64 * MANY + 1024];
    int size = snprintf(yaml, sizeof yaml, "%s\nendpoints:\n", rules);
    for (uint32_t i = 0; i < count; i++)
        if (!(without >> i & 1))
            size += snprintf(yaml + size, sizeof yaml - (size_t)size, "- http://127.0.0.1:%u\n", i + 1);
    build(f, yaml);
}

static uint32_t port_picked(struct fixture *f, const struct pick *pick, int64_t now_ms)
{
    struct picked picked = service_pick(f->service, pick, now_ms);
    assert_non_null(picked.endpoint);
    return address_port(&picked.endpoint->address);
}

static uint32_t port_of_key(struct fixture *f, uint64_t key)
{
    return port_picked(f, &(struct pick){.has_key = true, .key = hash_mix(key + 1)}, 0);
}

static void count_picks(struct fixture *f, int picks, uint32_t *seen, uint32_t count)
{
    static const struct pick nothing;
    memset(seen, 0, count * sizeof *seen);
    for (int i = 0; i < picks; i++)
        seen[port_picked(f, &nothing, 0) - 1]++;
}

/* Within five standard deviations of what chance gives a share of `picks`. */
static void assert_share(uint32_t seen, int picks, double share)
{
    double wanted = picks * share, deviation = sqrt(picks * share * (1 - share));
    if (fabs(seen - wanted) > 5 * deviation + 1)
        fail_msg("%u picks, wanted %.0f +- %.0f", seen, wanted, 5 * deviation);
}

static void eject(struct fixture *f, uint32_t index)
{
    endpoint_at(f, index)->passive.ejected_until_ms = INT64_MAX;
}

/* --- random --- */

static void test_random_shares_by_weight(void **state)
{
    struct fixture *f = *state;
    uint32_t seen[3];
    random_seed(11);
    build(f, "balance: random\nendpoints: [{ url: \"http://127.0.0.1:1\", weight: 5 }, "
             "{ url: \"http://127.0.0.1:2\", weight: 3 }, { url: \"http://127.0.0.1:3\", weight: 2 }]");
    count_picks(f, 100000, seen, 3);
    assert_share(seen[0], 100000, 0.5);
    assert_share(seen[1], 100000, 0.3);
    assert_share(seen[2], 100000, 0.2);
    eject(f, 0);
    count_picks(f, 100000, seen, 3);
    assert_int_equal(seen[0], 0);
    assert_share(seen[1], 100000, 0.6);
    endpoint_at(f, 0)->passive.ejected_until_ms = 0;
}

static void test_random_shares_odd_weights_exactly(void **state)
{
    struct fixture *f = *state;
    uint32_t seen[4];
    random_seed(12);
    build(f, "balance: random\nendpoints: [{ url: \"http://127.0.0.1:1\", weight: 65535 }, "
             "{ url: \"http://127.0.0.1:2\", weight: 1 }, { url: \"http://127.0.0.1:3\", weight: 997 }, "
             "{ url: \"http://127.0.0.1:4\", weight: 30000 }]");
    count_picks(f, 200000, seen, 4);
    static const double weights[] = {65535, 1, 997, 30000};
    for (int i = 0; i < 4; i++)
        assert_share(seen[i], 200000, weights[i] / 96533);
}

/* --- round robin, when the set changes --- */

/* However often the set is made anew, nobody gains by it: the phase of the round goes on. */
static void test_turns_stay_even_under_changes(void **state)
{
    struct fixture *f = *state;
    uint32_t seen[4] = {0};
    static const struct pick nothing;
    for (int i = 0; i < 400; i++) {
        build_many(f, 4, 0, "");
        for (int k = 0; k < 3; k++)
            seen[port_picked(f, &nothing, 0) - 1]++;
    }
    for (int i = 0; i < 4; i++)
        assert_in_range(seen[i], 299, 301);
}

static void test_turns_of_the_ejected_are_shared_by_all_others(void **state)
{
    struct fixture *f = *state;
    uint32_t seen[20];
    random_seed(13);
    build_many(f, 20, 0, "");
    for (uint32_t i = 0; i < 18; i++)
        eject(f, i);
    count_picks(f, 20000, seen, 20);
    for (uint32_t i = 0; i < 18; i++) {
        assert_int_equal(seen[i], 0);
        endpoint_at(f, i)->passive.ejected_until_ms = 0;
    }
    assert_in_range(seen[19], 6000, 14000); /* not all to the first one after the gap */
}

/* --- least requests and peak-ewma --- */

/* A queueing model: one arrival a step, each endpoint finishes what it has after `work` steps. */
struct model {
    uint32_t work[8], done_at[8][4096], first[8], last[8];
    uint32_t picked[8];
};

static void simulate(struct fixture *f, struct model *model, uint32_t count, uint32_t steps)
{
    static const struct pick nothing;
    for (uint32_t step = 1; step <= steps; step++) {
        int64_t now_ms = 1000 + step;
        for (uint32_t i = 0; i < count; i++)
            while (model->first[i] < model->last[i] && model->done_at[i][model->first[i] % 4096] <= step) {
                endpoint_timed(endpoint_at(f, i), (int64_t)model->work[i] * 1000, false, 10000, now_ms);
                endpoint_at(f, i)->in_flight--;
                model->first[i]++;
            }
        uint32_t index = port_picked(f, &nothing, now_ms) - 1;
        model->picked[index]++;
        endpoint_at(f, index)->in_flight++;
        model->done_at[index][model->last[index]++ % 4096] = step + model->work[index];
    }
    for (uint32_t i = 0; i < count; i++)
        endpoint_at(f, i)->in_flight = 0;
}

static void test_peak_ewma_prefers_those_who_answer_soon(void **state)
{
    struct fixture *f = *state;
    static struct model model;
    model = (struct model){.work = {5, 5, 5, 50}};
    random_seed(14);
    build_many(f, 4, 0, "balance: peak-ewma");
    simulate(f, &model, 4, 20000);
    assert_true(model.picked[3] > 0); /* it is asked now and then, so that it can come back */
    assert_true(model.picked[3] < 20000 / 20);
    for (int i = 0; i < 3; i++)
        assert_in_range(model.picked[i], 5000, 8000);
}

static void test_a_peak_counts_at_once_and_fades(void **state)
{
    struct fixture *f = *state;
    build_many(f, 2, 0, "balance: peak-ewma");
    struct endpoint *endpoint = endpoint_at(f, 0);
    assert_int_equal(endpoint_latency_us(endpoint, 10000, 0), 0);
    endpoint_timed(endpoint, 1000, false, 10000, 0);
    endpoint_timed(endpoint, 500000, false, 10000, 10);
    assert_int_equal(endpoint_latency_us(endpoint, 10000, 10), 500000);
    endpoint_timed(endpoint, 1000, false, 10000, 20);
    assert_in_range(endpoint_latency_us(endpoint, 10000, 20), 495000, 500000);
    assert_in_range(endpoint_latency_us(endpoint, 10000, 10020), 170000,
                    190000); /* a time constant later: 1/e */
    endpoint_timed(endpoint, 1000, false, 10000, 200020);
    assert_in_range(endpoint_latency_us(endpoint, 10000, 200020), 1000, 1100);
}

static void test_a_quick_failure_is_no_quick_answer(void **state)
{
    struct fixture *f = *state;
    uint32_t seen[2];
    build_many(f, 2, 0, "balance: peak-ewma");
    for (int i = 0; i < 5; i++)
        endpoint_timed(endpoint_at(f, 0), 10, true, 10000, 0);
    endpoint_timed(endpoint_at(f, 1), 5000, false, 10000, 0);
    count_picks(f, 100, seen, 2);
    assert_int_equal(seen[1], 100);
}

/* --- consistent hashing --- */

enum { KEYS = 40000 };

static void where_keys_are(struct fixture *f, uint32_t *ports)
{
    for (uint64_t key = 0; key < KEYS; key++)
        ports[key] = port_of_key(f, key);
}

/* Keys spread by weight to within `off` of the share. */
static void assert_spread(const uint32_t *ports, uint32_t count, double off)
{
    uint32_t seen[MANY + 1] = {0};
    for (int key = 0; key < KEYS; key++)
        seen[ports[key]]++;
    for (uint32_t port = 1; port <= count; port++)
        assert_in_range(seen[port], (KEYS / count) * (1 - off), (KEYS / count) * (1 + off));
}

/* How many keys are elsewhere, not counting those that had to leave `gone`. */
static int moved(const uint32_t *before, const uint32_t *after, uint32_t gone)
{
    int count = 0;
    for (int key = 0; key < KEYS; key++)
        count += before[key] != gone && before[key] != after[key];
    return count;
}

static void check_consistency(struct fixture *f, const char *rules, double off, int extra_max)
{
    static uint32_t before[KEYS], after[KEYS];
    build_many(f, 20, 0, rules);
    where_keys_are(f, before);
    assert_spread(before, 20, off);
    build_many(f, 20, UINT64_C(1) << 6, rules); /* port 7 goes */
    where_keys_are(f, after);
    for (int key = 0; key < KEYS; key++)
        assert_int_not_equal(after[key], 7);
    assert_in_range(moved(before, after, 7), 0, extra_max);
    build_many(f, 21, 0, rules); /* port 21 comes: what moves goes there */
    where_keys_are(f, after);
    int there = 0;
    for (int key = 0; key < KEYS; key++)
        there += after[key] == 21;
    assert_in_range(moved(before, after, 0), there, there + extra_max);
    assert_in_range(there, KEYS / 21 * (1 - off), KEYS / 21 * (1 + off));
}

static void test_ring_moves_exactly_the_share_that_has_to_move(void **state)
{
    check_consistency(*state, "balance: { type: ring, key: '\"a\"', points: 500 }", 0.25, 0);
}

static void test_maglev_is_even_and_moves_little_more_than_the_share(void **state)
{
    check_consistency(*state, "balance: { type: maglev, key: '\"a\"' }", 0.08, KEYS / 20);
}

/* While one is out of service its keys are spread over all others, and the others keep theirs; then they come back. */
static void check_ejection(struct fixture *f, const char *rules)
{
    static uint32_t before[KEYS], meanwhile[KEYS], after[KEYS];
    uint32_t takers = 0;
    bool took[MANY] = {false};
    build_many(f, 10, 0, rules);
    where_keys_are(f, before);
    eject(f, 2);
    where_keys_are(f, meanwhile);
    assert_int_equal(moved(before, meanwhile, 3), 0);
    for (int key = 0; key < KEYS; key++)
        if (before[key] == 3 && !took[meanwhile[key]]) {
            assert_int_not_equal(meanwhile[key], 3);
            took[meanwhile[key]] = true;
            takers++;
        }
    assert_int_equal(takers, 9);
    endpoint_at(f, 2)->passive.ejected_until_ms = 0;
    where_keys_are(f, after);
    assert_memory_equal(before, after, sizeof before);
}

static void test_keys_of_an_ejected_endpoint_go_to_all_others_and_come_back(void **state)
{
    check_ejection(*state, "balance: { type: ring, key: '\"a\"' }");
    check_ejection(*state, "balance: { type: maglev, key: '\"a\"' }");
}

static void check_weights(struct fixture *f, const char *type, double off)
{
    char yaml[512];
    uint32_t seen[4] = {0};
    snprintf(
        yaml, sizeof yaml,
        "balance: { type: %s, key: '\"a\"', points: 500 }\nendpoints: [{ url: \"http://127.0.0.1:1\", weight: 4 }, "
        "{ url: \"http://127.0.0.1:2\", weight: 2 }, { url: \"http://127.0.0.1:3\", weight: 1 }]",
        type);
    build(f, yaml);
    for (uint64_t key = 0; key < KEYS; key++)
        seen[port_of_key(f, key)]++;
    for (int i = 1; i <= 3; i++) {
        double wanted = KEYS * (i == 1 ? 4 : i == 2 ? 2 : 1) / 7.0;
        assert_in_range(seen[i], wanted * (1 - off), wanted * (1 + off));
    }
}

static void test_keys_are_shared_by_weight(void **state)
{
    check_weights(*state, "ring", 0.15);
    check_weights(*state, "maglev", 0.04);
}

/* The same keys for another service of the same endpoints in another order: every node agrees. */
static void test_the_order_of_endpoints_does_not_matter_to_a_ring(void **state)
{
    struct fixture *f = *state;
    static uint32_t before[KEYS], after[KEYS];
    build(
        f,
        "balance: { type: ring, key: '\"a\"' }\nendpoints: [\"http://127.0.0.1:1\", \"http://127.0.0.1:2\"]");
    where_keys_are(f, before);
    build(
        f,
        "balance: { type: ring, key: '\"a\"' }\nendpoints: [\"http://127.0.0.1:2\", \"http://127.0.0.1:1\"]");
    where_keys_are(f, after);
    assert_memory_equal(before, after, sizeof before);
}

/* All requests have one key, and none ends: still nobody has more than the bound. */
static void check_bound(struct fixture *f, const char *type)
{
    char rules[128];
    snprintf(rules, sizeof rules, "balance: { type: %s, key: '\"a\"', load_factor: 1.25 }", type);
    build_many(f, 8, 0, rules);
    struct pick pick = {.has_key = true, .key = 42};
    for (int32_t all = 1; all <= 800; all++) {
        struct picked picked = service_pick(f->service, &pick, 0);
        picked.endpoint->in_flight++;
        picked.shared->in_flight++;
        assert_true(picked.endpoint->in_flight <= ceil(1.25 * all / 8));
    }
    for (uint32_t i = 0; i < 8; i++)
        endpoint_at(f, i)->in_flight = 0;
    f->service->shared->groups[0].in_flight = 0;
    uint32_t home = port_picked(f, &pick, 0); /* without load the key is where it belongs */
    for (int i = 0; i < 10; i++)
        assert_int_equal(port_picked(f, &pick, 0), home);
}

static void test_bounded_load_holds(void **state)
{
    check_bound(*state, "ring");
    check_bound(*state, "maglev");
}

static void test_requests_without_a_key_go_anywhere(void **state)
{
    struct fixture *f = *state;
    uint32_t seen[4];
    random_seed(15);
    build_many(f, 4, 0, "balance: { type: maglev, key: '\"a\"' }");
    count_picks(f, 40000, seen, 4);
    for (int i = 0; i < 4; i++)
        assert_in_range(seen[i], 9000, 11000);
}

static void test_a_retry_of_a_key_goes_elsewhere(void **state)
{
    struct fixture *f = *state;
    build_many(f, 4, 0, "balance: { type: ring, key: '\"a\"' }");
    struct pick pick = {.has_key = true, .key = 9};
    struct picked first = service_pick(f->service, &pick, 0);
    pick_note_tried(&pick, first.endpoint);
    struct picked second = service_pick(f->service, &pick, 0);
    assert_ptr_not_equal(first.endpoint, second.endpoint);
    assert_ptr_equal(service_pick(f->service, &pick, 0).endpoint, second.endpoint);
}

/* --- slow start --- */

static void check_slow_start(struct fixture *f, const char *type)
{
    char rules[128];
    uint32_t seen[4] = {0};
    static const struct pick nothing;
    snprintf(rules, sizeof rules, "balance: { type: %s, slow_start: 10s }", type);
    random_seed(16);
    build_many(f, 4, 0, rules);
    for (uint32_t i = 0; i < 4; i++)
        endpoint_at(f, i)->began_ms = i == 3 ? 100000 : 0;
    for (int i = 0; i < 40000; i++)
        seen[port_picked(f, &nothing, 105000) - 1]++;
    assert_in_range(seen[3], 40000 / 7 - 700, 40000 / 7 + 700); /* half of its weight: 0.5 of 3.5 */
    uint32_t early = 0, late = 0;
    for (int i = 0; i < 40000; i++)
        early += port_picked(f, &nothing, 100000) == 4;
    for (int i = 0; i < 40000; i++)
        late += port_picked(f, &nothing, 110000) == 4;
    assert_in_range(early, 200, 1500); /* a sixteenth of it: about 816 */
    assert_in_range(late, 9500, 10500);
}

static void test_a_new_endpoint_gets_its_weight_little_by_little(void **state)
{
    check_slow_start(*state, "round-robin");
    check_slow_start(*state, "random");
}

static void test_slow_start_begins_when_an_ejection_ends(void **state)
{
    struct fixture *f = *state;
    uint32_t taken = 0;
    static const struct pick nothing;
    random_seed(17);
    build_many(f, 2, 0, "balance: { type: random, slow_start: 10s }");
    endpoint_at(f, 0)->began_ms = endpoint_at(f, 1)->began_ms = 0;
    endpoint_at(f, 1)->passive.ejected_until_ms = 50000;
    for (int i = 0; i < 10000; i++)
        taken += port_picked(f, &nothing, 55000) == 2;
    assert_in_range(taken, 2900, 3800); /* 0.5 of 1.5 */
    endpoint_at(f, 1)->passive.ejected_until_ms = 0;
}

static void test_the_least_loaded_counts_less_while_it_starts(void **state)
{
    struct fixture *f = *state;
    build_many(f, 2, 0, "balance: { type: least-requests, slow_start: 10s }");
    static const struct pick nothing;
    endpoint_at(f, 0)->began_ms = 0;
    endpoint_at(f, 1)->began_ms = 100000;
    for (int i = 0; i < 300; i++)
        endpoint_at(f, port_picked(f, &nothing, 105000) - 1)->in_flight++;
    assert_in_range(endpoint_at(f, 1)->in_flight, 98, 102); /* half as many as the other */
    endpoint_at(f, 0)->in_flight = endpoint_at(f, 1)->in_flight = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_random_shares_by_weight),
        CASE(test_random_shares_odd_weights_exactly),
        CASE(test_turns_stay_even_under_changes),
        CASE(test_turns_of_the_ejected_are_shared_by_all_others),
        CASE(test_peak_ewma_prefers_those_who_answer_soon),
        CASE(test_a_peak_counts_at_once_and_fades),
        CASE(test_a_quick_failure_is_no_quick_answer),
        CASE(test_ring_moves_exactly_the_share_that_has_to_move),
        CASE(test_maglev_is_even_and_moves_little_more_than_the_share),
        CASE(test_keys_of_an_ejected_endpoint_go_to_all_others_and_come_back),
        CASE(test_keys_are_shared_by_weight),
        CASE(test_the_order_of_endpoints_does_not_matter_to_a_ring),
        CASE(test_bounded_load_holds),
        CASE(test_requests_without_a_key_go_anywhere),
        CASE(test_a_retry_of_a_key_goes_elsewhere),
        CASE(test_a_new_endpoint_gets_its_weight_little_by_little),
        CASE(test_slow_start_begins_when_an_ejection_ends),
        CASE(test_the_least_loaded_counts_less_while_it_starts),
    };
    return RUN_TESTS(tests);
}
