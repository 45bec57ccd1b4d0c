/* Normal forms of paths, authorities, whole URIs. */
#include "http/h1_unit.h"

static const struct uri_rules usual = {.merge_slashes = true, .encoded_slashes = SLASHES_REJECT};
static const struct uri_rules apart = {.merge_slashes = false, .encoded_slashes = SLASHES_REJECT};
static const struct uri_rules keep = {.merge_slashes = true, .encoded_slashes = SLASHES_KEEP};
static const struct uri_rules decode = {.merge_slashes = true, .encoded_slashes = SLASHES_DECODE};

static void assert_path(const char *path, const struct uri_rules *rules, const char *wanted)
{
    struct text got = TEXT("(refused)"), copy = exact_copy(text_of(path));
    (void)uri_normalise_path(copy, rules, &unit_arena, &got); /* a refusal shows in the text */
    assert_text(got, wanted);
    memory_free((char *)copy.at);
}

static void assert_path_refused(const char *path, const struct uri_rules *rules)
{
    struct text got;
    if (uri_normalise_path(text_of(path), rules, &unit_arena, &got))
        fail_msg("%s was taken as %.*s", path, TEXT_ARGS(got));
}

static void a_normal_path_is_not_copied(void **state)
{
    (void)state;
    static const char *const normal[] = {
        "/",    "/a/b", "/a/b/", "/a:b@c!$&'()*+,;=", "/a%20b%2525", "/.well-known/x", "/...",
        "/..a", "/a.",  "/a..",  "/caf%C3%A9",        "/a;p=1/b",    "/-._~"};
    for (size_t i = 0; i < COUNT_OF(normal); i++) {
        struct text got;
        assert_true(uri_normalise_path(text_of(normal[i]), &usual, &unit_arena, &got));
        assert_ptr_equal(got.at, normal[i]);
        assert_int_equal(got.size, strlen(normal[i]));
    }
    assert_null(unit_arena.blocks);
}

static void escapes_of_unreserved_characters_are_decoded(void **state)
{
    (void)state;
    assert_path("/%7euser/%41%5A%2d%2E%5f%30", &usual, "/~user/AZ-._0");
}

static void other_escapes_are_upper_case(void **state)
{
    (void)state;
    assert_path("/a%3ab%c3%a9%3f%23%25", &usual, "/a%3Ab%C3%A9%3F%23%25");
}

static void a_path_is_decoded_once(void **state)
{
    (void)state;
    assert_path("/%2561%252f/%61", &usual, "/%2561%252f/a");
}

static void dot_segments_are_removed(void **state)
{
    (void)state;
    assert_path("/a/./b", &usual, "/a/b");
    assert_path("/a/../b", &usual, "/b");
    assert_path("/a/b/..", &usual, "/a/");
    assert_path("/a/b/.", &usual, "/a/b/");
    assert_path("/.", &usual, "/");
    assert_path("/a/..", &usual, "/");
    assert_path("/./a/.././b/c/..", &usual, "/b/");
    assert_path("/a/b/c/../../d", &usual, "/a/d");
}

static void encoded_dots_are_dots(void **state)
{
    (void)state;
    assert_path("/a/%2e/b/%2E%2e/c", &usual, "/a/c");
    assert_path("/a/.%2e/b", &usual, "/b");
    assert_path_refused("/%2e%2e/a", &usual);
}

static void a_way_above_the_root_is_refused(void **state)
{
    (void)state;
    assert_path_refused("/..", &usual);
    assert_path_refused("/../a", &usual);
    assert_path_refused("/a/../../b", &usual);
    assert_path_refused("/./..", &usual);
    assert_path_refused("//..", &usual);
}

static void repeated_slashes_are_merged(void **state)
{
    (void)state;
    assert_path("//", &usual, "/");
    assert_path("//a///b//", &usual, "/a/b/");
    assert_path("/a//../b", &usual, "/b");
    assert_path("/.//a", &usual, "/a");
    assert_path("/a/..//b", &usual, "/b");
}

static void repeated_slashes_may_be_kept(void **state)
{
    (void)state;
    assert_path("/a//b/", &apart, "/a//b/");
    assert_path("//", &apart, "//");
    assert_path("/a//../b", &apart, "/a/b");
    assert_path("/a//./b", &apart, "/a//b");
}

