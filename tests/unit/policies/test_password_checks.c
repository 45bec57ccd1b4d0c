/* What basic-auth remembers, and for how long. */
#include "unit.h"

#include <stdio.h>

#include "base/random.h"
#include "policies/password_checks.h"

static int set_up(void **state)
{
    random_init();
    *state = password_checks_new();
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    password_checks_unref(*state);
    return 0;
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static struct sha256 proof(const struct password_checks *checks, const char *username, const char *password,
                           const char *hash)
{
    struct sha256 made;
    assert_true(password_proof(checks, text_of(username), text_of(password), text_of(hash), &made));
    return made;
}

static void what_is_remembered_is_recalled_until_its_time_is_over(void **state)
{
    struct password_checks *checks = *state;
    struct sha256 alice = proof(checks, "alice", "horse", "$6$x");
    assert_false(password_checks_recall(checks, &alice, 0));
    password_checks_remember(checks, &alice, 1000, 60);
    assert_true(password_checks_recall(checks, &alice, 1000));
    assert_true(password_checks_recall(checks, &alice, 1059));
    assert_false(password_checks_recall(checks, &alice, 1060));
}

static void name_password_and_hash_all_count_and_do_not_run_together(void **state)
{
    struct password_checks *checks = *state;
    struct sha256 alice = proof(checks, "alice", "horse", "$6$x");
    const struct sha256 others[] = {
        proof(checks, "alicf", "horse", "$6$x"), proof(checks, "alice", "horsf", "$6$x"),
        proof(checks, "alice", "horse", "$6$y"), proof(checks, "aliceh", "orse", "$6$x"),
        proof(checks, "alice", "horse$", "6$x")};
    password_checks_remember(checks, &alice, 0, 1000);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(password_checks_recall(checks, &others[i], 0));
}

static void two_processes_have_different_proofs(void **state)
{
    struct password_checks *other = password_checks_new();
    struct sha256 here = proof(*state, "alice", "horse", "$6$x"),
                  there = proof(other, "alice", "horse", "$6$x");
    assert_false(sha256_equal(&here, &there));
    password_checks_unref(other);
}

static void the_newest_is_always_there_however_many_came_before(void **state)
{
    struct password_checks *checks = *state;
    for (int i = 0; i < 10000; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "user-%d", i);
        struct sha256 one = proof(checks, name, "horse", "$6$x");
        password_checks_remember(checks, &one, i, 100000);
        assert_true(password_checks_recall(checks, &one, i));
    }
}

static void what_is_too_long_has_no_proof(void **state)
{
    static char longer[1000];
    struct sha256 made;
    memset(longer, 'a', sizeof longer);
    struct text t = {longer, sizeof longer};
    assert_false(password_proof(*state, t, TEXT("a"), TEXT("a"), &made));
    assert_false(password_proof(*state, TEXT("a"), t, TEXT("a"), &made));
    assert_false(password_proof(*state, TEXT("a"), TEXT("a"), t, &made));
}

static void no_more_enter_than_the_limit(void **state)
{
    struct password_checks *checks = *state;
    assert_true(password_checks_enter(checks, 2));
    assert_true(password_checks_enter(checks, 2));
    assert_false(password_checks_enter(checks, 2));
    password_checks_leave(checks);
    assert_true(password_checks_enter(checks, 2));
    password_checks_leave(checks);
    password_checks_leave(checks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_remembered_is_recalled_until_its_time_is_over),
        CASE(name_password_and_hash_all_count_and_do_not_run_together),
        CASE(two_processes_have_different_proofs),
        CASE(the_newest_is_always_there_however_many_came_before),
        CASE(what_is_too_long_has_no_proof),
        CASE(no_more_enter_than_the_limit),
    };
    return RUN_TESTS(tests);
}
