/* Connections to an endpoint: kept, found again, closed when they are stale, too many, or not clean. */
#include "upstream/upstream_test.h"

#include <errno.h>

static void ignore(struct attempt *attempt)
{
    (void)attempt;
}

static struct attempt user = {.on_event = ignore};
static const struct service plain; /* without TLS */

static struct pool *pool_of(struct fixture *f)
{
    return &endpoint_at(f, 0)->pools[0];
}

static void begin(struct fixture *f, const char *rules)
{
    char yaml[256];
    listen_on(f);
    snprintf(yaml, sizeof yaml, "endpoints: \"%s\"\n%s", f->url, rules);
    build(f, yaml);
}

/* A connection that is established on both sides, and in use. */
static struct origin_connection *open_one(struct fixture *f)
{
    int error = 0;
    struct origin_connection *connection = pool_connect(pool_of(f), &plain, &error);
    assert_non_null(connection);
    connection->attempt = &user;
    if (f->accepted >= 0)
        close(f->accepted);
    f->accepted = accept(f->listener, NULL, NULL);
    assert_true(f->accepted >= 0);
    while (layer_open(&connection->socket.layer) == LAYER_WAIT)
        loop_turn(&f->loop, 100);
    assert_true(connection->socket.connected);
    return connection;
}

static void test_a_connection_is_kept_and_found_again(void **state)
{
    struct fixture *f = *state;
    begin(f, "");
    assert_null(pool_take(pool_of(f), &plain));
    struct origin_connection *connection = open_one(f);
    pool_give(connection, f->service, true);
    assert_int_equal(pool_of(f)->idle_count, 1);
    assert_ptr_equal(pool_take(pool_of(f), &plain), connection);
    assert_int_equal(pool_of(f)->idle_count, 0);
    assert_int_equal(connection->requests, 1);
    assert_int_equal(f->worker.opened, 1);
    assert_int_equal(f->worker.reused, 1);
    pool_give(connection, f->service, true);
}

static void test_the_one_used_last_is_taken_first(void **state)
{
    struct fixture *f = *state;
    begin(f, "");
    struct origin_connection *a = open_one(f);
    int first = f->accepted;
    f->accepted = -1;
    struct origin_connection *b = open_one(f);
    pool_give(a, f->service, true);
    pool_give(b, f->service, true);
    assert_ptr_equal(pool_take(pool_of(f), &plain), b);
    assert_ptr_equal(pool_take(pool_of(f), &plain), a);
    pool_give(a, f->service, false);
    pool_give(b, f->service, false);
    close(first);
}

static void test_more_than_the_pool_holds_closes_the_oldest(void **state)
{
    struct fixture *f = *state;
    begin(f, "pool: { size: 1 }");
    struct origin_connection *a = open_one(f);
    int first = f->accepted;
    char byte;
    f->accepted = -1;
    struct origin_connection *b = open_one(f);
    pool_give(a, f->service, true);
    pool_give(b, f->service, true);
    assert_int_equal(pool_of(f)->idle_count, 1);
    assert_int_equal(recv(first, &byte, 1, 0), 0);
    assert_int_equal(f->worker.open_count, 1);
    close(first);
}

static void test_size_zero_keeps_none(void **state)
{
    struct fixture *f = *state;
    char byte;
    begin(f, "pool: { size: 0 }");
    pool_give(open_one(f), f->service, true);
    assert_int_equal(f->worker.open_count, 0);
    assert_int_equal(recv(f->accepted, &byte, 1, 0), 0);
}

static void test_one_that_is_not_reusable_is_closed(void **state)
{
    struct fixture *f = *state;
    char byte;
    begin(f, "");
    pool_give(open_one(f), f->service, false);
    assert_int_equal(recv(f->accepted, &byte, 1, 0), 0);
}

static void test_one_that_the_origin_closes_is_dropped_while_idle(void **state)
{
    struct fixture *f = *state;
    begin(f, "");
    pool_give(open_one(f), f->service, true);
    shutdown(f->accepted, SHUT_WR);
    for (int i = 0; i < 100 && pool_of(f)->idle_count; i++)
        loop_turn(&f->loop, 100);
    assert_int_equal(pool_of(f)->idle_count, 0);
    assert_null(pool_take(pool_of(f), &plain));
}

