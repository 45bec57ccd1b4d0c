/* The driver loop: one function for each step of an exchange, in the order in which they happen.
 *
 * A step returns GO (the next step, which it has set), WAIT (an event, a deadline or an operation will wake the exchange) or END. This file
 * is long because the steps of an exchange read best in one place. */
#include "proxy/driver.h"

#include "base/check.h"
#include "base/memory.h"
#include "proxy/chain.h"
#include "proxy/connection.h"
#include "proxy/deadline.h"
#include "proxy/forward.h"
#include "proxy/listener_state.h"
#include "proxy/match.h"
#include "proxy/problem.h"
#include "proxy/record.h"
#include "proxy/relay.h"
#include "proxy/worker.h"

enum progress { GO, WAIT, END };

enum {
    ARENA_BLOCK = 8 * 1024,
    ARENA_MAX = 1 << 20,
    ARENA_RESERVE = 32 * 1024,
    INTERIM_MAX = 16,
    SETTLE_PIECES_MAX = 64,
    BODY_RATE_GRACE_MS = 5000
};
enum { EXCHANGE_BYTES = sizeof(struct exchange) + ARENA_BLOCK }; /* as a rule */

/* --- life --- */

static void on_due(struct timer *timer);
static void on_attempt_event(struct attempt *attempt)
{
    exchange_wake(CONTAINER_OF(attempt, struct exchange, attempt));
}

struct exchange *exchange_new(struct worker *worker)
{
    struct exchange *ex = worker->free_exchanges;
    if (ex) {
        worker->free_exchanges = ex->next_free;
        worker->free_exchanges_count--;
    } else {
        ex = memory_zero(sizeof *ex);
        if (!ex)
            return NULL;
        arena_init(&ex->arena, ARENA_BLOCK, ARENA_MAX);
        counter_bump(&worker->counts.exchange_bytes, EXCHANGE_BYTES);
    }
    ex->worker = worker;
    ex->loop = &worker->loop;
    return ex;
}

void exchange_free(struct exchange *ex)
{
    struct worker *worker = ex->worker;
    struct arena arena = ex->arena;
    arena_reset(&arena);
    arena.limit = ARENA_MAX;
    if (worker->free_exchanges_count >= WORKER_FREE_EXCHANGES) {
        arena_release(&arena);
        memory_free(ex);
        counter_bump(&worker->counts.exchange_bytes, -(uint64_t)EXCHANGE_BYTES);
        return;
    }
    memset(ex, 0, offsetof(struct exchange, captures));
    ex->captures.count = 0;
    ex->arena = arena;
    ex->next_free = worker->free_exchanges;
    worker->free_exchanges = ex;
    worker->free_exchanges_count++;
}

static void count_limit(const struct exchange *ex, enum limit limit)
{
    listener_state_count(ex->connection->listener->config->state, limit);
}

/* What is left of a request that will not be passed on: bytes that are here already are read and dropped, so that the connection may be kept;
 * more is not waited for. */
static void settle_request(struct exchange *ex)
{
    for (int pieces = 0; pieces < SETTLE_PIECES_MAX && !ex->request_done && stream_pending(ex->client);
         pieces++) {
        struct text dropped;
        enum stream_status status = stream_read(ex->client, &dropped);
        if (status == STREAM_END)
            ex->request_done = true;
        else if (status != STREAM_DATA)
            break;
    }
    if (!ex->request_done)
        ex->keep = false;
}

/* Answers from here with the outcome's problem document. */
static enum progress answer(struct exchange *ex, enum exchange_error error)
{
    struct problem problem = problem_of(error);
    ex->error = error;
    settle_request(ex);
    exchange_respond_problem(ex, problem.status, problem.detail);
    if (ex->step <= EXCHANGE_EXPECT_ANSWER)
        chain_turn(ex);
    else if (ex->chain_at > 0)
        ex->chain_at--; /* the hook that was under way is over; the outer ones still see the answer */
    ex->step = EXCHANGE_RESPONSE_POLICIES;
    return GO;
}

/* Nothing more can be said to the client: the connection is closed. */
static enum progress give_up(struct exchange *ex, enum exchange_error error)
{
    if (ex->error == ERROR_NONE)
        ex->error = error;
    ex->keep = false;
    ex->ended = true;
    return END;
}

