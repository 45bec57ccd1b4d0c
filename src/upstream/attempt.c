/* Tries an endpoint. */
#include "upstream/attempt.h"

#include <errno.h>

#include "base/check.h"

/* What a try says about its endpoint. */
enum attempt_outcome { OUTCOME_GOOD, OUTCOME_BAD, OUTCOME_UNKNOWN };

static enum attempt_failure fail(struct attempt *attempt, enum attempt_failure failure)
{
    attempt->failure = failure;
    return failure;
}

/* The try is over for the endpoint's counters. */
static void leave_endpoint(struct attempt *attempt, struct upstream_worker *worker,
                           enum attempt_outcome outcome)
{
    if (!attempt->endpoint)
        return;
    atomic_fetch_sub_explicit(&attempt->endpoint->in_flight, 1, memory_order_relaxed);
    if (outcome == OUTCOME_UNKNOWN)
        atomic_fetch_add_explicit(&attempt->endpoint->requests, 1, memory_order_relaxed);
    else
        service_report(attempt->service, attempt->endpoint, outcome == OUTCOME_BAD, worker->loop->now_ms);
    attempt->endpoint = NULL;
}

/* The buffer with the answer's head goes to the attempt: its texts are needed until the end of the exchange. */
static void hold_input(struct attempt *attempt, struct h1_stream *h1)
{
    struct buffer **last = &attempt->held;
    while (*last)
        last = &(*last)->next;
    *last = h1_stream_take_input(h1);
}

static void attach(struct attempt *attempt, struct origin_connection *connection, enum attempt_state state)
{
    attempt->connection = connection;
    attempt->state = state;
    connection->attempt = attempt;
}

void attempt_abort(struct attempt *attempt, struct upstream_worker *worker, bool failed)
{
    struct origin_connection *connection = attempt->connection;
    attempt->connection = NULL;
    attempt->state = ATTEMPT_NONE;
    leave_endpoint(attempt, worker, failed ? OUTCOME_BAD : OUTCOME_UNKNOWN);
    if (!connection)
        return;
    hold_input(attempt, &connection->h1);
    pool_give(connection, attempt->service, false);
}

static enum attempt_failure connect_failed(struct attempt *attempt, int error)
{
    attempt->error = error;
    if (error == -EADDRNOTAVAIL)
        return fail(attempt, ATTEMPT_NO_ENDPOINT);
    return fail(attempt, error == -ENOMEM ? ATTEMPT_NO_MEMORY : ATTEMPT_CONNECT_FAILED);
}

enum attempt_failure attempt_start(struct attempt *attempt, struct upstream_worker *worker,
                                   const struct service *service)
{
    int index = service_pick(service, attempt->tried, worker->loop->now_ms);
    attempt->service = service;
    attempt->failure = ATTEMPT_FINE;
    attempt->got_byte = false;
    attempt->reused = false;
    if (index < 0)
        return fail(attempt, ATTEMPT_NO_ENDPOINT);
    attempt->tried |= index < 64 ? UINT64_C(1) << index : 0;
    attempt->endpoint = service->endpoints[index].endpoint;
    struct pool *pool = &attempt->endpoint->pools[worker->index];
    struct origin_connection *connection = pool_take(pool, service);
    atomic_fetch_add_explicit(&attempt->endpoint->in_flight, 1, memory_order_relaxed);
    if (connection) {
        attempt->reused = true;
        attach(attempt, connection, ATTEMPT_CONNECTED);
        return ATTEMPT_FINE;
    }
    int error = 0;
    connection = pool_connect(pool, service, &error);
    if (!connection) {
        attempt_abort(attempt, worker, error != -ENOMEM && error != -EMFILE && error != -ENFILE);
        return connect_failed(attempt, error);
    }
    attach(attempt, connection, ATTEMPT_CONNECTING);
    return ATTEMPT_FINE;
}

static enum attempt_failure tls_failed(struct attempt *attempt, struct upstream_worker *worker)
{
    const struct tls_layer *tls = attempt->connection->tls;
    attempt->tls.failure = tls->failure;
    attempt->tls.reason = tls->reason;
    attempt->tls.detail = tls->detail;
    tls_count_failure(&worker->tls, tls->failure);
    attempt_abort(attempt, worker, true);
    return fail(attempt, ATTEMPT_TLS_FAILED);
}

enum attempt_failure attempt_connected(struct attempt *attempt, struct upstream_worker *worker)
{
    struct origin_connection *connection = attempt->connection;
    struct tls_layer *tls = connection->tls;
    if (tls)
        tls->context = attempt->service->tls;
    switch (layer_open(connection->h1.layer)) {
    case LAYER_WAIT:
        if (tls && connection->socket.connected)
            attempt->state = ATTEMPT_SECURING;
        return ATTEMPT_FINE;
    case LAYER_DONE:
        if (tls)
            tls_count_handshake(&worker->tls, tls->ssl);
        attempt->state = ATTEMPT_CONNECTED;
        return ATTEMPT_FINE;
    case LAYER_FAILED: break;
    }
    if (tls && tls->failure != TLS_FINE)
        return tls_failed(attempt, worker);
    int error = connection->socket.error;
    attempt_abort(attempt, worker, true);
    return connect_failed(attempt, -error);
}

enum h1_head_status attempt_read_head(struct attempt *attempt, struct arena *arena, enum http_method method,
                                      struct response *response)
{
    struct h1_stream *h1 = &attempt->connection->h1;
    enum h1_head_status status =
        h1_stream_read_response(h1, &attempt->service->limits, arena, method, response);
    attempt->got_byte |= status == H1_HEAD_DONE || status == H1_HEAD_REFUSED || h1_stream_in_head(h1);
    return status;
}

void attempt_finish(struct attempt *attempt, struct upstream_worker *worker, bool reusable)
{
    struct origin_connection *connection = attempt->connection;
    struct h1_stream *h1 = &connection->h1;
    bool leftover =
        h1->in && h1->in->start < h1->in->end; /* bytes after the answer: nothing that was asked for */
    hold_input(attempt, h1);
    attempt->connection = NULL;
    attempt->state = ATTEMPT_NONE;
    leave_endpoint(attempt, worker, OUTCOME_GOOD);
    pool_give(connection, attempt->service, reusable && !leftover);
}

void attempt_release(struct attempt *attempt, struct upstream_worker *worker)
{
    if (attempt->connection)
        attempt_abort(attempt, worker, false);
    while (attempt->held) {
        struct buffer *next = attempt->held->next;
        buffer_give(worker->buffers, attempt->held);
        attempt->held = next;
    }
}
