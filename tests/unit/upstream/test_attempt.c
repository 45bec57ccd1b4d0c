/* Tries: connecting, an answer, a connection that serves again, one that is closed under us, and what is counted. */
#include "upstream/upstream_test.h"

#include <errno.h>

struct trial {
    struct attempt attempt;
    bool happened;
    struct arena arena;
    struct response response;
};

static struct trial trial;

static void on_event(struct attempt *attempt)
{
    CONTAINER_OF(attempt, struct trial, attempt)->happened = true;
}

static void begin(struct fixture *f, const char *rules)
{
    char yaml[256];
    listen_on(f);
    snprintf(yaml, sizeof yaml, "endpoints: \"%s\"\n%s", f->url, rules);
    build(f, yaml);
    trial = (struct trial){.attempt = {.on_event = on_event}};
    arena_init(&trial.arena, 0, 0);
}

static void wait_for_event(struct fixture *f)
{
    trial.happened = false;
    turn_until(f, &trial.happened);
}

static void connect_attempt(struct fixture *f)
{
    assert_int_equal(attempt_start(&trial.attempt, &f->worker, f->service), ATTEMPT_FINE);
    while (trial.attempt.state == ATTEMPT_CONNECTING) {
        assert_int_equal(attempt_connected(&trial.attempt, &f->worker), ATTEMPT_FINE);
        if (trial.attempt.state == ATTEMPT_CONNECTING)
            wait_for_event(f);
    }
    if (!trial.attempt.reused) {
        if (f->accepted >= 0)
            close(f->accepted);
        f->accepted = accept(f->listener, NULL, NULL);
    }
}

static void ask(void)
{
    struct request request = {.method = METHOD_GET, .method_text = TEXT("GET")};
    struct h1_write how = {.target = TEXT("/"), .host = TEXT("a"), .keep_alive = true};
    struct stream *origin = attempt_stream(&trial.attempt);
    assert_true(h1_stream_type.send_request(origin, &request, &how) && stream_flush(origin));
}

static void origin_says(struct fixture *f, const char *bytes)
{
    assert_int_equal(send(f->accepted, bytes, strlen(bytes), MSG_NOSIGNAL), strlen(bytes));
}

/* The head that comes, or what comes instead. */
static enum h1_head_status read_head(struct fixture *f)
{
    enum h1_head_status status;
    while ((status = attempt_read_head(&trial.attempt, &trial.arena, METHOD_GET, &trial.response))
           == H1_HEAD_BLOCKED)
        wait_for_event(f);
    return status;
}

static void read_rest(struct fixture *f)
{
    struct text piece;
    enum stream_status status;
    while ((status = stream_read(attempt_stream(&trial.attempt), &piece)) != STREAM_END) {
        assert_true(status == STREAM_DATA || status == STREAM_BLOCKED);
        if (status == STREAM_BLOCKED)
            wait_for_event(f);
    }
}

static void end(struct fixture *f)
{
    attempt_release(&trial.attempt, &f->worker);
    arena_release(&trial.arena);
    assert_int_equal(endpoint_at(f, 0)->in_flight, 0);
}

