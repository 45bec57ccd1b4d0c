/* Plans: stages, scopes, replacement by id, and how a consumer's policies join. */
#include "unit.h"

#include <stdio.h>

#include "base/check.h"
#include "base/memory.h"
#include "policy/plan.h"

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 0, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static enum verdict hook(struct exchange *ex, const void *config, void *state)
{
    (void)ex, (void)config, (void)state;
    return VERDICT_NEXT;
}

static enum verdict body_hook(struct exchange *ex, const void *config, void *state, struct body_chunk *chunk)
{
    (void)ex, (void)config, (void)state, (void)chunk;
    return VERDICT_NEXT;
}

static const struct policy plain = {.name = "plain", .on_request = hook};
static const struct policy whole = {.name = "whole", .on_request = hook, .request_body = BODY_WHOLE};
static const struct policy up = {.name = "up", .on_request_body = body_hook, .request_body = BODY_STREAM};
static const struct policy down = {
    .name = "down", .on_response_body = body_hook, .response_body = BODY_STREAM};
static const struct policy late = {.name = "late", .on_response = hook};

const struct policy *const policies[] = {&plain, &whole, &up, &down, &late};
const size_t policies_count = COUNT_OF(policies);

#define ENTRY(id_, stage_)                                                                                   \
    {                                                                                                        \
        .policy = &plain, .id = TEXT_INIT(id_), .stage = (stage_)                                            \
    }
