/* How endpoints are divided: priorities with overflow, zones, subsets by labels, sticky clients, drained ones. */
#include "upstream/upstream_test.h"

#include <errno.h>

#include "base/random.h"

static const struct pick nothing;

/* How often each port from 1 is picked. */
static void count_picks(struct fixture *f, const struct pick *pick, int picks, int64_t now_ms,
                        uint32_t seen[10])
{
    memset(seen, 0, 10 * sizeof *seen);
    for (int i = 0; i < picks; i++) {
        struct picked picked = service_pick(f->service, pick, now_ms);
        assert_non_null(picked.endpoint);
        seen[address_port(&picked.endpoint->address)]++;
    }
}

static void set_usable(struct fixture *f, uint32_t index, bool usable)
{
    endpoint_at(f, index)->passive.ejected_until_ms = usable ? 0 : INT64_MAX;
    service_health_changed(f->service);
}

static void all_usable(struct fixture *f)
{
    for (uint32_t i = 0; i < f->service->set->count; i++)
        set_usable(f, i, true);
}

/* --- drained --- */

#define DRAINED                                                                                              \
    "endpoints: [\"http://127.0.0.1:1\", { url: \"http://127.0.0.1:2\", drain: true }, "                     \
    "{ url: \"http://127.0.0.1:3\", weight: 0 }]\n"

static void test_a_drained_endpoint_takes_nobody_new(void **state)
{
    struct fixture *f = *state;
    uint32_t seen[10];
    static const char *const rules[] = {"round-robin", "random", "least-requests", "peak-ewma"};
    for (size_t i = 0; i < COUNT_OF(rules); i++) {
        char yaml[512];
        snprintf(yaml, sizeof yaml, "balance: %s\n" DRAINED, rules[i]);
        build(f, yaml);
        count_picks(f, &nothing, 100, 0, seen);
        assert_int_equal(seen[1], 100);
    }
}

static void test_sticky_clients_of_a_drained_endpoint_stay(void **state)
{
    struct fixture *f = *state;
    build(f, DRAINED);
    for (uint32_t i = 0; i < 3; i++) {
        struct pick pick = {.wanted = endpoint_at(f, i)->hash};
        assert_int_equal(picked_at(f, &pick, 0), i);
    }
}

static void test_a_sticky_client_falls_back_when_its_endpoint_is_gone_or_out_of_service(void **state)
{
    struct fixture *f = *state;
    build(f, "endpoints: [\"http://127.0.0.1:1\", \"http://127.0.0.1:2\"]");
    struct pick pick = {.wanted = endpoint_at(f, 0)->hash};
    assert_int_equal(picked_at(f, &pick, 0), 0);
    set_usable(f, 0, false);
    assert_int_equal(picked_at(f, &pick, 0), 1);
    set_usable(f, 0, true);
    pick_note_tried(&pick, endpoint_at(f, 0));
    assert_int_equal(picked_at(f, &pick, 0), 1);
    build(f, "endpoints: [\"http://127.0.0.1:2\", \"http://127.0.0.1:3\"]");
    pick = (struct pick){.wanted = pick.wanted};
    assert_true(picked_at(f, &pick, 0) >= 0);
    pick.wanted = endpoint_at(f, 0)->hash; /* the set has changed, but this one is still known */
    for (int i = 0; i < 5; i++)
        assert_int_equal(picked_at(f, &pick, 0), 0);
}

/* --- priorities --- */

#define PRIORITIES                                                                                           \
    "endpoints: [\"http://127.0.0.1:1\", \"http://127.0.0.1:2\", \"http://127.0.0.1:3\", "                   \
    "\"http://127.0.0.1:4\", { url: \"http://127.0.0.1:5\", priority: 1 }, "                                 \
    "{ url: \"http://127.0.0.1:6\", priority: 7 }]\n"

static void test_the_first_priority_takes_all_while_enough_are_usable(void **state)
{
    struct fixture *f = *state;
    uint32_t seen[10];
    build(f, PRIORITIES "balance: { overflow: 75% }");
    set_usable(f, 0, false);
    count_picks(f, &nothing, 300, 0, seen);
    assert_true(seen[2] == 100 && seen[3] == 100 && seen[4] == 100);
    all_usable(f);
}

