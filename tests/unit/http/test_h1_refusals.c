/* Request heads that are refused, each for its reason. */
#include "http/h1_unit.h"

#define HOST "Host: shop.example\r\n"

/* A POST with Host and one line more. */
static void assert_line_refused(const char *line, enum h1_refusal wanted)
{
    struct text parts[] = {TEXT("POST / HTTP/1.1\r\n" HOST), text_of(line), TEXT("\r\n\r\n")};
    struct text head = arena_join(&unit_arena, parts, COUNT_OF(parts));
    assert_request_refused(head.at, wanted);
}

static void assert_target_refused(const char *target, enum h1_refusal wanted)
{
    struct text parts[] = {TEXT("GET "), text_of(target), TEXT(" HTTP/1.1\r\n" HOST "\r\n")};
    struct text head = arena_join(&unit_arena, parts, COUNT_OF(parts));
    assert_request_refused(head.at, wanted);
}

static void assert_host_refused(const char *host)
{
    struct text parts[] = {TEXT("GET / HTTP/1.1\r\nHost: "), text_of(host), TEXT("\r\n\r\n")};
    struct text head = arena_join(&unit_arena, parts, COUNT_OF(parts));
    assert_request_refused(head.at, H1_BAD_HOST);
}

static void a_request_line_of_another_shape_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        " GET / HTTP/1.1",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET /",
        "GET",
        "GET / ",
        "GET / http/1.1",
        "GET / HTTP/1",
        "GET / HTTP/1.10",
        "GET / ICAP/1.0",
        "GET HTTP/1.1",
        "GET / HTTP/1.1\r",
        "GET / HTTP/x.1",
        "GET / HTTP/1,1",
        "GET /a b HTTP/1.1",
        "GET / XHTTP/1.1",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct text parts[] = {text_of(bad[i]), TEXT("\r\n" HOST "\r\n")};
        assert_request_refused(arena_join(&unit_arena, parts, 2).at, H1_BAD_REQUEST_LINE);
    }
}

static void a_method_that_is_no_token_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"GE:T", "G[]T", "G\xc9T", "G\x01T", "GET\t", "G/T", "\x16\x03\x01"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct text parts[] = {text_of(bad[i]), TEXT(" / HTTP/1.1\r\n" HOST "\r\n")};
        assert_request_refused(arena_join(&unit_arena, parts, 2).at, H1_BAD_METHOD);
    }
}

static void a_major_version_other_than_1_is_refused(void **state)
{
    (void)state;
    assert_request_refused("GET / HTTP/2.0\r\n" HOST "\r\n", H1_BAD_VERSION);
    assert_request_refused("GET / HTTP/0.9\r\n" HOST "\r\n", H1_BAD_VERSION);
    assert_request_refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", H1_BAD_VERSION);
    assert_int_equal(h1_refusal_status(H1_BAD_VERSION), 505);
}

static void a_target_that_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "a/b",         "/a#b",     "/?a#b",   "#",         "/a\x01",      "/\xe9",           "/a\x7f",
        "ftp://a/",    "http:/a",  "http://", "http:///a", "http://u@a/", "http://a:99999/", "http://a#b",
        "http://a b/", "shop:443", "?q",      "/a\tb"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (!strchr(bad[i], ' '))
            assert_target_refused(bad[i], H1_BAD_TARGET);
}

static void the_asterisk_is_refused_for_other_methods(void **state)
{
    (void)state;
    assert_target_refused("*", H1_BAD_TARGET);
}

static void connect_is_refused(void **state)
{
    (void)state;
    assert_request_refused("CONNECT shop.example:443 HTTP/1.1\r\n" HOST "\r\n", H1_BAD_TARGET);
    assert_request_refused("CONNECT / HTTP/1.1\r\n" HOST "\r\n", H1_BAD_TARGET);
}

static void a_path_that_cannot_be_normalised_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"/..",  "/%zz",  "/a%00",  "/a%0d%0ab", "/\"",
                                      "/<a>", "/a\\b", "/a%2fb", "/..;/a",    "http://a/.."};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_target_refused(bad[i], H1_BAD_PATH);
}

