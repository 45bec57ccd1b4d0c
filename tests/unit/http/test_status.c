/* Reason phrases. */
#include "unit.h"

#include "http/message.h"

static void assigned_statuses_have_their_phrase(void **state)
{
    (void)state;
    assert_text(status_reason(100), "Continue");
    assert_text(status_reason(103), "Early Hints");
    assert_text(status_reason(200), "OK");
    assert_text(status_reason(206), "Partial Content");
    assert_text(status_reason(226), "IM Used");
    assert_text(status_reason(304), "Not Modified");
    assert_text(status_reason(307), "Temporary Redirect");
    assert_text(status_reason(308), "Permanent Redirect");
    assert_text(status_reason(417), "Expectation Failed");
    assert_text(status_reason(421), "Misdirected Request");
    assert_text(status_reason(426), "Upgrade Required");
    assert_text(status_reason(429), "Too Many Requests");
    assert_text(status_reason(431), "Request Header Fields Too Large");
    assert_text(status_reason(451), "Unavailable For Legal Reasons");
    assert_text(status_reason(505), "HTTP Version Not Supported");
    assert_text(status_reason(511), "Network Authentication Required");
}

static void unassigned_statuses_have_none(void **state)
{
    (void)state;
    static const unsigned unassigned[] = {0,   99,  104, 209, 306, 309, 418,  427,
                                          432, 499, 512, 599, 600, 999, 70000};
    for (size_t i = 0; i < sizeof unassigned / sizeof *unassigned; i++)
        assert_text(status_reason(unassigned[i]), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(assigned_statuses_have_their_phrase),
        cmocka_unit_test(unassigned_statuses_have_none),
    };
    return RUN_TESTS(tests);
}
