/* Each condition of a route: what it takes, what it leaves, its opposite under `not`, and what explain says of it. */
#include "proxy/match_test.h"

/* A pair of routes for each row: `yes` with the condition, `no` with its opposite under `not`; just one of them takes a request. */
static void begin_pair(struct fixture *f, const char *condition)
{
    char routes[1024];
    snprintf(
        routes, sizeof routes,
        "  yes: { match: { path: /*, %s }, service: a }\n  no: { match: { path: /*, not: { %s } }, service: a }\n",
        condition, condition);
    begin(f, routes);
}

static void pair_takes(struct fixture *f, const char *wanted, const char *method, const char *name,
                       const char *value)
{
    assert_string_equal(taken(f, method, "/", name, value), wanted);
    ask(f, method, "/", name, value);
    assert_null(why_not(wanted).at);
    assert_non_null(why_not(strcmp(wanted, "yes") ? "yes" : "no").at);
    done();
}

static void client_is(const char *ip)
{
    assert_true(address_parse_ip(text_of(ip), 1, &exchange.client_address));
}

static void test_methods_and_their_opposite(void **state)
{
    struct fixture *f = *state;
    begin_pair(f, "methods: [GET, PURGE]");
    pair_takes(f, "yes", "GET", NULL, NULL);
    pair_takes(f, "yes", "PURGE", NULL, NULL);
    pair_takes(f, "no", "POST", NULL, NULL);
    pair_takes(f, "no", "purge", NULL, NULL);
    snapshot_free(snapshot);
}

static void test_a_preflight_is_for_the_route_of_what_it_announces(void **state)
{
    struct fixture *f = *state;
    begin_pair(f, "methods: [DELETE, PURGE]");
    ask(f, "OPTIONS", "/", "Access-Control-Request-Method", "DELETE");
    assert_true(fields_add(&exchange.request.fields, TEXT("Origin"), TEXT("https://a.example")));
    assert_null(why_not("yes").at);
    assert_text(why_not("no"), "it excludes the method OPTIONS");
    done();
    ask(f, "OPTIONS", "/", "Access-Control-Request-Method", "GET");
    assert_true(fields_add(&exchange.request.fields, TEXT("Origin"), TEXT("https://a.example")));
    assert_non_null(why_not("yes").at);
    assert_null(why_not("no").at);
    done();
    snapshot_free(snapshot);
}

static void test_client_networks(void **state)
{
    struct fixture *f = *state;
    begin_pair(f, "client: [\"10.0.0.0/8\", \"2001:db8::/32\", \"192.0.2.7\"]");
    static const struct {
        const char *ip;
        bool inside;
    } rows[] = {{"10.255.0.1", true},   {"11.0.0.1", false}, {"2001:db8::1", true},
                {"2001:db9::1", false}, {"192.0.2.7", true}, {"192.0.2.8", false}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        client_is(rows[i].ip);
        pair_takes(f, rows[i].inside ? "yes" : "no", "GET", NULL, NULL);
    }
    ask(f, "GET", "/", NULL, NULL);
    client_is("11.0.0.1");
    assert_text(why_not("yes"), "the client address 11.0.0.1 is not in its networks");
    client_is("10.0.0.1");
    assert_text(why_not("no"), "the client address 10.0.0.1 is one that it excludes");
    done();
    exchange.client_address = (struct address){.any.sa_family = AF_UNIX};
    pair_takes(f, "no", "GET", NULL, NULL);
    snapshot_free(snapshot);
}

static const char *local_takes(struct fixture *f, const char *route, const char *local)
{
    static char said[256];
    ask(f, "GET", "/", NULL, NULL);
    struct match_subject subject = {.exchange = &exchange, .local_known = true, .body_here = true};
    assert_true(address_parse(text_of(local), &subject.local));
    const struct object *object = table_get(route_names, text_of(route));
    struct text why = match_why_not(object->value, &subject);
    snprintf(said, sizeof said, "%.*s", TEXT_ARGS(why.at ? why : TEXT("taken")));
    done();
    return said;
}