static void line_ends_other_than_crlf_are_refused(void **state)
{
    (void)state;
    assert_request_refused("GET / HTTP/1.1\n" HOST "\r\n", H1_BAD_REQUEST_LINE);
    assert_request_refused("GET / HTTP/1.1\rHost: a\r\r", H1_BAD_REQUEST_LINE);
    assert_request_refused("GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", H1_BAD_FIELD);
    assert_request_refused("GET / HTTP/1.1\r\n" HOST "\n", H1_BAD_FIELD);
    assert_request_refused("GET / HTTP/1.1\r\n" HOST "\rX: y\r\n\r\n", H1_BAD_FIELD);
    assert_request_refused("GET / HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n", H1_BAD_FIELD);
    assert_request_refused("GET / HTTP/1.1\r\n" HOST "X: a\r\r\n\r\n", H1_BAD_FIELD);
}

static void folded_lines_are_refused(void **state)
{
    (void)state;
    assert_line_refused("X: a\r\n b", H1_BAD_FIELD);
    assert_line_refused("X: a\r\n\tb", H1_BAD_FIELD);
    assert_line_refused("X: a\r\n b: c", H1_BAD_FIELD);
    assert_request_refused("GET / HTTP/1.1\r\n " HOST "\r\n", H1_BAD_FIELD);
}

static void space_before_the_colon_is_refused(void **state)
{
    (void)state;
    assert_line_refused("X : y", H1_BAD_FIELD);
    assert_line_refused("X\t: y", H1_BAD_FIELD);
    assert_line_refused("Content-Length : 3", H1_BAD_FIELD);
    assert_line_refused("Transfer-Encoding\x0b: chunked", H1_BAD_FIELD);
}

static void a_name_that_is_no_token_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {": y", "X Y: z", "X\x01: y", "X\xe9: y", "X/Y: z",
                                      "X",   "",       "\"X\": y", "X@: y",    "X\x7f: y"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (*bad[i])
            assert_line_refused(bad[i], H1_BAD_FIELD);
}

static void every_control_byte_in_a_value_is_refused(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        char head[] = "GET / HTTP/1.1\r\n" HOST "X: some-value-with-a-?-byte-inside\r\n\r\n";
        *strchr(head, '?') = (char)byte;
        struct request request;
        struct h1_result result = request_of(TEXT_OF_ARRAY(head), &request);
        bool wanted = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
        assert_int_equal(result.progress, wanted ? H1_DONE : H1_REFUSED);
        assert_int_equal(result.refusal, wanted ? H1_FINE : H1_BAD_FIELD);
    }
}

static void nul_is_refused_wherever_it_is(void **state)
{
    (void)state;
    static const char fine[] = "GET /path?q HTTP/1.1\r\n" HOST "X: value\r\n\r\n";
    for (size_t i = 0; i < sizeof fine - 1; i++) {
        char head[sizeof fine];
        memcpy(head, fine, sizeof fine);
        head[i] = 0;
        struct request request;
        assert_int_equal(request_of(TEXT_OF_ARRAY(head), &request).progress, H1_REFUSED);
    }
}

static void http11_without_one_valid_host_is_refused(void **state)
{
    (void)state;
    assert_request_refused("GET / HTTP/1.1\r\n\r\n", H1_BAD_HOST);
    assert_request_refused("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", H1_BAD_HOST);
    assert_request_refused("GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", H1_BAD_HOST);
    assert_request_refused("GET http://a/ HTTP/1.1\r\n\r\n", H1_BAD_HOST);
    static const char *const bad[] = {"",        "a, b",  "a b",  "a/b",  "u@a",  "a?b", "a:b",
                                      "a:65536", "a:1:2", "[::1", "\xe9", "a%2e", "a..b"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_host_refused(bad[i]);
}

static void a_length_that_is_not_one_number_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "+3",
                                      "-3",
                                      "3 3",
                                      "0x3",
                                      "3a",
                                      "3.0",
                                      "3, 3",
                                      "3,3",
                                      "3,",
                                      "9223372036854775808",
                                      "18446744073709551619",
                                      "99999999999999999999999999",
                                      "\xd9\xa3",
                                      "\"3\"",
                                      "3;a"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct text parts[] = {TEXT("Content-Length: "), text_of(bad[i])};
        assert_line_refused(arena_join(&unit_arena, parts, 2).at, H1_BAD_LENGTH);
    }
    assert_line_refused("Content-Length: 3\r\nContent-Length: 4", H1_BAD_LENGTH);
    assert_line_refused("Content-Length: 3\r\ncontent-length: 3", H1_BAD_LENGTH);
}

