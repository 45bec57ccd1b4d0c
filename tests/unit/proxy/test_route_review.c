/* What a check says of routes that can never match, and of pairs that only names tell apart. */
#include "proxy/match_test.h"

#include "proxy/route_review.h"

static void review(struct fixture *f, const char *routes)
{
    char yaml[4096];
    snprintf(yaml, sizeof yaml,
             "listeners: { main: { address: \"127.0.0.1:0\" }, inner: { address: \"127.0.0.2:0\" } }\n"
             "services: { a: { endpoints: \"http://127.0.0.1:1\" } }\nroutes:\n%s",
             routes);
    struct document document = document_of(f, yaml);
    struct snapshot *built = snapshot_build(&f->builder, &document, NULL, &f->report);
    assert_non_null(built);
    snapshot_commit(built);
    route_review(&f->builder.routes.names, node_get(&document.root, TEXT("routes")), &f->report);
    snapshot_free(built);
}

/* Just one finding, on this line, that says this. */
static void finds(struct fixture *f, const char *routes, unsigned line, const char *said)
{
    review(f, routes);
    const struct finding *first = f->report.first;
    assert_int_equal(f->report.warnings, 1);
    assert_int_equal(first->severity, SEVERITY_WARNING);
    assert_int_equal(first->place.line, line);
    if (text_find(first->said, text_of(said)) == TEXT_NONE)
        fail_msg("\"%.*s\" does not say \"%s\"", TEXT_ARGS(first->said), said);
}

static void is_fine(struct fixture *f, const char *routes)
{
    review(f, routes);
    if (f->report.first)
        fail_msg("%.*s: %.*s", TEXT_ARGS(f->report.first->path), TEXT_ARGS(f->report.first->said));
}

/* Two routes with one path and these conditions; `second` comes later by name. */
static void pair(char to[1024], const char *first, const char *second)
{
    snprintf(
        to, 1024,
        "  a: { match: { path: '/x/{p}', %s }, service: a }\n  b: { match: { path: '/x/{q}', %s }, service: a }\n",
        first, second);
}

static void test_the_same_twice(void **state)
{
    struct fixture *f = *state;
    finds(f, "  a: { match: { path: /x }, service: a }\n  b: { match: { path: /x }, service: a }\n", 5,
          "never match: `a` at t.yaml:4:3 takes all that it takes, and comes first by its name");
    finds(
        f,
        "  b: { match: { path: '/x/{one}' }, service: a }\n  a: { match: { path: '/x/{other}' }, service: a }\n",
        4, "never match: `a` at t.yaml:5:3");
    is_fine(
        f,
        "  a: { match: { path: /x }, service: a }\n  b: { match: { path: /x }, service: a, enabled: false }\n");
    is_fine(
        f,
        "  a: { match: { path: '/x/{one:int}' }, service: a }\n  b: { match: { path: '/x/{other}' }, service: a }\n");
}

static void test_one_condition_implies_another(void **state)
{
    static const struct {
        const char *wide, *narrow;
    } rows[] = {
        {"methods: [GET, POST]", "methods: GET"},
        {"methods: [PURGE, GET]", "methods: PURGE"},
        {"headers: { X: { present: true } }", "headers: { x: y }"},
        {"headers: { X: { prefix: ab } }", "headers: { x: { one_of: [abc, abd] } }"},
        {"headers: { X: { regex: '^a' } }", "headers: { x: a }"},
        {"query: { q: { equals: a, not: true } }", "query: { q: { equals: b } }"},
        {"cookies: { c: { not: true, equals: a } }", "cookies: { c: { absent: true } }"},
        {"client: 10.0.0.0/8", "client: [10.1.0.0/16, 10.2.3.4]"},
        {"not: { client: 10.1.0.0/16 }", "not: { client: 10.0.0.0/8 }"},
        {"not: { client: 10.0.0.0/8 }", "client: 11.0.0.0/8"},
        {"local: ':80'", "local: '10.0.0.1:80'"},
        {"listeners: [main, inner]", "listeners: inner"},
        {"schemes: [http, https]", "schemes: http"},
        {"content_types: 'text/*'", "content_types: [text/html, text/plain]"},
        {"content_types: 'application/*+json'", "content_types: application/ld+json"},
        {"expression: 'request.size > 0'", "expression: 'request.size > 0'"},
        {"time: { days: mon }", "time: { days: mon }"},
    };
    struct fixture *f = *state;
    char routes[1024];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        pair(routes, rows[i].wide, rows[i].narrow);
        finds(f, routes, 5, "never match: `a`");
    }
}

