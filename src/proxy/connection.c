/* Accepts clients, reads their request heads, hands them to exchanges, keeps or closes what remains. */
#include "proxy/connection.h"

#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "proxy/driver.h"
#include "proxy/handshake.h"
#include "proxy/listener_state.h"

enum {
    ACCEPTS_PER_EVENT = 64,
    ACCEPT_RETRY_MS = 100,
    LINGER_MS = 2000,
    LINGER_BYTES_MAX = 1 << 20,
    FIRST_REQUEST_MS = 1000
};

static struct worker *worker_of(const struct connection *c)
{
    return c->listener->worker;
}

static void count_limit(const struct connection *c, enum limit limit)
{
    listener_state_count(c->listener->config->state, limit);
}

/* --- the end --- */

void connection_close(struct connection *c)
{
    struct worker *worker = worker_of(c);
    struct listener *listener = c->listener;
    CHECK(!c->exchange);
    if (c->again_posted)
        loop_unpost(&worker->loop, &c->again);
    if (c->spare)
        exchange_free(c->spare);
    h1_stream_release(&c->h1);
    timer_clear(&worker->loop, &c->timer);
    loop_remove(&worker->loop, &c->socket.watch);
    handshake_leave(c);
    layer_close(c->tls ? &c->tls->layer : &c->socket.layer);
    tls_layer_free(c->tls);
    list_remove(&c->link);
    listener->connections_count--;
    atomic_fetch_sub_explicit(&listener->config->state->connections, 1, memory_order_relaxed);
    listener_state_leave(listener->config->state, c->client_slot);
    loop_defer_free(&worker->loop, c);
    if (listener->closed && listener->connections_count == 0)
        listener_free(listener);
    worker_check_drained(worker);
}

/* The timer is moved only when the deadline comes nearer; when it fires early, it looks at `deadline_ms`. */
static void set_deadline(struct connection *c, int64_t deadline_ms)
{
    c->deadline_ms = deadline_ms;
    if (!timer_is_set(&c->timer) || c->timer.due_ms > deadline_ms)
        timer_set(&worker_of(c)->loop, &c->timer, deadline_ms);
}

static int64_t now_ms(const struct connection *c)
{
    return worker_of(c)->loop.now_ms;
}

/* Closing with unread input would reset the connection and could destroy the answer on its way (RFC 9112 section 9.6): end our side, and read
 * and drop for a while. */
static void linger_or_close(struct connection *c)
{
    bool unread =
        !c->h1.in_done || (c->h1.in && c->h1.in->start < c->h1.in->end) || layer_pending(c->h1.layer);
    if (!unread || c->h1.broken || c->h1.ended) {
        connection_close(c);
        return;
    }
    h1_stream_release(&c->h1);
    if (layer_shut(c->h1.layer) == LAYER_FAILED) {
        connection_close(c);
        return;
    }
    c->phase = CONNECTION_LINGER;
    c->requests = 0; /* counts KiB dropped from here on */
    set_deadline(c, now_ms(c) + LINGER_MS);
}

static void linger(struct connection *c)
{
    char dropped[4096];
    struct io_result r;
    while ((r = layer_read(c->h1.layer, dropped, sizeof dropped)).status == IO_OK
           && c->requests < LINGER_BYTES_MAX / 1024)
        c->requests += (uint32_t)(r.size + 1023) / 1024;
    if (r.status != IO_BLOCKED)
        connection_close(c);
}

/* --- requests --- */

static void go_idle(struct connection *c)
{
    bool begun = h1_stream_in_head(&c->h1);
    const struct listener_config *config = c->listener->config;
    if (begun && c->phase != CONNECTION_HEAD) {
        c->phase = CONNECTION_HEAD;
        set_deadline(c, now_ms(c) + config->head_timeout_ms);
    }
    if (begun || c->phase == CONNECTION_HEAD)
        return;                        /* a head that begins with an empty line is one too */
    if (c->phase != CONNECTION_IDLE) { /* what brought no bytes of a head gains no time */
        c->phase = CONNECTION_IDLE;
        set_deadline(c, now_ms(c) + (c->requests ? config->idle_timeout_ms : config->head_timeout_ms));
    }
    if (c->spare) {
        exchange_free(c->spare);
        c->spare = NULL;
    }
}

