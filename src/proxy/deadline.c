/* The deadlines of an exchange: when they are set, and what happens when one passes. */
#include "proxy/deadline.h"

#include "proxy/chain.h"
#include "proxy/connection.h"
#include "proxy/step.h"
#include "proxy/timeouts.h"
#include "proxy/worker.h"

enum { BODY_RATE_GRACE_MS = 5000 };

/* --- pauses --- */

/* Bytes that have moved on either side so far: a pause ends only when there are more. */
static uint64_t moved(const struct exchange *ex)
{
    const struct h1_stream *client = &ex->connection->h1;
    const struct h1_stream *origin = ex->attempt.connection ? &ex->attempt.connection->h1 : NULL;
    return client->bytes_in + client->bytes_out + (origin ? origin->bytes_in + origin->bytes_out : 0);
}

void deadline_pause(struct exchange *ex, enum exchange_peer whom, int64_t pause_ms)
{
    uint64_t now_moved = moved(ex);
    if (now_moved == ex->moved && whom == ex->paused && ex->deadline_phase_ms != INT64_MAX)
        return;
    ex->moved = now_moved;
    ex->paused = whom;
    deadline_phase(ex, pause_ms);
}

void deadline_body(struct exchange *ex)
{
    const struct listener_config *config = ex->connection->listener->config;
    if (!ex->body_began_ms)
        ex->body_began_ms = ex->loop->now_ms;
    int64_t pause_ms = timeout_body_ms(ex);
    if (config->body_rate_min > 0) {
        int64_t by_rate_ms = ex->body_began_ms + BODY_RATE_GRACE_MS
                             + (int64_t)(ex->request_bytes * 1000 / (uint64_t)config->body_rate_min)
                             - ex->loop->now_ms;
        ex->body_rate_counts = by_rate_ms < pause_ms;
        pause_ms = MIN_OF(pause_ms, MAX_OF(by_rate_ms, 0));
    }
    deadline_pause(ex, PEER_CLIENT, pause_ms);
}

/* --- passing --- */

static enum exchange_error phase_error(const struct exchange *ex)
{
    switch (ex->step) {
    case EXCHANGE_BUFFER_REQUEST: return ERROR_CLIENT_TIMEOUT;
    case EXCHANGE_ATTEMPT:
        return ex->attempt.state == ATTEMPT_SECURING ? ERROR_TLS_TIMEOUT : ERROR_CONNECT_TIMEOUT;
    case EXCHANGE_EXPECT_ANSWER:
        if (ex->request_done)
            return ERROR_RESPONSE_TIMEOUT;
        if (stream_backlog(&ex->attempt.connection->h1.stream) > STREAM_HIGH_WATER || ex->up.filled > 0)
            return ERROR_IDLE_TIMEOUT; /* the service takes nothing of the request */
        return ERROR_CLIENT_TIMEOUT;
    case EXCHANGE_ROUTE:
    case EXCHANGE_REQUEST_POLICIES:
    case EXCHANGE_QUEUE: return ERROR_QUEUE_TIMEOUT;
    case EXCHANGE_BACK_OFF:
    case EXCHANGE_RESPONSE_POLICIES:
    case EXCHANGE_BUFFER_RESPONSE:
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
    step_count_limit(ex, sending                ? LIMIT_SEND_TIMEOUT
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
    step_count_limit(ex, LIMIT_POLICY_TIMEOUT);
    chain_ready(operation, AWAIT_TIMEOUT, "it took too long");
}

/* The attempt took too long: may there be another one? */
static bool tried_again(struct exchange *ex, enum exchange_error error)
{
    bool connecting = ex->step == EXCHANGE_ATTEMPT, sending = ex->step == EXCHANGE_EXPECT_ANSWER;
    enum retry_on reason = connecting ? RETRY_CONNECT_FAILURE : RETRY_TIMEOUT;
    bool slow = error == ERROR_RESPONSE_TIMEOUT && sending;
    if (slow)
        ex->attempt.report.fault = FAULT_TIMEOUT;
    if (slow && step_hedge_replaces(ex, true))
        return true;
    if (error == ERROR_TOTAL_TIMEOUT || error == ERROR_CLIENT_TIMEOUT || (!connecting && !sending)
        || !step_may_retry(ex, reason))
        return false;
    ex->attempt.report.fault = connecting ? FAULT_CONNECT : FAULT_TIMEOUT;
    attempt_abort(&ex->attempt, &ex->worker->upstream, true);
    step_try_again(ex, reason);
    return true;
}

static void time_out(struct exchange *ex, enum exchange_error error)
{
    count_timeout(ex, error);
    chain_cancel(ex);
    if (error == ERROR_TLS_TIMEOUT)
        tls_count_failure(&ex->worker->upstream.tls, TLS_FAILURE_TIMEOUT);
    if (!tried_again(ex, error)) {
        ex->deadline_phase_ms = ex->deadline_try_ms = ex->deadline_total_ms = INT64_MAX;
        error == ERROR_QUEUE_TIMEOUT ? step_queue_timed_out(ex) : step_fail(ex, error);
    }
    exchange_wake(ex);
}

/* A try has had its time, whoever is slow. */
static enum exchange_error try_error(const struct exchange *ex)
{
    return ex->step == EXCHANGE_ATTEMPT ? phase_error(ex) : ERROR_RESPONSE_TIMEOUT;
}

void deadline_passed(struct timer *timer)
{
    struct exchange *ex = CONTAINER_OF(timer, struct exchange, timer);
    int64_t now_ms = ex->loop->now_ms;
    int64_t next_ms = MIN_OF(MIN_OF(ex->deadline_phase_ms, ex->deadline_try_ms), ex->deadline_total_ms);
    bool hedge = ex->deadline_hedge_ms <= now_ms;
    if (ex->deadline_total_ms > now_ms && ex->deadline_total_ms != INT64_MAX)
        deadline_arm(ex, ex->deadline_total_ms); /* whatever comes next */
    if (!hedge)
        next_ms = MIN_OF(next_ms, ex->deadline_hedge_ms);
    if (ex->deadline_total_ms <= now_ms) {
        time_out(ex, ERROR_TOTAL_TIMEOUT);
    } else if (ex->waiting.operation && ex->waiting.deadline_ms <= now_ms) {
        deadline_arm(ex, MIN_OF(next_ms, INT64_MAX - 1));
        time_out_operation(ex);
    } else if (ex->deadline_try_ms <= now_ms) {
        time_out(ex, try_error(ex));
    } else if (ex->deadline_phase_ms <= now_ms && ex->step == EXCHANGE_BACK_OFF) {
        exchange_wake(ex); /* its time has come */
    } else if (hedge) {
        deadline_arm(ex, MIN_OF(next_ms, INT64_MAX - 1));
        step_hedge_begin(ex);
        exchange_wake(ex);
    } else if (ex->deadline_phase_ms <= now_ms) {
        time_out(ex, phase_error(ex));
    } else {
        if (ex->waiting.operation)
            next_ms = MIN_OF(next_ms, ex->waiting.deadline_ms);
        if (next_ms != INT64_MAX)
            timer_set(ex->loop, timer, next_ms);
    }
}
