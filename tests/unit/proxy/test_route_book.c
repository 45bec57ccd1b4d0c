/* Routes over several files: what a reload reads again, what it keeps, and who still has what went. A model that knows which routes should be
 * there is asked after each of many random changes. */
#include "proxy/snapshot_test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"
#include "base/time.h"

enum { FILES = 6, NAMES = 24, STEPS = 250, ALIVE_MAX = 5 };

static char folder[64], main_path[96];

/* --- files --- */

static void path_of(int file, char to[96])
{
    snprintf(to, 96, "%s/part-%d.yaml", folder, file);
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* A change within the step of the file system's clock could not be told from none: such files are read again. */
static void settle(const char *path)
{
    for (int i = 0; i < 1000 && !file_stamp_of(text_of(path)).is_settled; i++)
        usleep(5000);
    assert_true(file_stamp_of(text_of(path)).is_settled);
}

static void write_main(const char *more)
{
    char text[1024];
    snprintf(text, sizeof text,
             "listeners: { main: { address: \"127.0.0.1:0\" } }\n"
             "include: [\"part-*.yaml\"]\n%s",
             more);
    write_text(main_path, text);
}

#define SERVICE "services: { a: { endpoints: \"http://127.0.0.1:1\" } }\n"

static int set_up_files(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/turnpike-book-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(main_path, sizeof main_path, "%s/main.yaml", folder);
    write_main(SERVICE);
    return set_up(state);
}

static int tear_down_files(void **state)
{
    for (int i = 0; i < FILES; i++) {
        char path[96];
        path_of(i, path);
        (void)unlink(path); /* it may not be there */
    }
    unlink(main_path);
    rmdir(folder);
    return tear_down(state);
}

#define FILES_CASE(test) cmocka_unit_test_setup_teardown(test, set_up_files, tear_down_files)

/* As the gateway reloads. */
static struct snapshot *read_again(struct fixture *f, struct snapshot *previous, size_t *ret_skipped)
{
    struct document document;
    struct document_skip skip = snapshot_skip(&f->builder);
    report_init(&f->report, &f->tree);
    struct snapshot *snapshot = NULL;
    if (document_read_changed(main_path, NULL, &skip, &f->tree, &f->report, &document)) {
        snapshot = snapshot_build(&f->builder, &document, previous, &f->report);
    }
    *ret_skipped = skip.skipped_count;
    return snapshot;
}

static struct snapshot *read_all(struct fixture *f, struct snapshot *previous)
{
    struct document document;
    report_init(&f->report, &f->tree);
    assert_true(document_read(main_path, NULL, &f->tree, &f->report, &document));
    return snapshot_build(&f->builder, &document, previous, &f->report);
}

static struct snapshot *reload(struct fixture *f, struct snapshot *previous)
{
    size_t skipped;
    struct snapshot *snapshot = read_again(f, previous, &skipped);
    if (!snapshot)
        snapshot = read_all(f, previous);
    assert_non_null(snapshot);
    snapshot_commit(snapshot);
    return snapshot;
}

static const struct route *route_at(const struct snapshot *snapshot, const char *path)
{
    struct route_captures captures;
    return router_match(snapshot->router, TEXT("h"), text_of(path), NULL, NULL, &captures);
}

static void write_part(int file, const char *text)
{
    char path[96];
    path_of(file, path);
    write_text(path, text);
    settle(path);
}

#define ROUTE(name, path) "  " name ": { match: { path: " path " }, service: a }\n"

static void two_parts(void)
{
    write_part(0, "routes:\n" ROUTE("r0", "/0") ROUTE("r1", "/1"));
    write_part(1, "routes:\n" ROUTE("r2", "/2"));
}

/* --- what is read again --- */

static void test_only_the_changed_file_is_read_and_built(void **state)
{
    struct fixture *f = *state;
    two_parts();
    struct snapshot *first = reload(f, NULL);
    write_part(1, "routes:\n" ROUTE("r2", "/new"));
    size_t skipped = 0;
    struct snapshot *second = read_again(f, first, &skipped);
    assert_non_null(second);
    assert_int_equal(skipped, 1);
    assert_int_equal(second->objects_built, 2); /* the settings and the route */
    snapshot_commit(second);
    assert_int_equal(second->routes_count, 3);
    assert_ptr_equal(route_at(second, "/0"), route_at(first, "/0"));
    assert_non_null(route_at(second, "/new"));
    assert_null(route_at(second, "/2"));
    assert_non_null(route_at(first, "/2"));
    snapshot_free(first);
    snapshot_free(second);
}

static void test_a_file_that_changed_just_now_is_read_again(void **state)
{
    struct fixture *f = *state;
    char path[96];
    path_of(0, path);
    bool was_unsettled = false;
    struct snapshot *before = NULL;
    for (int i = 0; i < 50 && !was_unsettled; i++) { /* unless this machine stood still in between */
        write_text(path, "routes:\n" ROUTE("r0", "/0"));
        struct snapshot *snapshot = reload(f, before);
        was_unsettled = !route_book_may_skip(&f->builder.routes, text_of(path));
        if (before)
            snapshot_free(before);
        before = snapshot;
    }
    assert_true(was_unsettled);
    snapshot_free(before);
}

static void test_a_service_that_changes_asks_for_all_files(void **state)
{
    struct fixture *f = *state;
    two_parts();
    struct snapshot *first = reload(f, NULL);
    write_main("services: { a: { endpoints: \"http://127.0.0.1:2\" } }\n");
    size_t skipped = 0;
    assert_null(read_again(f, first, &skipped));
    assert_int_equal(skipped, 2);
    assert_int_equal(f->report.errors, 0);
    struct snapshot *second = reload(f, first);
    assert_text(route_at(second, "/2")->target.service->set->endpoints[0].endpoint->url,
                "http://127.0.0.1:2");
    snapshot_free(first);
    snapshot_free(second);
}

static void test_policies_of_the_gateway_ask_for_all_files(void **state)
{
    struct fixture *f = *state;
    two_parts();
    struct snapshot *first = reload(f, NULL);
    write_main(SERVICE "policies: [ { mark: {} } ]\n");
    size_t skipped = 0;
    assert_null(read_again(f, first, &skipped));
    struct snapshot *second = reload(f, first);
    assert_int_equal(route_at(second, "/2")->target.plan->count, 1);
    snapshot_free(first);
    snapshot_free(second);
}

static void test_a_name_of_a_skipped_file_asks_for_all_files(void **state)
{
    struct fixture *f = *state;
    two_parts();
    struct snapshot *first = reload(f, NULL);
    write_part(1, "routes:\n" ROUTE("r1", "/2"));
    size_t skipped = 0;
    assert_null(read_again(f, first, &skipped));
    assert_int_equal(f->report.errors, 0);
    struct document document;
    assert_false(document_read(main_path, NULL, &f->tree, &f->report, &document));
    assert_int_equal(f->report.errors, 1); /* the name is in two files */
    assert_non_null(route_at(first, "/2"));
    snapshot_free(first);
}

static void test_files_with_more_than_routes_are_always_read(void **state)
{
    struct fixture *f = *state;
    char secret[96];
    two_parts();
    write_part(2, "services: { b: { endpoints: \"http://127.0.0.1:9\" } }\nroutes:\n" ROUTE("r3", "/3"));
    snprintf(secret, sizeof secret, "%s/secret", folder);
    write_text(secret, "h");
    write_part(3, "routes:\n  r4: { match: { path: /4, hosts: [\"${file:secret}\"] }, service: a }\n");
    struct snapshot *first = reload(f, NULL);
    size_t skipped = 0;
    struct snapshot *second = read_again(f, first, &skipped);
    assert_int_equal(skipped, 2);
    assert_int_equal(second->objects_built, 1);
    snapshot_commit(second);
    snapshot_free(first);
    write_text(secret, "other");
    struct snapshot *third = read_again(f, second, &skipped);
    assert_null(route_at(third, "/4"));
    snapshot_commit(third);
    snapshot_free(second);
    snapshot_free(third);
    unlink(secret);
}

static void test_an_edit_that_is_dropped_changes_nothing(void **state)
{
    struct fixture *f = *state;
    two_parts();
    struct snapshot *first = reload(f, NULL);
    size_t bytes = f->builder.routes.bytes, skipped;
    write_part(0, "routes:\n" ROUTE("r9", "/9"));
    struct snapshot *dropped = read_again(f, first, &skipped);
    assert_int_equal(dropped->routes_count, 2);
    snapshot_free(dropped);
    assert_int_equal(f->builder.routes.bytes, bytes);
    assert_int_equal(f->builder.routes.names.count, 3);
    struct snapshot *second = reload(f, first);
    assert_int_equal(second->routes_count, 2);
    assert_non_null(route_at(second, "/9"));
    snapshot_free(second);
    snapshot_free(first);
    assert_int_equal(f->builder.routes.bytes, 0);
}

static void test_each_allocation_may_fail(void **state)
{
    struct fixture *f = *state;
    two_parts();
    struct snapshot *first = reload(f, NULL);
    write_part(0, "routes:\n" ROUTE("r5", "/5") ROUTE("r1", "/1"));
    write_part(2, "routes:\n" ROUTE("r6", "/6"));
    bool over = false;
    for (uint64_t nth = 1; !over; nth++) {
        uint64_t before = memory_calls();
        size_t skipped;
        memory_fail_at(nth);
        struct snapshot *snapshot = read_again(f, first, &skipped);
        memory_fail_at(0);
        over = memory_calls() - before < nth;
        if (snapshot)
            assert_int_equal(snapshot->routes_count, 4);
        if (snapshot)
            snapshot_free(snapshot);
        assert_true(nth < 10000);
    }
    snapshot_free(first);
}

/* --- a model --- */

/* Where each route is, in which order, and its path; file -1: nowhere. */
struct model {
    int file[NAMES], version[NAMES];
    bool is_there[FILES];
};

static void write_model(const struct model *model, int file)
{
    char path[96];
    path_of(file, path);
    if (!model->is_there[file]) {
        (void)unlink(path); /* it may not be there */
        return;
    }
    FILE *to = fopen(path, "w");
    assert_non_null(to);
    fprintf(to, "routes:\n");
    int turn = (int)(random_uint64() % NAMES); /* another order each time */
    for (int i = 0; i < NAMES; i++) {
        int name = (i + turn) % NAMES;
        if (model->file[name] == file)
            fprintf(to, "  r%d: { match: { path: /%d-%d }, service: a }\n", name, name, model->version[name]);
    }
    fclose(to);
}

static void change(struct model *model)
{
    int touched = (int)(random_uint64() % 4);
    for (int i = 0; i <= touched; i++) {
        int name = (int)(random_uint64() % NAMES), before = model->file[name];
        int file = (int)(random_uint64() % (FILES + 1)) - 1;
        if (random_uint64() % 2)
            file = before;
        model->file[name] = file;
        model->version[name] += (int)(random_uint64() % 2);
        if (file >= 0)
            model->is_there[file] = true;
        if (before >= 0)
            write_model(model, before);
        if (file >= 0)
            write_model(model, file);
    }
    int gone = (int)(random_uint64() % (4 * FILES));
    if (gone < FILES) {
        model->is_there[gone] = false;
        for (int name = 0; name < NAMES; name++)
            if (model->file[name] == gone)
                model->file[name] = -1;
        write_model(model, gone);
    }
}

static void check(const struct model *model, const struct fixture *f, const struct snapshot *snapshot)
{
    size_t count = 0;
    for (int name = 0; name < NAMES; name++) {
        char path[32], text[16];
        snprintf(path, sizeof path, "/%d-%d", name, model->version[name]);
        snprintf(text, sizeof text, "r%d", name);
        bool is_there = model->file[name] >= 0;
        count += is_there;
        const struct route *route = route_at(snapshot, path);
        assert_int_equal(route != NULL, is_there);
        if (route)
            assert_text(route->name, text);
        assert_int_equal(table_get(&f->builder.routes.names, text_of(text)) != NULL, is_there);
    }
    assert_int_equal(snapshot->routes_count, count);
    assert_int_equal(router_count(snapshot->router), count);
}

static void test_any_change_leads_to_what_the_files_say(void **state)
{
    struct fixture *f = *state;
    struct model model = {.is_there = {true, true, true}};
    uint64_t seed = (uint64_t)time_monotonic_ns();
    print_message("seed %llu\n", (unsigned long long)seed);
    random_seed(seed);
    struct snapshot *alive[ALIVE_MAX + 1];
    size_t count = 0;
    for (int name = 0; name < NAMES; name++)
        model.file[name] = name % 4 - 1;
    for (int i = 0; i < FILES; i++)
        write_model(&model, i);
    alive[count++] = reload(f, NULL);
    for (int step = 0; step < STEPS; step++) {
        change(&model);
        alive[count] = reload(f, alive[count - 1]);
        count++;
        check(&model, f, alive[count - 1]);
        while (count > 1 + random_uint64() % ALIVE_MAX) { /* any but the newest */
            size_t at = random_uint64() % (count - 1);
            snapshot_free(alive[at]);
            memmove(&alive[at], &alive[at + 1], (count - at - 1) * sizeof *alive);
            count--;
        }
    }
    while (count)
        snapshot_free(alive[--count]);
    assert_int_equal(f->builder.routes.bytes, 0);
    assert_int_equal(router_nodes_alive(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILES_CASE(test_only_the_changed_file_is_read_and_built),
        FILES_CASE(test_a_file_that_changed_just_now_is_read_again),
        FILES_CASE(test_a_service_that_changes_asks_for_all_files),
        FILES_CASE(test_policies_of_the_gateway_ask_for_all_files),
        FILES_CASE(test_a_name_of_a_skipped_file_asks_for_all_files),
        FILES_CASE(test_files_with_more_than_routes_are_always_read),
        FILES_CASE(test_an_edit_that_is_dropped_changes_nothing),
        FILES_CASE(test_each_allocation_may_fail),
        FILES_CASE(test_any_change_leads_to_what_the_files_say),
    };
    return RUN_TESTS(tests);
}