static void test_only_names_decide(void **state)
{
    static const struct {
        const char *first, *second;
    } rows[] = {
        {"methods: [GET, POST]", "methods: [POST, PUT]"},
        {"methods: GET", "headers: { X: y }"},
        {"headers: { X: { prefix: a } }", "headers: { X: { prefix: ab, not: true } }"},
        {"client: 10.0.0.0/16", "headers: { X: y }"},
        {"content_types: 'application/*'", "content_types: ['*/*']"},
        {"expression: 'request.size > 0'", "expression: 'request.size > 1'"},
        {"time: { days: mon }", "time: { days: [mon, tue] }"},
        {"not: { methods: GET }", "not: { methods: POST }"},
        {"not: { paths: /x/a }", "not: { paths: /x/b }"},
    };
    struct fixture *f = *state;
    char routes[1024];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        pair(routes, rows[i].first, rows[i].second);
        finds(f, routes, 5, "only the names decide");
    }
    finds(
        f,
        "  a: { match: { path: '~ ^/v[0-9]+/a' }, service: a }\n  b: { match: { path: '~ ^/v.*' }, service: a }\n",
        5, "(both are regular expressions)");
}

static void test_what_cannot_meet_is_no_pair(void **state)
{
    static const struct {
        const char *first, *second;
    } rows[] = {
        {"methods: GET", "methods: POST"},
        {"methods: GET", "not: { methods: GET }"},
        {"headers: { X: a }", "headers: { x: b }"},
        {"headers: { X: a }", "headers: { X: { prefix: b } }"},
        {"headers: { X: { prefix: a } }", "headers: { X: { prefix: b } }"},
        {"headers: { X: { present: true } }", "headers: { X: { absent: true } }"},
        {"headers: { X: a }", "headers: { X: { equals: a, not: true } }"},
        {"client: 10.0.0.0/8", "client: 11.0.0.0/8"},
        {"local: ':80'", "local: ':81'"},
        {"listeners: main", "listeners: inner"},
        {"schemes: http", "schemes: https"},
        {"content_types: 'text/*'", "content_types: application/json"},
        {"content_types: 'a/*+x'", "content_types: a/b+y"},
        {"expression: 'request.size > 0'", "not: { expression: 'request.size > 0' }"},
        {"time: { days: mon }", "not: { time: { days: mon } }"},
    };
    struct fixture *f = *state;
    char routes[1024];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        pair(routes, rows[i].first, rows[i].second);
        is_fine(f, routes);
    }
    is_fine(
        f,
        "  a: { match: { path: '/{x:int}', methods: GET }, service: a }\n  b: { match: { path: '/{x:uuid}', headers: { X: y } }, service: a }\n");
    is_fine(f, "  a: { match: { path: /x }, service: a }\n  b: { match: { path: /y }, service: a }\n");
}