static void test_local_addresses_and_ports(void **state)
{
    struct fixture *f = *state;
    begin_pair(f, "local: [\"10.1.0.0/16\", \"10.2.0.1:8443\", \":9000\", \"[::1]:1\"]");
    assert_string_equal(local_takes(f, "yes", "10.1.2.3:80"), "taken");
    assert_string_equal(local_takes(f, "yes", "10.2.0.1:8443"), "taken");
    assert_string_equal(local_takes(f, "yes", "10.2.0.1:8444"),
                        "the local address 10.2.0.1:8444 is not in its networks");
    assert_string_equal(local_takes(f, "yes", "10.2.0.2:8443"),
                        "the local address 10.2.0.2:8443 is not in its networks");
    assert_string_equal(local_takes(f, "yes", "[2001:db8::1]:9000"), "taken");
    assert_string_equal(local_takes(f, "yes", "[::1]:1"), "taken");
    assert_string_equal(local_takes(f, "no", "[::1]:1"), "the local address [::1]:1 is one that it excludes");
    assert_string_equal(local_takes(f, "no", "[::1]:2"), "taken");
    snapshot_free(snapshot);
}

static void test_the_kernel_is_asked_for_the_local_address(void **state)
{
    struct fixture *f = *state;
    struct address any, bound;
    assert_true(address_parse(TEXT("127.0.0.1:0"), &any));
    int fd = socket_listen(&any, 1, false, NULL);
    assert_true(fd >= 0);
    assert_int_equal(socket_local(fd, &bound), 0);
    char condition[64];
    snprintf(condition, sizeof condition, "local: [\"127.0.0.1:%u\"]", address_port(&bound));
    begin_pair(f, condition);
    connection.socket.watch.fd = fd;
    pair_takes(f, "yes", "GET", NULL, NULL);
    connection.socket.watch.fd = -1;
    pair_takes(f, "no", "GET", NULL, NULL);
    close(fd);
    snapshot_free(snapshot);
}

static void test_listeners_and_schemes(void **state)
{
    struct fixture *f = *state;
    begin_pair(f, "listeners: inner");
    for (size_t i = 0; i < snapshot->listeners_count; i++) {
        listener.config = snapshot->listeners[i];
        pair_takes(f, text_equal(listener.config->name, TEXT("inner")) ? "yes" : "no", "GET", NULL, NULL);
    }
    snapshot_free(snapshot);
    begin_pair(f, "schemes: [https]");
    pair_takes(f, "no", "GET", NULL, NULL);
    ask(f, "GET", "/", NULL, NULL);
    assert_text(why_not("yes"), "the scheme `http` is none of `https`");
    exchange.request.scheme = TEXT("https");
    assert_null(why_not("yes").at);
    done();
    snapshot_free(snapshot);
}

static void test_server_names(void **state)
{
    struct fixture *f = *state;
    begin_pair(f, "sni: [\"*.Shop.Example\", store.example]");
    static const struct {
        const char *name;
        bool inside;
    } rows[] = {{"a.shop.example", true}, {"shop.example", false}, {"store.example", true}, {"", false}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        ask(f, "GET", "/", NULL, NULL);
        struct match_subject subject = {
            .exchange = &exchange, .server_name = text_of(rows[i].name), .body_here = true};
        const struct object *yes = table_get(route_names, TEXT("yes")),
                            *no = table_get(route_names, TEXT("no"));
        assert_int_equal(!match_why_not(yes->value, &subject).at, rows[i].inside);
        assert_int_equal(!match_why_not(no->value, &subject).at, !rows[i].inside);
        done();
    }
    pair_takes(f, "no", "GET", NULL, NULL); /* no TLS */
    snapshot_free(snapshot);
}