static void encoded_slashes_are_refused_by_default(void **state)
{
    (void)state;
    static const char *const bad[] = {"/a%2fb", "/a%2Fb", "/%2f", "/a%5cb", "/a%5Cb", "/..%2f"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_path_refused(bad[i], &usual);
}

static void encoded_slashes_may_be_kept_and_separate_nothing(void **state)
{
    (void)state;
    assert_path("/a%2fb/../c%5cd", &keep, "/c%5Cd");
    assert_path("/group%2Fproject", &keep, "/group%2Fproject");
}

static void dots_beside_a_kept_slash_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"/a%2f..%2fb", "/..%2fb",  "/a%2f..",  "/a%2f.",
                                      "/a%5c%2e%2e", "/x/.%2Fy", "/a%2F..;x"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_path_refused(bad[i], &keep);
    assert_path("/a%2f...%2fb", &keep, "/a%2F...%2Fb");
}

static void encoded_slashes_may_be_decoded_before_dots_are_removed(void **state)
{
    (void)state;
    assert_path("/a%2fb", &decode, "/a/b");
    assert_path("/a%5cb", &decode, "/a/b");
    assert_path("/x%2f%2e%2e%2fadmin", &decode, "/admin");
    assert_path("/%2fadmin", &decode, "/admin");
    assert_path_refused("/..%2fa", &decode);
}

static void dot_segments_with_path_parameters_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"/..;/a", "/a/..;x=1/b", "/.;/a", "/a/.;", "/%2e%2e;/a"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_path_refused(bad[i], &usual);
    assert_path("/...;a/;/a;..", &usual, "/...;a/;/a;..");
}

static void encoded_control_bytes_are_refused(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        char path[] = "/a%00";
        path[3] = "0123456789ABCDEF"[byte >> 4], path[4] = "0123456789ABCDEF"[byte & 15];
        struct text got;
        bool taken = uri_normalise_path(text_of(path), &keep, &unit_arena, &got);
        assert_int_equal(taken, byte >= 0x20 && byte != 0x7f);
    }
}

static void malformed_escapes_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"/%", "/%2", "/a%zz", "/%4g", "/%%41", "/%u0041", "/a%2"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_path_refused(bad[i], &usual);
}

static void bytes_outside_pchar_are_refused(void **state)
{
    (void)state;
    for (unsigned byte = 1; byte < 256; byte++) {
        char path[] = "/a?b";
        path[2] = (char)byte;
        struct text got;
        bool wanted = char_is_alpha((char)byte) || char_is_digit((char)byte)
                      || strchr("-._~!$&'()*+,;=:@/", (char)byte);
        assert_int_equal(uri_normalise_path(text_of(path), &usual, &unit_arena, &got), wanted);
    }
}

static void a_path_begins_with_a_slash(void **state)
{
    (void)state;
    assert_path_refused("", &usual);
    assert_path_refused("a", &usual);
    assert_path_refused("*", &usual);
    assert_path_refused("%2fa", &decode);
}

static void a_full_arena_refuses_a_path_that_would_change(void **state)
{
    (void)state;
    struct text got;
    memory_fail_at(1);
    assert_false(uri_normalise_path(TEXT("/a//b"), &usual, &unit_arena, &got));
    assert_true(unit_arena.failed);
}

static void assert_authority(const char *authority, const char *wanted_host, unsigned wanted_port)
{
    struct text host = TEXT("(refused)");
    uint16_t port = 0;
    (void)uri_parse_authority(text_of(authority), &unit_arena, &host,
                              &port); /* a refusal shows in the text */
    assert_text(host, wanted_host);
    assert_int_equal(port, wanted_port);
}

static void an_authority_has_a_host_and_perhaps_a_port(void **state)
{
    (void)state;
    assert_authority("shop.example", "shop.example", 0);
    assert_authority("shop.example:8080", "shop.example", 8080);
    assert_authority("shop.example:", "shop.example", 0);
    assert_authority("127.0.0.1:1", "127.0.0.1", 1);
    assert_authority("a_b~c:65535", "a_b~c", 65535);
}

static void a_host_is_lower_case_without_a_final_dot(void **state)
{
    (void)state;
    assert_authority("Shop.EXAMPLE.:80", "shop.example", 80);
    assert_authority("a.", "a", 0);
}

static void an_ipv6_literal_keeps_its_brackets(void **state)
{
    (void)state;
    assert_authority("[::1]:8080", "[::1]", 8080);
    assert_authority("[2001:DB8::1]", "[2001:db8::1]", 0);
    assert_authority("[::ffff:127.0.0.1]", "[::ffff:127.0.0.1]", 0);
}

