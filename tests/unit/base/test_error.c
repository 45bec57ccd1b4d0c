/* Error sentences and failed checks. */
#include "unit.h"

#include <errno.h>

#include "base/check.h"
#include "base/error.h"

static void an_error_says_its_sentence_and_returns_its_code(void **state)
{
    (void)state;
    struct error error = {0};
    assert_int_equal(error_set(&error, -EINVAL, "port %d is taken", 80), -EINVAL);
    assert_int_equal(error.code, -EINVAL);
    assert_string_equal(error.said, "port 80 is taken");
}

static void a_system_error_adds_the_text_of_the_code_of_either_sign(void **state)
{
    (void)state;
    struct error error;
    error_system(&error, -ENOENT, "open %s", "x");
    assert_string_equal(error.said, "open x: No such file or directory");
    error_system(&error, ENOENT, "open %s", "x");
    assert_string_equal(error.said, "open x: No such file or directory");
}

static void nobody_who_asks_is_allowed(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, -EPERM, "no"), -EPERM);
    assert_int_equal(error_system(NULL, -EPERM, "no"), -EPERM);
}

static void a_long_sentence_is_cut_and_terminated(void **state)
{
    (void)state;
    struct error error;
    error_system(&error, -EIO, "%0400d", 1);
    assert_int_equal(strlen(error.said), sizeof error.said - 1);
}

static void break_a_check(void)
{
    int count = 1;
    CHECK(count == 2);
}

static void keep_a_check(void)
{
    CHECK(1 + 1 == 2);
}

static void a_broken_check_aborts_also_in_release_builds(void **state)
{
    (void)state;
    assert_true(aborts(break_a_check));
    assert_false(aborts(keep_a_check));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_says_its_sentence_and_returns_its_code),
        cmocka_unit_test(a_system_error_adds_the_text_of_the_code_of_either_sign),
        cmocka_unit_test(nobody_who_asks_is_allowed),
        cmocka_unit_test(a_long_sentence_is_cut_and_terminated),
        cmocka_unit_test(a_broken_check_aborts_also_in_release_builds),
    };
    return RUN_TESTS(tests);
}
