/* Tries an endpoint. */
#include "upstream/attempt.h"

#include <errno.h>

#include "base/check.h"
#include "base/time.h"
#include "http/retry_after.h"

static enum attempt_failure fail(struct attempt *attempt, enum attempt_failure failure)
{
    attempt->failure = failure;
    return failure;
}

/* Tells the balancer how long the endpoint took. */
static void time_answer(const struct attempt *attempt, const struct upstream_worker *worker, bool failed)
{
    const struct balance_rules *rules = &attempt->service->balance;
    if (rules->type->is_timed && attempt->endpoint) /* a probe has none */
        endpoint_timed(attempt->endpoint, (worker->loop->now_ns - attempt->sent_ns) / NS_PER_US, failed,
                       rules->decay_ms, worker->loop->now_ms);
}

/* The try is over for the endpoint's counters. `report` NULL: nothing is known. */
static void leave_endpoint(struct attempt *attempt, struct upstream_worker *worker,
                           const struct try_report *report)
{
    if (!attempt->endpoint)
        return;
    atomic_fetch_sub_explicit(&attempt->endpoint->in_flight, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&attempt->group->in_flight, 1, memory_order_relaxed);
    if (report && report->fault != FAULT_NONE)
        time_answer(attempt, worker, true);
    service_ended(attempt->service, attempt->endpoint, &attempt->admission, report, worker->loop->now_ms);
    attempt->endpoint = NULL;
    queue_endpoint_freed(attempt->service);
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
    if (failed && attempt->report.fault == FAULT_NONE)
        attempt->report.fault = attempt->state == ATTEMPT_CONNECTED ? FAULT_CLOSED : FAULT_CONNECT;
    attempt->connection = NULL;
    attempt->state = ATTEMPT_NONE;
    leave_endpoint(attempt, worker, failed ? &attempt->report : NULL);
    if (!connection)
        return;
    hold_input(attempt, &connection->h1);
    pool_give(connection, attempt->service, false);
}

static enum attempt_failure connect_failed(struct attempt *attempt, int error)
{
    attempt->error = error;
    return fail(attempt, error == -ENOMEM ? ATTEMPT_NO_MEMORY : ATTEMPT_CONNECT_FAILED);
}

static void reset(struct attempt *attempt, struct upstream_worker *worker, const struct service *service)
{
    attempt->service = service;
    attempt->failure = ATTEMPT_FINE;
    attempt->got_byte = false;
    attempt->reused = false;
    attempt->report = (struct try_report){.latency_ns = -1};
    attempt->sent_ns = worker->loop->now_ns;
}

static void enter_endpoint(struct attempt *attempt, const struct picked *picked)
{
    pick_note_tried(&attempt->pick, picked->endpoint);
    attempt->endpoint = picked->endpoint;
    attempt->endpoint_hash = picked->endpoint->hash;
    attempt->group = picked->shared;
    atomic_fetch_add_explicit(&attempt->group->in_flight, 1, memory_order_relaxed);
}

/* An endpoint that takes one more request, in the order of the balancing; BUSY: all have as many as they may. */
static enum attempt_failure choose(struct attempt *attempt, const struct service *service, int64_t now_ms)
{
    struct picked picked;
    struct pick passed,
        *pick = &attempt->pick; /* `passed`: with those that were busy, which were not tried */
    enum admit admit;
    uint32_t busy = 0;
    while ((admit = service_admit(service, pick, now_ms, &picked, &attempt->admission)) == ADMIT_FINE) {
        if (LIKELY(service_occupy(service, picked.endpoint))) {
            enter_endpoint(attempt, &picked);
            return ATTEMPT_FINE;
        }
        service_withdrawn(service, picked.endpoint, &attempt->admission, now_ms);
        if (busy++ == service_set(service)->count)
            return ATTEMPT_BUSY;
        if (pick == &attempt->pick)
            passed = attempt->pick;
        pick = &passed;
        pick_note_tried(pick, picked.endpoint);
    }
    return busy > 0 ? ATTEMPT_BUSY : admit == ADMIT_BREAKER ? ATTEMPT_BREAKER_OPEN : ATTEMPT_NO_ENDPOINT;
}

enum attempt_failure attempt_start(struct attempt *attempt, struct upstream_worker *worker,
                                   const struct service *service)
{
    reset(attempt, worker, service);
    enum attempt_failure failure = choose(attempt, service, worker->loop->now_ms);
    if (failure != ATTEMPT_FINE)
        return fail(attempt, failure);
    struct pool *pool = &attempt->endpoint->pools[worker->index];
    struct origin_connection *connection = pool_take(pool, service);
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

enum attempt_failure attempt_probe(struct attempt *attempt, struct upstream_worker *worker,
                                   const struct service *service, struct endpoint *endpoint)
{
    int error = 0;
    reset(attempt, worker, service);
    struct origin_connection *connection = pool_connect(&endpoint->pools[worker->index], service, &error);
    if (!connection)
        return connect_failed(attempt, error);
    attach(attempt, connection, ATTEMPT_CONNECTING);
    return ATTEMPT_FINE;
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

/* The answer's head is there: its latency, and what it says about coming back. */
static void answered(struct attempt *attempt, const struct response *response)
{
    const struct loop *loop = attempt->connection->worker->loop;
    const struct service *service = attempt->service;
    attempt->report.status = response->status;
    attempt->report.latency_ns = loop->now_ns - attempt->sent_ns;
    if (!attempt->endpoint)
        return;
    if (response->status >= 400 && (service->breaker.retry_after || service->endpoint_breaker.retry_after))
        attempt->report.retry_after_ms =
            retry_after_ms(fields_get_known(&response->fields, NAME_RETRY_AFTER), loop->wall_ns);
    service_answered(service, attempt->endpoint, &attempt->admission, &attempt->report, loop->now_ms);
}

enum h1_head_status attempt_read_head(struct attempt *attempt, struct arena *arena, enum http_method method,
                                      struct response *response)
{
    struct h1_stream *h1 = &attempt->connection->h1;
    enum h1_head_status status =
        h1_stream_read_response(h1, &attempt->service->limits, arena, method, response);
    if (status == H1_HEAD_DONE && (response->status >= 200 || response->status == 101))
        time_answer(attempt, attempt->connection->worker, false);
    attempt->got_byte |= status == H1_HEAD_DONE || status == H1_HEAD_REFUSED || h1_stream_in_head(h1);
    if (status == H1_HEAD_DONE && (response->status >= 200 || response->status == 101))
        answered(attempt, response);
    else if (status == H1_HEAD_REFUSED)
        attempt->report.fault = FAULT_INVALID;
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
    leave_endpoint(attempt, worker, &attempt->report);
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
