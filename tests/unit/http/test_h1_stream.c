/* The HTTP/1.1 stream over socket pairs: message after message, back pressure, and what it holds meanwhile. */
#include "unit.h"

#include <stdio.h>
#include <sys/socket.h>

#include "base/check.h"
#include "base/memory.h"
#include "http/h1_stream.h"

static const struct h1_limits limits = {
    .line_bytes_max = 8192, .head_bytes_max = 31 << 10, .fields_max = 100, .trailer_bytes_max = 8192};

/* A stream, and the other side's end of its socket. */
struct fixture {
    struct buffer_budget budget;
    struct buffer_pool pool;
    struct socket_layer socket;
    struct h1_stream h1;
    struct arena arena;
    struct request request;
    struct response response;
    struct fields trailers;
    int peer;
};

static int setup(void **state)
{
    static struct fixture f;
    int ends[2];
    f = (struct fixture){.budget = {.bytes_max = 64 * BUFFER_SIZE}};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends))
        return -1;
    f.peer = ends[1];
    buffer_pool_init(&f.pool, &f.budget, 4);
    socket_layer_init(&f.socket, ends[0], true);
    h1_stream_init(&f.h1, &f.socket.layer, &f.socket, &f.pool);
    arena_init(&f.arena, 0, 0);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    h1_stream_release(&f->h1);
    layer_close(&f->socket.layer);
    if (f->peer >= 0)
        close(f->peer);
    buffer_pool_release(&f->pool); /* CHECKs that none is out */
    arena_release(&f->arena);
    return 0;
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static struct stream *stream_of(struct fixture *f)
{
    return &f->h1.stream;
}

static void peer_sends(struct fixture *f, const char *bytes, size_t size)
{
    assert_int_equal(send(f->peer, bytes, size, MSG_NOSIGNAL), size);
    socket_layer_event(&f->socket, EPOLLIN);
}

static void peer_says(struct fixture *f, const char *bytes)
{
    peer_sends(f, bytes, strlen(bytes));
}

static size_t peer_takes(struct fixture *f, char *to, size_t room)
{
    ssize_t got = recv(f->peer, to, room, 0);
    return got > 0 ? (size_t)got : 0;
}

static void peer_got(struct fixture *f, const char *wanted)
{
    char got[65536];
    size_t size = peer_takes(f, got, sizeof got);
    assert_text(((struct text){got, size}), wanted);
}

static enum h1_head_status read_request(struct fixture *f)
{
    enum h1_head_status status = h1_stream_read_request(&f->h1, &limits, &f->arena, &f->request);
    fields_init(&f->trailers, &f->arena);
    f->h1.trailers = &f->trailers;
    return status;
}

/* Everything up to the end of the body, as one text; the status that ended it. */
static enum stream_status read_body(struct fixture *f, struct text *ret_body)
{
    static char body[1 << 20];
    enum stream_status status;
    struct text piece;
    size_t size = 0;
    while ((status = stream_read(stream_of(f), &piece)) == STREAM_DATA) {
        assert_true(piece.size > 0 && size + piece.size <= sizeof body);
        memcpy(body + size, piece.at, piece.size);
        size += piece.size;
    }
    *ret_body = (struct text){body, size};
    return status;
}

/* --- input --- */

static void test_messages_come_one_after_the_other(void **state)
{
    struct fixture *f = *state;
    struct text body;
    static const char *const bodies[] = {"one", "two", "three"};
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        char message[128];
        snprintf(message, sizeof message, "POST /%zu HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n%s", i,
                 strlen(bodies[i]), bodies[i]);
        peer_says(f, message);
        assert_int_equal(read_request(f), H1_HEAD_DONE);
        assert_int_equal(read_body(f, &body), STREAM_END);
        assert_text(body, bodies[i]);
        h1_stream_next(&f->h1);
        arena_reset(&f->arena);
        assert_int_equal(read_request(f), H1_HEAD_BLOCKED);
        assert_null(f->h1.in); /* who waits holds no buffer */
    }
}