/* An answer if the head is not out yet, else the end. */
static enum progress fail(struct exchange *ex, enum exchange_error error)
{
    if (ex->attempt.connection)
        attempt_abort(&ex->attempt, &ex->worker->upstream,
                      error == ERROR_IDLE_TIMEOUT || error == ERROR_RESPONSE_TIMEOUT
                          || error == ERROR_ORIGIN_INVALID || error == ERROR_ORIGIN_CLOSED
                          || error == ERROR_CONNECT_TIMEOUT);
    if (ex->head_sent || ex->upgraded)
        return give_up(ex, error);
    return answer(ex, error);
}

/* --- beginning --- */

static enum exchange_error error_of_refusal(enum h1_refusal refusal)
{
    return refusal == H1_REFUSALS_COUNT ? ERROR_REQUEST_TIMEOUT
           : refusal == H1_NO_MEMORY    ? ERROR_NO_MEMORY
                                        : ERROR_BAD_REQUEST;
}

/* A head that could not be understood: what was parsed of it is not used. */
static void refuse_head(struct exchange *ex, enum h1_refusal refusal)
{
    arena_reset(&ex->arena);
    ex->request = (struct request){.version_minor = 1};
    fields_init(&ex->request.fields, &ex->arena);
    ex->keep = false;
    ex->request_done = true;
    ex->error = error_of_refusal(refusal);
    unsigned status = refusal == H1_REFUSALS_COUNT ? 408 : h1_refusal_status(refusal);
    struct text detail = refusal == H1_REFUSALS_COUNT ? problem_of(ERROR_REQUEST_TIMEOUT).detail
                                                      : text_of(h1_refusal_text(refusal));
    exchange_respond_problem(ex, status, detail);
    ex->step = EXCHANGE_SEND_HEAD;
}

void exchange_begin(struct exchange *ex, struct connection *connection, enum h1_refusal refusal)
{
    struct worker *worker = ex->worker;
    ex->connection = connection;
    ex->client = &connection->h1.stream;
    ex->pin = worker->pin;
    worker_pin_take(ex->pin);
    ex->snapshot = ex->pin->snapshot;
    ex->id = (uint64_t)worker->index << 48 | ++worker->next_id;
    ex->began_ns = ex->loop->now_ns;
    ex->deadline_total_ms = ex->deadline_phase_ms = INT64_MAX;
    ex->timer.on_due = on_due;
    ex->attempt.on_event = on_attempt_event;
    uint32_t requests_max = connection->listener->config->requests_max;
    ex->keep = ex->request.keep_alive && (!requests_max || connection->requests + 1 < requests_max);
    list_push_front(&worker->exchanges, &ex->link);
    worker->exchanges_count++;
    metric_add(worker->metrics, METRIC_REQUESTS_IN_FLIGHT, 1);
    if (refusal != H1_FINE) {
        refuse_head(ex, refusal);
    } else {
        ex->request_done = connection->h1.in_done;
        connection->h1.trailers = &ex->request.trailers;
        fields_init(&ex->request.trailers, &ex->arena);
        ex->request.scheme = TEXT("http"); /* of the connection: what an absolute-form says proves nothing */
        ex->step = EXCHANGE_ROUTE;
    }
    ex->note.exchange = ex->id;
    ex->note.path = ex->request.path;
    forward_client_address(ex);
    exchange_wake(ex);
}

static void end(struct exchange *ex)
{
    struct worker *worker = ex->worker;
    struct connection *connection = ex->connection;
    bool keep = ex->keep && ex->request_done;
    chain_cancel(ex);
    timer_clear(ex->loop, &ex->timer);
    if (ex->attempt.connection)
        attempt_abort(&ex->attempt, &worker->upstream, false);
    record_exchange(ex);
    chain_end(ex);
    relay_release(ex);
    attempt_release(&ex->attempt, &worker->upstream);
    list_remove(&ex->link);
    worker->exchanges_count--;
    metric_subtract(worker->metrics, METRIC_REQUESTS_IN_FLIGHT, 1);
    struct snapshot_pin *pin = ex->pin;
    exchange_free(ex);
    connection_exchange_done(connection, keep);
    worker_pin_drop(pin);
    worker_check_drained(worker);
}

/* --- steps --- */

