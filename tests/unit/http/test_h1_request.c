/* Request heads: what is understood, limits, and bytes that come in pieces. */
#include "http/h1_unit.h"

#define HOST "Host: shop.example\r\n"

static struct request taken(const char *head)
{
    struct request request;
    struct h1_result result = request_of(text_of(head), &request);
    if (result.progress != H1_DONE)
        fail_msg("%s: %s", head, h1_refusal_text(result.refusal));
    assert_int_equal(result.consumed, strlen(head));
    return request;
}

/* What is understood */

static void the_parts_of_a_request_are_found(void **state)
{
    (void)state;
    struct request r = taken(
        "GET /a/b?x=1&y HTTP/1.1\r\nHost: Shop.Example:8080\r\nAccept: */*\r\nX-Own:  v w \t\r\nX-Empty:\r\n\r\n");
    assert_text(r.method_text, "GET");
    assert_int_equal(r.method, METHOD_GET);
    assert_text(r.target, "/a/b?x=1&y");
    assert_text(r.path, "/a/b");
    assert_text(r.query, "x=1&y");
    assert_text(r.authority, "Shop.Example:8080");
    assert_text(r.host, "shop.example");
    assert_null(r.scheme.at);
    assert_int_equal(r.version_minor, 1);
    assert_int_equal(r.body.kind, BODY_NONE);
    assert_text(fields_get(&r.fields, TEXT("X-Own")), "v w");
    assert_text(fields_get(&r.fields, TEXT("X-Empty")), "");
    assert_text(fields_get_known(&r.fields, NAME_ACCEPT), "*/*");
}

static void texts_point_into_the_input(void **state)
{
    (void)state;
    static const char head[] = "GET /path HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
    struct request r = taken(head);
    assert_ptr_equal(r.path.at, head + 4);
    assert_ptr_equal(r.host.at, strstr(head, "a\r\n"));
    assert_ptr_equal(fields_get(&r.fields, TEXT("X")).at, strstr(head, "y\r\n"));
}

static void what_follows_the_head_is_not_consumed(void **state)
{
    (void)state;
    static const char two[] = "GET /1 HTTP/1.1\r\n" HOST "\r\nGET /2 HTTP/1.1\r\n";
    struct request r;
    struct h1_result result = request_of(TEXT_OF_ARRAY(two), &r);
    assert_int_equal(result.progress, H1_DONE);
    assert_int_equal(result.consumed, strstr(two, "GET /2") - two);
}

static void one_empty_line_before_the_request_is_forgiven(void **state)
{
    (void)state;
    struct request r = taken("\r\nGET / HTTP/1.1\r\n" HOST "\r\n");
    assert_text(r.path, "/");
    assert_request_refused("\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", H1_BAD_REQUEST_LINE);
    assert_request_refused("\nGET / HTTP/1.1\r\n" HOST "\r\n", H1_BAD_REQUEST_LINE);
    assert_request_refused("\rGET / HTTP/1.1\r\n" HOST "\r\n", H1_BAD_REQUEST_LINE);
}