#define SET(name, ...)                                                                                       \
    static struct policy_instance name##_items[] = {__VA_ARGS__};                                            \
    static const struct policy_set name = {name##_items, COUNT_OF(name##_items)}

/* The ids of a plan in their order. */
static const char *ids(const struct plan *plan)
{
    static char text[4096];
    int size = 0;
    text[0] = 0;
    assert_non_null(plan);
    for (uint16_t i = 0; i < plan->count; i++)
        size += snprintf(text + size, sizeof text - (size_t)size, "%s%.*s", i ? " " : "",
                         TEXT_ARGS(plan->entries[i]->id));
    return text;
}

static void test_nothing_is_an_empty_plan(void **state)
{
    const struct policy_set none = {NULL, 0}, *sets[] = {NULL, &none, NULL};
    (void)state;
    const struct plan *plan = plan_merge(&arena, sets, COUNT_OF(sets));
    assert_non_null(plan);
    assert_int_equal(plan->count, 0);
    assert_false(plan->request_stream || plan->response_stream);
    assert_null(plan->buffers_request);
    assert_null(plan->buffers_response);
}

static void test_stages_come_in_order_and_within_one_as_written(void **state)
{
    SET(set, ENTRY("c", STAGE_TRANSFORM), ENTRY("a", STAGE_EDGE), ENTRY("d", STAGE_TRANSFORM),
        ENTRY("b", STAGE_ACCESS), ENTRY("e", STAGE_OBSERVE));
    const struct policy_set *sets[] = {&set};
    (void)state;
    assert_string_equal(ids(plan_merge(&arena, sets, 1)), "a b c d e");
}

static void test_wide_scopes_come_before_narrow_ones_of_the_same_stage(void **state)
{
    SET(gateway, ENTRY("g1", STAGE_ACCESS), ENTRY("g2", STAGE_QUOTA));
    SET(service, ENTRY("s1", STAGE_ACCESS));
    SET(route, ENTRY("r1", STAGE_ACCESS), ENTRY("r0", STAGE_EDGE));
    const struct policy_set *sets[] = {&gateway, &service, &route};
    (void)state;
    assert_string_equal(ids(plan_merge(&arena, sets, 3)), "r0 g1 s1 r1 g2");
}

static void test_the_same_id_at_a_narrower_scope_replaces(void **state)
{
    SET(gateway, ENTRY("limit", STAGE_QUOTA), ENTRY("other", STAGE_QUOTA));
    SET(service, ENTRY("limit", STAGE_QUOTA));
    SET(route, ENTRY("limit", STAGE_QUOTA));
    const struct policy_set *sets[] = {&gateway, &service, &route};
    (void)state;
    const struct plan *plan = plan_merge(&arena, sets, 3);
    assert_string_equal(ids(plan), "other limit");
    assert_ptr_equal(plan->entries[1], &route.items[0]);
    assert_ptr_equal(plan_merge(&arena, sets, 2)->entries[1], &service.items[0]);
}

static void test_another_id_adds(void **state)
{
    SET(gateway, ENTRY("limit", STAGE_QUOTA));
    SET(route, ENTRY("limit-2", STAGE_QUOTA));
    const struct policy_set *sets[] = {&gateway, &route};
    (void)state;
    assert_string_equal(ids(plan_merge(&arena, sets, 2)), "limit limit-2");
}

static void test_a_replacement_runs_in_its_own_stage(void **state)
{
    SET(gateway, ENTRY("a", STAGE_EDGE), ENTRY("b", STAGE_ACCESS));
    SET(route, ENTRY("a", STAGE_OBSERVE));
    const struct policy_set *sets[] = {&gateway, &route};
    (void)state;
    assert_string_equal(ids(plan_merge(&arena, sets, 2)), "b a");
}

static void test_what_the_plan_needs_is_known(void **state)
{
    static struct policy_instance items[] = {
        {.policy = &plain, .id = TEXT_INIT("p")},
        {.policy = &whole, .id = TEXT_INIT("w"), .request_body = {.whole = true}},
        {.policy = &up, .id = TEXT_INIT("u")},
        {.policy = &down, .id = TEXT_INIT("d")},
        {.policy = &late, .id = TEXT_INIT("l")},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(items); i++) {
        const struct policy_set one = {&items[i], 1}, *sets[] = {&one};
        const struct plan *plan = plan_merge(&arena, sets, 1);
        assert_ptr_equal(plan->buffers_request, i == 1 ? &items[1] : NULL);
        assert_null(plan->buffers_response);
        assert_int_equal(plan->request_stream, i == 2);
        assert_int_equal(plan->response_stream, i == 3);
    }
}

static struct policy_set many(size_t count)
{
    struct policy_set set = {arena_array(&arena, count, sizeof *set.items), count};
    for (size_t i = 0; i < count; i++)
        set.items[i] = (struct policy_instance){.policy = &plain, .id = arena_format(&arena, "p%zu", i)};
    return set;
}

static void test_a_plan_has_a_limit(void **state)
{
    struct policy_set full = many(PLAN_ENTRIES_MAX), more = many(PLAN_ENTRIES_MAX + 1);
    SET(again, ENTRY("p7", STAGE_EDGE));
    SET(extra, ENTRY("extra", STAGE_EDGE));
    const struct policy_set *fits[] = {&full, &again}, *too_many[] = {&more}, *one_more[] = {&full, &extra};
    (void)state;
    const struct plan *plan = plan_merge(&arena, fits, 2);
    assert_int_equal(plan->count, PLAN_ENTRIES_MAX); /* it replaces one, so it fits */
    assert_null(plan_merge(&arena, too_many, 1));
    assert_null(plan_merge(&arena, one_more, 2));
}

/* --- a consumer becomes known on the way --- */

static void test_a_consumers_policies_join_after_the_entry_that_found_it(void **state)
{
    SET(route, ENTRY("edge", STAGE_EDGE), ENTRY("key", STAGE_IDENTITY), ENTRY("acl", STAGE_ACCESS),
        ENTRY("limit", STAGE_QUOTA));
    SET(gold, ENTRY("gold", STAGE_ACCESS), ENTRY("limit", STAGE_QUOTA));
    SET(alice, ENTRY("alice", STAGE_OBSERVE));
    const struct policy_set *base_sets[] = {&route}, *sets[] = {&gold, &alice};
    (void)state;
    const struct plan *base = plan_merge(&arena, base_sets, 1);
    const struct plan *plan = plan_extend(&arena, base, base, 1, sets, 2);
    assert_string_equal(ids(plan), "edge key acl gold limit alice");
    assert_ptr_equal(plan->entries[4], &gold.items[1]);
}

static void test_what_has_run_is_not_run_again_nor_replaced(void **state)
{
    SET(route, ENTRY("a", STAGE_EDGE), ENTRY("key", STAGE_IDENTITY));
    SET(gold, ENTRY("a", STAGE_EDGE));
    const struct policy_set *base_sets[] = {&route}, *sets[] = {&gold};
    (void)state;
    const struct plan *base = plan_merge(&arena, base_sets, 1);
    const struct plan *plan = plan_extend(&arena, base, base, 1, sets, 1);
    assert_string_equal(ids(plan),
                        "a key a"); /* of an earlier stage: it runs next, with nothing to replace */
    assert_ptr_equal(plan->entries[0], &route.items[0]);
    assert_ptr_equal(plan->entries[2], &gold.items[0]);
}

static void test_another_consumer_takes_the_first_ones_policies_along(void **state)
{
    SET(route, ENTRY("key", STAGE_IDENTITY), ENTRY("jwt", STAGE_IDENTITY), ENTRY("acl", STAGE_ACCESS));
    SET(alice, ENTRY("alice", STAGE_QUOTA));
    SET(bob, ENTRY("bob", STAGE_QUOTA));
    const struct policy_set *base_sets[] = {&route}, *of_alice[] = {&alice}, *of_bob[] = {&bob};
    (void)state;
    const struct plan *base = plan_merge(&arena, base_sets, 1);
    const struct plan *first = plan_extend(&arena, base, base, 0, of_alice, 1);
    assert_string_equal(ids(first), "key jwt acl alice");
    assert_string_equal(ids(plan_extend(&arena, base, first, 1, of_bob, 1)), "key jwt acl bob");
    assert_string_equal(ids(plan_extend(&arena, base, first, 1, NULL, 0)),
                        "key jwt acl"); /* and with nobody, none */
}

static void test_an_extended_plan_has_the_limit_too(void **state)
{
    struct policy_set full = many(PLAN_ENTRIES_MAX);
    SET(extra, ENTRY("extra", STAGE_EDGE));
    const struct policy_set *base_sets[] = {&full}, *sets[] = {&extra};
    (void)state;
    const struct plan *base = plan_merge(&arena, base_sets, 1);
    assert_null(plan_extend(&arena, base, base, 3, sets, 1));
}

static void test_without_memory_there_is_no_plan(void **state)
{
    SET(set, ENTRY("a", STAGE_EDGE));
    const struct policy_set *sets[] = {&set};
    (void)state;
    memory_fail_at(1);
    assert_null(plan_merge(&arena, sets, 1));
    memory_fail_at(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_nothing_is_an_empty_plan),
        CASE(test_stages_come_in_order_and_within_one_as_written),
        CASE(test_wide_scopes_come_before_narrow_ones_of_the_same_stage),
        CASE(test_the_same_id_at_a_narrower_scope_replaces),
        CASE(test_another_id_adds),
        CASE(test_a_replacement_runs_in_its_own_stage),
        CASE(test_what_the_plan_needs_is_known),
        CASE(test_a_plan_has_a_limit),
        CASE(test_a_consumers_policies_join_after_the_entry_that_found_it),
        CASE(test_what_has_run_is_not_run_again_nor_replaced),
        CASE(test_another_consumer_takes_the_first_ones_policies_along),
        CASE(test_an_extended_plan_has_the_limit_too),
        CASE(test_without_memory_there_is_no_plan),
    };
    return RUN_TESTS(tests);
}
