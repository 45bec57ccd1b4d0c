/* Did you mean ...? */
#include "unit.h"

#include "base/check.h"
#include "config/field.h"

static const struct text names[] = {TEXT_INIT("window"), TEXT_INIT("limit"), TEXT_INIT("max_age"),
                                    TEXT_INIT("key"), TEXT_INIT("least-requests")};

static struct text near(const char *word)
{
    return near_miss(text_of(word), names, COUNT_OF(names));
}

static void slips_are_understood(void **state)
{
    (void)state;
    assert_text(near("windw"), "window");
    assert_text(near("widnow"), "window");
    assert_text(near("limits"), "limit");
    assert_text(near("kez"), "key");
    assert_text(near("last-request"), "least-requests");
}

static void case_and_signs_do_not_count(void **state)
{
    (void)state;
    assert_text(near("Max-Age"), "max_age");
    assert_text(near("LIMIT"), "limit");
}

static void what_is_far_is_not_guessed(void **state)
{
    (void)state;
    assert_null(near("colour").at);
    assert_null(near("k").at);
    assert_null(near("").at);
    assert_null(near_miss(TEXT("window"), NULL, 0).at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slips_are_understood),
        cmocka_unit_test(case_and_signs_do_not_count),
        cmocka_unit_test(what_is_far_is_not_guessed),
    };
    return RUN_TESTS(tests);
}
