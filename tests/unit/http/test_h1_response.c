/* Response heads: framing by status and method, and what is refused. */
#include "http/h1_unit.h"

static struct response taken_for(const char *head, enum http_method method)
{
    struct response response;
    struct h1_result result = response_of(text_of(head), method, &response);
    if (result.progress != H1_DONE)
        fail_msg("%s: %d %s", head, (int)result.progress, h1_refusal_text(result.refusal));
    assert_int_equal(result.consumed, strlen(head));
    return response;
}

static struct response taken(const char *head)
{
    return taken_for(head, METHOD_GET);
}

static void assert_refused(const char *head, enum h1_refusal wanted)
{
    struct response response;
    struct text copy = exact_copy(text_of(head));
    struct h1_result result = response_of(copy, METHOD_GET, &response);
    memory_free((char *)copy.at);
    if (result.progress != H1_REFUSED || result.refusal != wanted)
        fail_msg("%s\ngave %d, %s", head, (int)result.progress, h1_refusal_text(result.refusal));
}

static void the_parts_of_a_response_are_found(void **state)
{
    (void)state;
    struct response r = taken("HTTP/1.1 404 Not Here\r\nContent-Length: 12\r\nServer: s\r\n\r\n");
    assert_int_equal(r.status, 404);
    assert_text(r.reason, "Not Here");
    assert_int_equal(r.version_minor, 1);
    assert_int_equal(r.body.kind, BODY_LENGTH);
    assert_int_equal(r.body.length, 12);
    assert_true(r.keep_alive);
    assert_text(fields_get_known(&r.fields, NAME_SERVER), "s");
    assert_null(fields_find_known(&r.fields, NAME_CONTENT_LENGTH));
}

static void a_reason_may_be_empty_or_missing(void **state)
{
    (void)state;
    assert_text(taken("HTTP/1.1 200 \r\n\r\n").reason, "");
    assert_int_equal(taken("HTTP/1.1 200\r\n\r\n").status, 200);
    assert_text(taken("HTTP/1.1 200 \xe9\tb  c\r\n\r\n").reason, "\xe9\tb  c");
}

static void without_framing_the_body_ends_with_the_connection(void **state)
{
    (void)state;
    struct response r = taken("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n");
    assert_int_equal(r.body.kind, BODY_CLOSE);
    assert_false(r.keep_alive);
}