static enum progress step_route(struct exchange *ex)
{
    const struct listener_config *config = ex->connection->listener->config;
    ex->route = match_route(ex);
    ex->service = ex->route->service;
    chain_set_plan(ex, ex->route->plan);
    if (ex->error == ERROR_POLICY_FAULT) /* its path could not be rewritten */
        return answer(ex, ERROR_POLICY_FAULT);
    int64_t max = ex->route->body_bytes_max >= 0 ? ex->route->body_bytes_max : config->body_bytes_max;
    if (ex->request.body.kind == BODY_LENGTH && max > 0 && ex->request.body.length > (uint64_t)max) {
        count_limit(ex, LIMIT_BODY);
        ex->keep = false;
        return answer(ex, ERROR_BODY_TOO_LARGE);
    }
    int64_t total_ms = ex->route->total_timeout_ms >= 0 ? ex->route->total_timeout_ms
                       : ex->service                    ? ex->service->total_timeout_ms
                                                        : 0;
    if (total_ms > 0) {
        ex->deadline_total_ms = ex->loop->now_ms + total_ms;
        deadline_arm(ex, ex->deadline_total_ms);
    }
    ex->step =
        ex->plan->request_whole && !ex->request_done ? EXCHANGE_BUFFER_REQUEST : EXCHANGE_REQUEST_POLICIES;
    return GO;
}

/* A client that waits for permission gets it (RFC 9110 section 10.1.1), once. */
static bool allow_body(struct exchange *ex)
{
    if (!ex->request.expects_continue || ex->continue_sent || ex->request_done)
        return true;
    ex->continue_sent = true;
    return ex->request.version_minor == 0
           || h1_stream_send_raw(&ex->connection->h1, TEXT("HTTP/1.1 100 Continue\r\n\r\n"));
}

/* Bytes that have moved on either side so far: a pause ends only when there are more. */
static uint64_t moved(const struct exchange *ex)
{
    const struct h1_stream *client = &ex->connection->h1;
    const struct h1_stream *origin = ex->attempt.connection ? &ex->attempt.connection->h1 : NULL;
    return client->bytes_in + client->bytes_out + (origin ? origin->bytes_in + origin->bytes_out : 0);
}

/* The deadline of a pause of `whom`. It is set when something has moved or the turn to move has passed to the other side, not whenever the
 * exchange is woken: a peer that only makes events gains no time. */
static void pause_at_most(struct exchange *ex, enum exchange_peer whom, int64_t pause_ms)
{
    uint64_t now_moved = moved(ex);
    if (now_moved == ex->moved && whom == ex->paused && ex->deadline_phase_ms != INT64_MAX)
        return;
    ex->moved = now_moved;
    ex->paused = whom;
    deadline_phase(ex, pause_ms);
}

/* How long the client may pause, and how long at all at the slowest rate. */
static void await_body(struct exchange *ex)
{
    const struct listener_config *config = ex->connection->listener->config;
    if (!ex->body_began_ms)
        ex->body_began_ms = ex->loop->now_ms;
    int64_t pause_ms = config->body_timeout_ms;
    if (config->body_rate_min > 0) {
        int64_t by_rate_ms = ex->body_began_ms + BODY_RATE_GRACE_MS
                             + (int64_t)(ex->request_bytes * 1000 / (uint64_t)config->body_rate_min)
                             - ex->loop->now_ms;
        ex->body_rate_counts = by_rate_ms < pause_ms;
        pause_ms = MIN_OF(pause_ms, MAX_OF(by_rate_ms, 0));
    }
    pause_at_most(ex, PEER_CLIENT, pause_ms);
}

static enum progress refuse_size(struct exchange *ex)
{
    bool buffered = ex->step == EXCHANGE_BUFFER_REQUEST
                    && ex->request_bytes > (uint64_t)ex->connection->listener->config->buffered_bytes_max;
    count_limit(ex, buffered ? LIMIT_BUFFERED_BODY : LIMIT_BODY);
    ex->keep = false;
    return fail(ex, ERROR_BODY_TOO_LARGE);
}

/* A body that breaks the protocol, or whose trailers are too large. */
static enum progress refuse_body(struct exchange *ex)
{
    enum h1_refusal refusal = ex->connection->h1.stream.refusal;
    if (refusal == H1_TRAILERS_TOO_LARGE)
        count_limit(ex, LIMIT_TRAILERS);
    enum progress progress = fail(ex, ERROR_BAD_REQUEST);
    if (!ex->ended)
        exchange_respond_problem(ex, h1_refusal_status(refusal), text_of(h1_refusal_text(refusal)));
    return progress;
}

