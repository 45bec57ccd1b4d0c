/* Readiness bits, ends, failures and splicing over socket pairs. */
#include "net_test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "net/layer.h"

enum { BODY_SIZE = 3 << 20 };

struct duo {
    struct loop loop;
    struct socket_layer near, far;
    uint32_t events_near, events_far; /* seen */
};

static struct duo duo;

static void near_ready(struct watch *watch, uint32_t events)
{
    socket_layer_event(CONTAINER_OF(watch, struct socket_layer, watch), events);
    duo.events_near |= events;
}

static void far_ready(struct watch *watch, uint32_t events)
{
    socket_layer_event(CONTAINER_OF(watch, struct socket_layer, watch), events);
    duo.events_far |= events;
}

static int make_duo_of(int a, int b)
{
    duo = (struct duo){.events_near = 0};
    if (loop_init(&duo.loop))
        return -1;
    socket_layer_init(&duo.near, a, true);
    socket_layer_init(&duo.far, b, true);
    duo.near.watch.on_ready = near_ready;
    duo.far.watch.on_ready = far_ready;
    uint32_t events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    return loop_add(&duo.loop, &duo.near.watch, events) || loop_add(&duo.loop, &duo.far.watch, events);
}

static int make_unix_duo(void **state)
{
    (void)state;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair))
        return -1;
    return make_duo_of(pair[0], pair[1]);
}

static int make_tcp_duo(void **state)
{
    (void)state;
    struct address any, bound, peer;
    struct error error;
    if (!address_parse(TEXT("127.0.0.1:0"), &any))
        return -1;
    int listener = socket_listen(&any, 1, false, &error);
    if (listener < 0 || socket_local(listener, &bound))
        return -1;
    int flags = fcntl(listener, F_GETFL);
    (void)fcntl(listener, F_SETFL, flags & ~O_NONBLOCK); /* accept may wait here */
    int client = socket_connect(&bound, NULL), server = socket_accept(listener, &peer);
    close(listener);
    return client < 0 || server < 0 ? -1 : make_duo_of(client, server);
}

static int drop_duo(void **state)
{
    (void)state;
    layer_close(&duo.near.layer);
    layer_close(&duo.far.layer);
    loop_release(&duo.loop);
    return 0;
}

/* Turns until `*bit`; data and news over loopback take a moment. */
static void turn_until_set(const bool *bit)
{
    turn_until(&duo.loop, bit);
}

static struct io_result write_text(struct socket_layer *to, const char *text)
{
    struct iovec part = {(char *)text, strlen(text)};
    return layer_write(&to->layer, &part, 1);
}

static void written_bytes_are_read(void **state)
{
    (void)state;
    char got[16];
    struct io_result result = write_text(&duo.near, "hello");
    assert_int_equal(result.status, IO_OK);
    assert_int_equal(result.size, 5);
    turn_until_set(&duo.far.readable);
    result = layer_read(&duo.far.layer, got, sizeof got);
    assert_int_equal(result.status, IO_OK);
    assert_int_equal(result.size, 5);
    assert_memory_equal(got, "hello", 5);
}

static void several_parts_are_one_write(void **state)
{
    (void)state;
    struct iovec parts[] = {{(char *)"ab", 2}, {NULL, 0}, {(char *)"cde", 3}};
    struct io_result result = layer_write(&duo.near.layer, parts, 3);
    assert_int_equal(result.size, 5);
    char got[16];
    turn_until_set(&duo.far.readable);
    assert_int_equal(layer_read(&duo.far.layer, got, sizeof got).size, 5);
    assert_memory_equal(got, "abcde", 5);
}

static void writing_nothing_moves_nothing(void **state)
{
    (void)state;
    struct iovec empty = {(char *)"", 0};
    struct io_result result = layer_write(&duo.near.layer, &empty, 1);
    assert_int_equal(result.status, IO_OK);
    assert_int_equal(result.size, 0);
    assert_int_equal(layer_write(&duo.near.layer, NULL, 0).status, IO_OK);
}

static void short_read_clears_readable_and_a_full_one_does_not(void **state)
{
    (void)state;
    char got[4];
    (void)write_text(&duo.near, "123456"); /* into an empty socket */
    loop_turn(&duo.loop, 0);
    assert_int_equal(layer_read(&duo.far.layer, got, 4).size, 4);
    assert_true(duo.far.readable);
    assert_int_equal(layer_read(&duo.far.layer, got, 4).size, 2);
    assert_false(duo.far.readable);
    assert_int_equal(layer_read(&duo.far.layer, got, 4).status, IO_BLOCKED);
    (void)write_text(&duo.near, "7");
    loop_turn(&duo.loop, 0);
    assert_true(duo.far.readable);
}

static void reading_an_empty_socket_blocks_and_clears_readable(void **state)
{
    (void)state;
    char got[4];
    assert_true(duo.near.readable); /* try first */
    assert_int_equal(layer_read(&duo.near.layer, got, 4).status, IO_BLOCKED);
    assert_false(duo.near.readable);
}

