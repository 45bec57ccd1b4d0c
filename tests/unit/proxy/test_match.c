/* Which route a request takes beyond host and path, why it does not take another, and the path that the service gets. */
#include "proxy/match_test.h"

static void test_nothing_matches(void **state)
{
    struct fixture *f = *state;
    begin(f, "  a: { match: { path: /a }, service: a }\n");
    assert_string_equal(taken(f, "GET", "/a", NULL, NULL), "a");
    assert_string_equal(taken(f, "GET", "/b", NULL, NULL), "-");
    snapshot_free(snapshot);
}

static void test_methods(void **state)
{
    struct fixture *f = *state;
    begin(
        f,
        "  a: { match: { path: /*, methods: [GET, PURGE] }, service: a }\n  b: { match: { path: /*, methods: POST }, service: a }\n");
    assert_string_equal(taken(f, "GET", "/", NULL, NULL), "a");
    assert_string_equal(taken(f, "PURGE", "/", NULL, NULL), "a");
    assert_string_equal(taken(f, "POST", "/", NULL, NULL), "b");
    assert_string_equal(taken(f, "HEAD", "/", NULL, NULL), "-");
    assert_string_equal(taken(f, "purge", "/", NULL, NULL), "-"); /* methods have a case */
    snapshot_free(snapshot);
}

