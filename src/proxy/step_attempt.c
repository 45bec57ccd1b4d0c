/* Steps of an attempt: an endpoint is tried, the request goes up, the answer's head comes. */
#include "base/check.h"
#include "proxy/affinity.h"
#include "proxy/body.h"
#include "proxy/connection.h"
#include "proxy/deadline.h"
#include "proxy/forward.h"
#include "proxy/relay.h"
#include "proxy/step.h"
#include "proxy/timeouts.h"
#include "proxy/worker.h"

enum { INTERIM_MAX = 16 };

static enum exchange_error error_of(enum attempt_failure failure)
{
    switch (failure) {
    case ATTEMPT_NO_ENDPOINT: return ERROR_NO_ENDPOINT;
    case ATTEMPT_BREAKER_OPEN: return ERROR_BREAKER_OPEN;
    case ATTEMPT_CONNECT_FAILED: return ERROR_CONNECT_FAILED;
    case ATTEMPT_TLS_FAILED: return ERROR_TLS_FAILED;
    case ATTEMPT_NO_MEMORY: return ERROR_NO_MEMORY;
    case ATTEMPT_CLOSED: return ERROR_ORIGIN_CLOSED;
    case ATTEMPT_INVALID: return ERROR_ORIGIN_INVALID;
    case ATTEMPT_BUSY:
    case ATTEMPT_FINE: break;
    }
    return ERROR_NONE;
}

/* The client is told nothing of it. */
static void say_tls_failure(const struct exchange *ex)
{
    if (!worker_may_log(ex->worker))
        return;
    const struct attempt *attempt = &ex->attempt;
    log_warn(
        "TLS with an endpoint failed", LOG_TEXT("service", ex->service->name),
        LOG_TEXT("endpoint", ex->endpoint_url), LOG_STRING("kind", tls_failure_names[attempt->tls.failure]),
        LOG_STRING("reason", attempt->tls.reason ? attempt->tls.reason : ""),
        LOG_STRING("detail", attempt->tls.detail ? attempt->tls.detail : ""), LOG_INT("exchange", ex->id));
}

/* The service's own words, and when to come back. */
static enum step_result refuse_by_breaker(struct exchange *ex)
{
    struct breaker_answer say;
    enum step_result result = step_answer(ex, ERROR_BREAKER_OPEN);
    ex->attempts--; /* nobody was asked */
    service_breaker_answer(ex->service, ex->loop->now_ms, &say);
    exchange_respond_problem(ex, say.status, say.detail);
    fields_add_known(&ex->response.fields, NAME_RETRY_AFTER,
                     arena_format(&ex->arena, "%lld", (long long)say.retry_after_s));
    return result;
}

static enum step_result attempt_failed(struct exchange *ex, enum attempt_failure failure)
{
    if (failure == ATTEMPT_BREAKER_OPEN)
        return refuse_by_breaker(ex);
    if (failure == ATTEMPT_TLS_FAILED)
        say_tls_failure(ex);
    bool connecting = failure == ATTEMPT_CONNECT_FAILED || failure == ATTEMPT_TLS_FAILED;
    if (connecting && step_may_retry(ex, RETRY_CONNECT_FAILURE))
        return step_try_again(ex, RETRY_CONNECT_FAILURE);
    return step_fail(ex, error_of(failure));
}

/* --- the try --- */

