/* What field tables make of good documents. */
#include "fixture.h"

#include "sample.h"

static void bound(struct fixture *f, const char *yaml, struct sample *into)
{
    *into = (struct sample){0};
    bool was_bound = bind(f, sample_fields, yaml, into);
    if (!was_bound)
        print_error("%s", printed(f, false));
    assert_true(was_bound);
}

static void defaults_are_bound(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    bound(f, "title: x\n", &s);
    assert_false(s.debug);
    assert_int_equal(s.workers, 2);
    assert_int_equal(s.body_bytes, 1 << 20);
    assert_true(s.ratio == 0.5 && s.budget == 0.2);
    assert_text(s.version, "1.0");
    assert_int_equal(s.retry_on.count, 2);
    assert_int_equal(((int *)s.retry_on.items)[1], 2);
    assert_int_equal(s.labels.count, 1);
    assert_text(((struct text_pair *)s.labels.items)[0].value, "1");
    assert_int_equal(s.even, 2);
}

static void optional_members_stay_zero(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    bound(f, "debug: true\n", &s);
    assert_true(s.debug);
    assert_null(s.title.at);
    assert_null(s.when);
    assert_null(s.anything);
    assert_int_equal(s.services.count, 0);
}

static void integers_are_read_in_three_bases(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    bound(f, "workers: 0x1f\n", &s);
    assert_int_equal(s.workers, 31);
    bound(f, "workers: 0o17\n", &s);
    assert_int_equal(s.workers, 15);
    bound(f, "workers: +7\n", &s);
    assert_int_equal(s.workers, 7);
}

static void a_reference_stands_for_a_number_or_boolean(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    setenv("TURNPIKE_TEST", "5", 1);
    setenv("TURNPIKE_TEST_BOOL", "true", 1);
    bound(f, "workers: \"${env:TURNPIKE_TEST}\"\ndebug: '${env:TURNPIKE_TEST_BOOL}'\n", &s);
    assert_int_equal(s.workers, 5);
    assert_true(s.debug);
}

static void sizes_percentages_and_numbers(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    bound(f, "body: 64KiB\nbudget: 12.5%\nratio: -1e3\n", &s);
    assert_int_equal(s.body_bytes, 65536);
    assert_true(s.budget == 0.125 && s.ratio == -1000);
    bound(f, "body: \"10MB\"\nbudget: 0.3\n", &s);
    assert_int_equal(s.body_bytes, 10000000);
    assert_true(s.budget == 0.3);
}

static void plain_numbers_are_text_where_text_is_wanted(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    bound(f, "title: 12\nversion: true\nretry_on: 503\n", &s);
    assert_text(s.title, "12");
    assert_text(s.version, "true");
    assert_int_equal(((int *)s.retry_on.items)[0], 2);
}

static void one_stands_for_a_list_of_one(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    bound(f, "hosts: a.example\n", &s);
    assert_int_equal(s.hosts.count, 1);
    assert_text(((struct text *)s.hosts.items)[0], "a.example");
}

static void maps_keep_their_order_and_keys(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    bound(f, "services:\n  b: { endpoints: [x] }\n  a: { endpoints: [y] }\n", &s);
    const struct sample_service *services = s.services.items;
    assert_int_equal(s.services.count, 2);
    assert_text(services[0].name, "b");
    assert_text(services[1].name, "a");
}

static void shorthands_stand_for_structs(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    bound(
        f,
        "services:\n  a: [ \"http://x\", { url: \"http://y\", weight: 3 } ]\n  b: { endpoints: [z], limit: 10 }\n",
        &s);
    const struct sample_service *services = s.services.items;
    const struct sample_endpoint *endpoints = services[0].endpoints.items;
    assert_int_equal(services[0].endpoints.count, 2);
    assert_text(endpoints[0].url, "http://x");
    assert_int_equal(endpoints[0].weight, 1);
    assert_int_equal(endpoints[1].weight, 3);
    assert_int_equal(services[1].limit.limit, 10);
    assert_int_equal(services[1].limit.window_ms, 60000);
}

static void nested_structs_have_their_defaults(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    bound(f, "services:\n  a: { endpoints: [x], timeouts: { connect: 250ms } }\n  b: { endpoints: [x] }\n",
          &s);
    const struct sample_service *services = s.services.items;
    assert_int_equal(services[0].timeouts.connect_ms, 250);
    assert_int_equal(services[0].timeouts.idle_ms, 90000);
    assert_int_equal(services[1].timeouts.connect_ms, 1000);
    assert_int_equal(services[1].limit.limit, 0); /* optional */
}