static void chunked_is_understood(void **state)
{
    (void)state;
    struct response r = taken("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_int_equal(r.body.kind, BODY_CHUNKED);
    assert_true(r.keep_alive);
}

static void an_answer_to_head_has_no_body_but_keeps_its_length(void **state)
{
    (void)state;
    struct response r = taken_for("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", METHOD_HEAD);
    assert_int_equal(r.body.kind, BODY_NONE);
    assert_text(fields_get_known(&r.fields, NAME_CONTENT_LENGTH), "12");
    assert_true(r.keep_alive);
    r = taken_for("HTTP/1.1 200 OK\r\n\r\n", METHOD_HEAD);
    assert_int_equal(r.body.kind, BODY_NONE);
    assert_true(r.keep_alive);
    r = taken_for("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", METHOD_HEAD);
    assert_int_equal(r.body.kind, BODY_NONE);
    assert_null(fields_find_known(&r.fields, NAME_TRANSFER_ENCODING));
}

static void not_modified_has_no_body_but_keeps_its_length(void **state)
{
    (void)state;
    struct response r = taken("HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\nETag: x\r\n\r\n");
    assert_int_equal(r.body.kind, BODY_NONE);
    assert_text(fields_get_known(&r.fields, NAME_CONTENT_LENGTH), "12");
}

static void no_content_has_no_body(void **state)
{
    (void)state;
    assert_int_equal(taken("HTTP/1.1 204 No Content\r\n\r\n").body.kind, BODY_NONE);
    struct response r = taken("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(r.body.kind, BODY_NONE);
    assert_null(fields_find_known(&r.fields, NAME_CONTENT_LENGTH));
}

static void interim_heads_are_messages_of_their_own(void **state)
{
    (void)state;
    static const char two[] = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
    struct response r;
    struct h1_result result = response_of(TEXT_OF_ARRAY(two), METHOD_GET, &r);
    assert_int_equal(result.progress, H1_DONE);
    assert_int_equal(result.consumed, strstr(two, "HTTP/1.1 200") - two);
    assert_int_equal(r.body.kind, BODY_NONE);
    assert_false(r.upgrade);
}

static void switching_protocols_says_to_what(void **state)
{
    (void)state;
    struct response r =
        taken("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_true(r.upgrade);
    assert_int_equal(r.body.kind, BODY_NONE);
    assert_text(fields_get_known(&r.fields, NAME_UPGRADE), "websocket");
    assert_refused("HTTP/1.1 101 Switching Protocols\r\n\r\n", H1_BAD_STATUS_LINE);
    assert_refused("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", H1_BAD_STATUS_LINE);
}

static void upgrade_is_dropped_from_other_answers(void **state)
{
    (void)state;
    struct response r =
        taken("HTTP/1.1 200 OK\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n");
    assert_false(r.upgrade);
    assert_null(fields_find_known(&r.fields, NAME_UPGRADE));
    r = taken("HTTP/1.1 426 X\r\nUpgrade: h2c\r\n\r\n");
    assert_null(fields_find_known(&r.fields, NAME_UPGRADE));
}

static void connection_options_are_obeyed(void **state)
{
    (void)state;
    assert_false(taken("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").keep_alive);
    assert_false(taken("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").keep_alive);
    assert_true(taken("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n").keep_alive);
    struct response r = taken("HTTP/1.1 200 OK\r\nX: y\r\nKeep-Alive: 5\r\nConnection: x\r\n\r\n");
    FIELDS_EACH (line, &r.fields)
        fail();
}

static void what_is_no_status_line_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "HTTP/1.1 99 Low",     "HTTP/1.1 2000 OK",    "HTTP/1.1 000 OK",
        "HTTP/1.1 600 High",   "HTTP/1.1 2xx OK",     "HTTP/1.1",
        "HTTP/2.0 200 OK",     "http/1.1 200 OK",     "HTTP/1.1  200 OK",
        "HTTP/1.1 200OK",      "HTTP/1.1\t200 OK",    "HTTP/1.1 200 O\x01K",
        "SSH-2.0-OpenSSH_9",   "\x15\x03\x01",        "\r\nHTTP/1.1 200",
        " HTTP/1.1 200 OK",    "HTTP/1.1 200 OK\nX:", "HTTP/1.1 +20 OK",
        "HTTP/1.1 200 OK\r",   "ICY 200 OK",          "HTTP/11 200 OK",
        "HTTP/1.1 200 O\x7fK",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct text parts[] = {text_of(bad[i]), TEXT("\r\nContent-Length: 3\r\n\r\n")};
        assert_refused(arena_join(&unit_arena, parts, 2).at, H1_BAD_STATUS_LINE);
    }
}

static void what_is_no_answer_is_refused_at_its_first_byte(void **state)
{
    (void)state;
    struct response r;
    assert_int_equal(response_of(TEXT("S"), METHOD_GET, &r).refusal, H1_BAD_STATUS_LINE);
    assert_int_equal(response_of(TEXT("HTTP/2"), METHOD_GET, &r).refusal, H1_BAD_STATUS_LINE);
    assert_int_equal(response_of(TEXT("HTT"), METHOD_GET, &r).progress, H1_MORE);
}

static void ambiguous_framing_is_refused(void **state)
{
    (void)state;
    assert_refused("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
                   H1_BAD_ENCODING);
    assert_refused("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", H1_BAD_LENGTH);
    assert_refused("HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\n", H1_BAD_LENGTH);
    assert_refused("HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\n", H1_BAD_LENGTH);
    assert_refused("HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n", H1_BAD_LENGTH);
    assert_refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", H1_BAD_ENCODING);
    assert_refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", H1_UNKNOWN_ENCODING);
    assert_refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
                   H1_BAD_ENCODING);
    assert_refused("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", H1_BAD_ENCODING);
    assert_refused("HTTP/1.1 304 X\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
                   H1_BAD_ENCODING);
}

