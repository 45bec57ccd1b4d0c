/* Handshakes cost what a hundred requests cost: they are what a flood of clients is held back by. */
#include "proxy/handshake.h"

#include <openssl/ssl.h>

#include "base/check.h"
#include "base/log.h"
#include "proxy/listener_state.h"
#include "tls/server.h"

enum { BURST_NS = 100 * NS_PER_MS, TURN_MS = LOOP_TICK_MS };

static struct connection *connection_of(struct tls_layer *tls)
{
    return CONTAINER_OF(tls->socket, struct connection, socket);
}

/* --- admission --- */

/* One more handshake at the rate of the listener (GCRA), which all workers share. */
static bool take_turn(struct listener_state *state, uint32_t rate, int64_t now_ns)
{
    int64_t step_ns = NS_PER_SECOND / MAX_OF((int64_t)rate, 1);
    int64_t before_ns = atomic_load_explicit(&state->handshake_turn_ns, memory_order_relaxed);
    for (;;) {
        int64_t turn_ns = MAX_OF(before_ns, now_ns - BURST_NS);
        if (turn_ns > now_ns)
            return false;
        if (atomic_compare_exchange_weak(&state->handshake_turn_ns, &before_ns, turn_ns + step_ns))
            return true;
    }
}

static bool admit(struct listener *listener)
{
    const struct tls_server *server = listener->config->tls;
    struct listener_state *state = listener->config->state;
    int32_t under_way = atomic_fetch_add_explicit(&state->handshakes, 1, memory_order_relaxed);
    bool fits = !server || !server->handshakes_max || (uint32_t)under_way < server->handshakes_max;
    if (fits
        && (!server || !server->handshakes_rate
            || take_turn(state, server->handshakes_rate, listener->worker->loop.now_ns)))
        return true;
    atomic_fetch_sub_explicit(&state->handshakes, 1, memory_order_relaxed);
    return false;
}

/* Those who wait begin, in their order, as far as there is room. */
static void admit_waiting(struct listener *listener)
{
    while (!list_is_empty(&listener->waiting) && admit(listener)) {
        struct tls_layer *tls = CONTAINER_OF(listener->waiting.next, struct tls_layer, link);
        struct connection *c = connection_of(tls);
        list_remove(&tls->link);
        listener->waiting_count--;
        c->handshake = HANDSHAKE_COUNTED;
        connection_handshake(c);
    }
}

/* Places that other workers give back are seen here. */
static void next_turn(struct timer *timer)
{
    struct listener *listener = CONTAINER_OF(timer, struct listener, waiting_turn);
    struct loop *loop = &listener->worker->loop;
    listener->connections_count++; /* or the last connection would free it */
    admit_waiting(listener);
    if (!list_is_empty(&listener->waiting))
        timer_set(loop, timer, loop->now_ms + TURN_MS);
    if (--listener->connections_count == 0 && listener->closed)
        listener_free(listener);
}

static bool queue(struct connection *c)
{
    struct listener *listener = c->listener;
    struct loop *loop = &listener->worker->loop;
    if (listener->waiting_count >= listener->config->tls->handshakes_queue) {
        listener_state_count(listener->config->state, LIMIT_HANDSHAKES);
        return false;
    }
    listener_state_count(listener->config->state, LIMIT_HANDSHAKES_QUEUED);
    c->handshake = HANDSHAKE_QUEUED;
    list_push_back(&listener->waiting, &c->tls->link);
    listener->waiting_count++;
    listener->waiting_turn.on_due = next_turn;
    if (!timer_is_set(&listener->waiting_turn))
        timer_set(loop, &listener->waiting_turn, loop->now_ms + TURN_MS);
    return true;
}

bool handshake_begin(struct connection *c)
{
    c->tls = tls_server_accept(c->listener->config->tls, &c->socket);
    if (!c->tls) {
        listener_state_count(c->listener->config->state, LIMIT_MEMORY);
        return false;
    }
    c->h1.layer = &c->tls->layer;
    if (list_is_empty(&c->listener->waiting) && admit(c->listener)) {
        c->handshake = HANDSHAKE_COUNTED;
        return true;
    }
    return queue(c);
}

void handshake_leave(struct connection *c)
{
    struct listener *listener = c->listener;
    enum handshake_place place = (enum handshake_place)c->handshake;
    c->handshake = HANDSHAKE_NONE;
    if (place == HANDSHAKE_QUEUED) {
        list_remove(&c->tls->link);
        listener->waiting_count--;
    } else if (place == HANDSHAKE_COUNTED) {
        atomic_fetch_sub_explicit(&listener->config->state->handshakes, 1, memory_order_relaxed);
    }
}

/* --- the end of a handshake --- */

/* Port scans and health checks that only connect are no news. */
static void say_failure(const struct connection *c, const struct tls_layer *tls)
{
    if (tls->failure == TLS_FAILURE_CLOSED || !worker_may_log(c->listener->worker))
        return;
    log_info("TLS handshake failed", LOG_TEXT("listener", c->listener->config->name),
             LOG_TEXT("peer", ((struct text){c->ip, c->ip_size})),
             LOG_STRING("kind", tls_failure_names[tls->failure]),
             LOG_STRING("reason", tls->reason ? tls->reason : ""),
             LOG_STRING("detail", tls->detail ? tls->detail : ""));
}

/* As the peer speaks no TLS, it is told without: in plain text, since it is people who mistype a URL. */
static void tell_plain(struct connection *c)
{
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"
                                 "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 64\r\n\r\n"
                                 "This port speaks HTTPS: the request came without TLS. Use https.";
    static_assert(sizeof "This port speaks HTTPS: the request came without TLS. Use https." == 65,
                  "its length");
    struct iovec part = {(void *)(uintptr_t)answer, sizeof answer - 1};
    (void)layer_write(&c->socket.layer, &part, 1); /* it is told if there is room, and closed anyway */
    c->h1.layer = &c->socket.layer;
}

enum handshake_progress handshake_go_on(struct connection *c)
{
    struct worker *worker = c->listener->worker;
    struct tls_layer *tls = c->tls;
    if (c->handshake == HANDSHAKE_QUEUED)
        return c->socket.ended ? HANDSHAKE_FAILED : HANDSHAKE_WAIT;
    if (!c->listener->config->tls) { /* a reload took TLS off the listener before the client was heard */
        tls_layer_fail(tls, TLS_FAILURE_INTERNAL, "the listener speaks no TLS any more");
    } else {
        tls->context = c->listener->config->tls;
    }
    switch (layer_open(&tls->layer)) {
    case LAYER_WAIT: return HANDSHAKE_WAIT;
    case LAYER_DONE:
        handshake_leave(c);
        tls_count_handshake(&worker->counts.tls, tls->ssl);
        return HANDSHAKE_DONE;
    case LAYER_FAILED: break;
    }
    handshake_leave(c);
    tls_count_failure(&worker->counts.tls, tls->failure);
    say_failure(c, tls);
    if (tls->failure != TLS_FAILURE_PLAIN_HTTP)
        return HANDSHAKE_FAILED;
    tell_plain(c);
    return HANDSHAKE_PLAIN;
}

void handshake_time_out(struct connection *c)
{
    listener_state_count(c->listener->config->state, LIMIT_HANDSHAKE_TIMEOUT);
    tls_count_failure(&c->listener->worker->counts.tls, TLS_FAILURE_TIMEOUT);
}