static enum step_result begin_attempt(struct exchange *ex)
{
    if (!ex->service)
        return step_answer(ex, ERROR_NO_ROUTE);
    if (ex->service->body_because && !body_request_is_whole(ex))
        return step_gather_then(ex, EXCHANGE_ATTEMPT);
    enum step_result placed = step_take_place(ex, false);
    if (placed != STEP_GO || ex->step != EXCHANGE_ATTEMPT)
        return placed;
    if (!forward_prepare_request(ex))
        return step_fail(ex, ERROR_NO_MEMORY);
    if (ex->attempts++ == 0) {
        if (ex->service->balance.asks_request)
            affinity_prepare(ex);
        step_prepare_replay(ex);
    }
    if (ex->service->retry.try_timeout_ms > 0) {
        ex->deadline_try_ms = ex->loop->now_ms + ex->service->retry.try_timeout_ms;
        deadline_arm(ex, ex->deadline_try_ms);
    }
    ex->sink_failed = false;
    ex->attempt_ns = ex->loop->now_ns;
    enum attempt_failure failure = attempt_start(&ex->attempt, &ex->worker->upstream, ex->service);
    if (failure == ATTEMPT_BUSY) {
        ex->attempts--;
        return step_take_place(ex, true);
    }
    queue_started(ex->service, &ex->place);
    ex->queue_until_ms = 0;
    if (ex->attempts == 1)
        retry_count_request(&ex->service->retry, ex->worker->index, ex->loop->now_ms);
    if (failure != ATTEMPT_FINE)
        return attempt_failed(ex, failure);
    ex->endpoint_url =
        arena_copy(&ex->arena, ex->attempt.endpoint->url); /* the endpoint may go before the exchange */
    if (ex->attempt.state == ATTEMPT_CONNECTING)
        deadline_phase(ex, timeout_connect_ms(ex));
    return STEP_GO;
}

enum step_result step_attempt(struct exchange *ex)
{
    if (ex->attempt.state == ATTEMPT_NONE) {
        enum step_result progress = begin_attempt(ex);
        if (progress != STEP_GO || ex->step != EXCHANGE_ATTEMPT || ex->attempt.state == ATTEMPT_NONE)
            return progress;
    }
    if (attempt_is_connecting(&ex->attempt)) {
        enum attempt_state before = ex->attempt.state;
        enum attempt_failure failure = attempt_connected(&ex->attempt, &ex->worker->upstream);
        if (failure != ATTEMPT_FINE)
            return attempt_failed(ex, failure);
        if (ex->attempt.state == ATTEMPT_SECURING && before != ATTEMPT_SECURING)
            deadline_phase(ex, ex->service->tls_timeout_ms);
        if (attempt_is_connecting(&ex->attempt))
            return STEP_WAIT;
    }
    ex->deadline_phase_ms = INT64_MAX;
    if (!forward_request_head(
            ex, &ex->attempt)) /* nothing was sent: the head is larger than a buffer, or there is none */
        return step_fail(ex, ERROR_NO_MEMORY);
    if (!step_allow_body(ex))
        return step_give_up(ex, ERROR_CLIENT_CLOSED);
    ex->step = EXCHANGE_EXPECT_ANSWER;
    return STEP_GO;
}

/* --- its answer --- */

/* The origin went away before a whole head of an answer. */
static enum step_result origin_gone(struct exchange *ex)
{
    if (step_hedge_replaces(ex, !ex->attempt.reused || ex->attempt.got_byte))
        return STEP_GO;
    bool retry = !ex->attempt.got_byte && step_may_retry(ex, RETRY_RESET);
    attempt_abort(&ex->attempt, &ex->worker->upstream, !ex->attempt.reused || ex->attempt.got_byte);
    return retry ? step_try_again(ex, RETRY_RESET) : step_fail(ex, ERROR_ORIGIN_CLOSED);
}

/* An interim answer goes to clients that know them; 100 only if it was not given yet. */
static enum step_result pass_interim(struct exchange *ex)
{
    struct connection *c = ex->connection;
    bool skip = ex->request.version_minor == 0
                || (ex->response.status == 100 && (ex->continue_sent || !ex->request.expects_continue));
    ex->continue_sent |= ex->response.status == 100;
    if (++ex->interims > INTERIM_MAX)
        return step_fail(ex, ERROR_ORIGIN_INVALID);
    struct h1_write how = {.keep_alive = true, .head_only = true};
    if (!skip
        && (!c->h1.stream.type->send_response(ex->client, &ex->response, &how) || !stream_flush(ex->client)))
        return step_fail(ex, ERROR_CLIENT_CLOSED);
    h1_stream_next(&ex->attempt.connection->h1); /* the texts of the head end here */
    fields_init(&ex->response.fields, &ex->arena);
    return STEP_GO;
}

