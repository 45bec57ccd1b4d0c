/* Services from their configuration: what is taken, what is refused, what survives a reload, what is given back. */
#include "upstream/upstream_test.h"

static void test_defaults(void **state)
{
    struct fixture *f = *state;
    const struct service *service = build(f, "endpoints: \"http://127.0.0.1:7001\"");
    assert_text(service->name, "orders");
    assert_int_equal(service->set->count, 1);
    assert_int_equal(service->set->endpoints[0].weight, 1);
    assert_text(service->set->endpoints[0].endpoint->url, "http://127.0.0.1:7001");
    assert_text(service->set->endpoints[0].endpoint->host, "127.0.0.1:7001");
    assert_ptr_equal(service->balance.type, &balance_round_robin);
    assert_int_equal(service->host_rule, HOST_PRESERVE);
    assert_int_equal(service->connect_timeout_ms, 5000);
    assert_int_equal(service->response_timeout_ms, 60000);
    assert_int_equal(service->total_timeout_ms, 0);
    assert_int_equal(service->retry.attempts, 1);
    assert_int_equal(service->retry.on, RETRY_CONNECT_FAILURE | RETRY_RESET);
    assert_int_equal(service->passive.failures, 5);
    assert_int_equal(service->pool_size, 256);
}

static void test_a_url_alone_is_a_service(void **state)
{
    struct fixture *f = *state;
    struct node node = {.kind = NODE_SCALAR, .text = TEXT("http://127.0.0.1:7001")};
    struct binder binder = {.arena = &f->bound, .report = &f->report};
    f->service = service_build(&binder, &f->builder, TEXT("alone"), &node);
    assert_non_null(f->service);
    assert_text(endpoint_at(f, 0)->url, "http://127.0.0.1:7001");
}

static void test_every_rule_is_taken(void **state)
{
    struct fixture *f = *state;
    const struct service *service = build(
        f,
        "endpoints: [\"http://127.0.0.1:1\", { url: \"unix:/run/a.sock\", weight: 3 }]\n"
        "balance: least-requests\nhost: endpoint\ntimeouts: { connect: 1s, response: 2s, idle: 3s, total: 4s }\n"
        "retry: { attempts: 2, on: reset }\npassive: { failures: 7, window: 8s, eject: 9s }\n"
        "pool: { size: 10, idle: 11s }\nlimits: { head: 4KiB, fields: 50 }\n");
    assert_ptr_equal(service->balance.type, &balance_least_requests);
    assert_int_equal(service->host_rule, HOST_ENDPOINT);
    assert_int_equal(service->connect_timeout_ms, 1000);
    assert_int_equal(service->response_timeout_ms, 2000);
    assert_int_equal(service->idle_timeout_ms, 3000);
    assert_int_equal(service->total_timeout_ms, 4000);
    assert_int_equal(service->retry.attempts, 2);
    assert_int_equal(service->retry.on, RETRY_RESET);
    assert_int_equal(service->passive.failures, 7);
    assert_int_equal(service->passive.window_ms, 8000);
    assert_int_equal(service->passive.eject_ms, 9000);
    assert_int_equal(service->pool_size, 10);
    assert_int_equal(service->pool_idle_ms, 11000);
    assert_int_equal(service->limits.head_bytes_max, 4096);
    assert_int_equal(service->limits.fields_max, 50);
    assert_int_equal(service->set->subsets[0].tiers[0].all.weight, 4);
}

static void test_what_is_refused(void **state)
{
    struct fixture *f = *state;
    refused(f, "endpoints: []", "at least one");
    refused(f, "endpoints: [\"http://127.0.0.1:1\", \"http://127.0.0.1:1\"]", "is listed twice");
    refused(f, "endpoints: \"http://127.0.0.1:1/path\"", "without a path");
    refused(f, "endpoints: \"srv+https:_https._tcp.test\"", "needs `server_name` or `sans`");
    refused(f, "endpoints: \"ftp://127.0.0.1\"", "http://HOST:PORT");
    refused(f, "endpoints: \"http://127.0.0.1:1?a\"", "http://HOST:PORT");
    refused(f, "endpoints: \"http://127.0.0.1:1\"\nhost: \"a b\"", "a host name");
    refused(f, "endpoints: \"http://127.0.0.1:1\"\nbalance: best", "round-robin");
    refused(f, "endpoints: { url: \"http://127.0.0.1:1\", weight: 65536 }", "65535");
    refused(f, "endpoints: \"http://127.0.0.1:1\"\nretry: { on: [reset, reset] }", "twice");
}