static void test_what_is_missing_overflows_to_the_next_priority(void **state)
{
    struct fixture *f = *state;
    uint32_t seen[10];
    random_seed(21);
    build(f, PRIORITIES "balance: { overflow: 75% }");
    for (uint32_t i = 0; i < 3; i++)
        set_usable(f, i, false); /* a quarter is usable, of three quarters that are wanted: a third stays */
    count_picks(f, &nothing, 30000, 0, seen);
    assert_in_range(seen[4], 9500, 10500);
    assert_in_range(seen[5], 19500, 20500);
    assert_int_equal(seen[6], 0);
    set_usable(f, 4, false);
    count_picks(f, &nothing, 30000, 100, seen); /* the change is seen within 20 ms */
    assert_in_range(seen[4], 9500, 10500);
    assert_in_range(seen[6], 19500, 20500);
    set_usable(f, 3, false);
    count_picks(f, &nothing, 300, 200, seen);
    assert_int_equal(seen[6], 300);
    set_usable(f, 5, false); /* nobody is usable: the first priority, rather than nobody */
    count_picks(f, &nothing, 300, 300, seen);
    assert_int_equal(seen[1] + seen[2] + seen[3] + seen[4], 300);
    all_usable(f);
}

static void test_overflow_zero_waits_for_the_last_one(void **state)
{
    struct fixture *f = *state;
    uint32_t seen[10];
    build(f, PRIORITIES "balance: { overflow: 0% }");
    for (uint32_t i = 0; i < 3; i++)
        set_usable(f, i, false);
    count_picks(f, &nothing, 300, 0, seen);
    assert_int_equal(seen[4], 300);
    set_usable(f, 3, false);
    count_picks(f, &nothing, 300, 100, seen);
    assert_int_equal(seen[5], 300);
    all_usable(f);
}

static void test_where_all_priorities_are_short_each_takes_in_proportion(void **state)
{
    struct fixture *f = *state;
    uint32_t seen[10];
    random_seed(22);
    build(f, "balance: { overflow: 100% }\nendpoints: [\"http://127.0.0.1:1\", \"http://127.0.0.1:2\", "
             "\"http://127.0.0.1:3\", \"http://127.0.0.1:4\", { url: \"http://127.0.0.1:5\", priority: 1 }, "
             "{ url: \"http://127.0.0.1:6\", priority: 1 }, { url: \"http://127.0.0.1:7\", priority: 1 }, "
             "{ url: \"http://127.0.0.1:8\", priority: 1 }]");
    for (uint32_t i = 0; i < 8; i++)
        set_usable(f, i, i == 0 || i == 4 || i == 5); /* a quarter and a half: three quarters of all */
    count_picks(f, &nothing, 30000, 0, seen);
    assert_in_range(seen[1], 9500, 10500);
    assert_in_range(seen[5] + seen[6], 19500, 20500);
    all_usable(f);
}

static void test_another_try_goes_to_another_priority_rather_than_to_one_that_failed(void **state)
{
    struct fixture *f = *state;
    build(f, "endpoints: [\"http://127.0.0.1:1\", { url: \"http://127.0.0.1:2\", priority: 1 }]");
    struct pick pick = {0};
    assert_int_equal(picked_at(f, &pick, 0), 0);
    pick_note_tried(&pick, endpoint_at(f, 0));
    assert_int_equal(picked_at(f, &pick, 0), 1);
}

static void test_a_key_stays_in_its_priority(void **state)
{
    struct fixture *f = *state;
    build(f, PRIORITIES "balance: { type: ring, key: '\"k\"' }");
    for (uint32_t i = 0; i < 2; i++)
        set_usable(f, i, false);
    for (uint64_t key = 1; key < 200; key++) {
        struct pick pick = {.has_key = true, .key = key * 0x9e3779b97f4a7c15u};
        int first = picked_at(f, &pick, 0);
        for (int i = 0; i < 5; i++)
            assert_int_equal(picked_at(f, &pick, 0), first);
    }
    all_usable(f);
}

/* --- zones --- */

#define ZONE(port, zone) "{ url: \"http://127.0.0.1:" #port "\", zone: " #zone " }"

static void build_zones(struct fixture *f, const char *own, const char *yaml)
{
    f->builder.zone = text_of(own);
    build(f, yaml);
}

static void test_requests_stay_in_the_own_zone_while_it_has_the_capacity(void **state)
{
    struct fixture *f = *state;
    uint32_t seen[10];
    build_zones(f, "a",
                "balance: { zones: prefer-own }\nendpoints: [" ZONE(1, a) ", " ZONE(2, a) ", " ZONE(
                    3, b) ", " ZONE(4, b) "]");
    count_picks(f, &nothing, 100, 0, seen);
    assert_true(seen[1] == 50 && seen[2] == 50);
}