static void a_length_beside_an_encoding_is_refused(void **state)
{
    (void)state;
    assert_line_refused("Content-Length: 3\r\nTransfer-Encoding: chunked", H1_BAD_ENCODING);
    assert_line_refused("Transfer-Encoding: chunked\r\nContent-Length: 3", H1_BAD_ENCODING);
    assert_line_refused("Transfer-Encoding: chunked\r\nContent-Length: x", H1_BAD_ENCODING);
}

static void an_encoding_in_http10_is_refused(void **state)
{
    (void)state;
    assert_request_refused("POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", H1_BAD_ENCODING);
}

static void chunked_that_is_not_last_or_not_alone_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "gzip",
                                      "identity",
                                      "chunked, gzip",
                                      "chunked, chunked",
                                      "chunked,",
                                      ",chunked",
                                      "xchunked",
                                      "chunked;a=b",
                                      "\"chunked\"",
                                      "chunked chunked",
                                      "chunked\xa0",
                                      "gzip, , chunked"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct text parts[] = {TEXT("Transfer-Encoding: "), text_of(bad[i])};
        assert_line_refused(arena_join(&unit_arena, parts, 2).at, H1_BAD_ENCODING);
    }
    assert_line_refused("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", H1_BAD_ENCODING);
    assert_line_refused("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", H1_BAD_ENCODING);
}

static void an_unknown_coding_below_chunked_is_not_implemented(void **state)
{
    (void)state;
    assert_line_refused("Transfer-Encoding: gzip, chunked", H1_UNKNOWN_ENCODING);
    assert_int_equal(h1_refusal_status(H1_UNKNOWN_ENCODING), 501);
}

static void an_unknown_expectation_is_refused(void **state)
{
    (void)state;
    assert_line_refused("Expect: tea", H1_EXPECTATION_FAILED);
    assert_line_refused("Expect: 100-continue, tea", H1_EXPECTATION_FAILED);
    assert_line_refused("Expect: 100-continue\r\nExpect: tea", H1_EXPECTATION_FAILED);
    assert_int_equal(h1_refusal_status(H1_EXPECTATION_FAILED), 417);
}

static void every_refusal_has_a_status_and_a_sentence(void **state)
{
    (void)state;
    for (unsigned i = 1; i < H1_REFUSALS_COUNT; i++) {
        assert_in_range(h1_refusal_status((enum h1_refusal)i), 400, 505);
        assert_true(strlen(h1_refusal_text((enum h1_refusal)i)) > 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        H1_TEST(a_request_line_of_another_shape_is_refused),
        H1_TEST(a_method_that_is_no_token_is_refused),
        H1_TEST(a_major_version_other_than_1_is_refused),
        H1_TEST(a_target_that_is_none_is_refused),
        H1_TEST(the_asterisk_is_refused_for_other_methods),
        H1_TEST(connect_is_refused),
        H1_TEST(a_path_that_cannot_be_normalised_is_refused),
        H1_TEST(line_ends_other_than_crlf_are_refused),
        H1_TEST(folded_lines_are_refused),
        H1_TEST(space_before_the_colon_is_refused),
        H1_TEST(a_name_that_is_no_token_is_refused),
        H1_TEST(every_control_byte_in_a_value_is_refused),
        H1_TEST(nul_is_refused_wherever_it_is),
        H1_TEST(http11_without_one_valid_host_is_refused),
        H1_TEST(a_length_that_is_not_one_number_is_refused),
        H1_TEST(a_length_beside_an_encoding_is_refused),
        H1_TEST(an_encoding_in_http10_is_refused),
        H1_TEST(chunked_that_is_not_last_or_not_alone_is_refused),
        H1_TEST(an_unknown_coding_below_chunked_is_not_implemented),
        H1_TEST(an_unknown_expectation_is_refused),
        H1_TEST(every_refusal_has_a_status_and_a_sentence),
    };
    return RUN_TESTS(tests);
}