/* Refusals that say that a limit was reached; the others are counted as errors. */
static void count_refusal(const struct connection *c, enum h1_refusal refusal)
{
    if (refusal == H1_LINE_TOO_LONG)
        count_limit(c, LIMIT_REQUEST_LINE);
    else if (refusal == H1_TOO_MANY_FIELDS)
        count_limit(c, LIMIT_FIELDS);
    else if (refusal == H1_HEAD_TOO_LARGE)
        count_limit(c, LIMIT_HEAD);
    else if (refusal == H1_NO_MEMORY)
        count_limit(c, LIMIT_ARENA);
}

static void begin(struct connection *c, enum h1_refusal refusal)
{
    struct exchange *ex = c->spare;
    c->spare = NULL;
    c->exchange = ex;
    c->phase = CONNECTION_BUSY;
    c->deadline_ms = INT64_MAX;
    exchange_begin(ex, c, refusal);
}

static void read_request(struct connection *c)
{
    struct worker *worker = worker_of(c);
    const struct listener_config *config = c->listener->config;
    if (!c->spare && !(c->spare = exchange_new(worker))) {
        count_limit(c, LIMIT_MEMORY);
        connection_close(c);
        return;
    }
    struct exchange *ex = c->spare;
    enum h1_head_status status = h1_stream_read_request(&c->h1, &config->limits, &ex->arena, &ex->request);
    switch (status) {
    case H1_HEAD_DONE: begin(c, H1_FINE); return;
    case H1_HEAD_BLOCKED: go_idle(c); return;
    case H1_HEAD_REFUSED:
        count_refusal(c, c->h1.stream.refusal);
        begin(c, c->h1.stream.refusal);
        return;
    case H1_HEAD_NO_BUFFER:
        count_limit(c, LIMIT_BUFFERS);
        begin(c, H1_NO_MEMORY);
        return;
    case H1_HEAD_END:
    case H1_HEAD_FAILED: connection_close(c); return;
    }
}

static void read_again(struct task *task)
{
    struct connection *c = CONTAINER_OF(task, struct connection, again);
    c->again_posted = false;
    if (c->phase == CONNECTION_IDLE || c->phase == CONNECTION_HEAD)
        read_request(c);
}

void connection_exchange_done(struct connection *c, bool keep)
{
    const struct listener_config *config = c->listener->config;
    c->exchange = NULL;
    c->requests++;
    bool enough = config->requests_max && c->requests >= config->requests_max;
    if (enough)
        count_limit(c, LIMIT_REQUESTS_PER_CONNECTION);
    if (!keep || c->close_after || enough || c->listener->closed || !c->h1.out_done || c->h1.broken) {
        linger_or_close(c);
        return;
    }
    h1_stream_next(&c->h1);
    go_idle(c);
    if ((c->h1.in || layer_pending(c->h1.layer))
        && !c->again_posted) { /* a pipelined request, or an edge that came meanwhile */
        c->again_posted = true;
        c->again.run = read_again;
        loop_post(&worker_of(c)->loop, &c->again);
    }
}

/* What the client wrote meanwhile is dropped, or closing would reset the connection and destroy what it was told. */
static void start_linger(struct connection *c)
{
    c->phase = CONNECTION_LINGER;
    c->requests = 0; /* counts KiB dropped from here on */
    set_deadline(c, now_ms(c) + LINGER_MS);
    if (layer_shut(c->h1.layer) == LAYER_FAILED)
        connection_close(c);
    else
        linger(c);
}