static enum progress request_failed(struct exchange *ex, enum relay_result result)
{
    switch (result) {
    case RELAY_TOO_LARGE: return refuse_size(ex);
    case RELAY_REFUSED: return refuse_body(ex);
    case RELAY_NO_MEMORY: return fail(ex, ERROR_NO_MEMORY);
    case RELAY_POLICY:
        if (ex->local && ex->error == ERROR_NONE && !ex->head_sent) {
            attempt_abort(&ex->attempt, &ex->worker->upstream, false);
            ex->error = ERROR_POLICY_REFUSED;
            ex->keep = false;
            ex->chain_at = ex->plan->count;
            ex->step = EXCHANGE_RESPONSE_POLICIES;
            return GO;
        }
        return fail(ex, ex->error ? ex->error : ERROR_POLICY_FAULT);
    case RELAY_SOURCE_FAILED:
        if (ex->attempt.connection)
            attempt_abort(&ex->attempt, &ex->worker->upstream, false);
        return give_up(ex, ERROR_CLIENT_CLOSED);
    case RELAY_BLOCKED_SOURCE:
    case RELAY_BLOCKED_SINK:
    case RELAY_DONE:
    case RELAY_SINK_FAILED: break;
    }
    UNREACHABLE();
}

static enum progress step_buffer_request(struct exchange *ex)
{
    if (!allow_body(ex))
        return give_up(ex, ERROR_CLIENT_CLOSED);
    enum relay_result result = relay_whole_request(ex);
    if (result == RELAY_BLOCKED_SOURCE) {
        await_body(ex);
        return WAIT;
    }
    if (result != RELAY_DONE)
        return request_failed(ex, result);
    ex->deadline_phase_ms = INT64_MAX;
    ex->step = EXCHANGE_REQUEST_POLICIES;
    return GO;
}

static enum progress step_request_policies(struct exchange *ex)
{
    switch (chain_request(ex)) {
    case CHAIN_WAIT: return WAIT;
    case CHAIN_DONE: ex->step = EXCHANGE_ATTEMPT; return GO;
    case CHAIN_RESPOND:
        if (ex->response.status >= 400)
            ex->error = ERROR_POLICY_REFUSED;
        settle_request(ex);
        chain_turn(ex);
        ex->step = EXCHANGE_RESPONSE_POLICIES;
        return GO;
    case CHAIN_DROP: return give_up(ex, ERROR_POLICY_REFUSED);
    case CHAIN_FAULT: return fail(ex, ex->error ? ex->error : ERROR_POLICY_FAULT);
    }
    UNREACHABLE();
}

static bool may_retry(const struct exchange *ex, enum retry_on reason)
{
    const struct service *service = ex->service;
    if (!(service->retry_on & reason) || ex->attempts > service->retry_attempts)
        return false;
    if (reason == RETRY_CONNECT_FAILURE)
        return !ex->request_begun || ex->whole;
    return (ex->whole || !ex->request_begun) && method_is_idempotent(ex->request.method);
}

static enum progress try_again(struct exchange *ex)
{
    if (ex->whole)
        ex->request_done = false;
    ex->step = EXCHANGE_ATTEMPT;
    return GO;
}

static enum exchange_error error_of(enum attempt_failure failure)
{
    switch (failure) {
    case ATTEMPT_NO_ENDPOINT: return ERROR_NO_ENDPOINT;
    case ATTEMPT_CONNECT_FAILED: return ERROR_CONNECT_FAILED;
    case ATTEMPT_NO_MEMORY: return ERROR_NO_MEMORY;
    case ATTEMPT_CLOSED: return ERROR_ORIGIN_CLOSED;
    case ATTEMPT_INVALID: return ERROR_ORIGIN_INVALID;
    case ATTEMPT_FINE: break;
    }
    return ERROR_NONE;
}

static enum progress attempt_failed(struct exchange *ex, enum attempt_failure failure)
{
    if (failure == ATTEMPT_CONNECT_FAILED && may_retry(ex, RETRY_CONNECT_FAILURE))
        return try_again(ex);
    return fail(ex, error_of(failure));
}

static enum progress begin_attempt(struct exchange *ex)
{
    if (!ex->service)
        return answer(ex, ERROR_NO_ROUTE);
    if (!forward_prepare_request(ex))
        return fail(ex, ERROR_NO_MEMORY);
    ex->attempts++;
    ex->sink_failed = false;
    ex->attempt_ns = ex->loop->now_ns;
    enum attempt_failure failure = attempt_start(&ex->attempt, &ex->worker->upstream, ex->service);
    if (failure != ATTEMPT_FINE)
        return attempt_failed(ex, failure);
    ex->endpoint_url = ex->attempt.endpoint->url;
    if (ex->attempt.state == ATTEMPT_CONNECTING)
        deadline_phase(ex, ex->service->connect_timeout_ms);
    return GO;
}