static void durations_are_milliseconds_rounded_up(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    bound(f, "services: { a: { endpoints: x, timeouts: { connect: 1500us, idle: 0 } } }\n", &s);
    const struct sample_service *services = s.services.items;
    assert_int_equal(services[0].timeouts.connect_ms, 2);
    assert_int_equal(services[0].timeouts.idle_ms, 0);
}

static void nothing_is_an_empty_list_map_or_struct(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    bound(f, "retry_on:\nservices:\nusers:\n  a:\n", &s);
    assert_int_equal(s.retry_on.count, 0);
    assert_int_equal(s.services.count, 0);
    assert_int_equal(((struct sample_user *)s.users.items)[0].groups.count, 1);
}

static void nodes_are_handed_on(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    bound(f, "anything: { a: [1] }\n", &s);
    assert_ptr_equal(s.anything, value_of(f, "anything"));
}

static void texts_outlive_the_tree(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    bound(f, "title: kept\nlabels: { key: value }\n", &s);
    arena_release(&f->arena);
    assert_text(s.title, "kept");
    assert_text(((struct text_pair *)s.labels.items)[0].key, "key");
}

static void expressions_and_templates_are_compiled(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    setenv("TURNPIKE_TEST", "a${b}", 1);
    bound(f, "when: true\ngreeting: \"hello $${x} ${1} ${env:TURNPIKE_TEST}\"\n", &s);
    assert_non_null(s.when);
    assert_non_null(s.greeting);
}

static void a_literal_secret_is_a_warning(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    setenv("TURNPIKE_TEST", "k", 1);
    bound(f, "users:\n  a:\n    password: hunter2\n    keys: [\"${env:TURNPIKE_TEST}\"]\n", &s);
    assert_int_equal(f->report.warnings, 1);
    assert_report(
        f,
        "t.yaml:3:15: warning: users.a.password: a secret is written in the file: keep it elsewhere and name it by "
        "${file:PATH} or ${env:NAME}\n");
}

static void custom_binders_are_called(void **state)
{
    struct fixture *f = *state;
    struct sample s;
    bound(f, "even: 40\n", &s);
    assert_int_equal(s.even, 40);
}

static void the_path_grows_and_shrinks(void **state)
{
    struct fixture *f = *state;
    struct binder *b = &f->binder;
    struct text empty = bind_enter(b, TEXT("routes")), routes = bind_enter(b, TEXT("a.b")),
                first = bind_enter_index(b, 3);
    assert_text(b->path, "routes.a.b[3]");
    bind_leave(b, first);
    bind_leave(b, routes);
    (void)bind_enter_index(b, 1);
    assert_text(b->path, "routes[1]");
    bind_leave(b, empty);
    assert_text(b->path, "");
}

static void a_path_of_a_caller_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct binder *b = &f->binder;
    (void)bind_enter(b, TEXT("first"));
    struct text own = b->path, other = TEXT("other");
    b->path = other;
    (void)bind_enter(b, TEXT("x"));
    assert_text(b->path, "other.x");
    bind_leave(b, own);
    assert_text(b->path, "first");
}

static void a_long_path_is_kept_whole_but_for_long_keys(void **state)
{
    struct fixture *f = *state;
    char key[1000];
    memset(key, 'k', sizeof key);
    for (int i = 0; i < 20; i++)
        (void)bind_enter(&f->binder, (struct text){key, sizeof key});
    assert_int_equal(f->binder.path.size, 20 * 100 + 19);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(defaults_are_bound),
        CASE(optional_members_stay_zero),
        CASE(integers_are_read_in_three_bases),
        CASE(a_reference_stands_for_a_number_or_boolean),
        CASE(sizes_percentages_and_numbers),
        CASE(plain_numbers_are_text_where_text_is_wanted),
        CASE(one_stands_for_a_list_of_one),
        CASE(maps_keep_their_order_and_keys),
        CASE(shorthands_stand_for_structs),
        CASE(nested_structs_have_their_defaults),
        CASE(durations_are_milliseconds_rounded_up),
        CASE(nothing_is_an_empty_list_map_or_struct),
        CASE(nodes_are_handed_on),
        CASE(texts_outlive_the_tree),
        CASE(expressions_and_templates_are_compiled),
        CASE(a_literal_secret_is_a_warning),
        CASE(custom_binders_are_called),
        CASE(the_path_grows_and_shrinks),
        CASE(a_path_of_a_caller_is_left_alone),
        CASE(a_long_path_is_kept_whole_but_for_long_keys),
    };
    return RUN_TESTS(tests);
}
