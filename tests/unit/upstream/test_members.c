/* Endpoint sets that change while a service lives: what a file says, what is dropped and freed, what stays. */
#include "upstream/upstream_test.h"

#include <fcntl.h>

#include "base/log.h"

static char folder[] = "/tmp/turnpike-members-XXXXXX";
static char path[64];

static void write_file(const char *content)
{
    static unsigned turn;
    char fresh[96];
    snprintf(fresh, sizeof fresh, "%s.%u", path, turn++);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && write(fd, content, strlen(content)) == (ssize_t)strlen(content));
    close(fd);
    assert_int_equal(rename(fresh, path), 0);
}

static void build_with_file(struct fixture *f, const char *content)
{
    char yaml[256];
    const struct discovery_options often = {.ttl_min_ms = 1, .ttl_max_ms = 1, .negative_ms = 1, .file_ms = 1};
    discovery_configure(f->discovery, &often);
    write_file(content);
    snprintf(yaml, sizeof yaml, "endpoints: \"http://127.0.0.1:1\"\nendpoints_file: %s", path);
    build(f, yaml);
}

/* Turns the loop until the set is another one than `before`, with so many endpoints. */
static void wait_for(struct fixture *f, const struct endpoint_set *before, uint32_t count)
{
    int64_t end_ns = time_monotonic_ns() + 10 * NS_PER_SECOND;
    while ((f->service->set == before || f->service->set->count != count) && time_monotonic_ns() < end_ns)
        loop_turn(&f->loop, 10);
    assert_int_equal(f->service->set->count, count);
}

static uint32_t endpoints_alive(struct fixture *f)
{
    uint32_t count = 0;
    for (const struct endpoint *at = NULL; (at = endpoints_next(f->endpoints, at));)
        count++;
    return count;
}

static void test_a_file_changes_the_set_and_keeps_the_endpoints_that_stay(void **state)
{
    struct fixture *f = *state;
    build_with_file(f, "[\"http://127.0.0.1:2\", \"http://127.0.0.1:3\"]");
    assert_int_equal(f->service->set->count, 3);
    struct endpoint *kept = endpoint_at(f, 2);
    struct endpoint_set *before = f->service->set;
    write_file(
        "[\"http://127.0.0.1:4\", { url: \"http://127.0.0.1:3\", weight: 5 }, \"http://127.0.0.1:1\"]");
    wait_for(f, before, 3); /* :1 is configured too, and counts once */
    assert_ptr_equal(endpoint_at(f, 2), kept);
    assert_int_equal(f->service->set->endpoints[2].weight, 5);
    assert_int_equal(kept->role.weight, 5);
    int64_t end_ns = time_monotonic_ns() + 10 * NS_PER_SECOND;
    while (endpoints_alive(f) > 3 && time_monotonic_ns() < end_ns)
        loop_turn(&f->loop, 10);
    assert_int_equal(endpoints_alive(f), 3); /* :2 was dropped after a round */
}

static void no_event(struct attempt *attempt)
{
    (void)attempt;
}

static void test_an_endpoint_that_is_dropped_lives_until_its_connection_ends(void **state)
{
    struct fixture *f = *state;
    static struct attempt attempt;
    char content[128];
    listen_on(f);
    snprintf(content, sizeof content, "[\"%s\"]", f->url);
    build_with_file(f, content);
    attempt = (struct attempt){.on_event = no_event};
    attempt.pick.wanted = endpoint_at(f, 1)->hash;
    assert_int_equal(attempt_start(&attempt, &f->worker, f->service), ATTEMPT_FINE);
    assert_ptr_equal(attempt.endpoint, endpoint_at(f, 1));
    write_file("[\"http://127.0.0.1:9\"]");
    wait_for(f, f->service->set, 2);
    for (int i = 0; i < 20; i++)
        loop_turn(&f->loop, 1);
    assert_int_equal(endpoints_alive(f), 3); /* still at work */
    assert_int_equal(attempt.endpoint->in_flight, 1);
    attempt_release(&attempt, &f->worker);
    for (int i = 0; i < 20; i++)
        loop_turn(&f->loop, 1);
    assert_int_equal(endpoints_alive(f), 2);
}

static void test_more_endpoints_than_the_limit_are_left_out(void **state)
{
    struct fixture *f = *state;
    build(f, "endpoints: [\"http://127.0.0.1:1\", \"http://127.0.0.1:2\", \"http://127.0.0.1:3\"]\n"
             "discovery: { endpoints: 2 }");
    assert_int_equal(f->service->set->count, 2);
    assert_int_equal(f->service->shared->endpoints_left_out, 1);
}

static void test_a_thousand_changes_leave_nothing(void **state)
{
    struct fixture *f = *state;
    char content[128];
    build_with_file(f, "[\"http://127.0.0.1:2\"]");
    for (int i = 0; i < 1000; i++) {
        const struct endpoint_set *before = f->service->set;
        snprintf(content, sizeof content, "[\"http://127.0.0.1:%d\", \"http://127.0.0.1:%d\"]", 1000 + i,
                 2000 + i % 3);
        write_file(content);
        wait_for(f, before, 3);
    }
    for (int i = 0; i < 20; i++)
        loop_turn(&f->loop, 1);
    assert_int_equal(endpoints_alive(f), 3);
}

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/endpoints.yaml", folder);
    log_set_level(LOG_ERROR);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return unlink(path) || rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_file_changes_the_set_and_keeps_the_endpoints_that_stay),
        CASE(test_an_endpoint_that_is_dropped_lives_until_its_connection_ends),
        CASE(test_more_endpoints_than_the_limit_are_left_out),
        CASE(test_a_thousand_changes_leave_nothing),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