static void test_an_answer_and_the_connection_serves_again(void **state)
{
    struct fixture *f = *state;
    begin(f, "");
    connect_attempt(f);
    assert_false(trial.attempt.reused);
    assert_int_equal(endpoint_at(f, 0)->in_flight, 1);
    ask();
    origin_says(f, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: held\r\n\r\nhi");
    assert_int_equal(read_head(f), H1_HEAD_DONE);
    assert_true(trial.attempt.got_byte);
    read_rest(f);
    attempt_finish(&trial.attempt, &f->worker, true);
    assert_text(fields_get(&trial.response.fields, TEXT("X-A")), "held"); /* until attempt_release */
    assert_int_equal(endpoint_at(f, 0)->in_flight, 0);
    attempt_release(&trial.attempt, &f->worker);
    connect_attempt(f);
    assert_true(trial.attempt.reused && trial.attempt.state == ATTEMPT_CONNECTED);
    assert_int_equal(f->worker.opened, 1);
    end(f);
    assert_int_equal(endpoint_at(f, 0)->requests, 2);
    assert_int_equal(endpoint_at(f, 0)->failed, 0);
}

static void test_bytes_after_the_answer_close_the_connection(void **state)
{
    struct fixture *f = *state;
    begin(f, "");
    connect_attempt(f);
    ask();
    origin_says(
        f,
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen");
    assert_int_equal(read_head(f), H1_HEAD_DONE);
    read_rest(f);
    attempt_finish(&trial.attempt, &f->worker, true);
    assert_int_equal(f->worker.open_count, 0);
    end(f);
}

static void test_a_kept_connection_that_is_closed_under_us_says_so(void **state)
{
    struct fixture *f = *state;
    begin(f, "");
    connect_attempt(f);
    ask();
    origin_says(f, "HTTP/1.1 204 No\r\n\r\n");
    assert_int_equal(read_head(f), H1_HEAD_DONE);
    attempt_finish(&trial.attempt, &f->worker, true);
    attempt_release(&trial.attempt, &f->worker);
    connect_attempt(f); /* taken just before the origin closes */
    assert_true(trial.attempt.reused);
    close(f->accepted);
    f->accepted = -1;
    enum h1_head_status status = read_head(f);
    assert_true(status == H1_HEAD_END || status == H1_HEAD_FAILED);
    assert_true(trial.attempt.reused && !trial.attempt.got_byte); /* safe to try again */
    attempt_abort(&trial.attempt, &f->worker, false);
    assert_int_equal(endpoint_at(f, 0)->failed, 0);
    end(f);
}

static void test_part_of_a_head_counts_as_a_byte(void **state)
{
    struct fixture *f = *state;
    begin(f, "");
    connect_attempt(f);
    ask();
    origin_says(f, "HTTP/1.1 2");
    shutdown(f->accepted, SHUT_WR);
    assert_int_equal(read_head(f), H1_HEAD_FAILED);
    assert_true(trial.attempt.got_byte);
    end(f);
}

static void test_an_answer_that_breaks_the_protocol_is_refused(void **state)
{
    struct fixture *f = *state;
    begin(f, "");
    connect_attempt(f);
    ask();
    origin_says(f, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n");
    assert_int_equal(read_head(f), H1_HEAD_REFUSED);
    attempt_abort(&trial.attempt, &f->worker, true);
    assert_int_equal(endpoint_at(f, 0)->failed, 1);
    assert_int_equal(f->worker.open_count, 0);
    end(f);
}

static void test_nobody_listens(void **state)
{
    struct fixture *f = *state;
    begin(f, "passive: { failures: 1 }");
    close(f->listener);
    f->listener = -1;
    enum attempt_failure failure = attempt_start(&trial.attempt, &f->worker, f->service);
    while (failure == ATTEMPT_FINE) {
        wait_for_event(f);
        failure = attempt_connected(&trial.attempt, &f->worker);
    }
    assert_int_equal(failure, ATTEMPT_CONNECT_FAILED);
    assert_int_equal(trial.attempt.error, -ECONNREFUSED);
    assert_int_equal(trial.attempt.state, ATTEMPT_NONE);
    assert_int_equal(endpoint_at(f, 0)->passive.ejections, 1);
    end(f);
}

static void test_a_name_without_address_is_no_endpoint(void **state)
{
    struct fixture *f = *state;
    begin(f, "");
    build_named(f, "named", "endpoints: \"http://name.test\"");
    assert_int_equal(attempt_start(&trial.attempt, &f->worker, f->service), ATTEMPT_NO_ENDPOINT);
    attempt_release(&trial.attempt, &f->worker);
    arena_release(&trial.arena);
}

static void test_a_second_try_goes_elsewhere(void **state)
{
    struct fixture *f = *state;
    char yaml[256];
    begin(f, "");
    snprintf(yaml, sizeof yaml, "endpoints: [\"http://127.0.0.1:1\", \"%s\"]", f->url);
    build_named(f, "two", yaml);
    enum attempt_failure failure = attempt_start(&trial.attempt, &f->worker, f->service);
    while (failure == ATTEMPT_FINE) {
        wait_for_event(f);
        failure = attempt_connected(&trial.attempt, &f->worker);
    }
    assert_int_equal(trial.attempt.pick.tried.count, 1);
    connect_attempt(f);
    assert_int_equal(trial.attempt.pick.tried.count, 2);
    assert_int_equal(trial.attempt.state, ATTEMPT_CONNECTED);
    end(f);
}

static void test_an_exchange_that_ends_early_closes_the_connection(void **state)
{
    struct fixture *f = *state;
    char byte;
    begin(f, "");
    connect_attempt(f);
    ask();
    attempt_release(&trial.attempt, &f->worker);
    assert_int_equal(f->worker.open_count, 0);
    while (recv(f->accepted, &byte, 1, 0) == 1)
        continue;
    end(f);
}

static void test_without_memory_the_try_fails_and_nothing_is_held(void **state)
{
    struct fixture *f = *state;
    begin(f, "");
    memory_fail_at(1);
    assert_int_equal(attempt_start(&trial.attempt, &f->worker, f->service), ATTEMPT_NO_MEMORY);
    memory_fail_at(0);
    end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_an_answer_and_the_connection_serves_again),
        CASE(test_bytes_after_the_answer_close_the_connection),
        CASE(test_a_kept_connection_that_is_closed_under_us_says_so),
        CASE(test_part_of_a_head_counts_as_a_byte),
        CASE(test_an_answer_that_breaks_the_protocol_is_refused),
        CASE(test_nobody_listens),
        CASE(test_a_name_without_address_is_no_endpoint),
        CASE(test_a_second_try_goes_elsewhere),
        CASE(test_an_exchange_that_ends_early_closes_the_connection),
        CASE(test_without_memory_the_try_fails_and_nothing_is_held),
    };
    return RUN_TESTS(tests);
}
