/* Snapshots: what they share with the one before, what is built anew, what is freed, and that a failed build changes nothing. */
#include "proxy/snapshot_test.h"

#define LISTENER "listeners: { main: { address: \"127.0.0.1:0\" } }\n"
#define SERVICES                                                                                             \
    "services: { a: { endpoints: \"http://127.0.0.1:1\" }, b: { endpoints: \"http://127.0.0.1:2\" } }\n"
#define ROUTES "routes: { a: { match: { path: /a }, service: a }, b: { match: { path: /b }, service: b } }\n"
#define PEOPLE                                                                                               \
    "consumers: { alice: { keys: [a-key-that-is-long-enough], groups: [gold] } }\ngroups: { gold: { policies: [ { mark: {} } ] } }\n"
#define POLICY "policies: [ { mark: { number: 1 } } ]\n"
#define ALL    LISTENER SERVICES ROUTES PEOPLE POLICY

static const struct object *of(const struct table *table, const char *name)
{
    const struct object *object = table_get(table, text_of(name));
    assert_non_null(object);
    return object;
}

static const struct route *route_of(const struct snapshot *snapshot, const char *path)
{
    struct route_captures captures;
    return router_match(snapshot->router, TEXT("h"), text_of(path), NULL, NULL, &captures);
}

static void test_all_parts_are_there(void **state)
{
    struct fixture *f = *state;
    struct snapshot *snapshot = good(f, ALL, NULL);
    assert_int_equal(snapshot->version, 1);
    assert_int_equal(snapshot->listeners_count, 1);
    assert_text(snapshot->listeners[0]->name, "main");
    assert_int_equal(router_count(snapshot->router), 2);
    const struct route *a = route_of(snapshot, "/a");
    assert_int_equal(snapshot->routes_count, 2);
    assert_text(a->target.service->name, "a");
    assert_int_equal(a->target.plan->count, 1);
    assert_int_equal(snapshot->fallback->target.plan->count, 1);
    assert_null(snapshot->fallback->target.service);
    snapshot_free(snapshot);
}

static void test_the_same_file_again_shares_everything(void **state)
{
    struct fixture *f = *state;
    struct snapshot *first = good(f, ALL, NULL), *second = good(f, ALL, first);
    assert_int_equal(second->version, 2);
    assert_int_equal(second->objects_built, 1); /* the settings */
    assert_int_equal(second->objects_shared, first->objects_built - 1);
    assert_ptr_equal(second->router, first->router);
    assert_ptr_equal(second->consumers, first->consumers);
    assert_ptr_equal(second->fallback, first->fallback);
    assert_ptr_equal(second->listeners[0], first->listeners[0]);
    assert_ptr_equal(of(&second->services, "a"), of(&first->services, "a"));
    assert_int_equal(of(&second->services, "a")->refs, 2);
    snapshot_free(first);
    assert_int_equal(of(&second->services, "a")->refs, 1);
    snapshot_free(second);
}

static void test_comments_and_order_change_nothing(void **state)
{
    struct fixture *f = *state;
    struct snapshot *first = good(f, ALL, NULL),
                    *second = good(f, "# another\n" PEOPLE POLICY ROUTES "\n" SERVICES LISTENER, first);
    assert_int_equal(second->objects_built, 1);
    snapshot_free(first);
    snapshot_free(second);
}

static void test_a_service_takes_its_routes_along(void **state)
{
    struct fixture *f = *state;
    struct snapshot *first = good(f, ALL, NULL);
    struct snapshot *second = good(
        f,
        LISTENER ROUTES PEOPLE POLICY
        "services: { a: { endpoints: \"http://127.0.0.1:9\" }, b: { endpoints: \"http://127.0.0.1:2\" } }\n",
        first);
    assert_ptr_not_equal(of(&second->services, "a"), of(&first->services, "a"));
    assert_ptr_not_equal(route_of(second, "/a"), route_of(first, "/a"));
    assert_ptr_equal(of(&second->services, "b"), of(&first->services, "b"));
    assert_ptr_equal(route_of(second, "/b"), route_of(first, "/b"));
    assert_ptr_not_equal(second->router, first->router);
    assert_ptr_equal(second->consumers, first->consumers);
    snapshot_free(second); /* the newer one may go first */
    assert_text(route_of(first, "/a")->target.service->set->endpoints[0].endpoint->url, "http://127.0.0.1:1");
    snapshot_free(first);
}

