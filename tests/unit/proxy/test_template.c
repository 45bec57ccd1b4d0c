/* Templates with types: which paths they take, in which order they are tried, and what expressions see of them. */
#include "proxy/match_test.h"

#include "proxy/route_template.h"

/* One route, and paths that it takes or does not. */
static void takes(struct fixture *f, const char *path, const char *const *inside, const char *const *outside)
{
    char routes[512];
    snprintf(routes, sizeof routes, "  a: { match: { path: '%s' }, service: a }\n", path);
    begin(f, routes);
    for (; *inside; inside++)
        if (strcmp(taken(f, "GET", *inside, NULL, NULL), "a"))
            fail_msg("%s does not take %s", path, *inside);
    for (; *outside; outside++)
        if (strcmp(taken(f, "GET", *outside, NULL, NULL), "-"))
            fail_msg("%s takes %s", path, *outside);
    snapshot_free(snapshot);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_ints(void **state)
{
    takes(*state, "/o/{id:int}",
          LIST("/o/0", "/o/7", "/o/-12", "/o/9223372036854775807", "/o/-9223372036854775808"),
          LIST("/o/", "/o/a", "/o/7a", "/o/007", "/o/-0", "/o/+7", "/o/-", "/o/7.0", "/o/9223372036854775808",
               "/o/7/x"));
}

static void test_uuids(void **state)
{
    takes(*state, "/o/{id:uuid}/x",
          LIST("/o/123e4567-e89b-12d3-a456-426614174000/x", "/o/123E4567-E89B-12D3-A456-426614174000/x"),
          LIST("/o/123e4567-e89b-12d3-a456-42661417400/x", "/o/123e4567e89b12d3a456426614174000/x",
               "/o/123e4567-e89b-12d3-a456-42661417400g/x", "/o/123e4567-e89b-12d3-a456-4266141740000/x"));
}

static void test_regular_expressions_take_the_whole_capture(void **state)
{
    takes(*state, "/o/{c:~[a-z]{2}|x}/end", LIST("/o/ab/end", "/o/x/end"),
          LIST("/o/abc/end", "/o/a/end", "/o/AB/end", "/o/xx1/end"));
}

static void test_a_type_beside_literal_text(void **state)
{
    takes(*state, "/v{major:int}/f{n:int}.json", LIST("/v1/f22.json", "/v-1/f0.json"),
          LIST("/v1/f.json", "/vx/f1.json", "/v1/f1.jsonx", "/v1/fa.json"));
}

static void test_a_type_before_a_prefix(void **state)
{
    takes(*state, "/{tenant:int}/api/*", LIST("/7/api", "/7/api/x/y"), LIST("/a/api", "/7/apis"));
}

static void test_a_type_comes_before_none_and_the_leftmost_decides(void **state)
{
    struct fixture *f = *state;
    begin(
        f,
        "  plain: { match: { path: '/{a}/{b}', headers: { X: { absent: true } }, query: { q: { absent: true } } }, service: a }\n"
        "  right: { match: { path: '/{a}/{b:int}', headers: { X: { absent: true } } }, service: a }\n"
        "  left: { match: { path: '/{a:int}/{b}' }, service: a }\n"
        "  both: { match: { path: '/{x:int}/{y:int}' }, service: a }\n"
        "  literal: { match: { path: '/{a}/7' }, service: a }\n");
    assert_string_equal(taken(f, "GET", "/1/2", NULL, NULL), "both");
    assert_string_equal(taken(f, "GET", "/1/b", NULL, NULL), "left");
    assert_string_equal(taken(f, "GET", "/a/2", NULL, NULL), "right");
    assert_string_equal(taken(f, "GET", "/a/b", NULL, NULL), "plain");
    assert_string_equal(taken(f, "GET", "/1/7", NULL, NULL), "literal"); /* the path comes before types */
    snapshot_free(snapshot);
}

static void test_why_not(void **state)
{
    struct fixture *f = *state;
    begin(f, "  a: { match: { path: '/o/{id:int}/{code:~[a-z]+}' }, service: a }\n");
    ask(f, "GET", "/o/x/1", NULL, NULL);
    assert_text(why_not("a"), "its capture `id` wants an int, got `x`");
    done();
    ask(f, "GET", "/o/1/1", NULL, NULL);
    assert_text(why_not("a"), "its capture `code` wants what its regular expression takes, got `1`");
    done();
    snapshot_free(snapshot);
}

static void test_literal_text_has_the_form_of_requests(void **state)
{
    struct fixture *f = *state;
    begin(f, "  a: { match: { path: '/%61//b/./{id}/%7euser/x{n}%2d' }, service: a }\n");
    assert_string_equal(taken(f, "GET", "/a/b/7/~user/x1-", NULL, NULL), "a");
    snapshot_free(snapshot);
}

/* --- expressions --- */

static void forwarded(struct fixture *f, const char *rewrite, const char *target, const char *wanted)
{
    char routes[512];
    snprintf(routes, sizeof routes,
             "  a: { match: { path: '/o/{id:int}/{name}' }, service: a, rewrite: \"%s\" }\n", rewrite);
    begin(f, routes);
    match(f, "GET", target, NULL, NULL);
    assert_int_equal(exchange.error, ERROR_NONE);
    assert_text(exchange.forward_path, wanted);
    done();
    snapshot_free(snapshot);
}

static void test_an_int_stays_one(void **state)
{
    struct fixture *f = *state;
    forwarded(f, "/p/${request.params.id % 10}", "/o/123/x", "/p/3");
    forwarded(f, "/p/${request.params.id}/${request.params.name}", "/o/123/x", "/p/123/x");
    forwarded(f, "/p/${type(request.params.name) == string}", "/o/123/7", "/p/true");
    forwarded(f, "/p/${size(request.params)}", "/o/1/7", "/p/2");
}

static void test_elsewhere_captures_are_strings(void **state)
{
    struct fixture *f = *state;
    refused(
        f,
        "listeners: { main: { address: \"127.0.0.1:0\" } }\nservices: { a: { endpoints: \"http://127.0.0.1:1\" } }\n"
        "routes: { a: { match: { path: '/{id}' }, service: a, rewrite: '/${request.params.id % 10}' } }\n",
        "%");
}

static void bad(struct fixture *f, const char *path, const char *said)
{
    char yaml[512];
    snprintf(yaml, sizeof yaml,
             "listeners: { main: { address: \"127.0.0.1:0\" } }\nroutes:\n  a: { match: { path: '%s' } }\n",
             path);
    refused(f, yaml, said);
    assert_int_equal(f->report.first->place.line, 3);
    assert_int_equal(f->report.first->place.column, 23);
}

static void test_what_is_refused(void **state)
{
    struct fixture *f = *state;
    bad(f, "/{id:integer}", "the capture `{id:integer}` has no known type: there are `int`, `uuid`, and `~`");
    bad(f, "/{id:}", "has no known type");
    bad(f, "/{id:~}", "has no known type");
    bad(f, "/{id:~(}", "the regular expression of the capture `{id:~(}` is bad");
    bad(f, "/{id:~[a-z]{2}", "'{' without '}'");
    bad(f, "/{rest...:int}", "takes all that is left and has no type");
    bad(f, "/{a:int}/../{b}", "is no part of a valid path");
    bad(f, "/{a}/../x{b}", "is no part of a valid path");
    bad(f, "/{a}/..", "is no part of a valid path");
    bad(f, "/{a}/%zz", "is no part of a valid path");
    bad(f, "/{a}{b}", "a segment has at most one capture");
    bad(f, "/{a:int}/{a:int}", "two captures have the same name");
    bad(f, "/{1a:int}", "a capture's name");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_ints),
        CASE(test_uuids),
        CASE(test_regular_expressions_take_the_whole_capture),
        CASE(test_a_type_beside_literal_text),
        CASE(test_a_type_before_a_prefix),
        CASE(test_a_type_comes_before_none_and_the_leftmost_decides),
        CASE(test_why_not),
        CASE(test_literal_text_has_the_form_of_requests),
        CASE(test_an_int_stays_one),
        CASE(test_elsewhere_captures_are_strings),
        CASE(test_what_is_refused),
    };
    return RUN_TESTS(tests);
}