static void test_each_test_on_a_field(void **state)
{
    struct fixture *f = *state;
    begin(f, "  equals: { match: { path: /equals, headers: { X-A: one } }, service: a }\n"
             "  of: { match: { path: /of, headers: { X-A: { one_of: [one, two] } } }, service: a }\n"
             "  prefix: { match: { path: /prefix, headers: { X-A: { prefix: on } } }, service: a }\n"
             "  regex: { match: { path: /regex, headers: { X-A: { regex: \"^o.e$\" } } }, service: a }\n"
             "  present: { match: { path: /present, headers: { X-A: { present: true } } }, service: a }\n"
             "  absent: { match: { path: /absent, headers: { X-A: { absent: true } } }, service: a }\n"
             "  not: { match: { path: /not, headers: { X-A: { equals: one, not: true } } }, service: a }\n");
    static const struct {
        const char *path;
        bool none, empty, one, two, once;
    } rows[] = {
        {"/equals", false, false, true, false, false}, {"/of", false, false, true, true, false},
        {"/prefix", false, false, true, false, true},  {"/regex", false, false, true, false, false},
        {"/present", false, true, true, true, true},   {"/absent", true, false, false, false, false},
        {"/not", true, true, false, true, true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *path = rows[i].path, *name = path + 1;
        assert_string_equal(taken(f, "GET", path, NULL, NULL), rows[i].none ? name : "-");
        assert_string_equal(taken(f, "GET", path, "X-A", ""), rows[i].empty ? name : "-");
        assert_string_equal(taken(f, "GET", path, "x-a", "one"), rows[i].one ? name : "-");
        assert_string_equal(taken(f, "GET", path, "X-A", "two"), rows[i].two ? name : "-");
        assert_string_equal(taken(f, "GET", path, "X-A", "once"), rows[i].once ? name : "-");
    }
    snapshot_free(snapshot);
}

static void test_the_host_is_a_field_too(void **state)
{
    struct fixture *f = *state;
    begin(f, "  a: { match: { path: /*, headers: { Host: { prefix: \"shop.\" } } }, service: a }\n");
    assert_string_equal(taken(f, "GET", "/", NULL, NULL), "a");
    snapshot_free(snapshot);
}

static void test_query_parameters_and_cookies(void **state)
{
    struct fixture *f = *state;
    begin(
        f,
        "  q: { match: { path: /q, query: { v: \"2\" } }, service: a }\n  c: { match: { path: /c, cookies: { beta: { present: true } } }, service: a }\n");
    assert_string_equal(taken(f, "GET", "/q?a=b&v=2", NULL, NULL), "q");
    assert_string_equal(taken(f, "GET", "/q?v=%32", NULL, NULL), "q");
    assert_string_equal(taken(f, "GET", "/q?v=3", NULL, NULL), "-");
    assert_string_equal(taken(f, "GET", "/q", NULL, NULL), "-");
    assert_string_equal(taken(f, "GET", "/c", "Cookie", "a=b; beta=1"), "c");
    assert_string_equal(taken(f, "GET", "/c", "Cookie", "alphabeta=1"), "-");
    snapshot_free(snapshot);
}

static void test_where_a_test_fails_the_next_route_is_tried(void **state)
{
    struct fixture *f = *state;
    begin(
        f,
        "  special: { match: { path: /a/b, headers: { X-A: one } }, service: a }\n  wide: { match: { path: /a/* }, service: a }\n"
        "  first: { match: { path: /*, headers: { X-B: one } }, priority: 1, service: a }\n");
    assert_string_equal(taken(f, "GET", "/a/b", "X-A", "one"), "special");
    assert_string_equal(taken(f, "GET", "/a/b", NULL, NULL), "wide");
    assert_string_equal(taken(f, "GET", "/a/b", "X-B", "one"), "first");
    snapshot_free(snapshot);
}

static void test_why_not(void **state)
{
    struct fixture *f = *state;
    begin(f, "  a: { match: { path: /a, methods: POST, headers: { X-A: one } }, service: a }\n");
    ask(f, "GET", "/a", NULL, NULL);
    assert_text(why_not("a"), "its methods do not include GET");
    done();
    ask(f, "POST", "/a", NULL, NULL);
    assert_text(why_not("a"), "its condition on header `X-A` does not hold: it must be `one`");
    done();
    ask(f, "POST", "/a", "X-A", "one");
    assert_null(why_not("a").at);
    done();
    snapshot_free(snapshot);
}

/* --- the body --- */

/* As if the expression of the route asked for the body. */
static void needs_body(const char *name)
{
    const struct object *object = table_get(route_names, text_of(name));
    struct route *route = object->value;
    struct condition *last = (struct condition *)(uintptr_t)&route->conditions[route->conditions_count - 1];
    assert_int_equal(last->kind, CONDITION_EXPRESSION);
    last->needs_body = route->needs_body = true;
}

/* The route before the body has come: "?" if it is wanted. */
static const char *taken_early(struct fixture *f, const char *method, const char *target)
{
    static char name[64];
    ask(f, method, target, NULL, NULL);
    exchange.request_done = false;
    const struct route *route = match_route(&exchange);
    snprintf(name, sizeof name, "%.*s", TEXT_ARGS(route ? route->name : TEXT("?")));
    assert_int_equal(route != NULL, exchange.route != NULL);
    done();
    return name;
}

static void test_the_body_is_wanted_only_where_it_decides(void **state)
{
    struct fixture *f = *state;
    begin(
        f,
        "  body: { match: { path: '/a/*', methods: POST, expression: \"request.query['b'] == '1'\" }, service: a }\n"
        "  exact: { match: { path: /a/b }, service: a }\n"
        "  first: { match: { path: /a/c, methods: POST }, priority: 1, service: a }\n"
        "  rest: { match: { path: /* }, service: a }\n");
    needs_body("body");
    assert_string_equal(taken_early(f, "POST", "/a/x"), "?");
    assert_string_equal(taken_early(f, "GET", "/a/x"), "rest");   /* another of its conditions is not met */
    assert_string_equal(taken_early(f, "POST", "/a/b"), "exact"); /* a better route has the request */
    assert_string_equal(taken_early(f, "POST", "/a/c"), "first");
    assert_string_equal(taken_early(f, "POST", "/x"), "rest");
    assert_string_equal(taken(f, "POST", "/a/x?b=1", NULL, NULL), "body"); /* then it decides */
    assert_string_equal(taken(f, "POST", "/a/x?b=2", NULL, NULL), "rest");
    snapshot_free(snapshot);
}

/* --- paths --- */

static void forwarded(struct fixture *f, const char *target, const char *path, const char *query)
{
    assert_ptr_not_equal(match(f, "GET", target, NULL, NULL), snapshot->fallback);
    assert_false(exchange.arena.failed);
    if (!path) {
        assert_null(exchange.forward_path.at);
    } else {
        assert_text(exchange.forward_path, path);
        assert_text(exchange.forward_query, query ? query : "");
        assert_int_equal(exchange.forward_query.at != NULL, query != NULL);
    }
    done();
}

static void test_a_path_is_kept_unless_told(void **state)
{
    struct fixture *f = *state;
    begin(f, "  a: { match: { path: /a/* }, service: a }\n");
    forwarded(f, "/a/b?c", NULL, NULL);
    snapshot_free(snapshot);
}

static void test_the_prefix_of_the_match_is_stripped(void **state)
{
    struct fixture *f = *state;
    begin(
        f,
        "  a: { match: { path: /api/* }, service: a, strip_prefix: true }\n  b: { match: { path: /b }, service: a, strip_prefix: true }\n");
    forwarded(f, "/api/x?c=d", "/x", "c=d");
    forwarded(f, "/api/x/", "/x/", NULL);
    forwarded(f, "/api/", "/", NULL);
    forwarded(f, "/api", "/", NULL);
    forwarded(f, "/b", "/", NULL);
    snapshot_free(snapshot);
}

static void test_a_prefix_of_whole_segments_is_stripped(void **state)
{
    struct fixture *f = *state;
    begin(f, "  a: { match: { path: /* }, service: a, strip_prefix: /api }\n");
    forwarded(f, "/api/x", "/x", NULL);
    forwarded(f, "/api", "/", NULL);
    forwarded(f, "/apis", NULL, NULL);
    forwarded(f, "/other", NULL, NULL);
    snapshot_free(snapshot);
}

static void test_a_path_is_written_anew(void **state)
{
    struct fixture *f = *state;
    begin(f, "  a: { match: { path: \"/orders/{id}\" }, service: a, rewrite: \"/v2/${request.params.id}\" }\n"
             "  b: { match: { path: /b }, service: a, rewrite: \"/c?d=e\" }\n");
    forwarded(f, "/orders/7?x=y", "/v2/7", "x=y");
    forwarded(f, "/b?x=y", "/c", "d=e");
    snapshot_free(snapshot);
}

static void test_a_path_that_cannot_be_written_fails_closed(void **state)
{
    struct fixture *f = *state;
    begin(f, "  a: { match: { path: /a }, service: a, rewrite: \"${request.headers['x-path']}\" }\n");
    match(f, "GET", "/a", "X-Path", "no-slash");
    assert_int_equal(exchange.error, ERROR_POLICY_FAULT);
    done();
    match(f, "GET", "/a", "X-Path", "/fine");
    assert_int_equal(exchange.error, ERROR_NONE);
    assert_text(exchange.forward_path, "/fine");
    done();
    snapshot_free(snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_nothing_matches),
        CASE(test_methods),
        CASE(test_each_test_on_a_field),
        CASE(test_the_host_is_a_field_too),
        CASE(test_query_parameters_and_cookies),
        CASE(test_where_a_test_fails_the_next_route_is_tried),
        CASE(test_why_not),
        CASE(test_the_body_is_wanted_only_where_it_decides),
        CASE(test_a_path_is_kept_unless_told),
        CASE(test_the_prefix_of_the_match_is_stripped),
        CASE(test_a_prefix_of_whole_segments_is_stripped),
        CASE(test_a_path_is_written_anew),
        CASE(test_a_path_that_cannot_be_written_fails_closed),
    };
    return RUN_TESTS(tests);
}
