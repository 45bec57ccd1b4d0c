/* Names by way of a scripted name server on loopback (dns_server.h). */
#include "net_test.h"

#include <errno.h>
#include <stdio.h>

#include "base/check.h"
#include "base/memory.h"
#include "dns_server.h"
#include "net/resolver.h"

enum { TIMEOUT_MS = 200, TRIES = 2 };

struct lab {
    struct loop loop;
    struct dns_server server;
    struct resolver *resolver;
};

struct question {
    struct resolver_query query;
    struct lab *lab;
    bool done;
    int calls, error;
    char reason[128], addresses[4][ADDRESS_TEXT_SIZE];
    size_t count;
    int64_t ttl_ms;
    struct question *cancel_on_done;
    bool free_on_done;
};

static int start_lab(void **state)
{
    static struct lab lab;
    *state = &lab;
    if (loop_init(&lab.loop) || !dns_server_start(&lab.server))
        return -1;
    char servers[32];
    struct error error;
    snprintf(servers, sizeof servers, "127.0.0.1:%u", lab.server.port);
    lab.resolver =
        resolver_new(&lab.loop, &(struct resolver_options){servers, TIMEOUT_MS, TRIES, false}, &error);
    return lab.resolver ? 0 : -1;
}

static int stop_lab(void **state)
{
    struct lab *lab = *state;
    resolver_free(lab->resolver);
    dns_server_stop(&lab->server);
    loop_release(&lab->loop);
    return 0;
}

static void note(struct resolver_query *query, const struct resolved *result)
{
    struct question *q = CONTAINER_OF(query, struct question, query);
    q->done = true;
    q->calls++;
    q->error = result->error;
    q->count = result->count;
    q->ttl_ms = result->ttl_ms;
    snprintf(q->reason, sizeof q->reason, "%s", result->reason);
    for (size_t i = 0; i < result->count && i < COUNT_OF(q->addresses); i++)
        q->addresses[i][address_write(&result->addresses[i], q->addresses[i])] = 0;
    if (q->cancel_on_done)
        resolver_cancel(q->lab->resolver, &q->cancel_on_done->query);
    if (q->free_on_done) {
        resolver_free(q->lab->resolver);
        q->lab->resolver = NULL;
    }
}

static void start(struct lab *lab, struct question *q, const char *name, uint16_t port)
{
    *q = (struct question){.query = {.on_done = note}, .lab = lab};
    resolver_start(lab->resolver, &q->query, name, port);
    assert_false(q->done); /* never at once */
}

static void ask(struct lab *lab, struct question *q, const char *name, uint16_t port)
{
    start(lab, q, name, port);
    turn_until(&lab->loop, &q->done);
    loop_turn(&lab->loop, 0);
    assert_int_equal(q->calls, 1);
    assert_null(q->query.internal);
}

static bool has(const struct question *q, const char *address)
{
    bool found = false;
    for (size_t i = 0; i < q->count && i < COUNT_OF(q->addresses); i++)
        found |= !strcmp(q->addresses[i], address);
    return found;
}

static void both_families_are_found_with_the_smallest_ttl(void **state)
{
    struct question q;
    ask(*state, &q, "ok.test.", 8080);
    assert_int_equal(q.error, 0);
    assert_string_equal(q.reason, "");
    assert_int_equal(q.count, 3);
    assert_true(has(&q, "192.0.2.1:8080") && has(&q, "192.0.2.2:8080") && has(&q, "[2001:db8::1]:8080"));
    assert_int_equal(q.ttl_ms, 30000);
}

static void one_family_is_enough(void **state)
{
    struct question q;
    ask(*state, &q, "v4.test.", 80);
    assert_int_equal(q.error, 0);
    assert_int_equal(q.count, 1);
    assert_true(has(&q, "192.0.2.1:80"));
    assert_int_equal(q.ttl_ms, 60000);
}

static void alias_shortens_the_ttl(void **state)
{
    struct question q;
    ask(*state, &q, "alias.test.", 80);
    assert_int_equal(q.error, 0);
    assert_true(has(&q, "192.0.2.7:80"));
    assert_int_equal(q.ttl_ms, 5000);
}