static void without_the_bit_no_system_call_is_made(void **state)
{
    (void)state;
    char got[4];
    (void)write_text(&duo.near, "1");
    duo.far.readable = duo.far.writable = false;
    assert_int_equal(layer_read(&duo.far.layer, got, 4).status, IO_BLOCKED); /* though there is something */
    assert_int_equal(write_text(&duo.far, "1").status, IO_BLOCKED);
}

static void short_read_after_the_end_was_announced_goes_on_to_the_end(void **state)
{
    (void)state;
    char got[16];
    (void)write_text(&duo.near, "bye");
    assert_int_equal(layer_shut(&duo.near.layer), LAYER_DONE);
    turn_until_set(&duo.far.ended);
    assert_int_equal(layer_read(&duo.far.layer, got, sizeof got).size, 3);
    assert_true(duo.far.readable);
    assert_int_equal(layer_read(&duo.far.layer, got, sizeof got).status, IO_END);
    assert_int_equal(layer_read(&duo.far.layer, got, sizeof got).status, IO_END);
    assert_int_equal(write_text(&duo.far, "still heard").status, IO_OK); /* the other direction lives */
}

/* Writes until the socket is full; how much went in. */
static size_t fill(struct socket_layer *to, const char *block, size_t size)
{
    size_t total = 0;
    struct iovec part = {(char *)block, size};
    for (struct io_result result; (result = layer_write(&to->layer, &part, 1)).status == IO_OK;)
        total += result.size;
    return total;
}

static void full_socket_clears_writable_until_the_other_side_reads(void **state)
{
    (void)state;
    static char block[65536];
    loop_turn(&duo.loop, 0); /* the first edges */
    size_t filled = fill(&duo.near, block, sizeof block);
    assert_true(filled > 0);
    assert_false(duo.near.writable);
    assert_int_equal(write_text(&duo.near, "x").status, IO_BLOCKED);
    size_t emptied = 0;
    while (emptied < filled) {
        turn_until_set(&duo.far.readable);
        for (struct io_result result;
             (result = layer_read(&duo.far.layer, block, sizeof block)).status == IO_OK;)
            emptied += result.size;
    }
    turn_until_set(&duo.near.writable);
    assert_int_equal(write_text(&duo.near, "x").status, IO_OK);
}

static void write_to_a_closed_peer_fails_without_a_signal(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_DFL);
    layer_close(&duo.far.layer);
    turn_until_set(&duo.near.ended);
    struct io_result result = write_text(&duo.near, "x");
    for (int i = 0; i < 1000 && result.status == IO_OK; i++) { /* TCP fails once the reset has come back */
        loop_turn(&duo.loop, 1);
        result = write_text(&duo.near, "x");
    }
    (void)signal(SIGPIPE, SIG_IGN);
    assert_int_equal(result.status, IO_FAILED);
    assert_true(result.error == EPIPE || result.error == ECONNRESET);
}