void connection_handshake(struct connection *c)
{
    switch (handshake_go_on(c)) {
    case HANDSHAKE_WAIT: return;
    case HANDSHAKE_FAILED: connection_close(c); return;
    case HANDSHAKE_PLAIN: start_linger(c); return;
    case HANDSHAKE_DONE: break;
    }
    go_idle(c);
    if (layer_pending(c->h1.layer))
        read_request(c);
}

static void on_ready(struct watch *watch, uint32_t events)
{
    struct connection *c = CONTAINER_OF(watch, struct connection, socket.watch);
    socket_layer_event(&c->socket, events);
    switch ((enum connection_phase)c->phase) {
    case CONNECTION_HANDSHAKE: connection_handshake(c); return;
    case CONNECTION_IDLE:
    case CONNECTION_HEAD:
        if (c->socket.readable || c->socket.ended)
            read_request(c);
        return;
    case CONNECTION_BUSY:
        if ((events & (EPOLLHUP | EPOLLERR)) && !c->exchange->upgraded)
            exchange_kill(c->exchange,
                          ERROR_CLIENT_CLOSED); /* gone in both directions: no one waits for an answer */
        else
            exchange_wake(c->exchange);
        return;
    case CONNECTION_LINGER: linger(c); return;
    }
}

static void on_due(struct timer *timer)
{
    struct connection *c = CONTAINER_OF(timer, struct connection, timer);
    struct worker *worker = worker_of(c);
    if (c->phase == CONNECTION_BUSY)
        return; /* the exchange has deadlines of its own; going idle sets the timer again */
    if (worker->loop.now_ms < c->deadline_ms) {
        timer_set(&worker->loop, timer, c->deadline_ms);
        return;
    }
    if (c->phase == CONNECTION_HEAD) {
        count_limit(c, LIMIT_HEAD_TIMEOUT);
        c->h1.stream.refusal = H1_FINE;
        begin(c, H1_REFUSALS_COUNT); /* 408 */
        return;
    }
    if (c->phase == CONNECTION_IDLE)
        count_limit(c, LIMIT_IDLE_TIMEOUT);
    else if (c->phase == CONNECTION_HANDSHAKE)
        handshake_time_out(c);
    connection_close(c);
}

void connection_drain(struct connection *c, bool now)
{
    c->close_after = true;
    if (!now || c->phase != CONNECTION_IDLE || c->again_posted)
        return;
    if (c->requests > 0)
        connection_close(c);
    else /* its first request is on the way */
        set_deadline(c, now_ms(c) + FIRST_REQUEST_MS);
}

/* --- accepting --- */

_Atomic int connection_fd_end = INT_MAX;

static void refuse(struct listener *listener, int fd, enum limit limit)
{
    static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
                                 "Content-Type: application/problem+json\r\nContent-Length: 99\r\n\r\n"
                                 "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,"
                                 "\"detail\":\"Too many connections.\"}\n";
    listener_state_count(listener->config->state, limit);
    char dropped[4096];
    if (!listener->config->tls)
        (void)!send(fd, answer, sizeof answer - 1,
                    MSG_NOSIGNAL | MSG_DONTWAIT); /* it is told if there is room, and closed anyway */
    shutdown(fd, SHUT_WR);
    (void)!recv(fd, dropped, sizeof dropped,
                MSG_DONTWAIT); /* a request left unread would reset the connection, answer and all */
    close(fd);
}