static void same_address_counts_once(void **state)
{
    struct question q;
    ask(*state, &q, "twice.test.", 80);
    assert_int_equal(q.count, 1);
}

static void failures_have_an_error_and_a_sentence(void **state)
{
    static const struct {
        const char *name, *reason;
        int error;
    } cases[] = {
        {"none.test.", "no such name", -ENOENT},
        {"empty.test.", "the name has no addresses", -ENOENT},
        {"silent.test.", "no name server answered in time", -ETIMEDOUT},
        {"broken.test.", NULL, -EIO},
        {"refused.test.", NULL, -EIO},
        {"tc.test.", NULL, -EIO},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct question q;
        ask(*state, &q, cases[i].name, 80);
        if (q.error != cases[i].error || q.count)
            fail_msg("%s: %d, %s", cases[i].name, q.error, q.reason);
        if (cases[i].reason)
            assert_string_equal(q.reason, cases[i].reason);
        assert_true(q.reason[0]);
    }
}

static void malformed_answers_are_failures(void **state)
{
    static const char *const names[] = {"garbage.test.", "cut.test.", "loop.test."};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct question q;
        ask(*state, &q, names[i], 80);
        if (!q.error || q.count)
            fail_msg("%s: %d, %zu addresses", names[i], q.error, q.count);
    }
}

static void hostile_names_are_failures_and_do_no_harm(void **state)
{
    static char long_name[400];
    for (size_t i = 0; i + 2 < sizeof long_name; i += 2)
        memcpy(long_name + i, "a.", 2);
    const char *const names[] = {
        "",
        ".",
        "..",
        "a..b.",
        "\\",
        "\\999.",
        "-.test.",
        "xn--.none.test.",
        "0123456789012345678901234567890123456789012345678901234567890123456789.test.",
        long_name,
        "999.999.999.999",
        "127.0.0.1:80",
        "[::1",
        "[127.0.0.1]"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct question q;
        ask(*state, &q, names[i], 80);
        if (!q.error || q.count)
            fail_msg("%s: %d, %zu addresses", names[i], q.error, q.count);
    }
}

static void address_is_its_own_answer_without_a_server(void **state)
{
    struct lab *lab = *state;
    struct question q;
    ask(lab, &q, "192.0.2.55", 81);
    assert_int_equal(q.error, 0);
    assert_true(q.count == 1 && has(&q, "192.0.2.55:81"));
    ask(lab, &q, "2001:db8::5", 81);
    assert_true(q.count == 1 && has(&q, "[2001:db8::5]:81"));
    ask(lab, &q, "[::1]", 81);
    assert_true(q.count == 1 && has(&q, "[::1]:81"));
    assert_int_equal(lab->server.queries, 0);
}

static void hosts_file_comes_first(void **state)
{
    struct lab *lab = *state;
    struct question q;
    ask(lab, &q, "localhost", 82);
    assert_int_equal(q.error, 0);
    assert_true(has(&q, "127.0.0.1:82"));
    assert_int_equal(q.ttl_ms, 10000);
    assert_int_equal(lab->server.queries, 0);
}

static void several_queries_run_at_once(void **state)
{
    struct lab *lab = *state;
    struct question q[20];
    for (size_t i = 0; i < COUNT_OF(q); i++)
        start(lab, &q[i], i % 3 ? "ok.test." : "none.test.", (uint16_t)i);
    for (size_t i = 0; i < COUNT_OF(q); i++) {
        turn_until(&lab->loop, &q[i].done);
        assert_int_equal(q[i].error, i % 3 ? 0 : -ENOENT);
    }
}

static void cancelled_query_is_not_called(void **state)
{
    struct lab *lab = *state;
    struct question cancelled, witness;
    start(lab, &cancelled, "ok.test.", 80);
    resolver_cancel(lab->resolver, &cancelled.query);
    resolver_cancel(lab->resolver, &cancelled.query); /* twice does no harm */
    ask(lab, &witness, "ok.test.", 80);
    ask(lab, &witness, "v4.test.", 80);
    assert_int_equal(cancelled.calls, 0);
}