static void test_what_the_own_zone_cannot_take_spills_over_in_proportion(void **state)
{
    struct fixture *f = *state;
    uint32_t seen[10];
    random_seed(23);
    /* Six endpoints, three zones: two for each would be even. A has one, so half of what enters there goes to C, which has three. */
    static const char yaml[] = "balance: { zones: prefer-own }\nendpoints: [" ZONE(1, a) ", " ZONE(
        2, b) ", " ZONE(3, b) ", " ZONE(4, c) ", " ZONE(5, c) ", " ZONE(6, c) "]";
    build_zones(f, "a", yaml);
    count_picks(f, &nothing, 30000, 0, seen);
    assert_in_range(seen[1], 14500, 15500);
    assert_int_equal(seen[2] + seen[3], 0);
    assert_in_range(seen[4] + seen[5] + seen[6], 14500, 15500);
    set_usable(f, 0, false);
    count_picks(f, &nothing, 30000, 100, seen); /* nothing is left in A: all of it spills over */
    assert_int_equal(seen[1], 0);
    all_usable(f);
    build_zones(f, "c", yaml);
    count_picks(f, &nothing, 300, 0, seen);
    assert_int_equal(seen[4] + seen[5] + seen[6], 300);
}

/* The load of every endpoint is the same when each node's zone gets the same traffic. */
static void test_all_zones_together_are_even(void **state)
{
    struct fixture *f = *state;
    uint32_t seen[10], all[10] = {0};
    static const char *const zones[] = {"a", "b", "c"};
    static const char yaml[] = "balance: { zones: prefer-own }\nendpoints: [" ZONE(1, a) ", " ZONE(
        2, b) ", " ZONE(3, b) ", " ZONE(4, b) ", " ZONE(5, c) ", " ZONE(6, c) "]";
    random_seed(24);
    for (int zone = 0; zone < 3; zone++) {
        build_zones(f, zones[zone], yaml);
        count_picks(f, &nothing, 20000, 0, seen);
        for (int i = 1; i <= 6; i++)
            all[i] += seen[i];
    }
    for (int i = 1; i <= 6; i++)
        assert_in_range(all[i], 9500, 10500);
}

static void test_a_zone_that_nobody_is_in_changes_nothing(void **state)
{
    struct fixture *f = *state;
    uint32_t seen[10];
    build_zones(f, "z", "balance: { zones: prefer-own }\nendpoints: [" ZONE(1, a) ", " ZONE(2, b) "]");
    count_picks(f, &nothing, 100, 0, seen);
    assert_true(seen[1] == 50 && seen[2] == 50);
}

/* --- subsets --- */

#define LABELLED(port, labels) "{ url: \"http://127.0.0.1:" #port "\", labels: { " labels " } }"
#define VERSIONS                                                                                             \
    "endpoints: [" LABELLED(1, "version: v1, tier: x") ", " LABELLED(                                        \
        2, "version: v2, tier: x") ", " LABELLED(3, "version: v2, tier: y") ", \"http://127.0.0.1:4\"]\n"

static void test_a_subset_is_those_with_the_labels(void **state)
{
    struct fixture *f = *state;
    uint32_t seen[10];
    build(f, VERSIONS "balance: { subset: { by: [version, tier] } }");
    struct pick pick = {.subset = {TEXT("v2"), TEXT("")}};
    count_picks(f, &pick, 100, 0, seen);
    assert_true(seen[2] == 50 && seen[3] == 50);
    pick.subset[1] = TEXT("y");
    count_picks(f, &pick, 100, 0, seen);
    assert_int_equal(seen[3], 100);
    pick.subset[0] = TEXT("");
    pick.subset[1] = TEXT("x");
    count_picks(f, &pick, 100, 0, seen);
    assert_true(seen[1] == 50 && seen[2] == 50);
    count_picks(f, &nothing, 100, 0, seen);
    assert_true(seen[1] == 25 && seen[2] == 25 && seen[3] == 25 && seen[4] == 25);
}

static void test_where_no_endpoint_has_the_labels_the_fallback_says_what_happens(void **state)
{
    struct fixture *f = *state;
    struct pick pick = {.subset = {TEXT("v9")}};
    build(f, VERSIONS "balance: { subset: version }");
    assert_true(picked_at(f, &pick, 0) >= 0);
    build(f, VERSIONS "balance: { subset: { by: version, fallback: none } }");
    assert_int_equal(picked_at(f, &pick, 0), -1);
    assert_true(picked_at(f, NULL, 0) >= 0);
}