static bool admit(struct listener *listener, int fd, const struct address *peer, int32_t *ret_slot)
{
    const struct listener_config *config = listener->config;
    *ret_slot = -1;
    if (fd >= atomic_load_explicit(&connection_fd_end, memory_order_relaxed)) {
        refuse(listener, fd, LIMIT_DESCRIPTORS);
        return false;
    }
    int32_t connections = atomic_fetch_add_explicit(&config->state->connections, 1, memory_order_relaxed);
    if (config->connections_max && (uint32_t)connections >= config->connections_max) {
        atomic_fetch_sub_explicit(&config->state->connections, 1, memory_order_relaxed);
        refuse(listener, fd, LIMIT_CONNECTIONS);
        return false;
    }
    if (config->connections_per_client_max
        && !listener_state_enter(config->state, address_ip(peer), config->connections_per_client_max,
                                 ret_slot)) {
        atomic_fetch_sub_explicit(&config->state->connections, 1, memory_order_relaxed);
        refuse(listener, fd, LIMIT_CONNECTIONS_PER_CLIENT);
        return false;
    }
    return true;
}

static void welcome(struct listener *listener, int fd, const struct address *peer)
{
    struct worker *worker = listener->worker;
    int32_t slot;
    if (!admit(listener, fd, peer, &slot))
        return;
    struct connection *c = memory_zero(sizeof *c);
    if (!c) {
        atomic_fetch_sub_explicit(&listener->config->state->connections, 1, memory_order_relaxed);
        listener_state_leave(listener->config->state, slot);
        listener_state_count(listener->config->state, LIMIT_MEMORY);
        close(fd);
        return;
    }
    int one = 1;
    if (peer->any.sa_family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    socket_layer_init(&c->socket, fd, true);
    c->socket.readable = false; /* the first event tells */
    c->socket.watch.on_ready = on_ready;
    h1_stream_init(&c->h1, &c->socket.layer, &c->socket, &worker->buffers);
    c->listener = listener;
    c->peer = *peer;
    c->client_slot = slot;
    c->began_ms = worker->loop.now_ms;
    c->ip_size = (uint8_t)address_write_ip(peer, c->ip);
    c->timer.on_due = on_due;
    list_push_front(&listener->connections, &c->link);
    listener->connections_count++;
    atomic_fetch_add_explicit(&listener->config->state->accepted, 1, memory_order_relaxed);
    if (listener->config->tls) {
        c->phase = CONNECTION_HANDSHAKE;
        set_deadline(c, now_ms(c) + listener->config->handshake_timeout_ms);
    } else {
        go_idle(c);
    }
    bool begun = !listener->config->tls || handshake_begin(c);
    if (!begun || loop_add(&worker->loop, &c->socket.watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET) < 0)
        connection_close(c);
}

/* The socket is watched again; being level-triggered, it tells at once if someone waits. */
static void watch_again(struct timer *timer)
{
    struct listener *listener = CONTAINER_OF(timer, struct listener, retry);
    if (!listener->closed
        && loop_add(&listener->worker->loop, &listener->watch, EPOLLIN | EPOLLEXCLUSIVE) < 0)
        timer_set(&listener->worker->loop, timer, listener->worker->loop.now_ms + ACCEPT_RETRY_MS);
}

/* No descriptors or no memory: those who wait, wait a little longer; who is connected goes on. */
static void pause_accepting(struct listener *listener)
{
    struct loop *loop = &listener->worker->loop;
    listener_state_count(listener->config->state, LIMIT_DESCRIPTORS);
    loop_remove(loop, &listener->watch);
    listener->retry.on_due = watch_again;
    timer_set(loop, &listener->retry, loop->now_ms + ACCEPT_RETRY_MS);
}

/* The listening socket is level-triggered: what is left comes back with the next turn. */
void connection_accept(struct listener *listener)
{
    for (int i = 0; i < ACCEPTS_PER_EVENT && !listener->closed; i++) {
        struct sockaddr_storage storage = {0};
        socklen_t size = sizeof storage;
        struct address peer;
        int fd =
            accept4(listener->watch.fd, (struct sockaddr *)&storage, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == ECONNABORTED || errno == EINTR)
                continue;
            if (errno != EAGAIN)
                pause_accepting(listener);
            return;
        }
        address_from_socket(&storage, &peer);
        welcome(listener, fd, &peer);
    }
}
