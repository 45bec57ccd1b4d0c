/* What a route does: one service or a choice of several, and what stands beside it. */
#include "proxy/match_test.h"

#include "base/random.h"
#include "proxy/timeouts.h"

static const char *service(struct fixture *f, const char *target, const char *name, const char *value)
{
    static char said[64];
    match(f, "GET", target, name, value);
    snprintf(said, sizeof said, "%.*s%s",
             TEXT_ARGS(exchange.target->service ? exchange.target->service->name : TEXT("-")),
             exchange.error == ERROR_POLICY_FAULT ? "!" : "");
    done();
    return said;
}

static void test_weights_at_random(void **state)
{
    struct fixture *f = *state;
    begin(f, "  r: { match: { path: /* }, service: [{ name: a, weight: 90 }, { name: b, weight: 10 }] }\n"
             "  none: { match: { path: /none }, service: [{ name: a, weight: 0 }, b] }\n");
    unsigned to_b = 0;
    random_seed(1);
    for (int i = 0; i < 10000; i++)
        to_b += *service(f, "/", NULL, NULL) == 'b';
    assert_in_range(to_b, 850, 1150);
    for (int i = 0; i < 100; i++)
        assert_string_equal(service(f, "/none", NULL, NULL), "b");
    snapshot_free(snapshot);
}

static void begin_keyed(struct fixture *f, int a, int b)
{
    char routes[256];
    snprintf(
        routes, sizeof routes,
        "  r: { match: { path: '/{user}' }, service: { weighted: [{ name: a, weight: %d }, { name: b, weight: %d }], "
        "key: request.params.user } }\n",
        a, b);
    begin(f, routes);
}

static void test_a_key_keeps_its_service(void **state)
{
    struct fixture *f = *state;
    enum { USERS = 4000 };
    static char before[USERS];
    unsigned to_b = 0, moved = 0;
    char target[32];
    begin_keyed(f, 90, 10);
    for (int i = 0; i < USERS; i++) {
        snprintf(target, sizeof target, "/user-%d", i);
        before[i] = *service(f, target, NULL, NULL);
        assert_int_equal(before[i], *service(f, target, NULL, NULL));
        to_b += before[i] == 'b';
    }
    assert_in_range(to_b, USERS * 8 / 100, USERS * 12 / 100);
    snapshot_free(snapshot);
    begin_keyed(f, 80, 20); /* a tenth moves, and only from a to b */
    for (int i = 0; i < USERS; i++) {
        snprintf(target, sizeof target, "/user-%d", i);
        char now = *service(f, target, NULL, NULL);
        assert_false(before[i] == 'b' && now == 'a');
        moved += now != before[i];
    }
    assert_in_range(moved, USERS * 8 / 100, USERS * 12 / 100);
    snapshot_free(snapshot);
}

static void test_a_key_means_the_same_in_every_process(void **state)
{
    struct fixture *f = *state;
    begin_keyed(f, 50, 50);
    char wanted[9] = {0}, target[3] = "/a";
    for (int i = 0; i < 8; i++, target[1]++)
        wanted[i] = *service(f, target, NULL, NULL);
    assert_string_equal(wanted, "aaaabbab");
    snapshot_free(snapshot);
}

static void test_a_key_that_fails_is_a_fault(void **state)
{
    struct fixture *f = *state;
    begin(
        f,
        "  r: { match: { path: /* }, service: { weighted: [a, b], key: \"request.headers['x-user']\" } }\n");
    assert_string_equal(service(f, "/", NULL, NULL), "a!");
    assert_int_equal(strlen(service(f, "/", "X-User", "u")), 1);
    snapshot_free(snapshot);
}