static void test_content_types(void **state)
{
    struct fixture *f = *state;
    begin_pair(f, "content_types: [application/json, \"text/*\", \"application/*+json\"]");
    static const struct {
        const char *type;
        bool inside;
    } rows[] = {
        {"application/json", true},
        {"Application/JSON; charset=utf-8", true},
        {"application/json2", false},
        {"text/plain", true},
        {"text/", false},
        {"text", false},
        {"application/ld+json", true},
        {"application/+json", false},
        {"image/png", false},
        {"", false},
        {"application/jso", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        pair_takes(f, rows[i].inside ? "yes" : "no", "POST", "Content-Type", rows[i].type);
    pair_takes(f, "no", "POST", NULL, NULL);
    ask(f, "POST", "/", NULL, NULL);
    assert_text(why_not("yes"), "the request has no content type");
    done();
    snapshot_free(snapshot);
}

static void test_every_media_type(void **state)
{
    (void)state;
    assert_true(media_range_holds(TEXT("*/*"), TEXT("a/b")));
    assert_false(media_range_holds(TEXT("*/*"), TEXT("")));
    assert_false(media_range_holds(TEXT("*/*"), TEXT("a")));
}

static void test_tests_under_not(void **state)
{
    struct fixture *f = *state;
    begin_pair(f, "headers: { X-A: { one_of: [one, two] } }");
    pair_takes(f, "yes", "GET", "X-A", "two");
    pair_takes(f, "no", "GET", "X-A", "three");
    pair_takes(f, "no", "GET", NULL, NULL);
    snapshot_free(snapshot);
    begin_pair(f, "headers: { X-A: { equals: one, not: true } }"); /* not not */
    pair_takes(f, "no", "GET", "X-A", "one");
    pair_takes(f, "yes", "GET", NULL, NULL);
    snapshot_free(snapshot);
}

static void test_every_entry_of_not_must_fail(void **state)
{
    struct fixture *f = *state;
    begin(
        f,
        "  a: { match: { path: /*, not: { methods: DELETE, headers: { X-A: one, X-B: two } } }, service: a }\n");
    assert_string_equal(taken(f, "GET", "/", NULL, NULL), "a");
    assert_string_equal(taken(f, "DELETE", "/", NULL, NULL), "-");
    assert_string_equal(taken(f, "GET", "/", "X-A", "one"), "-");
    assert_string_equal(taken(f, "GET", "/", "X-B", "two"), "-");
    assert_string_equal(taken(f, "GET", "/", "X-B", "one"), "a");
    snapshot_free(snapshot);
}

static void test_hosts_and_paths_that_are_left_out(void **state)
{
    struct fixture *f = *state;
    begin(
        f,
        "  a: { match: { path: /*, not: { paths: [/health, \"/in%74ernal/*\", \"/v{n}/x\", \"~ \\\\.bak$\", \"/raw*\"] } }, "
        "service: a }\n"
        "  h: { match: { path: /host, not: { hosts: [\"*.shop.example\", Store.Example] } }, service: a }\n");
    static const struct {
        const char *path;
        bool taken;
    } rows[] = {{"/", true},          {"/health", false},     {"/healthy", true},
                {"/internal", false}, {"/internal/x", false}, {"/v1/x", false},
                {"/v1/y", true},      {"/raw", false},        {"/rawhide", false}};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_string_equal(taken(f, "GET", rows[i].path, NULL, NULL), rows[i].taken ? "a" : "-");
    ask(f, "GET", "/health", NULL, NULL);
    assert_text(why_not("a"), "it excludes the path /health");
    done();
    static const struct {
        const char *host;
        bool taken;
    } hosts[] = {{"shop.example", true},
                 {"a.shop.example", false},
                 {"store.example", false},
                 {"x.store.example", true}};
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        ask(f, "GET", "/host", NULL, NULL);
        exchange.request.host = text_of(hosts[i].host);
        assert_int_equal(!why_not("h").at, hosts[i].taken);
        done();
    }
    snapshot_free(snapshot);
}

static void at_time(struct fixture *f, const char *rfc, const char *wanted)
{
    struct value value;
    struct arena arena;
    char source[64];
    arena_init(&arena, 0, 0);
    snprintf(source, sizeof source, "timestamp('%s')", rfc);
    const struct expr *expr = expr_compile(&arena, text_of(source), NULL, EXPR_TIMESTAMP, NULL);
    struct expr_run run = {.arena = &arena};
    assert_non_null(expr);
    assert_true(expr_eval(expr, &run, &value, NULL));
    f->loop.wall_ns = value_ns(value);
    arena_release(&arena);
    pair_takes(f, wanted, "GET", NULL, NULL);
}

static void test_office_hours(void **state)
{
    struct fixture *f = *state;
    begin_pair(f, "time: { days: mon-fri, from: 08:00, to: 18:00, zone: Europe/Paris }");
    at_time(f, "2026-07-01T06:00:00Z", "yes"); /* Wednesday, 08:00 in summer */
    at_time(f, "2026-07-01T05:59:59Z", "no");
    at_time(f, "2026-07-01T15:59:59Z", "yes");
    at_time(f, "2026-07-01T16:00:00Z", "no");
    at_time(f, "2026-01-07T06:30:00Z", "no"); /* 07:30 in winter */
    at_time(f, "2026-01-07T07:00:00Z", "yes");
    at_time(f, "2026-07-04T10:00:00Z", "no"); /* Saturday */
    snapshot_free(snapshot);
}

static void test_a_night_belongs_to_the_day_it_begins_on(void **state)
{
    struct fixture *f = *state;
    begin_pair(f, "time: { days: [fri, sat], from: \"22:00\", to: \"06:00\" }");
    at_time(f, "2026-07-03T21:59:59Z", "no"); /* Friday */
    at_time(f, "2026-07-03T22:00:00Z", "yes");
    at_time(f, "2026-07-04T05:59:59Z", "yes");
    at_time(f, "2026-07-04T06:00:00Z", "no");
    at_time(f, "2026-07-05T05:00:00Z", "yes"); /* Sunday morning, of Saturday */
    at_time(f, "2026-07-05T22:30:00Z", "no");
    at_time(f, "2026-07-03T05:00:00Z", "no"); /* Friday morning, of Thursday */
    snapshot_free(snapshot);
}

static void test_dates_and_several_windows(void **state)
{
    struct fixture *f = *state;
    begin_pair(
        f,
        "time: [{ since: 2026-12-24, until: 2026-12-26, zone: \"+01:00\" }, { since: 2027-01-01T10:00, until: 2027-01-01T11:00 }]");
    at_time(f, "2026-12-23T22:59:59Z", "no");
    at_time(f, "2026-12-23T23:00:00Z", "yes");
    at_time(f, "2026-12-26T22:59:59Z", "yes");
    at_time(f, "2026-12-26T23:00:00Z", "no");
    at_time(f, "2027-01-01T09:59:59Z", "no");
    at_time(f, "2027-01-01T10:00:00Z", "yes");
    at_time(f, "2027-01-01T11:00:00Z", "no");
    ask(f, "GET", "/", NULL, NULL);
    assert_text(why_not("yes"), "it is outside of its times");
    done();
    snapshot_free(snapshot);
}

static void test_expressions(void **state)
{
    struct fixture *f = *state;
    begin_pair(f, "expression: \"request.headers['x-a'].startsWith('b')\"");
    pair_takes(f, "yes", "GET", "X-A", "b1");
    pair_takes(f, "no", "GET", "X-A", "a1");
    ask(f, "GET", "/", "X-A", "a1");
    assert_text(why_not("yes"), "its expression is false: request.headers['x-a'].startsWith('b')");
    done();
    snapshot_free(snapshot);
}

static void test_an_expression_that_fails_does_not_match_nor_does_its_opposite(void **state)
{
    struct fixture *f = *state;
    begin_pair(f, "expression: \"request.headers['x-a'].startsWith('b')\"");
    uint64_t before = worker.metrics->values[METRIC_ROUTE_EXPRESSIONS_FAILED];
    assert_string_equal(taken(f, "GET", "/", NULL, NULL), "-");
    assert_int_equal(worker.metrics->values[METRIC_ROUTE_EXPRESSIONS_FAILED], before + 2);
    ask(f, "GET", "/", NULL, NULL);
    assert_true(text_starts_with(why_not("yes"), TEXT("its expression failed: ")));
    assert_true(text_starts_with(why_not("no"), TEXT("its expression failed: ")));
    done();
    snapshot_free(snapshot);
}

static void bad(struct fixture *f, const char *match, const char *said)
{
    char yaml[1024];
    snprintf(
        yaml, sizeof yaml,
        "listeners: { main: { address: \"127.0.0.1:0\" } }\nroutes:\n  a:\n    match: { path: /a, %s }\n",
        match);
    refused(f, yaml, said);
    assert_int_equal(f->report.first->place.line, 4); /* where it stands, not the route */
    assert_true(f->report.first->place.column > 12);
}

static void test_what_is_refused(void **state)
{
    struct fixture *f = *state;
    bad(f, "methods: \"G T\"", "`G T` is not a method");
    bad(f, "not: { methods: \"G T\" }", "`G T` is not a method");
    bad(f, "client: 10.0.0.1/8", "wants a network");
    bad(f, "local: \":0\"", "wants an address or a network");
    bad(f, "local: \"10.0.0.1:70000\"", "wants an address or a network");
    bad(f, "listeners: mains", "did you mean `main`?");
    bad(f, "not: { listeners: other }", "there is no listener `other`");
    bad(f, "schemes: ftp", "ftp");
    bad(f, "content_types: json", "wants a media type");
    bad(f, "content_types: \"*/json\"", "wants a media type");
    bad(f, "time: { days: monday }", "wants a day such as `mon`");
    bad(f, "time: { from: \"8:00\" }", "wants a time of day");
    bad(f, "time: { from: \"09:00\", to: \"09:00\" }", "no time between");
    bad(f, "time: { from: \"24:00\" }", "no time between");
    bad(f, "time: { since: 2026-02-30 }", "wants a date");
    bad(f, "time: { since: 2026-02-02, until: 2026-02-01 }", "is not after `since`");
    bad(f, "time: { zone: Mars/Base }", "there is no time zone `Mars/Base`");
    bad(f, "expression: \"1 + 1\"", "bool");
    bad(f, "expression: \"request.foo\"", "request.foo");
    bad(f, "expression: \"consumer.name == 'a'\"", "`consumer.name` is not known yet");
    bad(f, "expression: \"response.body == 'a'\"", "`response.body` is not known yet");
    bad(f, "expression: \"error == 'a'\"", "`error` is not known yet");
    bad(f, "not: { expression: \"request.params.id == 'a'\" }", "`request.params` is not known yet");
    bad(f, "not: { paths: b }", "a path begins with '/'");
    bad(f, "not: { paths: \"/{a:int}\" }", "types of captures may only stand in `match.path`");
    bad(f, "not: { hosts: \"a:80\" }", "wants a host name");
    bad(f, "headers: { \"a b\": x }", "is not a field name");
    bad(f, "headers: { a: { equals: x, prefix: y } }", "wants one of equals");
    bad(f, "headers: { a: { regex: \"(\" } }", "the regular expression is bad");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_methods_and_their_opposite),
        CASE(test_a_preflight_is_for_the_route_of_what_it_announces),
        CASE(test_client_networks),
        CASE(test_local_addresses_and_ports),
        CASE(test_the_kernel_is_asked_for_the_local_address),
        CASE(test_listeners_and_schemes),
        CASE(test_server_names),
        CASE(test_content_types),
        CASE(test_every_media_type),
        CASE(test_tests_under_not),
        CASE(test_every_entry_of_not_must_fail),
        CASE(test_hosts_and_paths_that_are_left_out),
        CASE(test_office_hours),
        CASE(test_a_night_belongs_to_the_day_it_begins_on),
        CASE(test_dates_and_several_windows),
        CASE(test_expressions),
        CASE(test_an_expression_that_fails_does_not_match_nor_does_its_opposite),
        CASE(test_what_is_refused),
    };
    return RUN_TESTS(tests);
}