static void reset_is_a_failure(void **state)
{
    (void)state;
    struct linger now = {.l_onoff = 1};
    assert_int_equal(setsockopt(duo.far.watch.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    layer_close(&duo.far.layer);
    turn_until_set(&duo.near.ended);
    char got[4];
    struct io_result result = layer_read(&duo.near.layer, got, sizeof got);
    assert_int_equal(result.status, IO_FAILED);
    assert_int_equal(result.error, ECONNRESET);
}

static void close_is_final_and_may_be_repeated(void **state)
{
    (void)state;
    layer_close(&duo.near.layer);
    layer_close(&duo.near.layer);
    assert_int_equal(duo.near.watch.fd, -1);
    assert_false(duo.near.readable || duo.near.writable);
}

static void connecting_layer_opens_when_writable(void **state)
{
    (void)state;
    struct address any, bound;
    struct error error;
    assert_true(address_parse(TEXT("127.0.0.1:0"), &any));
    int listener = socket_listen(&any, 1, false, &error);
    assert_int_equal(socket_local(listener, &bound), 0);
    struct socket_layer layer;
    socket_layer_init(&layer, socket_connect(&bound, NULL), false);
    layer.watch.on_ready = near_ready;
    assert_int_equal(layer_open(&layer.layer), LAYER_WAIT);
    assert_int_equal(loop_add(&duo.loop, &layer.watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET), 0);
    turn_until_set(&layer.writable);
    assert_int_equal(layer_open(&layer.layer), LAYER_DONE);
    assert_true(layer.connected);
    assert_int_equal(layer_open(&layer.layer), LAYER_DONE);
    layer_close(&layer.layer);
    close(listener);
}

static void refused_connect_fails_to_open_and_says_why(void **state)
{
    (void)state;
    struct address any, bound;
    struct error error;
    assert_true(address_parse(TEXT("127.0.0.1:0"), &any));
    int listener = socket_listen(&any, 1, false, &error);
    assert_int_equal(socket_local(listener, &bound), 0);
    close(listener);
    int fd = socket_connect(&bound, NULL);
    if (fd == -ECONNREFUSED)
        return; /* some kernels know at once */
    struct socket_layer layer;
    socket_layer_init(&layer, fd, false);
    layer.watch.on_ready = near_ready;
    assert_int_equal(loop_add(&duo.loop, &layer.watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET), 0);
    turn_until_set(&layer.writable);
    assert_int_equal(layer_open(&layer.layer), LAYER_FAILED);
    assert_int_equal(layer.error, ECONNREFUSED);
    layer_close(&layer.layer);
}

struct relay {
    int pipe[2];
    size_t piped, sent, received;
    char sum_sent, sum_received;
    bool ended;
};

/* Feeds the body into `near`, splices it from `far` into the pipe and back to `far`, and reads it at `near`.
 * One step of each. */
static void relay_step(struct relay *relay, char *block, size_t size)
{
    if (relay->sent < BODY_SIZE) {
        struct iovec part = {block, MIN_OF(size, BODY_SIZE - relay->sent)};
        for (size_t i = 0; i < part.iov_len; i++)
            block[i] = (char)((relay->sent + i) * 7 >> 3);
        struct io_result fed = layer_write(&duo.near.layer, &part, 1);
        for (size_t i = 0; i < fed.size; i++)
            relay->sum_sent = (char)(relay->sum_sent * 3 + block[i]);
        relay->sent += fed.size;
        if (relay->sent == BODY_SIZE)
            assert_int_equal(layer_shut(&duo.near.layer), LAYER_DONE);
    }
    if (relay->piped == 0 && !relay->ended) {
        struct io_result in = socket_layer_splice_in(&duo.far, relay->pipe[1], 1 << 20);
        assert_int_not_equal(in.status, IO_FAILED);
        relay->ended = in.status == IO_END;
        relay->piped = in.size;
    }
    if (relay->piped > 0) {
        struct io_result out = socket_layer_splice_out(&duo.far, relay->pipe[0], relay->piped);
        assert_true(out.status == IO_OK || out.status == IO_BLOCKED);
        relay->piped -= out.size;
    }
    struct io_result got = layer_read(&duo.near.layer, block, size);
    for (size_t i = 0; i < got.size; i++)
        relay->sum_received = (char)(relay->sum_received * 3 + block[i]);
    relay->received += got.size;
}

static void spliced_bytes_arrive_whole_and_in_order(void **state)
{
    (void)state;
    static char block[50000];
    struct relay relay = {.piped = 0};
    assert_int_equal(pipe2(relay.pipe, O_NONBLOCK | O_CLOEXEC), 0);
    int64_t end_ns = time_monotonic_ns() + 30 * NS_PER_SECOND;
    while (relay.received < BODY_SIZE && time_monotonic_ns() < end_ns) {
        relay_step(&relay, block, sizeof block);
        loop_turn(&duo.loop, 0);
    }
    assert_int_equal(relay.received, BODY_SIZE);
    assert_int_equal(relay.sum_sent, relay.sum_received);
    while (!relay.ended && time_monotonic_ns() < end_ns) {
        relay_step(&relay, block, sizeof block);
        loop_turn(&duo.loop, 1);
    }
    assert_true(relay.ended);
    close(relay.pipe[0]);
    close(relay.pipe[1]);
}

static void splice_from_an_empty_socket_blocks(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    assert_int_equal(socket_layer_splice_in(&duo.near, ends[1], 100).status, IO_BLOCKED);
    assert_false(duo.near.readable);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
#define LAYER_TEST(name, kind)                                                                               \
    {                                                                                                        \
#name " (" #kind ")", name, make_##kind##_duo, drop_duo, NULL                                        \
    }
    const struct CMUnitTest tests[] = {
        LAYER_TEST(written_bytes_are_read, tcp),
        LAYER_TEST(written_bytes_are_read, unix),
        LAYER_TEST(several_parts_are_one_write, unix),
        LAYER_TEST(writing_nothing_moves_nothing, unix),
        LAYER_TEST(short_read_clears_readable_and_a_full_one_does_not, unix),
        LAYER_TEST(reading_an_empty_socket_blocks_and_clears_readable, unix),
        LAYER_TEST(without_the_bit_no_system_call_is_made, unix),
        LAYER_TEST(short_read_after_the_end_was_announced_goes_on_to_the_end, tcp),
        LAYER_TEST(short_read_after_the_end_was_announced_goes_on_to_the_end, unix),
        LAYER_TEST(full_socket_clears_writable_until_the_other_side_reads, tcp),
        LAYER_TEST(full_socket_clears_writable_until_the_other_side_reads, unix),
        LAYER_TEST(write_to_a_closed_peer_fails_without_a_signal, tcp),
        LAYER_TEST(write_to_a_closed_peer_fails_without_a_signal, unix),
        LAYER_TEST(reset_is_a_failure, tcp),
        LAYER_TEST(close_is_final_and_may_be_repeated, unix),
        LAYER_TEST(connecting_layer_opens_when_writable, unix),
        LAYER_TEST(refused_connect_fails_to_open_and_says_why, unix),
        LAYER_TEST(spliced_bytes_arrive_whole_and_in_order, tcp),
        LAYER_TEST(spliced_bytes_arrive_whole_and_in_order, unix),
        LAYER_TEST(splice_from_an_empty_socket_blocks, tcp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