static void test_a_service_by_expression(void **state)
{
    struct fixture *f = *state;
    begin(
        f,
        "  r: { match: { path: /* }, service: { expression: \"request.headers['x-to']\", among: [a, b] } }\n"
        "  o: { match: { path: /o }, service: { expression: \"request.headers['x-to']\", among: [a, b], otherwise: b } }\n");
    assert_string_equal(service(f, "/", "X-To", "a"), "a");
    assert_string_equal(service(f, "/", "X-To", "b"), "b");
    assert_string_equal(service(f, "/", "X-To", "c"),
                        "a!"); /* one that is not declared, though it may exist */
    assert_string_equal(service(f, "/", NULL, NULL), "a!");
    assert_string_equal(service(f, "/o", "X-To", "a"), "a");
    assert_string_equal(service(f, "/o", "X-To", "c"), "b");
    assert_string_equal(service(f, "/o", NULL, NULL), "b");
    snapshot_free(snapshot);
}

static void test_a_choice_may_ask_for_the_route(void **state)
{
    struct fixture *f = *state;
    begin(f, "  r: { match: { path: '/{n:int}' }, labels: { to: b }, "
             "service: { expression: \"request.params.n > 5 ? route.labels.to : 'a'\", among: [a, b] } }\n");
    assert_string_equal(service(f, "/5", NULL, NULL), "a");
    assert_string_equal(service(f, "/6", NULL, NULL), "b");
    snapshot_free(snapshot);
}

static void test_each_service_brings_its_policies(void **state)
{
    struct fixture *f = *state;
    snapshot = good(
        f,
        "listeners: { main: { address: \"127.0.0.1:0\" } }\n"
        "services:\n  a: { endpoints: \"http://127.0.0.1:1\", policies: [{ mark: { number: 1 } }] }\n"
        "  b: { endpoints: \"http://127.0.0.1:1\" }\n"
        "routes: { r: { match: { path: /* }, service: { expression: request.path.substring(1), among: [a, b] } } }\n",
        NULL);
    match(f, "GET", "/a", NULL, NULL);
    assert_int_equal(exchange.target->plan->count, 1);
    done();
    match(f, "GET", "/b", NULL, NULL);
    assert_int_equal(exchange.target->plan->count, 0);
    done();
    snapshot_free(snapshot);
}

static void test_urls_among_the_weights(void **state)
{
    struct fixture *f = *state;
    begin(
        f,
        "  r: { match: { path: /* }, service: [\"http://127.0.0.1:7\", { name: \"http://127.0.0.1:8\", weight: 0 }] }\n");
    assert_string_equal(service(f, "/", NULL, NULL), "routes.r");
    snapshot_free(snapshot);
}

static void test_timeouts_of_a_route(void **state)
{
    struct fixture *f = *state;
    begin(
        f,
        "  own: { match: { path: /own }, service: a, timeouts: { connect: 1s, response: 2s, idle: 3s, total: 0, body: 4s, "
        "send: 5s } }\n  not: { match: { path: /not }, service: a }\n");
    match(f, "GET", "/own", NULL, NULL);
    exchange.service = exchange.target->service;
    assert_int_equal(timeout_connect_ms(&exchange), 1000);
    assert_int_equal(timeout_response_ms(&exchange), 2000);
    assert_int_equal(timeout_idle_ms(&exchange), 3000);
    assert_int_equal(timeout_total_ms(&exchange), 0);
    assert_int_equal(timeout_body_ms(&exchange), 4000);
    assert_int_equal(timeout_send_ms(&exchange), 5000);
    done();
    match(f, "GET", "/not", NULL, NULL);
    exchange.service = exchange.target->service;
    assert_int_equal(timeout_connect_ms(&exchange), exchange.service->connect_timeout_ms);
    assert_int_equal(timeout_response_ms(&exchange), exchange.service->response_timeout_ms);
    assert_int_equal(timeout_idle_ms(&exchange), exchange.service->idle_timeout_ms);
    assert_int_equal(timeout_total_ms(&exchange), exchange.service->total_timeout_ms);
    assert_int_equal(timeout_body_ms(&exchange), listener.config->body_timeout_ms);
    assert_int_equal(timeout_send_ms(&exchange), listener.config->send_timeout_ms);
    done();
    snapshot_free(snapshot);
}