static enum progress step_attempt(struct exchange *ex)
{
    if (ex->attempt.state == ATTEMPT_NONE) {
        enum progress progress = begin_attempt(ex);
        if (progress != GO || ex->step != EXCHANGE_ATTEMPT || ex->attempt.state == ATTEMPT_NONE)
            return progress;
    }
    if (ex->attempt.state == ATTEMPT_CONNECTING) {
        enum attempt_failure failure = attempt_connected(&ex->attempt, &ex->worker->upstream);
        if (failure != ATTEMPT_FINE)
            return attempt_failed(ex, failure);
        if (ex->attempt.state == ATTEMPT_CONNECTING)
            return WAIT;
    }
    ex->deadline_phase_ms = INT64_MAX;
    if (!forward_request_head(ex)) /* nothing was sent: the head is larger than a buffer, or there is none */
        return fail(ex, ERROR_NO_MEMORY);
    if (!allow_body(ex))
        return give_up(ex, ERROR_CLIENT_CLOSED);
    ex->step = EXCHANGE_EXPECT_ANSWER;
    return GO;
}

/* The origin went away before a whole head of an answer. */
static enum progress origin_gone(struct exchange *ex)
{
    bool retry = ex->attempt.reused && !ex->attempt.got_byte && may_retry(ex, RETRY_RESET);
    attempt_abort(&ex->attempt, &ex->worker->upstream, !ex->attempt.reused || ex->attempt.got_byte);
    return retry ? try_again(ex) : fail(ex, ERROR_ORIGIN_CLOSED);
}

/* An interim answer goes to clients that know them; 100 only if it was not given yet. */
static enum progress pass_interim(struct exchange *ex)
{
    struct connection *c = ex->connection;
    bool skip = ex->request.version_minor == 0
                || (ex->response.status == 100 && (ex->continue_sent || !ex->request.expects_continue));
    ex->continue_sent |= ex->response.status == 100;
    if (++ex->interims > INTERIM_MAX)
        return fail(ex, ERROR_ORIGIN_INVALID);
    struct h1_write how = {.keep_alive = true, .head_only = true};
    if (!skip
        && (!c->h1.stream.type->send_response(ex->client, &ex->response, &how) || !stream_flush(ex->client)))
        return fail(ex, ERROR_CLIENT_CLOSED);
    h1_stream_next(&ex->attempt.connection->h1); /* the texts of the head end here */
    fields_init(&ex->response.fields, &ex->arena);
    return GO;
}

static enum progress answered(struct exchange *ex)
{
    if (ex->response.status < 200 && ex->response.status != 101)
        return pass_interim(ex);
    if (ex->response.status == 101 && !(ex->request.upgrade && ex->route->websocket))
        return fail(ex, ERROR_ORIGIN_INVALID); /* nobody asked for it */
    ex->upgraded = ex->response.status == 101;
    ex->answered_ns = ex->loop->now_ns;
    ex->deadline_phase_ms = INT64_MAX;
    ex->attempt.connection->h1.trailers = &ex->response.trailers;
    fields_init(&ex->response.trailers, &ex->arena);
    ex->chain_at = ex->plan->count;
    ex->step = EXCHANGE_RESPONSE_POLICIES;
    return GO;
}

/* The body goes up; GO: look for an answer. */
static enum progress send_body(struct exchange *ex)
{
    bool done = ex->request_done;
    enum relay_result result = relay_request(ex);
    switch (result) {
    case RELAY_SINK_FAILED: /* it may have answered before it closed: look, whatever the events say */
        ex->sink_failed = true;
        ex->attempt.connection->socket.readable = true;
        return GO;
    case RELAY_BLOCKED_SOURCE: await_body(ex); return GO;
    case RELAY_BLOCKED_SINK: pause_at_most(ex, PEER_SERVICE, ex->service->idle_timeout_ms); return GO;
    case RELAY_DONE:
        if (!done || ex->deadline_phase_ms == INT64_MAX)
            deadline_phase(ex, ex->route->response_timeout_ms >= 0 ? ex->route->response_timeout_ms
                                                                   : ex->service->response_timeout_ms);
        return GO;
    case RELAY_REFUSED:
    case RELAY_SOURCE_FAILED:
    case RELAY_TOO_LARGE:
    case RELAY_POLICY:
    case RELAY_NO_MEMORY: return request_failed(ex, result);
    }
    UNREACHABLE();
}