static void test_a_route_changes_alone(void **state)
{
    struct fixture *f = *state;
    struct snapshot *first = good(f, ALL, NULL);
    struct snapshot *second = good(
        f,
        LISTENER SERVICES PEOPLE POLICY
        "routes: { a: { match: { path: /a }, service: a }, b: { match: { path: /other }, service: b } }\n",
        first);
    assert_ptr_equal(route_of(second, "/a"), route_of(first, "/a"));
    assert_ptr_not_equal(route_of(second, "/b"), route_of(first, "/b"));
    assert_int_equal(second->objects_built, 2);
    struct route_captures captures;
    assert_null(router_match(second->router, TEXT("h"), TEXT("/b"), NULL, NULL, &captures));
    assert_non_null(router_match(first->router, TEXT("h"), TEXT("/b"), NULL, NULL, &captures));
    snapshot_free(first);
    assert_non_null(router_match(second->router, TEXT("h"), TEXT("/other"), NULL, NULL, &captures));
    snapshot_free(second);
}

static void test_the_gateways_policies_take_all_routes_along(void **state)
{
    struct fixture *f = *state;
    struct snapshot *first = good(f, ALL, NULL);
    struct snapshot *second =
        good(f, LISTENER SERVICES ROUTES PEOPLE "policies: [ { mark: { number: 2 } } ]\n", first);
    assert_ptr_not_equal(route_of(second, "/a"), route_of(first, "/a"));
    assert_ptr_not_equal(route_of(second, "/b"), route_of(first, "/b"));
    assert_ptr_equal(of(&second->services, "a"), of(&first->services, "a"));
    assert_int_equal(
        ((const struct mark_config *)route_of(second, "/a")->target.plan->entries[0]->config)->number, 2);
    snapshot_free(first);
    snapshot_free(second);
}

static void test_the_order_of_the_gateways_policies_counts(void **state)
{
    struct fixture *f = *state;
    struct snapshot *first = good(f, ALL, NULL), *second = good(f, ALL "order: written\n", first);
    assert_ptr_not_equal(second->fallback, first->fallback);
    snapshot_free(first);
    snapshot_free(second);
}

static void test_consumers_change_alone(void **state)
{
    struct fixture *f = *state;
    struct snapshot *first = good(f, ALL, NULL);
    struct snapshot *second =
        good(f, LISTENER SERVICES ROUTES POLICY "consumers: { bob: { keys: [another-key-that-is-long] } }\n",
             first);
    assert_ptr_not_equal(second->consumers, first->consumers);
    assert_ptr_equal(route_of(second, "/a"), route_of(first, "/a"));
    assert_ptr_equal(second->router, first->router);
    snapshot_free(first);
    snapshot_free(second);
}

static void test_what_a_listener_counts_survives_a_change(void **state)
{
    struct fixture *f = *state;
    struct snapshot *first = good(f, ALL, NULL);
    struct snapshot *second =
        good(f,
             SERVICES ROUTES PEOPLE POLICY
             "listeners: { main: { address: \"127.0.0.1:0\", limits: { fields: 7 } } }\n",
             first);
    assert_ptr_not_equal(second->listeners[0], first->listeners[0]);
    assert_ptr_equal(second->listeners[0]->state, first->listeners[0]->state);
    snapshot_free(first);
    assert_int_equal(second->listeners[0]->limits.fields_max, 7);
    snapshot_free(second);
}

static void test_a_route_that_is_not_enabled_is_not_routed(void **state)
{
    struct fixture *f = *state;
    struct snapshot *first = good(f, ALL, NULL);
    struct snapshot *second = good(
        f,
        LISTENER SERVICES PEOPLE POLICY
        "routes: { a: { match: { path: /a }, service: a, enabled: false }, b: { match: { path: /b }, service: b } }\n",
        first);
    assert_int_equal(router_count(second->router), 1);
    struct snapshot *third = good(f, ALL, second);
    assert_int_equal(router_count(third->router), 2);
    snapshot_free(first);
    snapshot_free(second);
    snapshot_free(third);
}

static void test_what_is_refused(void **state)
{
    struct fixture *f = *state;
    refused(f, SERVICES, "");
    refused(f, "listeners: {}\n", "at least one listener");
    refused(f, "listeners: [a]\n", "map of names");
    refused(f, "listeners: { a: { address: \"127.0.0.1:80\" }, b: { address: \"127.0.0.1:80\" } }\n",
            "have the same address");
    refused(f, LISTENER "routes: { a: { match: { path: /a }, service: none } }\n", "none");
    refused(f, LISTENER SERVICES "routes: { a: { match: { path: \"a\" }, service: a } }\n", "");
    refused(f, LISTENER "services: { \"\": { endpoints: \"http://127.0.0.1:1\" } }\n", "cannot be empty");
    refused(f, LISTENER "routs: {}\n", "did you mean `routes`?");
}

static void test_two_listeners_on_ports_that_the_kernel_chooses(void **state)
{
    struct fixture *f = *state;
    struct snapshot *snapshot =
        good(f, "listeners: { a: { address: \"127.0.0.1:0\" }, b: { address: \"127.0.0.1:0\" } }\n", NULL);
    assert_int_equal(snapshot->listeners_count, 2);
    snapshot_free(snapshot);
}