static void test_a_sticky_client_does_not_leave_its_subset(void **state)
{
    struct fixture *f = *state;
    build(f, VERSIONS "balance: { subset: version }");
    struct pick pick = {.subset = {TEXT("v2")}, .wanted = endpoint_at(f, 0)->hash};
    for (int i = 0; i < 10; i++)
        assert_int_not_equal(picked_at(f, &pick, 0), 0);
    pick.wanted = endpoint_at(f, 2)->hash;
    for (int i = 0; i < 10; i++)
        assert_int_equal(picked_at(f, &pick, 0), 2);
}

/* --- what is refused --- */

static void test_rules_that_cannot_work_are_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *rules, *said;
    } cases[] = {
        {"balance: maglev", "needs an expression"},
        {"balance: { type: random, key: '\"a\"' }", "have a key"},
        {"balance: { type: ring, key: '\"a\"', load_factor: 0.5 }", "from 1"},
        {"balance: { zones: prefer-own }", "own zone"},
        {"balance: { subset: { by: [a, b, c, d] } }", "3"},
        {"balance: { subset: { by: a, from: { b: '\"x\"' } } }", "not under `by`"},
        {"balance: { sticky: { secrets: 0123456789abcdef } }", "either `cookie` or `header`"},
        {"balance: { sticky: { cookie: a, secrets: short } }", "16 bytes"},
        {"balance: { sticky: { cookie: \"a b\", secrets: 0123456789abcdef } }", "HTTP allows"},
        {"balance: { sticky: { cookie: a, secrets: 0123456789abcdef, same_site: none, secure: never } }",
         "not secure"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char yaml[512];
        f->builder.zone = TEXT("");
        snprintf(yaml, sizeof yaml, "endpoints: \"http://127.0.0.1:1\"\n%s", cases[i].rules);
        refused(f, yaml, cases[i].said);
    }
}

static void test_without_memory_nothing_is_built(void **state)
{
    struct fixture *f = *state;
    bool built = false;
    struct service_shared shared = {0};
    struct balance_rules rules = {
        .type = &balance_maglev, .table_size = 251, .subset_count = 1, .subset_labels = {TEXT("a")}};
    struct text_pair label = {TEXT("a"), TEXT("b")};
    build(f, "endpoints: \"http://127.0.0.1:1\"");
    struct service_endpoint endpoint = {.endpoint = endpoint_at(f, 0), .weight = 1, .labels = {&label, 1}};
    for (uint64_t nth = 1; !built && nth < 100; nth++) {
        struct arena arena;
        struct error error = {0};
        arena_init(&arena, 64, 0);
        memory_fail_at(nth);
        built = endpoint_set_build(&arena, &rules, &shared, &endpoint, 1, &error);
        memory_fail_at(0);
        assert_true(built || error.code == -ENOMEM);
        assert_true(nth > 1 || !built);
        arena_release(&arena);
    }
    assert_true(built);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_drained_endpoint_takes_nobody_new),
        CASE(test_sticky_clients_of_a_drained_endpoint_stay),
        CASE(test_a_sticky_client_falls_back_when_its_endpoint_is_gone_or_out_of_service),
        CASE(test_the_first_priority_takes_all_while_enough_are_usable),
        CASE(test_what_is_missing_overflows_to_the_next_priority),
        CASE(test_overflow_zero_waits_for_the_last_one),
        CASE(test_where_all_priorities_are_short_each_takes_in_proportion),
        CASE(test_another_try_goes_to_another_priority_rather_than_to_one_that_failed),
        CASE(test_a_key_stays_in_its_priority),
        CASE(test_requests_stay_in_the_own_zone_while_it_has_the_capacity),
        CASE(test_what_the_own_zone_cannot_take_spills_over_in_proportion),
        CASE(test_all_zones_together_are_even),
        CASE(test_a_zone_that_nobody_is_in_changes_nothing),
        CASE(test_a_subset_is_those_with_the_labels),
        CASE(test_where_no_endpoint_has_the_labels_the_fallback_says_what_happens),
        CASE(test_a_sticky_client_does_not_leave_its_subset),
        CASE(test_rules_that_cannot_work_are_refused),
        CASE(test_without_memory_nothing_is_built),
    };
    return RUN_TESTS(tests);
}