static enum step_result answered(struct exchange *ex)
{
    if (ex->response.status < 200 && ex->response.status != 101)
        return pass_interim(ex);
    if (ex->response.status == 101 && !(ex->request.upgrade && ex->route->websocket))
        return step_fail(ex, ERROR_ORIGIN_INVALID); /* nobody asked for it */
    if (ex->hedge && step_is_to_retry(ex, &ex->response) && step_hedge_replaces(ex, false))
        return STEP_GO;
    if (step_retry_answer(ex))
        return STEP_GO;
    step_hedge_drop(ex);
    hedge_answered(&ex->service->hedge, ex->loop->now_ns - ex->attempt_ns);
    ex->upgraded = ex->response.status == 101;
    ex->answered_ns = ex->loop->now_ns;
    ex->deadline_phase_ms = ex->deadline_try_ms = INT64_MAX;
    ex->attempt.connection->h1.trailers = &ex->response.trailers;
    fields_init(&ex->response.trailers, &ex->arena);
    ex->chain_at = ex->plan->count;
    ex->step = EXCHANGE_RESPONSE_POLICIES;
    return STEP_GO;
}

/* The body goes up; STEP_GO: look for an answer. */
static enum step_result send_body(struct exchange *ex)
{
    bool done = ex->request_done;
    enum relay_result result = relay_request(ex);
    switch (result) {
    case RELAY_SINK_FAILED: /* it may have answered before it closed: look, whatever the events say */
        ex->sink_failed = true;
        ex->attempt.connection->socket.readable = true;
        return STEP_GO;
    case RELAY_BLOCKED_SOURCE: deadline_body(ex); return STEP_GO;
    case RELAY_BLOCKED_SINK: deadline_pause(ex, PEER_SERVICE, timeout_take_ms(ex)); return STEP_GO;
    case RELAY_DONE:
        if (ex->request_bytes > 0 && !done)
            ex->attempt.sent_ns = ex->loop->now_ns; /* a slow upload is not the service's latency */
        if (!done || ex->deadline_phase_ms == INT64_MAX)
            deadline_phase(ex, timeout_response_ms(ex));
        step_hedge_plan(ex);
        return STEP_GO;
    case RELAY_REFUSED:
    case RELAY_SOURCE_FAILED:
    case RELAY_TOO_LARGE:
    case RELAY_POLICY:
    case RELAY_NO_MEMORY: return step_request_failed(ex, result);
    }
    UNREACHABLE();
}

enum step_result step_expect_answer(struct exchange *ex)
{
    if (!ex->sink_failed) {
        send_body(ex);
        if (ex->step != EXCHANGE_EXPECT_ANSWER || ex->ended)
            return ex->ended ? STEP_END : STEP_GO;
    }
    if (ex->hedge && step_hedge_answered(ex))
        return answered(ex);
    fields_init(&ex->response.fields, &ex->arena);
    switch (attempt_read_head(&ex->attempt, &ex->arena, ex->request.method, &ex->response)) {
    case H1_HEAD_DONE: return answered(ex);
    case H1_HEAD_BLOCKED: return ex->sink_failed ? origin_gone(ex) : STEP_WAIT;
    case H1_HEAD_REFUSED: return step_fail(ex, ERROR_ORIGIN_INVALID);
    case H1_HEAD_NO_BUFFER: return step_fail(ex, ERROR_NO_MEMORY);
    case H1_HEAD_END:
    case H1_HEAD_FAILED: return origin_gone(ex);
    }
    UNREACHABLE();
}