static void test_a_changed_service_changes_its_routes(void **state)
{
    struct fixture *f = *state;
    static const char yaml[] =
        "listeners: { main: { address: \"127.0.0.1:0\" } }\n"
        "services: { a: { endpoints: \"http://127.0.0.1:1\" }, b: { endpoints: \"http://127.0.0.1:%s\" } }\n"
        "routes: { r: { match: { path: /* }, service: { expression: \"'b'\", among: [a, b] } } }\n";
    char text[512];
    snprintf(text, sizeof text, yaml, "2");
    struct snapshot *first = good(f, text, NULL);
    snprintf(text, sizeof text, yaml, "3");
    struct snapshot *second = snapshot = good(f, text, first);
    match(f, "GET", "/", NULL, NULL);
    assert_text(exchange.target->service->set->endpoints[0].endpoint->url, "http://127.0.0.1:3");
    done();
    snapshot_free(first);
    snapshot_free(second);
}

static void bad(struct fixture *f, const char *route, const char *said)
{
    char yaml[1024];
    snprintf(
        yaml, sizeof yaml,
        "listeners: { main: { address: \"127.0.0.1:0\" } }\nservices: { a: { endpoints: \"http://127.0.0.1:1\" } }\n"
        "routes:\n  r: { match: { path: /a }, %s }\n",
        route);
    refused(f, yaml, said);
    assert_int_equal(f->report.first->place.line, 4);
    assert_true(f->report.first->place.column > 26); /* where it stands, not the route */
}

static void test_what_is_refused(void **state)
{
    struct fixture *f = *state;
    bad(f, "service: b", "there is no service `b`");
    bad(f, "service: [a, b]", "there is no service `b`");
    bad(f, "service: { expression: \"'a'\", among: [a, b] }", "there is no service `b`");
    bad(f, "service: []", "wants at least one entry");
    bad(f, "service: {}", "wants `weighted`, or `expression` and `among`");
    bad(f, "service: { expression: \"'a'\" }", "wants `weighted`, or `expression` and `among`");
    bad(f, "service: { expression: \"'a'\", among: [a], key: \"'x'\" }", "wants `weighted`, or");
    bad(f, "service: { expression: \"'a'\", among: [a], weighted: [a] }", "not by both");
    bad(f, "service: { expression: \"1\", among: [a] }", "string");
    bad(f, "service: { expression: consumer.name, among: [a] }",
        "`consumer.name` is not known yet when the service is chosen");
    bad(f, "service: { weighted: [a], key: auth.method }", "`auth.method` is not known yet");
    bad(f, "service: { expression: \"'a'\", among: [a], otherwise: b }", "`b` is not one of `among`");
    bad(f, "service: { expression: \"'a'\", among: [\"http://x\"] }", "wants names of services");
    bad(f, "service: [{ name: a, weight: 0 }]", "all weights are 0");
    bad(f, "service: [{ name: a, weight: -1 }]", "wants a whole number");
    bad(f, "service: a, respond: { status: 200 }", "the route has a `service` already");
    bad(f, "redirect: { location: /x }, respond: { status: 200 }", "the route has a `redirect` already");
    bad(f, "service: a, timeouts: { connect: 0 }", "wants a duration");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_weights_at_random),
        CASE(test_a_key_keeps_its_service),
        CASE(test_a_key_means_the_same_in_every_process),
        CASE(test_a_key_that_fails_is_a_fault),
        CASE(test_a_service_by_expression),
        CASE(test_a_choice_may_ask_for_the_route),
        CASE(test_each_service_brings_its_policies),
        CASE(test_urls_among_the_weights),
        CASE(test_timeouts_of_a_route),
        CASE(test_a_changed_service_changes_its_routes),
        CASE(test_what_is_refused),
    };
    random_init(); /* another key for tables in every run */
    return RUN_TESTS(tests);
}