static void test_contradictions(void **state)
{
    static const char *const rows[] = {
        "methods: GET, not: { methods: [GET, POST] }",
        "headers: { X: a }, not: { headers: { x: { one_of: [a, b] } } }",
        "client: 10.1.0.0/16, not: { client: 10.0.0.0/8 }",
        "not: { schemes: [http, https] }",
        "expression: 'false'",
        "not: { expression: '1 < 2' }",
        "not: { paths: /x }",
        "not: { paths: '/*' }",
        "hosts: [a.example, b.example], not: { hosts: '*.example' }",
        "hosts: '*.a.example', not: { hosts: '*.example' }",
        "time: { days: mon, since: 2026-11-24, until: 2026-11-26 }", /* Tuesday to Thursday */
        "time: { from: '08:00', to: '09:00', since: 2026-11-24T10:00, until: 2026-11-25T07:00 }",
    };
    struct fixture *f = *state;
    char routes[1024];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        snprintf(routes, sizeof routes, "  a: { match: { path: /x, %s }, service: a }\n", rows[i]);
        finds(f, routes, 4, "this route can never match");
    }
    is_fine(
        f,
        "  a: { match: { path: /x, hosts: [a.example, b.test], not: { hosts: '*.example' } }, service: a }\n");
    is_fine(
        f,
        "  a: { match: { path: /x, time: { days: wed, since: 2026-11-24, until: 2026-11-26 } }, service: a }\n");
    is_fine(
        f,
        "  a: { match: { path: /x, time: { days: mon, from: '22:00', to: '06:00', since: 2026-11-24, until: 2026-11-24 } }, service: a }\n");
}

static void test_a_priority_covers_what_is_narrower(void **state)
{
    static const char *const wide[] = {
        "path: '/x/*'",
        "path: '/*'",
        "methods: GET",
        "hosts: '*.example', path: '/x/y/*'",
        "hosts: [a.b.example, c.test], path: '/x/y'",
    };
    struct fixture *f = *state;
    char routes[1024];
    for (size_t i = 0; i < COUNT_OF(wide); i++) {
        snprintf(
            routes, sizeof routes,
            "  a: { match: { %s }, priority: 1, service: a }\n  b: { match: { hosts: a.b.example, path: /x/y, methods: GET }, service: a }\n",
            wide[i]);
        finds(f, routes, 5, "comes first by its priority");
    }
    static const char *const apart[] = {
        "path: '/x/y/z/*'",
        "path: '/xy/*'",
        "methods: POST",
        "hosts: '*.b.test'",
        "hosts: b.example, path: '/*'",
        "path: '/x/{y}/z'",
    };
    for (size_t i = 0; i < COUNT_OF(apart); i++) {
        snprintf(
            routes, sizeof routes,
            "  a: { match: { %s }, priority: 1, service: a }\n  b: { match: { hosts: a.b.example, path: /x/y, methods: GET }, service: a }\n",
            apart[i]);
        is_fine(f, routes);
    }
    is_fine(
        f,
        "  a: { match: { path: '/v/*' }, priority: 1, service: a }\n  b: { match: { path: '/v{n}' }, service: a }\n");
    is_fine(
        f,
        "  a: { match: { path: '/v/*' }, priority: 1, service: a }\n  b: { match: { path: '/v*' }, service: a }\n");
    is_fine(f, "  a: { match: { path: '/*' }, service: a }\n  b: { match: { path: '/v*' }, service: a }\n");
}

static void test_every_host_must_be_covered(void **state)
{
    struct fixture *f = *state;
    is_fine(
        f,
        "  a: { match: { hosts: x.test, path: /x }, service: a }\n  b: { match: { hosts: [x.test, y.test], path: /x }, service: a }\n");
    finds(
        f,
        "  a: { match: { hosts: [x.test, y.test], path: /x }, service: a }\n  b: { match: { hosts: [x.test, y.test], path: /x }, service: a }\n",
        5, "never match");
}

static void test_nothing_to_do(void **state)
{
    finds(*state, "  a: { match: { path: /x } }\n", 4, "the answer is always 404");
    is_fine(*state, "  a: { match: { path: /x }, policies: [{ mark: {} }] }\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_the_same_twice),
        CASE(test_one_condition_implies_another),
        CASE(test_only_names_decide),
        CASE(test_what_cannot_meet_is_no_pair),
        CASE(test_contradictions),
        CASE(test_a_priority_covers_what_is_narrower),
        CASE(test_every_host_must_be_covered),
        CASE(test_nothing_to_do),
    };
    return RUN_TESTS(tests);
}