static void framing_where_no_body_can_be_is_refused(void **state)
{
    (void)state;
    assert_refused("HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n", H1_BAD_LENGTH);
    assert_refused("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", H1_BAD_ENCODING);
    assert_refused("HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n", H1_BAD_LENGTH);
    assert_refused("HTTP/1.1 103 X\r\nTransfer-Encoding: chunked\r\n\r\n", H1_BAD_ENCODING);
}

static void malformed_field_lines_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"X: a\r\n b", "X : y",   "X",   "X Y: z", "X: a\x01",
                                      "X: a\rb",    "X: a\nb", ": y", "\xe9: y"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct text parts[] = {TEXT("HTTP/1.1 200 OK\r\n"), text_of(bad[i]),
                               TEXT("\r\nContent-Length: 3\r\n\r\n")};
        assert_refused(arena_join(&unit_arena, parts, 3).at, H1_BAD_FIELD);
    }
}

static void a_head_over_the_limits_is_refused(void **state)
{
    (void)state;
    static const char head[] = "HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\n\r\n";
    struct h1_limits limits = {.head_bytes_max = sizeof head - 1, .fields_max = 2};
    struct response r;
    size_t scanned = 0;
    assert_int_equal(
        h1_parse_response(TEXT_OF_ARRAY(head), &scanned, &limits, &unit_arena, METHOD_GET, &r).progress,
        H1_DONE);
    limits.fields_max = 1, scanned = 0;
    assert_int_equal(
        h1_parse_response(TEXT_OF_ARRAY(head), &scanned, &limits, &unit_arena, METHOD_GET, &r).refusal,
        H1_TOO_MANY_FIELDS);
    limits.fields_max = 2, limits.head_bytes_max--, scanned = 0;
    assert_int_equal(
        h1_parse_response(TEXT_OF_ARRAY(head), &scanned, &limits, &unit_arena, METHOD_GET, &r).refusal,
        H1_HEAD_TOO_LARGE);
}

static void a_part_is_refused_only_as_the_whole_is(void **state)
{
    (void)state;
    static const char *const samples[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: some text that is longer\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 700 X\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
    };
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct response r;
        size_t scanned = 0;
        struct h1_result whole = response_of(text_of(samples[i]), METHOD_GET, &r),
                         pieces = {.progress = H1_MORE};
        for (size_t size = 0; size <= strlen(samples[i]); size++) {
            struct text part = exact_copy((struct text){samples[i], size});
            struct h1_result result = response_of(part, METHOD_GET, &r);
            if (pieces.progress == H1_MORE)
                pieces = h1_parse_response(part, &scanned, &usual_limits, &unit_arena, METHOD_GET, &r);
            memory_free((char *)part.at);
            assert_true(result.progress == H1_MORE || result.refusal == whole.refusal);
        }
        assert_int_equal(pieces.progress, whole.progress);
        assert_int_equal(pieces.refusal, whole.refusal);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        H1_TEST(the_parts_of_a_response_are_found),
        H1_TEST(a_reason_may_be_empty_or_missing),
        H1_TEST(without_framing_the_body_ends_with_the_connection),
        H1_TEST(chunked_is_understood),
        H1_TEST(an_answer_to_head_has_no_body_but_keeps_its_length),
        H1_TEST(not_modified_has_no_body_but_keeps_its_length),
        H1_TEST(no_content_has_no_body),
        H1_TEST(interim_heads_are_messages_of_their_own),
        H1_TEST(switching_protocols_says_to_what),
        H1_TEST(upgrade_is_dropped_from_other_answers),
        H1_TEST(connection_options_are_obeyed),
        H1_TEST(what_is_no_status_line_is_refused),
        H1_TEST(what_is_no_answer_is_refused_at_its_first_byte),
        H1_TEST(ambiguous_framing_is_refused),
        H1_TEST(framing_where_no_body_can_be_is_refused),
        H1_TEST(malformed_field_lines_are_refused),
        H1_TEST(a_head_over_the_limits_is_refused),
        H1_TEST(a_part_is_refused_only_as_the_whole_is),
    };
    return RUN_TESTS(tests);
}