static enum progress step_expect_answer(struct exchange *ex)
{
    if (!ex->sink_failed) {
        send_body(ex);
        if (ex->step != EXCHANGE_EXPECT_ANSWER || ex->ended)
            return ex->ended ? END : GO;
    }
    fields_init(&ex->response.fields, &ex->arena);
    switch (attempt_read_head(&ex->attempt, &ex->arena, ex->request.method, &ex->response)) {
    case H1_HEAD_DONE: return answered(ex);
    case H1_HEAD_BLOCKED: return ex->sink_failed ? origin_gone(ex) : WAIT;
    case H1_HEAD_REFUSED: return fail(ex, ERROR_ORIGIN_INVALID);
    case H1_HEAD_NO_BUFFER: return fail(ex, ERROR_NO_MEMORY);
    case H1_HEAD_END:
    case H1_HEAD_FAILED: return origin_gone(ex);
    }
    UNREACHABLE();
}

static enum progress step_response_policies(struct exchange *ex)
{
    bool local = ex->local;
    enum chain_result result = chain_response(ex);
    if (ex->local && !local && ex->attempt.connection) { /* a policy replaced the origin's answer */
        attempt_abort(&ex->attempt, &ex->worker->upstream, false);
        settle_request(ex); /* nobody takes what is left of it */
    }
    switch (result) {
    case CHAIN_WAIT: return WAIT;
    case CHAIN_RESPOND:
    case CHAIN_DONE: ex->step = EXCHANGE_SEND_HEAD; return GO;
    case CHAIN_DROP: return give_up(ex, ERROR_POLICY_REFUSED);
    case CHAIN_FAULT: break;
    }
    if (ex->attempt.connection)
        attempt_abort(&ex->attempt, &ex->worker->upstream, false);
    ex->error = ex->error ? ex->error : ERROR_POLICY_FAULT;
    struct problem problem = problem_of(ERROR_POLICY_FAULT);
    exchange_respond_problem(ex, problem.status, problem.detail);
    if (ex->chain_at > 0)
        ex->chain_at--; /* the outer ones still see the answer */
    return GO;
}

/* The exchange's memory is used up: what was to be said is not reliable, so 503 is said instead, from a reserve. */
static void answer_without_memory(struct exchange *ex)
{
    struct problem problem = problem_of(ERROR_NO_MEMORY);
    ex->arena_failed_once = true;
    ex->arena.failed = false;
    ex->arena.limit += ARENA_RESERVE;
    ex->error = ERROR_NO_MEMORY;
    count_limit(ex, LIMIT_ARENA);
    if (ex->attempt.connection)
        attempt_abort(&ex->attempt, &ex->worker->upstream, false);
    settle_request(ex);
    exchange_respond_problem(ex, problem.status, problem.detail);
}

static enum progress step_send_head(struct exchange *ex)
{
    if (UNLIKELY(ex->arena.failed) && !ex->arena_failed_once)
        answer_without_memory(ex);
    ex->upgraded =
        ex->upgraded && ex->attempt.connection && !ex->local; /* a policy may have answered instead */
    if (!forward_response_head(ex)) {
        forward_last_word(ex);
        return give_up(ex, ERROR_NO_MEMORY);
    }
    ex->head_sent = true;
    if (ex->upgraded) {
        if (!stream_flush(ex->client))
            return give_up(ex, ERROR_CLIENT_CLOSED);
        h1_stream_tunnel(&ex->connection->h1);
        h1_stream_tunnel(&ex->attempt.connection->h1);
        ex->request_done = ex->response_done = false;
        ex->keep = false;
        ex->step = EXCHANGE_TUNNEL;
        return GO;
    }
    ex->step = EXCHANGE_RELAY;
    return GO;
}

/* The answer is complete: the origin's connection goes back, if both messages are. */
static enum progress response_over(struct exchange *ex)
{
    if (ex->attempt.connection) {
        bool reusable = ex->response.keep_alive && ex->request_done && !ex->sink_failed;
        attempt_finish(&ex->attempt, &ex->worker->upstream, reusable);
    }
    ex->step = EXCHANGE_FINISH;
    return GO;
}