static void test_pipelined_requests_are_kept_apart(void **state)
{
    struct fixture *f = *state;
    struct text body;
    peer_says(
        f,
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhiGET /b HTTP/1.1\r\nHost: b\r\n\r\nGET /c HT");
    assert_int_equal(read_request(f), H1_HEAD_DONE);
    assert_int_equal(read_body(f, &body), STREAM_END);
    assert_text(body, "hi");
    h1_stream_next(&f->h1);
    assert_int_equal(read_request(f), H1_HEAD_DONE);
    assert_text(f->request.path, "/b");
    assert_true(f->h1.in_done);
    h1_stream_next(&f->h1);
    assert_int_equal(read_request(f), H1_HEAD_BLOCKED);
    assert_true(h1_stream_in_head(&f->h1));
    peer_says(f, "TP/1.1\r\nHost: c\r\n\r\n");
    assert_int_equal(read_request(f), H1_HEAD_DONE);
    assert_text(f->request.path, "/c");
}

static void test_a_head_may_come_byte_by_byte(void **state)
{
    struct fixture *f = *state;
    static const char head[] = "GET /slow HTTP/1.1\r\nHost: a\r\nX-A: b\r\n\r\n";
    for (size_t i = 0; i + 1 < sizeof head - 1; i++) {
        peer_sends(f, head + i, 1);
        assert_int_equal(read_request(f), H1_HEAD_BLOCKED);
        arena_reset(&f->arena);
    }
    peer_sends(f, head + sizeof head - 2, 1);
    assert_int_equal(read_request(f), H1_HEAD_DONE);
    assert_text(f->request.path, "/slow");
}

static void test_a_chunked_body_may_come_byte_by_byte_with_trailers(void **state)
{
    struct fixture *f = *state;
    static const char rest[] = "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX-T: v\r\n\r\n";
    char body[16];
    size_t size = 0;
    struct text piece;
    peer_says(f, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_int_equal(read_request(f), H1_HEAD_DONE);
    for (size_t i = 0; i < sizeof rest - 1; i++) {
        peer_sends(f, rest + i, 1);
        enum stream_status status;
        while ((status = stream_read(stream_of(f), &piece)) == STREAM_DATA) {
            memcpy(body + size, piece.at, piece.size);
            size += piece.size;
        }
        assert_int_equal(status, i + 1 < sizeof rest - 1 ? STREAM_BLOCKED : STREAM_END);
    }
    assert_text(((struct text){body, size}), "abcde");
    assert_text(fields_get(&f->trailers, TEXT("X-T")), "v");
}

static void test_the_head_is_held_while_the_body_flows_past_it(void **state)
{
    struct fixture *f = *state;
    static char piece_of_body[16384];
    struct text piece;
    memset(piece_of_body, 'b', sizeof piece_of_body);
    peer_says(f, "POST /held HTTP/1.1\r\nHost: a\r\nX-Held: still here\r\nContent-Length: 163840\r\n\r\n");
    assert_int_equal(read_request(f), H1_HEAD_DONE);
    size_t size = 0;
    for (int i = 0; i < 10; i++) {
        peer_sends(f, piece_of_body, sizeof piece_of_body);
        while (stream_read(stream_of(f), &piece) == STREAM_DATA)
            size += piece.size;
        assert_text(f->request.path, "/held");
        assert_text(fields_get(&f->request.fields, TEXT("X-Held")), "still here");
        assert_true(f->pool.used_count == 1);
    }
    assert_int_equal(size, 163840);
    assert_true(f->h1.in_done);
}

static void test_a_body_behind_a_large_head_gets_a_buffer_of_its_own(void **state)
{
    struct fixture *f = *state;
    static char head[28 * 1024], value[3000];
    struct text body;
    memset(value, 'v', sizeof value - 1);
    int size = snprintf(head, sizeof head, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n");
    for (int i = 0; i < 9; i++)
        size += snprintf(head + size, sizeof head - (size_t)size, "X-%d: %s\r\n", i, value);
    peer_says(f, head);
    peer_says(f, "\r\nhel");
    assert_int_equal(read_request(f), H1_HEAD_DONE);
    struct text first = fields_get(&f->request.fields, TEXT("X-0"));
    assert_int_equal(first.size, sizeof value - 1);
    assert_int_equal(read_body(f, &body), STREAM_BLOCKED);
    assert_text(body, "hel");
    assert_int_equal(f->pool.used_count, 2);
    peer_says(f, "lo");
    assert_int_equal(read_body(f, &body), STREAM_END);
    assert_text(body, "lo");
    assert_memory_equal(first.at, value, sizeof value - 1);
    h1_stream_next(&f->h1);
    assert_int_equal(read_request(f), H1_HEAD_BLOCKED);
    assert_int_equal(f->pool.used_count, 0);
}

static void test_a_stream_that_ends_in_the_middle_gives_both_buffers_back(void **state)
{
    struct fixture *f = *state;
    static char value[3000];
    struct text body;
    memset(value, 'v', sizeof value - 1);
    peer_says(f, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n");
    for (int i = 0; i < 9; i++) {
        peer_says(f, "X-V: ");
        peer_says(f, value);
        peer_says(f, "\r\n");
    }
    peer_says(f, "\r\nhel");
    assert_int_equal(read_request(f), H1_HEAD_DONE);
    assert_int_equal(read_body(f, &body), STREAM_BLOCKED);
    assert_int_equal(f->pool.used_count, 2);
    h1_stream_release(&f->h1);
    assert_int_equal(f->pool.used_count, 0);
}

static void test_the_input_may_be_taken_with_the_head_in_it(void **state)
{
    struct fixture *f = *state;
    peer_says(f, "GET /taken HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(read_request(f), H1_HEAD_DONE);
    struct buffer *held = h1_stream_take_input(&f->h1);
    assert_non_null(held);
    peer_says(f, "GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    struct request next;
    assert_int_equal(h1_stream_read_request(&f->h1, &limits, &f->arena, &next), H1_HEAD_DONE);
    assert_text(f->request.path, "/taken");
    assert_text(next.path, "/next");
    buffer_give(&f->pool, held);
}

static void test_an_end_in_good_order_is_told_from_one_within_a_head(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(read_request(f), H1_HEAD_BLOCKED);
    peer_says(f, "GET / HT");
    assert_int_equal(read_request(f), H1_HEAD_BLOCKED);
    shutdown(f->peer, SHUT_WR);
    socket_layer_event(&f->socket, EPOLLIN | EPOLLRDHUP);
    assert_int_equal(read_request(f), H1_HEAD_FAILED);
}

static void test_an_end_between_messages_is_in_good_order(void **state)
{
    struct fixture *f = *state;
    shutdown(f->peer, SHUT_WR);
    socket_layer_event(&f->socket, EPOLLIN | EPOLLRDHUP);
    assert_int_equal(read_request(f), H1_HEAD_END);
    assert_null(f->h1.in);
}

static void test_a_body_that_is_cut_short_fails(void **state)
{
    struct fixture *f = *state;
    struct text body;
    peer_says(f, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel");
    shutdown(f->peer, SHUT_WR);
    assert_int_equal(read_request(f), H1_HEAD_DONE);
    socket_layer_event(&f->socket, EPOLLIN | EPOLLRDHUP);
    assert_int_equal(read_body(f, &body), STREAM_FAILED);
    assert_text(body, "hel");
    assert_true(f->h1.broken);
}

static void test_broken_framing_is_refused_and_stays_so(void **state)
{
    struct fixture *f = *state;
    struct text body;
    peer_says(f, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n");
    assert_int_equal(read_request(f), H1_HEAD_DONE);
    assert_int_equal(read_body(f, &body), STREAM_REFUSED);
    assert_int_equal(f->h1.stream.refusal, H1_BAD_CHUNK);
    assert_int_not_equal(read_body(f, &body), STREAM_END);
}

static void test_a_head_that_fills_the_buffer_is_refused(void **state)
{
    struct fixture *f = *state;
    static char head[BUFFER_ROOM];
    struct h1_limits wide = limits;
    wide.head_bytes_max = wide.line_bytes_max = 1 << 20;
    memset(head, 'a', sizeof head);
    memcpy(head, "GET /", 5);
    peer_sends(f, head, sizeof head);
    socket_layer_event(&f->socket, EPOLLIN);
    assert_int_equal(h1_stream_read_request(&f->h1, &wide, &f->arena, &f->request), H1_HEAD_REFUSED);
    assert_int_equal(f->h1.stream.refusal, H1_HEAD_TOO_LARGE);
}

static void test_without_a_buffer_a_head_is_not_read(void **state)
{
    struct fixture *f = *state;
    f->budget.bytes_max = 0;
    peer_says(f, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(read_request(f), H1_HEAD_NO_BUFFER);
    f->budget.bytes_max = BUFFER_SIZE;
    assert_int_equal(read_request(f), H1_HEAD_DONE);
}

static void test_an_answer_that_ends_with_the_connection(void **state)
{
    struct fixture *f = *state;
    struct text body;
    peer_says(f, "HTTP/1.1 200 OK\r\n\r\nall of it");
    assert_int_equal(h1_stream_read_response(&f->h1, &limits, &f->arena, METHOD_GET, &f->response),
                     H1_HEAD_DONE);
    assert_int_equal(f->response.body.kind, BODY_CLOSE);
    assert_int_equal(read_body(f, &body), STREAM_BLOCKED);
    assert_text(body, "all of it");
    shutdown(f->peer, SHUT_WR);
    socket_layer_event(&f->socket, EPOLLIN | EPOLLRDHUP);
    assert_int_equal(read_body(f, &body), STREAM_END);
}

/* --- output --- */

static bool send_head(struct fixture *f, struct body_framing body)
{
    struct response response = {.status = 200};
    struct h1_write how = {.keep_alive = true, .body = body};
    fields_init(&response.fields, &f->arena);
    return h1_stream_type.send_response(stream_of(f), &response, &how);
}

static void drop_head(struct fixture *f)
{
    char head[512];
    assert_true(stream_flush(stream_of(f)));
    assert_true(peer_takes(f, head, sizeof head) > 0);
}

static void test_a_head_waits_for_its_body_and_goes_with_it(void **state)
{
    struct fixture *f = *state;
    char got[256];
    assert_true(send_head(f, (struct body_framing){BODY_LENGTH, 5}));
    assert_int_equal(peer_takes(f, got, sizeof got), 0);
    assert_true(stream_backlog(stream_of(f)) > 0);
    assert_true(stream_send(stream_of(f), TEXT("hello"), SEND_END, NULL));
    size_t size = peer_takes(f, got, sizeof got);
    assert_text(((struct text){got, size}), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    assert_true(f->h1.out_done && stream_backlog(stream_of(f)) == 0);
    assert_int_equal(f->pool.used_count, 0);
}

static void test_small_chunks_are_gathered_until_the_last(void **state)
{
    struct fixture *f = *state;
    assert_true(send_head(f, (struct body_framing){BODY_CHUNKED, 0}));
    drop_head(f);
    assert_true(stream_send(stream_of(f), TEXT("abc"), SEND_MORE, NULL));
    assert_true(stream_send(stream_of(f), TEXT(""), SEND_MORE, NULL)); /* an empty chunk would end the body */
    assert_true(stream_send(stream_of(f), TEXT("de"), SEND_MORE, NULL));
    peer_got(f, "");
    assert_true(stream_send(stream_of(f), TEXT("f"), SEND_END, NULL));
    peer_got(f, "3\r\nabc\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n");
    assert_true(f->h1.out_done);
}

static void test_a_chunk_goes_at_once_when_nothing_follows_yet(void **state)
{
    struct fixture *f = *state;
    assert_true(send_head(f, (struct body_framing){BODY_CHUNKED, 0}));
    drop_head(f);
    assert_true(stream_send(stream_of(f), TEXT("abc"), SEND_NOW, NULL));
    peer_got(f, "3\r\nabc\r\n");
    assert_false(f->h1.out_done);
}

static void test_trailers_follow_the_last_chunk(void **state)
{
    struct fixture *f = *state;
    struct fields trailers;
    fields_init(&trailers, &f->arena);
    fields_add(&trailers, TEXT("X-Sum"), TEXT("1"));
    assert_true(send_head(f, (struct body_framing){BODY_CHUNKED, 0}));
    drop_head(f);
    assert_true(stream_send(stream_of(f), TEXT("abc"), SEND_END, &trailers));
    peer_got(f, "3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n");
}

static void test_never_more_or_less_than_the_length_that_was_announced(void **state)
{
    struct fixture *f = *state;
    assert_true(send_head(f, (struct body_framing){BODY_LENGTH, 3}));
    assert_false(stream_send(stream_of(f), TEXT("four"), SEND_NOW, NULL));
    assert_true(f->h1.broken);
}

static void test_a_body_that_ends_too_early_breaks_the_stream(void **state)
{
    struct fixture *f = *state;
    assert_true(send_head(f, (struct body_framing){BODY_LENGTH, 3}));
    assert_false(stream_send(stream_of(f), TEXT("ab"), SEND_END, NULL));
    assert_false(stream_flush(stream_of(f)));
}

static void test_a_body_where_none_may_be_is_not_sent(void **state)
{
    struct fixture *f = *state;
    struct response response = {.status = 200};
    struct h1_write how = {.keep_alive = true, .head_only = true};
    fields_init(&response.fields, &f->arena);
    assert_true(h1_stream_type.send_response(stream_of(f), &response, &how));
    drop_head(f);
    assert_true(stream_send(stream_of(f), TEXT("hello"), SEND_NOW, NULL));
    assert_true(stream_send(stream_of(f), TEXT(""), SEND_END, NULL));
    peer_got(f, "");
}

/* The peer reads nothing: what the socket does not take is kept, in order, and goes when there is room. */
static void test_back_pressure_keeps_what_the_socket_does_not_take(void **state)
{
    struct fixture *f = *state;
    static char piece[30000], got[1 << 20];
    int small = 1;
    setsockopt(f->socket.watch.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    assert_true(send_head(f, (struct body_framing){BODY_CLOSE, 0}));
    size_t sent = 0, taken = 0;
    while (stream_backlog(stream_of(f)) < STREAM_HIGH_WATER) {
        for (size_t i = 0; i < sizeof piece; i++)
            piece[i] = (char)('a' + (sent + i) % 26);
        assert_true(stream_send(stream_of(f), (struct text){piece, sizeof piece}, SEND_NOW, NULL));
        sent += sizeof piece;
        assert_true(sent < sizeof got / 2);
    }
    assert_true(f->pool.used_count >= 2);
    assert_null(h1_stream_type.plain_out(stream_of(f))); /* nothing may overtake the queue */
    while (stream_backlog(stream_of(f)) > 0) {
        taken += peer_takes(f, got + taken, sizeof got - taken);
        socket_layer_event(&f->socket, EPOLLOUT);
        assert_true(stream_flush(stream_of(f)));
    }
    taken += peer_takes(f, got + taken, sizeof got - taken);
    struct text all = {got, taken};
    size_t head = text_find(all, TEXT("\r\n\r\n")) + 4;
    assert_int_equal(taken - head, sent);
    for (size_t i = 0; i < sent; i++)
        assert_true(got[head + i] == (char)('a' + i % 26));
    assert_int_equal(f->pool.used_count, 0);
}

static void test_a_peer_that_is_gone_breaks_the_stream(void **state)
{
    struct fixture *f = *state;
    close(f->peer);
    f->peer = -1;
    assert_true(send_head(f, (struct body_framing){BODY_LENGTH, 5}));
    assert_false(stream_send(stream_of(f), TEXT("hello"), SEND_END, NULL));
    assert_true(f->h1.broken);
    assert_false(stream_flush(stream_of(f)));
}

static void test_without_a_buffer_the_stream_breaks_rather_than_loses(void **state)
{
    struct fixture *f = *state;
    f->budget.bytes_max = 0;
    assert_false(send_head(f, (struct body_framing){BODY_LENGTH, 5}));
    assert_true(f->h1.broken);
}

/* --- splice --- */

static void test_a_body_may_be_spliced_only_where_it_is_plain_and_nothing_is_buffered(void **state)
{
    struct fixture *f = *state;
    uint64_t bytes;
    struct text piece;
    assert_null(h1_stream_type.plain_in(stream_of(f), &bytes)); /* no message at all */
    peer_says(f, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nfirst");
    assert_int_equal(read_request(f), H1_HEAD_DONE);
    assert_null(h1_stream_type.plain_in(stream_of(f), &bytes)); /* five bytes are here already */
    assert_int_equal(stream_read(stream_of(f), &piece), STREAM_DATA);
    assert_ptr_equal(h1_stream_type.plain_in(stream_of(f), &bytes), &f->socket);
    assert_int_equal(bytes, 99995);
    h1_stream_type.skipped(stream_of(f), 99990, 0);
    assert_ptr_equal(h1_stream_type.plain_in(stream_of(f), &bytes), &f->socket);
    assert_int_equal(bytes, 5);
    assert_false(f->h1.in_done);
    h1_stream_type.skipped(stream_of(f), 5, 0);
    assert_true(f->h1.in_done);
    assert_null(h1_stream_type.plain_in(stream_of(f), &bytes));
}

static void test_chunks_are_never_spliced(void **state)
{
    struct fixture *f = *state;
    uint64_t bytes;
    peer_says(f, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_int_equal(read_request(f), H1_HEAD_DONE);
    assert_null(h1_stream_type.plain_in(stream_of(f), &bytes));
    assert_true(send_head(f, (struct body_framing){BODY_CHUNKED, 0}));
    drop_head(f);
    assert_null(h1_stream_type.plain_out(stream_of(f)));
}

static void test_output_counts_what_was_spliced(void **state)
{
    struct fixture *f = *state;
    assert_true(send_head(f, (struct body_framing){BODY_LENGTH, 10}));
    assert_null(h1_stream_type.plain_out(stream_of(f))); /* the head is still queued */
    drop_head(f);
    assert_ptr_equal(h1_stream_type.plain_out(stream_of(f)), &f->socket);
    h1_stream_type.skipped(stream_of(f), 0, 4);
    assert_false(f->h1.out_done);
    assert_true(stream_send(stream_of(f), TEXT("567890"), SEND_END, NULL));
    assert_true(f->h1.out_done);
}

static void test_a_tunnel_passes_bytes_as_they_are(void **state)
{
    struct fixture *f = *state;
    struct text piece;
    h1_stream_tunnel(&f->h1);
    peer_says(f, "\x81\x05hello\r\n\r\n");
    assert_int_equal(stream_read(stream_of(f), &piece), STREAM_DATA);
    assert_text(piece, "\x81\x05hello\r\n\r\n");
    assert_true(h1_stream_send_raw(&f->h1, TEXT("raw")));
    assert_true(stream_send(stream_of(f), TEXT(" bytes"), SEND_NOW, NULL));
    peer_got(f, "raw bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_messages_come_one_after_the_other),
        CASE(test_pipelined_requests_are_kept_apart),
        CASE(test_a_head_may_come_byte_by_byte),
        CASE(test_a_chunked_body_may_come_byte_by_byte_with_trailers),
        CASE(test_the_head_is_held_while_the_body_flows_past_it),
        CASE(test_a_body_behind_a_large_head_gets_a_buffer_of_its_own),
        CASE(test_a_stream_that_ends_in_the_middle_gives_both_buffers_back),
        CASE(test_the_input_may_be_taken_with_the_head_in_it),
        CASE(test_an_end_in_good_order_is_told_from_one_within_a_head),
        CASE(test_an_end_between_messages_is_in_good_order),
        CASE(test_a_body_that_is_cut_short_fails),
        CASE(test_broken_framing_is_refused_and_stays_so),
        CASE(test_a_head_that_fills_the_buffer_is_refused),
        CASE(test_without_a_buffer_a_head_is_not_read),
        CASE(test_an_answer_that_ends_with_the_connection),
        CASE(test_a_head_waits_for_its_body_and_goes_with_it),
        CASE(test_small_chunks_are_gathered_until_the_last),
        CASE(test_a_chunk_goes_at_once_when_nothing_follows_yet),
        CASE(test_trailers_follow_the_last_chunk),
        CASE(test_never_more_or_less_than_the_length_that_was_announced),
        CASE(test_a_body_that_ends_too_early_breaks_the_stream),
        CASE(test_a_body_where_none_may_be_is_not_sent),
        CASE(test_back_pressure_keeps_what_the_socket_does_not_take),
        CASE(test_a_peer_that_is_gone_breaks_the_stream),
        CASE(test_without_a_buffer_the_stream_breaks_rather_than_loses),
        CASE(test_a_body_may_be_spliced_only_where_it_is_plain_and_nothing_is_buffered),
        CASE(test_chunks_are_never_spliced),
        CASE(test_output_counts_what_was_spliced),
        CASE(test_a_tunnel_passes_bytes_as_they_are),
    };
    return RUN_TESTS(tests);
}