static void callback_may_cancel_another_answer_of_the_same_turn(void **state)
{
    struct lab *lab = *state;
    struct question a, b;
    start(lab, &a, "192.0.2.1", 80);
    start(lab, &b, "192.0.2.2", 80); /* both are answered already and wait for their task */
    a.cancel_on_done = &b;
    turn_until(&lab->loop, &a.done);
    loop_turn(&lab->loop, 0);
    assert_int_equal(b.calls, 0);
}

static void callback_may_free_the_resolver(void **state)
{
    struct lab *lab = *state;
    struct question a, b, c;
    start(lab, &a, "192.0.2.1", 80);
    start(lab, &b, "192.0.2.2", 80);
    start(lab, &c, "silent.test.", 80);
    a.free_on_done = true;
    turn_until(&lab->loop, &a.done);
    loop_turn(&lab->loop, 0);
    assert_int_equal(b.calls + c.calls, 0);
}

static void freeing_cancels_what_is_under_way(void **state)
{
    struct lab *lab = *state;
    struct question q[3];
    start(lab, &q[0], "silent.test.", 80);
    start(lab, &q[1], "ok.test.", 80);
    start(lab, &q[2], "192.0.2.2", 80);
    resolver_free(lab->resolver);
    lab->resolver = NULL;
    loop_turn(&lab->loop, 0);
    assert_int_equal(q[0].calls + q[1].calls + q[2].calls, 0);
    assert_int_equal(lab->loop.timers_count, 0);
}

static void idle_resolver_keeps_no_timer(void **state)
{
    struct lab *lab = *state;
    struct question q;
    assert_int_equal(lab->loop.timers_count, 0);
    ask(lab, &q, "ok.test.", 80);
    assert_int_equal(lab->loop.timers_count, 0);
}

static void out_of_memory_is_an_answer_too(void **state)
{
    struct lab *lab = *state;
    struct question q[3];
    for (int i = 0; i < 3; i++) {
        memory_fail_at(1);
        start(lab, &q[i], "ok.test.", 80);
        memory_fail_at(0);
    }
    resolver_cancel(lab->resolver, &q[1].query);
    turn_until(&lab->loop, &q[0].done);
    turn_until(&lab->loop, &q[2].done);
    assert_int_equal(q[0].error, -EIO);
    assert_string_equal(q[2].reason, "out of memory");
    assert_int_equal(q[1].calls, 0);
}

static void bad_server_list_is_an_error(void **state)
{
    struct lab *lab = *state;
    struct error error = {0};
    assert_null(
        resolver_new(&lab->loop, &(struct resolver_options){"not an address", 100, 1, false}, &error));
    assert_non_null(strstr(error.said, "not an address"));
    memory_fail_at(1);
    assert_null(resolver_new(&lab->loop, &(struct resolver_options){NULL, 100, 1, false}, &error));
    memory_fail_at(0);
    assert_int_equal(error.code, -ENOMEM);
    resolver_free(NULL);
}

int main(void)
{
#define RESOLVER_TEST(name) cmocka_unit_test_setup_teardown(name, start_lab, stop_lab)
    const struct CMUnitTest tests[] = {
        RESOLVER_TEST(both_families_are_found_with_the_smallest_ttl),
        RESOLVER_TEST(one_family_is_enough),
        RESOLVER_TEST(alias_shortens_the_ttl),
        RESOLVER_TEST(same_address_counts_once),
        RESOLVER_TEST(failures_have_an_error_and_a_sentence),
        RESOLVER_TEST(malformed_answers_are_failures),
        RESOLVER_TEST(hostile_names_are_failures_and_do_no_harm),
        RESOLVER_TEST(address_is_its_own_answer_without_a_server),
        RESOLVER_TEST(hosts_file_comes_first),
        RESOLVER_TEST(several_queries_run_at_once),
        RESOLVER_TEST(cancelled_query_is_not_called),
        RESOLVER_TEST(callback_may_cancel_another_answer_of_the_same_turn),
        RESOLVER_TEST(callback_may_free_the_resolver),
        RESOLVER_TEST(freeing_cancels_what_is_under_way),
        RESOLVER_TEST(idle_resolver_keeps_no_timer),
        RESOLVER_TEST(out_of_memory_is_an_answer_too),
        RESOLVER_TEST(bad_server_list_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