static void what_is_no_authority_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",          ":80",  ".",     ".a",  "a..b",  "a..",    "a b",     "a/b",          "a?b",
        "a#b",       "a@b",  "u:p@a", "a,b", "a%2eb", "a:b",    "a:65536", "a:0",          "a:1:2",
        "a:-1",      "a:+1", "[::1",  "::1", "[]",    "[:::]",  "[::1]a",  "[::1%25eth0]", "[v1.a]",
        "[1.2.3.4]", "a]",   "\xe9",  "a\t", "a\\b",  "[::1]]",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct text host;
        uint16_t port;
        if (uri_parse_authority(text_of(bad[i]), &unit_arena, &host, &port))
            fail_msg("\"%s\" was taken", bad[i]);
    }
}

static void a_host_of_more_than_255_bytes_is_refused(void **state)
{
    (void)state;
    char long_host[256];
    memset(long_host, 'a', sizeof long_host);
    struct text host;
    uint16_t port;
    assert_true(uri_parse_authority((struct text){long_host, 255}, &unit_arena, &host, &port));
    assert_false(uri_parse_authority((struct text){long_host, 256}, &unit_arena, &host, &port));
}

static void a_uri_is_taken_apart(void **state)
{
    (void)state;
    struct uri uri;
    assert_true(uri_parse(TEXT("http://a.example:81/p/q?x=y"), &uri));
    assert_text(uri.scheme, "http");
    assert_text(uri.authority, "a.example:81");
    assert_text(uri.host, "a.example");
    assert_text(uri.path, "/p/q");
    assert_text(uri.query, "x=y");
    assert_int_equal(uri.port, 81);
}

static void a_uri_has_the_port_of_its_scheme(void **state)
{
    (void)state;
    struct uri uri;
    assert_true(uri_parse(TEXT("http://a"), &uri));
    assert_int_equal(uri.port, 80);
    assert_int_equal(uri.path.size, 0);
    assert_null(uri.query.at);
    assert_true(uri_parse(TEXT("HTTPS://[::1]?"), &uri));
    assert_int_equal(uri.port, 443);
    assert_text(uri.host, "[::1]");
    assert_non_null(uri.query.at);
}

static void what_is_no_http_uri_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "http://",
                                      "http:/a",
                                      "ftp://a",
                                      "//a",
                                      "a",
                                      "http://u@a",
                                      "http://a#b",
                                      "http://a/b#c",
                                      "http://a/%zz",
                                      "http://a/b c",
                                      "http://a/\xe9",
                                      "http://a/?\x01",
                                      "http://a:0",
                                      "http://a/<b>",
                                      "http://?a",
                                      "http:///a"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct uri uri;
        if (uri_parse(text_of(bad[i]), &uri))
            fail_msg("\"%s\" was taken", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        H1_TEST(a_normal_path_is_not_copied),
        H1_TEST(escapes_of_unreserved_characters_are_decoded),
        H1_TEST(other_escapes_are_upper_case),
        H1_TEST(a_path_is_decoded_once),
        H1_TEST(dot_segments_are_removed),
        H1_TEST(encoded_dots_are_dots),
        H1_TEST(a_way_above_the_root_is_refused),
        H1_TEST(repeated_slashes_are_merged),
        H1_TEST(repeated_slashes_may_be_kept),
        H1_TEST(encoded_slashes_are_refused_by_default),
        H1_TEST(encoded_slashes_may_be_kept_and_separate_nothing),
        H1_TEST(dots_beside_a_kept_slash_are_refused),
        H1_TEST(encoded_slashes_may_be_decoded_before_dots_are_removed),
        H1_TEST(dot_segments_with_path_parameters_are_refused),
        H1_TEST(encoded_control_bytes_are_refused),
        H1_TEST(malformed_escapes_are_refused),
        H1_TEST(bytes_outside_pchar_are_refused),
        H1_TEST(a_path_begins_with_a_slash),
        H1_TEST(a_full_arena_refuses_a_path_that_would_change),
        H1_TEST(an_authority_has_a_host_and_perhaps_a_port),
        H1_TEST(a_host_is_lower_case_without_a_final_dot),
        H1_TEST(an_ipv6_literal_keeps_its_brackets),
        H1_TEST(what_is_no_authority_is_refused),
        H1_TEST(a_host_of_more_than_255_bytes_is_refused),
        H1_TEST(a_uri_is_taken_apart),
        H1_TEST(a_uri_has_the_port_of_its_scheme),
        H1_TEST(what_is_no_http_uri_is_refused),
    };
    return RUN_TESTS(tests);
}
