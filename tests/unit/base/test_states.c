/* Named state: found again by name and shape, destroyed with its last claim, nothing left when memory gives out. */
#include "unit.h"

#include "base/memory.h"
#include "base/states.h"

static int created, destroyed;
static bool refuse;

struct counter {
    int value;
};

static void *create(void *argument)
{
    struct counter *counter = refuse ? NULL : memory_zero(sizeof *counter);
    if (!counter)
        return NULL;
    counter->value = *(int *)argument;
    created++;
    return counter;
}

static void destroy(void *state)
{
    destroyed++;
    memory_free(state);
}

static int setup(void **state)
{
    created = destroyed = 0;
    refuse = false;
    *state = states_new();
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    states_free(*state);
    return created == destroyed ? 0 : -1;
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static struct counter *claim(struct states *states, struct arena *arena, const char *kind, const char *name,
                             uint64_t shape)
{
    int first = 7;
    return states_claim(states, arena, kind, text_of(name), shape, create, destroy, &first);
}

static void test_the_same_name_finds_the_same_state(void **state)
{
    struct arena one, two;
    arena_init(&one, 0, 0);
    arena_init(&two, 0, 0);
    struct counter *first = claim(*state, &one, "quota", "routes.a", 1);
    assert_non_null(first);
    assert_int_equal(first->value, 7);
    first->value = 8;
    assert_ptr_equal(claim(*state, &two, "quota", "routes.a", 1), first);
    assert_int_equal(first->value, 8);
    assert_int_equal(created, 1);
    arena_release(&one);
    arena_release(&two);
}

static void test_another_kind_name_or_shape_is_another_state(void **state)
{
    struct arena arena;
    arena_init(&arena, 0, 0);
    struct counter *a = claim(*state, &arena, "quota", "routes.a", 1);
    struct counter *others[] = {
        claim(*state, &arena, "quota", "routes.a", 2),
        claim(*state, &arena, "quota", "routes.b", 1),
        claim(*state, &arena, "turn", "routes.a", 1),
        claim(*state, &arena, "quota", "", 1),
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_true(others[i] && others[i] != a);
    assert_int_equal(created, 5);
    arena_release(&arena);
    assert_int_equal(destroyed, 5);
}

static void test_it_lives_as_long_as_its_last_claim(void **state)
{
    struct arena old, fresh;
    arena_init(&old, 0, 0);
    arena_init(&fresh, 0, 0);
    struct counter *counter = claim(*state, &old, "quota", "a", 1);
    assert_ptr_equal(claim(*state, &fresh, "quota", "a", 1), counter);
    arena_release(&old); /* the old snapshot goes, the new one has it */
    assert_int_equal(destroyed, 0);
    counter->value++;
    arena_release(&fresh);
    assert_int_equal(destroyed, 1);
}

static void test_a_state_that_nobody_claims_begins_anew(void **state)
{
    struct arena arena;
    arena_init(&arena, 0, 0);
    claim(*state, &arena, "quota", "a", 1)->value = 99;
    arena_reset(&arena);
    assert_int_equal(claim(*state, &arena, "quota", "a", 1)->value, 7);
    arena_release(&arena);
    assert_int_equal(destroyed, 2);
}

static void test_two_claims_of_one_arena_are_given_back_together(void **state)
{
    struct arena arena;
    arena_init(&arena, 0, 0);
    struct counter *counter = claim(*state, &arena, "quota", "a", 1);
    assert_ptr_equal(claim(*state, &arena, "quota", "a", 1), counter);
    arena_release(&arena);
    assert_int_equal(destroyed, 1);
}

static void test_a_state_that_cannot_be_made_leaves_nothing(void **state)
{
    struct arena arena;
    arena_init(&arena, 0, 0);
    refuse = true;
    assert_null(claim(*state, &arena, "quota", "a", 1));
    refuse = false;
    assert_non_null(claim(*state, &arena, "quota", "a", 1));
    arena_release(&arena);
}

static void test_the_end_of_the_process_destroys_what_is_still_claimed(void **state)
{
    struct states *states = states_new();
    struct arena arena;
    (void)state;
    arena_init(&arena, 0, 0);
    assert_non_null(claim(states, &arena, "quota", "a", 1));
    states_free(states);
    assert_int_equal(destroyed, 1);
    arena.deferred = NULL; /* its claim went with them */
    arena_release(&arena);
    states_free(NULL);
}

static void test_each_failing_allocation_leaves_nothing(void **state)
{
    bool done = false;
    for (uint64_t nth = 1; !done && nth < 50; nth++) {
        struct arena arena;
        arena_init(&arena, 0, 0);
        memory_fail_at(nth);
        struct counter *counter = claim(*state, &arena, "quota", "a", 1);
        memory_fail_at(0);
        done = counter != NULL && nth > 3;
        arena_release(&arena);
        assert_int_equal(created, destroyed);
    }
    assert_true(done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_the_same_name_finds_the_same_state),
        CASE(test_another_kind_name_or_shape_is_another_state),
        CASE(test_it_lives_as_long_as_its_last_claim),
        CASE(test_a_state_that_nobody_claims_begins_anew),
        CASE(test_two_claims_of_one_arena_are_given_back_together),
        CASE(test_a_state_that_cannot_be_made_leaves_nothing),
        CASE(test_the_end_of_the_process_destroys_what_is_still_claimed),
        CASE(test_each_failing_allocation_leaves_nothing),
    };
    return RUN_TESTS(tests);
}