static void an_own_method_is_taken(void **state)
{
    (void)state;
    struct request r = taken("PROP-FIND / HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(r.method, METHOD_OTHER);
    assert_text(r.method_text, "PROP-FIND");
    assert_int_equal(taken("get / HTTP/1.1\r\n" HOST "\r\n").method, METHOD_OTHER);
}

static void a_later_minor_version_is_taken_as_1(void **state)
{
    (void)state;
    assert_int_equal(taken("GET / HTTP/1.2\r\n" HOST "\r\n").version_minor, 1);
    assert_int_equal(taken("GET / HTTP/1.9\r\n" HOST "\r\n").version_minor, 1);
}

static void http10_closes_unless_it_asks_not_to(void **state)
{
    (void)state;
    assert_false(taken("GET / HTTP/1.0\r\n\r\n").keep_alive);
    assert_true(taken("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive);
    assert_false(taken("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n").keep_alive);
    assert_int_equal(taken("GET / HTTP/1.0\r\n\r\n").version_minor, 0);
}

static void http11_stays_open_unless_it_says_close(void **state)
{
    (void)state;
    assert_true(taken("GET / HTTP/1.1\r\n" HOST "\r\n").keep_alive);
    assert_true(taken("GET / HTTP/1.1\r\n" HOST "Connection: keep-alive\r\n\r\n").keep_alive);
    assert_false(taken("GET / HTTP/1.1\r\n" HOST "Connection: CLOSE\r\n\r\n").keep_alive);
    assert_false(taken("GET / HTTP/1.1\r\n" HOST "Connection: x\r\nConnection:, close ,\r\n\r\n").keep_alive);
    assert_true(taken("GET / HTTP/1.1\r\n" HOST "Connection: closed\r\n\r\n").keep_alive);
}

static void http10_may_lack_a_host(void **state)
{
    (void)state;
    struct request r = taken("GET / HTTP/1.0\r\n\r\n");
    assert_text(r.host, "");
    assert_text(r.authority, "");
    assert_text(taken("GET / HTTP/1.0\r\nHost: a\r\n\r\n").host, "a");
    assert_request_refused("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", H1_BAD_HOST);
}

static void content_length_gives_a_body(void **state)
{
    (void)state;
    struct request r = taken("POST / HTTP/1.1\r\n" HOST "Content-Length: 0042\r\n\r\n");
    assert_int_equal(r.body.kind, BODY_LENGTH);
    assert_int_equal(r.body.length, 42);
    assert_null(fields_find_known(&r.fields, NAME_CONTENT_LENGTH));
    r = taken("GET / HTTP/1.1\r\n" HOST "Content-Length: 9223372036854775807\r\n\r\n");
    assert_true(r.body.length == INT64_MAX);
}

static void transfer_encoding_gives_a_chunked_body(void **state)
{
    (void)state;
    struct request r = taken("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \tChunked \r\n\r\n");
    assert_int_equal(r.body.kind, BODY_CHUNKED);
    assert_null(fields_find_known(&r.fields, NAME_TRANSFER_ENCODING));
}

static void hop_by_hop_fields_are_taken_out(void **state)
{
    (void)state;
    struct request r = taken("GET / HTTP/1.1\r\n" HOST
                             "Connection: keep-alive\r\nKeep-Alive: 5\r\nProxy-Connection: close\r\n"
                             "TE: trailers\r\nUpgrade: websocket\r\nAccept: a\r\n\r\n");
    unsigned left = 0;
    FIELDS_EACH (line, &r.fields) {
        assert_text(line->name, "Accept");
        left++;
    }
    assert_int_equal(left, 1);
    assert_true(r.keep_alive);
}

static void nominated_fields_are_removed(void **state)
{
    (void)state;
    struct request r =
        taken("GET / HTTP/1.1\r\nX-One: 1\r\nConnection: X-One, x-two, close\r\n" HOST
              "X-Two: 2\r\nAuthorization: b\r\nconnection: authorization\r\nX-Three: 3\r\n\r\n");
    assert_null(fields_find(&r.fields, TEXT("X-One")));
    assert_null(fields_find(&r.fields, TEXT("X-Two")));
    assert_null(fields_find_known(&r.fields, NAME_AUTHORIZATION));
    assert_text(fields_get(&r.fields, TEXT("X-Three")), "3");
}

static void framing_and_host_cannot_be_nominated_away(void **state)
{
    (void)state;
    struct request r = taken("POST / HTTP/1.1\r\nConnection: Host, Content-Length, Connection\r\n" HOST
                             "Content-Length: 3\r\n\r\n");
    assert_text(r.host, "shop.example");
    assert_int_equal(r.body.length, 3);
    r = taken("POST / HTTP/1.1\r\nConnection: Transfer-Encoding\r\n" HOST
              "Transfer-Encoding: chunked\r\n\r\n");
    assert_int_equal(r.body.kind, BODY_CHUNKED);
}

static void too_many_nominations_are_refused(void **state)
{
    (void)state;
    char head[512] = "GET / HTTP/1.1\r\n" HOST "Connection: a";
    size_t size = strlen(head);
    for (unsigned i = 0; i < 32; i++)
        head[size++] = ',', head[size++] = 'b';
    memcpy(head + size, "\r\n\r\n", 4);
    assert_request_refused(head, H1_HEAD_TOO_LARGE);
}

static void te_trailers_is_understood(void **state)
{
    (void)state;
    assert_true(taken("GET / HTTP/1.1\r\n" HOST "TE: gzip;q=1, Trailers\r\n\r\n").te_trailers);
    assert_false(taken("GET / HTTP/1.1\r\n" HOST "TE: gzip\r\n\r\n").te_trailers);
}

static void an_upgrade_needs_both_fields(void **state)
{
    (void)state;
    struct request r =
        taken("GET / HTTP/1.1\r\n" HOST "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_true(r.upgrade);
    assert_text(fields_get_known(&r.fields, NAME_UPGRADE), "websocket");
    assert_false(taken("GET / HTTP/1.1\r\n" HOST "Connection: upgrade\r\n\r\n").upgrade);
    r = taken("GET / HTTP/1.1\r\n" HOST "Upgrade: websocket\r\n\r\n");
    assert_false(r.upgrade);
    assert_null(fields_find_known(&r.fields, NAME_UPGRADE));
}

static void an_upgrade_in_http10_is_ignored(void **state)
{
    (void)state;
    struct request r = taken("GET / HTTP/1.0\r\n" HOST "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_false(r.upgrade);
    assert_null(fields_find_known(&r.fields, NAME_UPGRADE));
}

static void an_upgrade_to_http2_is_ignored(void **state)
{
    (void)state;
    struct request r =
        taken("GET / HTTP/1.1\r\n" HOST "Connection: upgrade, http2-settings\r\nUpgrade: websocket, H2C\r\n"
              "HTTP2-Settings: AAMAAABk\r\n\r\n");
    assert_false(r.upgrade);
    assert_null(fields_find_known(&r.fields, NAME_UPGRADE));
    assert_null(fields_find(&r.fields, TEXT("HTTP2-Settings")));
}

static void an_upgrade_that_would_lead_around_the_policies_is_ignored(void **state)
{
    (void)state;
    static const char *const protocols[] = {"h2c", "HTTP/2.0", "TLS/1.0, HTTP/1.1", "websocket, h2"};
    for (size_t i = 0; i < COUNT_OF(protocols); i++) {
        struct text parts[] = {TEXT("GET / HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: "),
                               text_of(protocols[i]), TEXT("\r\n\r\n")};
        assert_false(taken(arena_join(&unit_arena, parts, 3).at).upgrade);
    }
}

static void expect_continue_is_understood(void **state)
{
    (void)state;
    struct request r = taken("POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nExpect: 100-Continue\r\n\r\n");
    assert_true(r.expects_continue);
    assert_null(fields_find_known(&r.fields, NAME_EXPECT));
    assert_true(taken("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
                    .expects_continue);
}

static void an_expectation_without_content_or_in_http10_is_none(void **state)
{
    (void)state;
    assert_false(taken("GET / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n\r\n").expects_continue);
    assert_false(taken("POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\nExpect: 100-continue\r\n\r\n")
                     .expects_continue);
    assert_false(taken("POST / HTTP/1.0\r\n" HOST "Content-Length: 1\r\nExpect: 100-continue\r\n\r\n")
                     .expects_continue);
}

static void underscores_make_no_second_spelling_of_a_known_name(void **state)
{
    (void)state;
    struct request r =
        taken("GET / HTTP/1.1\r\n" HOST "X_Forwarded_For: 6.6.6.6\r\nx-real_ip: 6\r\nX_Own: 1\r\n\r\n");
    assert_null(fields_find(&r.fields, TEXT("X_Forwarded_For")));
    assert_null(fields_find(&r.fields, TEXT("x-real_ip")));
    assert_text(fields_get(&r.fields, TEXT("X_Own")), "1");
}

static void absolute_form_overrules_host(void **state)
{
    (void)state;
    struct request r = taken("GET HTTPS://B.Example:81/p?q HTTP/1.1\r\n" HOST "\r\n");
    assert_text(r.scheme, "https");
    assert_text(r.authority, "B.Example:81");
    assert_text(r.host, "b.example");
    assert_text(r.path, "/p");
    assert_text(r.query, "q");
    assert_text(r.target, "HTTPS://B.Example:81/p?q");
}

static void absolute_form_may_lack_a_path(void **state)
{
    (void)state;
    assert_text(taken("GET http://b HTTP/1.1\r\n" HOST "\r\n").path, "/");
    struct request r = taken("GET http://b?q=1 HTTP/1.1\r\n" HOST "\r\n");
    assert_text(r.path, "/");
    assert_text(r.query, "q=1");
}

static void the_asterisk_is_for_options(void **state)
{
    (void)state;
    assert_text(taken("OPTIONS * HTTP/1.1\r\n" HOST "\r\n").path, "*");
    assert_text(taken("OPTIONS http://b HTTP/1.1\r\n" HOST "\r\n").path, "*");
    assert_text(taken("OPTIONS http://b/ HTTP/1.1\r\n" HOST "\r\n").path, "/");
    assert_text(taken("OPTIONS /a HTTP/1.1\r\n" HOST "\r\n").path, "/a");
}

static void the_path_is_normalised_and_the_query_is_not(void **state)
{
    (void)state;
    struct request r = taken("GET /a//b/../%7ec?%7e//../ HTTP/1.1\r\n" HOST "\r\n");
    assert_text(r.path, "/a/~c");
    assert_text(r.query, "%7e//../");
    assert_text(r.target, "/a//b/../%7ec?%7e//../");
}

static void a_query_may_hold_what_browsers_leave_unescaped(void **state)
{
    (void)state;
    struct request r = taken("GET /?a[]={\"x\":<1>}|^`\\%zz HTTP/1.1\r\n" HOST "\r\n");
    assert_text(r.query, "a[]={\"x\":<1>}|^`\\%zz");
    r = taken("GET /? HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(r.query.size, 0);
    assert_non_null(r.query.at);
    assert_null(taken("GET / HTTP/1.1\r\n" HOST "\r\n").query.at);
}

static void high_bytes_and_tabs_in_values_are_taken(void **state)
{
    (void)state;
    struct request r = taken("GET / HTTP/1.1\r\n" HOST "X: \xe9\tb\xff\r\n\r\n");
    assert_text(fields_get(&r.fields, TEXT("X")), "\xe9\tb\xff");
}

/* Limits and pieces */

static struct h1_result limited(const char *head, size_t size, struct h1_limits limits)
{
    struct request request;
    size_t scanned = 0;
    limits.paths = usual_limits.paths;
    return h1_parse_request((struct text){head, size}, &scanned, &limits, &unit_arena, &request);
}

static void a_request_line_over_the_limit_is_refused(void **state)
{
    (void)state;
    static const char head[] = "GET /12345 HTTP/1.1\r\n" HOST "\r\n"; /* a line of 19 bytes */
    struct h1_limits limits = {.line_bytes_max = 19, .head_bytes_max = 1000, .fields_max = 10};
    assert_int_equal(limited(head, sizeof head - 1, limits).progress, H1_DONE);
    limits.line_bytes_max = 18;
    assert_int_equal(limited(head, sizeof head - 1, limits).refusal, H1_LINE_TOO_LONG);
    assert_int_equal(limited(head, 19, limits).progress, H1_MORE);
    assert_int_equal(limited(head, 20, limits).refusal, H1_LINE_TOO_LONG);
    assert_int_equal(h1_refusal_status(H1_LINE_TOO_LONG), 414);
}

static void a_request_line_without_end_is_refused_at_its_limit(void **state)
{
    (void)state;
    char line[200] = "\r\nGET /";
    memset(line + 7, 'a', sizeof line - 7);
    struct h1_limits limits = {.line_bytes_max = 100, .head_bytes_max = 1000, .fields_max = 10};
    struct request request;
    size_t scanned = 0, size = 0;
    struct h1_result result = {.progress = H1_MORE};
    while (result.progress == H1_MORE && size < sizeof line)
        result = h1_parse_request((struct text){line, ++size}, &scanned, &limits, &unit_arena, &request);
    assert_int_equal(result.refusal, H1_LINE_TOO_LONG);
    assert_int_equal(size, 2 + 102);
}

static void a_head_over_the_limit_is_refused(void **state)
{
    (void)state;
    static const char head[] = "GET / HTTP/1.1\r\n" HOST "X: 12345\r\n\r\n";
    struct h1_limits limits = {.line_bytes_max = 100, .head_bytes_max = sizeof head - 1, .fields_max = 10};
    assert_int_equal(limited(head, sizeof head - 1, limits).progress, H1_DONE);
    limits.head_bytes_max--;
    assert_int_equal(limited(head, sizeof head - 1, limits).refusal, H1_HEAD_TOO_LARGE);
    assert_int_equal(limited(head, sizeof head - 2, limits).refusal, H1_HEAD_TOO_LARGE);
    assert_int_equal(limited(head, sizeof head - 3, limits).progress, H1_MORE);
    assert_int_equal(h1_refusal_status(H1_HEAD_TOO_LARGE), 431);
}

static void more_fields_than_the_limit_are_refused(void **state)
{
    (void)state;
    static const char head[] = "GET / HTTP/1.1\r\n" HOST "A: 1\r\nB: 2\r\n\r\n";
    struct h1_limits limits = {.line_bytes_max = 100, .head_bytes_max = 1000, .fields_max = 3};
    assert_int_equal(limited(head, sizeof head - 1, limits).progress, H1_DONE);
    limits.fields_max = 2;
    assert_int_equal(limited(head, sizeof head - 1, limits).refusal, H1_TOO_MANY_FIELDS);
}

static const char *const samples[] = {
    "GET /a/../b?q HTTP/1.1\r\n" HOST
    "User-Agent: some-agent/1.0 (with, a; longer text)\r\nConnection: keep-alive\r\n\r\n",
    "\r\nPOST http://b.example/ HTTP/1.1\r\n" HOST "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "GET / HTTP/2.0\r\n" HOST "\r\n",
    "GET / HTTP/1.1\r\n" HOST "X : y\r\n\r\n",
    "GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n",
    "GET / HTTP/1.1\r\nX: a\nb\r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "GE(T / HTTP/1.1\r\n\r\n",
};

static void a_part_is_refused_only_as_the_whole_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct request request;
        struct h1_result whole = request_of(text_of(samples[i]), &request);
        assert_int_not_equal(whole.progress, H1_MORE);
        for (size_t size = 0; size < strlen(samples[i]); size++) {
            struct text part = exact_copy((struct text){samples[i], size});
            struct h1_result result = request_of(part, &request);
            memory_free((char *)part.at);
            assert_int_not_equal(result.progress, H1_DONE);
            assert_int_equal(result.refusal, result.progress == H1_REFUSED ? whole.refusal : H1_FINE);
        }
    }
}

static void bytes_that_come_one_by_one_end_as_the_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct request request;
        struct h1_result whole = request_of(text_of(samples[i]), &request), result = {.progress = H1_MORE};
        size_t scanned = 0;
        for (size_t size = 1; size <= strlen(samples[i]) && result.progress == H1_MORE; size++)
            result = h1_parse_request((struct text){samples[i], size}, &scanned, &usual_limits, &unit_arena,
                                      &request);
        assert_int_equal(result.progress, whole.progress);
        assert_int_equal(result.refusal, whole.refusal);
        assert_int_equal(result.consumed, whole.consumed);
    }
}

static void a_dripping_head_is_parsed_twice_at_most(void **state)
{
    (void)state;
    struct request request;
    size_t scanned = 0;
    struct text head = text_of(samples[0]);
    for (size_t size = 1; size < head.size; size++)
        assert_int_equal(
            h1_parse_request((struct text){head.at, size}, &scanned, &usual_limits, &unit_arena, &request)
                .progress,
            H1_MORE);
    assert_int_equal(h1_parse_request(head, &scanned, &usual_limits, &unit_arena, &request).progress,
                     H1_DONE);
    assert_int_equal(unit_arena.used, unit_arena.block_size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        H1_TEST(the_parts_of_a_request_are_found),
        H1_TEST(texts_point_into_the_input),
        H1_TEST(what_follows_the_head_is_not_consumed),
        H1_TEST(one_empty_line_before_the_request_is_forgiven),
        H1_TEST(an_own_method_is_taken),
        H1_TEST(a_later_minor_version_is_taken_as_1),
        H1_TEST(http10_closes_unless_it_asks_not_to),
        H1_TEST(http11_stays_open_unless_it_says_close),
        H1_TEST(http10_may_lack_a_host),
        H1_TEST(content_length_gives_a_body),
        H1_TEST(transfer_encoding_gives_a_chunked_body),
        H1_TEST(hop_by_hop_fields_are_taken_out),
        H1_TEST(nominated_fields_are_removed),
        H1_TEST(framing_and_host_cannot_be_nominated_away),
        H1_TEST(too_many_nominations_are_refused),
        H1_TEST(te_trailers_is_understood),
        H1_TEST(an_upgrade_needs_both_fields),
        H1_TEST(an_upgrade_in_http10_is_ignored),
        H1_TEST(an_upgrade_to_http2_is_ignored),
        H1_TEST(an_upgrade_that_would_lead_around_the_policies_is_ignored),
        H1_TEST(expect_continue_is_understood),
        H1_TEST(an_expectation_without_content_or_in_http10_is_none),
        H1_TEST(underscores_make_no_second_spelling_of_a_known_name),
        H1_TEST(absolute_form_overrules_host),
        H1_TEST(absolute_form_may_lack_a_path),
        H1_TEST(the_asterisk_is_for_options),
        H1_TEST(the_path_is_normalised_and_the_query_is_not),
        H1_TEST(a_query_may_hold_what_browsers_leave_unescaped),
        H1_TEST(high_bytes_and_tabs_in_values_are_taken),
        H1_TEST(a_request_line_over_the_limit_is_refused),
        H1_TEST(a_request_line_without_end_is_refused_at_its_limit),
        H1_TEST(a_head_over_the_limit_is_refused),
        H1_TEST(more_fields_than_the_limit_are_refused),
        H1_TEST(a_part_is_refused_only_as_the_whole_is),
        H1_TEST(bytes_that_come_one_by_one_end_as_the_whole),
        H1_TEST(a_dripping_head_is_parsed_twice_at_most),
    };
    return RUN_TESTS(tests);
}