static enum progress step_relay(struct exchange *ex)
{
    if (!ex->request_done && !ex->local && !ex->sink_failed) {
        enum relay_result up = relay_request(ex);
        if (up == RELAY_SINK_FAILED)
            ex->sink_failed = true;
        else if (up != RELAY_DONE && up != RELAY_BLOCKED_SINK && up != RELAY_BLOCKED_SOURCE)
            return request_failed(ex, up);
    }
    switch (relay_response(ex)) {
    case RELAY_DONE: return response_over(ex);
    case RELAY_BLOCKED_SOURCE: pause_at_most(ex, PEER_SERVICE, ex->service->idle_timeout_ms); return WAIT;
    case RELAY_BLOCKED_SINK:
        pause_at_most(ex, PEER_CLIENT, ex->connection->listener->config->send_timeout_ms);
        return WAIT;
    case RELAY_SINK_FAILED: return give_up(ex, ERROR_CLIENT_CLOSED);
    case RELAY_REFUSED: return fail(ex, ERROR_ORIGIN_INVALID);
    case RELAY_SOURCE_FAILED: return fail(ex, ERROR_ORIGIN_CLOSED);
    case RELAY_POLICY: return fail(ex, ex->error ? ex->error : ERROR_POLICY_FAULT);
    case RELAY_TOO_LARGE:
    case RELAY_NO_MEMORY: break;
    }
    return fail(ex, ERROR_NO_MEMORY);
}

static enum progress step_tunnel(struct exchange *ex)
{
    enum relay_result result = relay_tunnel(ex);
    if (result == RELAY_BLOCKED_SOURCE || result == RELAY_BLOCKED_SINK) {
        pause_at_most(ex, PEER_SERVICE, ex->service->idle_timeout_ms);
        return WAIT;
    }
    ex->ended = true;
    return END;
}

static enum progress step_finish(struct exchange *ex)
{
    if (!stream_flush(ex->client))
        return give_up(ex, ERROR_CLIENT_CLOSED);
    if (stream_backlog(ex->client) > 0) {
        pause_at_most(ex, PEER_CLIENT, ex->connection->listener->config->send_timeout_ms);
        return WAIT;
    }
    ex->ended = true;
    return END;
}

static const struct {
    const char *name;
    enum progress (*run)(struct exchange *ex);
} steps[] = {
    [EXCHANGE_ROUTE] = {"route", step_route},
    [EXCHANGE_BUFFER_REQUEST] = {"buffer-request", step_buffer_request},
    [EXCHANGE_REQUEST_POLICIES] = {"request-policies", step_request_policies},
    [EXCHANGE_ATTEMPT] = {"attempt", step_attempt},
    [EXCHANGE_EXPECT_ANSWER] = {"expect-answer", step_expect_answer},
    [EXCHANGE_RESPONSE_POLICIES] = {"response-policies", step_response_policies},
    [EXCHANGE_SEND_HEAD] = {"send-head", step_send_head},
    [EXCHANGE_RELAY] = {"relay", step_relay},
    [EXCHANGE_TUNNEL] = {"tunnel", step_tunnel},
    [EXCHANGE_FINISH] = {"finish", step_finish},
};
static_assert(COUNT_OF(steps) == EXCHANGE_STEPS_COUNT, "a function for each step");

const char *exchange_step_name(const struct exchange *ex)
{
    return ex->waiting.operation ? ex->waiting.name : steps[ex->step].name;
}

const char *exchange_waiting_for(const struct exchange *ex)
{
    if (ex->waiting.operation)
        return ex->waiting.what;
    switch (ex->step) {
    case EXCHANGE_BUFFER_REQUEST:
    case EXCHANGE_FINISH: return "client";
    case EXCHANGE_ATTEMPT: return "connect";
    case EXCHANGE_EXPECT_ANSWER: return ex->request_done ? "service" : "client";
    case EXCHANGE_RELAY: return stream_backlog(ex->client) ? "client" : "service";
    case EXCHANGE_TUNNEL: return "both sides";
    case EXCHANGE_ROUTE:
    case EXCHANGE_REQUEST_POLICIES:
    case EXCHANGE_RESPONSE_POLICIES:
    case EXCHANGE_SEND_HEAD:
    case EXCHANGE_STEPS_COUNT: break;
    }
    return "";
}

/* --- the loop --- */

/* For a crash report, should this step be the last. */
static void note_step(struct exchange *ex)
{
    ex->note.step = steps[ex->step].name;
    if (ex->step == EXCHANGE_REQUEST_POLICIES && ex->route)
        ex->note.route = ex->route->name;
}

static void go_on(struct task *task)
{
    struct exchange *ex = CONTAINER_OF(task, struct exchange, turn);
    ex->turn_posted = false;
    exchange_wake(ex);
}