static void test_a_refused_build_leaves_the_one_in_force_alone(void **state)
{
    struct fixture *f = *state;
    struct snapshot *first = good(f, ALL, NULL);
    assert_null(build(f,
                      LISTENER SERVICES PEOPLE POLICY
                      "routes: { a: { match: { path: /a }, service: a }, b: { service: none } }\n",
                      first));
    assert_int_equal(of(&first->services, "a")->refs, 1);
    assert_int_equal(first->consumer_object->refs, 1);
    assert_int_equal(first->gateway_policies->refs, 1);
    struct snapshot *second = good(f, ALL, first);
    assert_int_equal(second->version, 2);
    snapshot_free(first);
    snapshot_free(second);
}

static void test_many_reloads_keep_nothing(void **state)
{
    struct fixture *f = *state;
    struct snapshot *snapshot = good(f, ALL, NULL);
    for (int i = 0; i < 100; i++) {
        char yaml[1024];
        snprintf(
            yaml, sizeof yaml,
            LISTENER SERVICES PEOPLE
            "policies: [ { mark: { number: %d } } ]\n"
            "routes: { a: { match: { path: /a%d }, service: a }, b: { match: { path: /b }, service: b } }\n",
            i % 3, i);
        struct snapshot *next = good(f, yaml, snapshot);
        snapshot_free(snapshot);
        snapshot = next;
        assert_int_equal(router_count(snapshot->router), 2);
        assert_int_equal(of(&snapshot->services, "a")->refs, 1);
    }
    snapshot_free(snapshot); /* LeakSanitizer sees the rest */
}

/* --- memory gives out --- */

static bool is_sound(const struct table *table)
{
    size_t cursor = 0;
    for (const struct table_slot *slot; (slot = table_next(table, &cursor));)
        if (((const struct object *)slot->value)->arena.failed
            || !((const struct object *)slot->value)->value)
            return false;
    return true;
}

/* Each allocation of a build fails once: it is refused with a reason, or nothing of it is missing. */
static void fail_each(struct fixture *f, const char *yaml, struct snapshot *previous)
{
    struct document document = document_of(f, yaml);
    bool over = false;
    for (uint64_t nth = 1; !over; nth++) {
        struct arena notes;
        struct report report;
        arena_init(&notes, 0, 0);
        report_init(&report, &notes);
        uint64_t before = memory_calls();
        memory_fail_at(nth);
        struct snapshot *snapshot = snapshot_build(&f->builder, &document, previous, &report);
        memory_fail_at(0);
        over = memory_calls() - before < nth;
        if (snapshot) {
            assert_int_equal(report.errors, 0);
            assert_true(is_sound(&snapshot->services) && is_sound(&snapshot->listener_objects));
            assert_false(snapshot->arena.failed || snapshot->consumer_object->arena.failed
                         || snapshot->gateway_policies->arena.failed);
            assert_false(snapshot->settings_object->arena.failed);
            assert_int_equal(snapshot->listeners_count, 1);
            snapshot_free(snapshot);
        } else {
            assert_true(report.errors > 0);
        }
        arena_release(&notes);
        assert_true(nth < 10000);
    }
}

static void test_each_allocation_of_the_first_build_may_fail(void **state)
{
    fail_each(*state, ALL, NULL);
}

static void test_each_allocation_of_a_reload_may_fail(void **state)
{
    struct fixture *f = *state;
    struct snapshot *first = good(f, ALL, NULL);
    fail_each(
        f,
        LISTENER PEOPLE
        "policies: [ { mark: { number: 2 } } ]\n"
        "services: { a: { endpoints: \"http://127.0.0.1:1\" }, c: { endpoints: \"http://127.0.0.1:3\" } }\n"
        "routes: { a: { match: { path: /a }, service: a }, c: { match: { path: \"~ ^/c\", headers: { X-A: { regex: \"b+\" } } }, service: c } }\n",
        first);
    assert_int_equal(of(&first->services, "a")->refs, 1);
    assert_int_equal(of(&first->listener_objects, "main")->refs, 1);
    snapshot_free(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_all_parts_are_there),
        CASE(test_the_same_file_again_shares_everything),
        CASE(test_comments_and_order_change_nothing),
        CASE(test_a_service_takes_its_routes_along),
        CASE(test_a_route_changes_alone),
        CASE(test_the_gateways_policies_take_all_routes_along),
        CASE(test_the_order_of_the_gateways_policies_counts),
        CASE(test_consumers_change_alone),
        CASE(test_what_a_listener_counts_survives_a_change),
        CASE(test_a_route_that_is_not_enabled_is_not_routed),
        CASE(test_what_is_refused),
        CASE(test_two_listeners_on_ports_that_the_kernel_chooses),
        CASE(test_a_refused_build_leaves_the_one_in_force_alone),
        CASE(test_many_reloads_keep_nothing),
        CASE(test_each_allocation_of_the_first_build_may_fail),
        CASE(test_each_allocation_of_a_reload_may_fail),
    };
    return RUN_TESTS(tests);
}