static void test_an_origin_that_speaks_unasked_is_not_trusted_again(void **state)
{
    struct fixture *f = *state;
    begin(f, "");
    pool_give(open_one(f), f->service, true);
    assert_int_equal(send(f->accepted, "HTTP/1.1 200 OK\r\n\r\n", 19, 0), 19);
    for (int i = 0; i < 100 && pool_of(f)->idle_count; i++)
        loop_turn(&f->loop, 100);
    assert_int_equal(pool_of(f)->idle_count, 0);
}

static void test_one_with_bytes_waiting_is_not_kept(void **state)
{
    struct fixture *f = *state;
    begin(f, "");
    struct origin_connection *connection = open_one(f);
    assert_int_equal(send(f->accepted, "left over", 9, 0), 9);
    while (!connection->socket.readable)
        loop_turn(&f->loop, 100);
    pool_give(connection, f->service, true);
    assert_int_equal(pool_of(f)->idle_count, 0);
    assert_int_equal(f->worker.open_count, 0);
}

static void test_one_with_output_left_is_not_kept(void **state)
{
    struct fixture *f = *state;
    struct request request = {.method = METHOD_GET, .method_text = TEXT("GET")};
    struct h1_write how = {.target = TEXT("/"), .host = TEXT("a"), .keep_alive = true};
    begin(f, "");
    struct origin_connection *connection = open_one(f);
    assert_true(
        h1_stream_type.send_request(&connection->h1.stream, &request, &how)); /* queued, not flushed */
    pool_give(connection, f->service, true);
    assert_int_equal(f->worker.open_count, 0);
}

static void test_what_is_idle_too_long_is_swept(void **state)
{
    struct fixture *f = *state;
    begin(f, "pool: { idle: 1ms }");
    pool_give(open_one(f), f->service, true);
    assert_int_equal(pool_of(f)->idle_count, 1);
    for (int i = 0; i < 100 && pool_of(f)->idle_count; i++)
        loop_turn(&f->loop, 100); /* the sweep comes after a second */
    assert_int_equal(pool_of(f)->idle_count, 0);
    assert_false(timer_is_set(&pool_of(f)->sweep));
}

static unsigned emptied;

static void note_empty(struct pool *pool)
{
    (void)pool;
    emptied++;
}

static void test_a_pool_ends_when_its_last_connection_is_given_back(void **state)
{
    struct fixture *f = *state;
    begin(f, "");
    struct origin_connection *first = open_one(f), *second = open_one(f), *third = open_one(f);
    pool_give(first, f->service, true);
    emptied = 0;
    pool_end(pool_of(f), note_empty);
    assert_int_equal(pool_of(f)->idle_count, 0); /* idle ones go at once */
    assert_int_equal(emptied, 0);
    pool_give(second, f->service, true);
    assert_int_equal(emptied, 0);
    pool_give(third, f->service, true); /* reusable, but nobody will */
    assert_int_equal(emptied, 1);
    assert_int_equal(f->worker.open_count, 0);
    pool_of(f)->on_empty = NULL;
}

static void test_a_pool_without_connections_ends_at_once(void **state)
{
    struct fixture *f = *state;
    begin(f, "");
    emptied = 0;
    pool_end(pool_of(f), note_empty);
    assert_int_equal(emptied, 1);
    pool_of(f)->on_empty = NULL;
}

static void test_without_memory_nothing_stays_open(void **state)
{
    struct fixture *f = *state;
    int error = 0;
    begin(f, "");
    memory_fail_at(1);
    assert_null(pool_connect(pool_of(f), &plain, &error));
    memory_fail_at(0);
    assert_int_equal(error, -ENOMEM);
    assert_int_equal(f->worker.open_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_connection_is_kept_and_found_again),
        CASE(test_the_one_used_last_is_taken_first),
        CASE(test_more_than_the_pool_holds_closes_the_oldest),
        CASE(test_size_zero_keeps_none),
        CASE(test_one_that_is_not_reusable_is_closed),
        CASE(test_one_that_the_origin_closes_is_dropped_while_idle),
        CASE(test_an_origin_that_speaks_unasked_is_not_trusted_again),
        CASE(test_one_with_bytes_waiting_is_not_kept),
        CASE(test_one_with_output_left_is_not_kept),
        CASE(test_what_is_idle_too_long_is_swept),
        CASE(test_a_pool_ends_when_its_last_connection_is_given_back),
        CASE(test_a_pool_without_connections_ends_at_once),
        CASE(test_without_memory_nothing_stays_open),
    };
    return RUN_TESTS(tests);
}