void exchange_wake(struct exchange *ex)
{
    if (ex->running) {
        ex->again = true;
        return;
    }
    ex->running = true;
    crash_note_set(&ex->note);
    do {
        ex->again = false;
        do
            note_step(ex);
        while (!ex->ended && steps[ex->step].run(ex) == GO);
    } while (ex->again && !ex->ended);
    ex->running = false;
    crash_note_set(NULL);
    if (ex->ended && !ex->turn_posted) {
        end(ex);
    } else if ((ex->yielded || ex->ended) && !ex->turn_posted) {
        ex->yielded = false;
        ex->turn_posted = true;
        ex->turn.run = go_on;
        loop_post(ex->loop, &ex->turn);
    }
}

/* --- deadlines --- */

static enum exchange_error phase_error(const struct exchange *ex)
{
    switch (ex->step) {
    case EXCHANGE_BUFFER_REQUEST: return ERROR_CLIENT_TIMEOUT;
    case EXCHANGE_ATTEMPT: return ERROR_CONNECT_TIMEOUT;
    case EXCHANGE_EXPECT_ANSWER:
        if (ex->request_done)
            return ERROR_RESPONSE_TIMEOUT;
        if (stream_backlog(&ex->attempt.connection->h1.stream) > STREAM_HIGH_WATER || ex->up.filled > 0)
            return ERROR_IDLE_TIMEOUT; /* the service takes nothing of the request */
        return ERROR_CLIENT_TIMEOUT;
    case EXCHANGE_ROUTE:
    case EXCHANGE_REQUEST_POLICIES:
    case EXCHANGE_RESPONSE_POLICIES:
    case EXCHANGE_SEND_HEAD:
    case EXCHANGE_TUNNEL:
    case EXCHANGE_STEPS_COUNT: break;
    case EXCHANGE_RELAY:
    case EXCHANGE_FINISH:
        if (stream_backlog(ex->client) > 0 || ex->down.filled > 0)
            return ERROR_CLIENT_TIMEOUT; /* it takes nothing of the answer */
        break;
    }
    return ERROR_IDLE_TIMEOUT;
}

/* Limits of the listener; what the service exceeds is counted as an error of its kind. */
static void count_timeout(const struct exchange *ex, enum exchange_error error)
{
    if (error != ERROR_CLIENT_TIMEOUT)
        return;
    bool sending = ex->step == EXCHANGE_RELAY || ex->step == EXCHANGE_FINISH;
    count_limit(ex, sending                ? LIMIT_SEND_TIMEOUT
                    : ex->body_rate_counts ? LIMIT_BODY_RATE
                                           : LIMIT_BODY_TIMEOUT);
}

static void time_out_operation(struct exchange *ex)
{
    struct await *operation = ex->waiting.operation;
    if (operation->cancel)
        operation->cancel(operation);
    if (operation->status == AWAIT_DONE) { /* a delay: its deadline is what it waits for */
        chain_ready(operation, AWAIT_DONE, NULL);
        return;
    }
    count_limit(ex, LIMIT_POLICY_TIMEOUT);
    chain_ready(operation, AWAIT_TIMEOUT, "it took too long");
}

static void time_out(struct exchange *ex, enum exchange_error error)
{
    count_timeout(ex, error);
    chain_cancel(ex);
    ex->deadline_phase_ms = ex->deadline_total_ms = INT64_MAX;
    if (error == ERROR_CONNECT_TIMEOUT && may_retry(ex, RETRY_CONNECT_FAILURE)) {
        attempt_abort(&ex->attempt, &ex->worker->upstream, true);
        try_again(ex);
    } else {
        fail(ex, error);
    }
    exchange_wake(ex);
}

static void on_due(struct timer *timer)
{
    struct exchange *ex = CONTAINER_OF(timer, struct exchange, timer);
    int64_t now_ms = ex->loop->now_ms, next_ms = MIN_OF(ex->deadline_phase_ms, ex->deadline_total_ms);
    if (ex->deadline_total_ms <= now_ms) {
        time_out(ex, ERROR_TOTAL_TIMEOUT);
    } else if (ex->waiting.operation && ex->waiting.deadline_ms <= now_ms) {
        deadline_arm(ex, MIN_OF(next_ms, INT64_MAX - 1));
        time_out_operation(ex);
    } else if (ex->deadline_phase_ms <= now_ms) {
        time_out(ex, phase_error(ex));
    } else {
        if (ex->waiting.operation)
            next_ms = MIN_OF(next_ms, ex->waiting.deadline_ms);
        if (next_ms != INT64_MAX)
            timer_set(ex->loop, timer, next_ms);
    }
}

void exchange_kill(struct exchange *ex, enum exchange_error error)
{
    chain_cancel(ex);
    give_up(ex, error);
    exchange_wake(ex);
}