static void test_a_path_of_a_socket_file_may_be_as_long_as_the_kernel_takes(void **state)
{
    struct fixture *f = *state;
    char yaml[256], path[128];
    memset(path, 'p', sizeof path);
    snprintf(yaml, sizeof yaml, "endpoints: \"unix:/%.106s\"", path);
    build(f, yaml);
    snprintf(yaml, sizeof yaml, "endpoints: \"unix:/%.107s\"", path);
    refused(f, yaml, "107 bytes");
}

static void test_the_same_endpoint_of_the_same_service_is_shared(void **state)
{
    struct fixture *f = *state;
    struct endpoint *first = build(f, "endpoints: \"http://127.0.0.1:1\"")->set->endpoints[0].endpoint;
    struct service_shared *shared = f->service->shared;
    first->passive.failures = 3;
    build(f, "endpoints: [\"http://127.0.0.1:2\", \"http://127.0.0.1:1\"]");
    assert_ptr_equal(endpoint_at(f, 1), first);
    assert_ptr_equal(f->service->shared, shared);
    assert_int_equal(first->claims, 2);
    assert_non_null(build_named(f, "others", "endpoints: \"http://127.0.0.1:1\""));
    assert_ptr_not_equal(endpoint_at(f, 0), first); /* another service's is another */
}

static void test_an_endpoint_goes_when_no_service_has_it(void **state)
{
    struct fixture *f = *state;
    build(f, "endpoints: \"http://127.0.0.1:1\"");
    assert_non_null(endpoints_next(f->endpoints, NULL));
    arena_release(&f->bound);
    for (int i = 0; i < 4; i++)
        loop_turn(&f->loop, 0);
    assert_null(endpoints_next(f->endpoints, NULL));
}

static void test_a_service_of_one_url_is_for_policies(void **state)
{
    struct fixture *f = *state;
    struct document document;
    struct binder binder = {.arena = &f->bound, .report = &f->report};
    assert_true(document_parse(TEXT("url: x"), TEXT("t.yaml"), NULL, &f->tree, &f->report, &document));
    const struct service *service = service_of_url(&binder, &f->builder, TEXT("routes.a.ask"), &document.root,
                                                   "url", TEXT("http://127.0.0.1:9"), 700);
    assert_non_null(service);
    assert_int_equal(service->set->count, 1);
    assert_int_equal(service->connect_timeout_ms, 700);
    assert_null(service_of_url(&binder, &f->builder, TEXT("routes.b.ask"), &document.root, "url",
                               TEXT("nothing"), 700));
    assert_int_equal(f->report.errors, 1);
    assert_int_equal(f->report.first->place.line, 1);
}

static void test_each_failing_allocation_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    static const char yaml[] = "endpoints: [\"http://127.0.0.1:1\", \"http://name.test:2\", \"unix:/a\"]";
    bool built = false;
    for (uint64_t nth = 1; !built && nth < 200; nth++) {
        struct document document;
        struct binder binder = {.arena = &f->bound, .report = &f->report};
        assert_true(document_parse(text_of(yaml), TEXT("t.yaml"), NULL, &f->tree, &f->report, &document));
        memory_fail_at(nth);
        struct service *service = service_build(&binder, &f->builder, TEXT("orders"), &document.root);
        memory_fail_at(0);
        built = service && nth > 10;
        arena_release(&f->bound);
        for (int i = 0; i < 4; i++)
            loop_turn(&f->loop, 0);
        assert_null(endpoints_next(f->endpoints, NULL));
    }
    assert_true(built);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_defaults),
        CASE(test_a_url_alone_is_a_service),
        CASE(test_every_rule_is_taken),
        CASE(test_what_is_refused),
        CASE(test_a_path_of_a_socket_file_may_be_as_long_as_the_kernel_takes),
        CASE(test_the_same_endpoint_of_the_same_service_is_shared),
        CASE(test_an_endpoint_goes_when_no_service_has_it),
        CASE(test_a_service_of_one_url_is_for_policies),
        CASE(test_each_failing_allocation_leaves_nothing),
    };
    return RUN_TESTS(tests);
}
