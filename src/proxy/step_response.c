/* Steps after the answer's head: response hooks run, the head goes out, bodies flow, what is queued is sent. */
#include "base/check.h"
#include "proxy/body.h"
#include "proxy/chain.h"
#include "proxy/connection.h"
#include "proxy/deadline.h"
#include "proxy/forward.h"
#include "proxy/problem.h"
#include "proxy/relay.h"
#include "proxy/step.h"
#include "proxy/timeouts.h"
#include "proxy/worker.h"

/* What is still to be read of the request goes on to the origin meanwhile. GO: it does. */
static enum step_result send_rest(struct exchange *ex)
{
    if (ex->request_done || ex->sink_failed || !ex->attempt.connection)
        return STEP_GO;
    enum relay_result up = relay_request(ex);
    if (up == RELAY_SINK_FAILED)
        ex->sink_failed = true;
    else if (up != RELAY_DONE && up != RELAY_BLOCKED_SINK && up != RELAY_BLOCKED_SOURCE)
        return step_request_failed(ex, up);
    return STEP_GO;
}

/* The answer's body is too large, or breaks off, or finds no memory. */
static enum step_result response_failed(struct exchange *ex, enum relay_result result)
{
    switch (result) {
    case RELAY_REFUSED: return step_fail(ex, ERROR_ORIGIN_INVALID);
    case RELAY_SOURCE_FAILED: return step_fail(ex, ERROR_ORIGIN_CLOSED);
    case RELAY_TOO_LARGE: return step_fail(ex, ERROR_RESPONSE_TOO_LARGE);
    case RELAY_SINK_FAILED: return step_give_up(ex, ERROR_CLIENT_CLOSED);
    case RELAY_POLICY: return step_fail(ex, ex->error ? ex->error : ERROR_POLICY_FAULT);
    case RELAY_NO_MEMORY: return step_fail(ex, ERROR_BUFFERS_FULL);
    case RELAY_BLOCKED_SOURCE:
    case RELAY_BLOCKED_SINK:
    case RELAY_DONE: break;
    }
    UNREACHABLE();
}

/* The answer has been read whole: the origin's connection goes back, if both messages are complete. */
static void origin_done(struct exchange *ex)
{
    if (ex->attempt.connection)
        attempt_finish(&ex->attempt, &ex->worker->upstream,
                       ex->response.keep_alive && ex->request_done && !ex->sink_failed);
    if (ex->service)
        queue_leave(ex->service, &ex->place);
}

enum step_result step_buffer_response(struct exchange *ex)
{
    enum step_result rest = send_rest(ex);
    if (rest != STEP_GO || ex->step != EXCHANGE_BUFFER_RESPONSE || ex->ended)
        return ex->ended ? STEP_END : rest;
    enum relay_result result = body_gather_response(ex);
    if (result == RELAY_BLOCKED_SOURCE) {
        deadline_pause(ex, PEER_SERVICE, timeout_idle_ms(ex));
        return STEP_WAIT;
    }
    if (result != RELAY_DONE)
        return response_failed(ex, result);
    ex->deadline_phase_ms = INT64_MAX;
    if (ex->request_done)
        origin_done(ex);
    ex->step = EXCHANGE_RESPONSE_POLICIES;
    return STEP_GO;
}

enum step_result step_response_policies(struct exchange *ex)
{
    bool local = ex->local;
    enum chain_result result = chain_response(ex);
    if (ex->local && !local && ex->attempt.connection) { /* a policy replaced the origin's answer */
        attempt_abort(&ex->attempt, &ex->worker->upstream, false);
        step_settle_request(ex); /* nobody takes what is left of it */
    }
    switch (result) {
    case CHAIN_WAIT: return STEP_WAIT;
    case CHAIN_RESPOND:
    case CHAIN_DONE: ex->step = EXCHANGE_SEND_HEAD; return STEP_GO;
    case CHAIN_BODY: ex->step = EXCHANGE_BUFFER_RESPONSE; return STEP_GO;
    case CHAIN_DROP: return step_give_up(ex, ERROR_POLICY_REFUSED);
    case CHAIN_FAULT: break;
    }
    if (ex->attempt.connection)
        attempt_abort(&ex->attempt, &ex->worker->upstream, false);
    ex->error = ex->error ? ex->error : ERROR_POLICY_FAULT;
    struct problem problem = problem_of(ERROR_POLICY_FAULT);
    exchange_respond_problem(ex, problem.status, problem.detail);
    if (ex->chain_at > 0)
        ex->chain_at--; /* the outer ones still see the answer */
    return STEP_GO;
}

enum step_result step_send_head(struct exchange *ex)
{
    if (UNLIKELY(ex->arena.failed) && !ex->arena_failed_once)
        step_answer_without_memory(ex);
    ex->upgraded =
        ex->upgraded && ex->attempt.connection && !ex->local; /* a policy may have answered instead */
    if (!forward_response_head(ex)) {
        forward_last_word(ex);
        return step_give_up(ex, ERROR_NO_MEMORY);
    }
    ex->head_sent = true;
    if (ex->upgraded) {
        if (!stream_flush(ex->client))
            return step_give_up(ex, ERROR_CLIENT_CLOSED);
        h1_stream_tunnel(&ex->connection->h1);
        h1_stream_tunnel(&ex->attempt.connection->h1);
        ex->request_done = ex->response_done = false;
        ex->keep = false;
        ex->step = EXCHANGE_TUNNEL;
        return STEP_GO;
    }
    ex->step = EXCHANGE_RELAY;
    return STEP_GO;
}

/* The answer is complete: the origin's connection goes back, if both messages are. */
static enum step_result response_over(struct exchange *ex)
{
    origin_done(ex);
    ex->step = EXCHANGE_FINISH;
    return STEP_GO;
}

enum step_result step_relay(struct exchange *ex)
{
    enum step_result rest = send_rest(ex);
    if (rest != STEP_GO || ex->step != EXCHANGE_RELAY || ex->ended)
        return ex->ended ? STEP_END : rest;
    enum relay_result result = relay_response(ex);
    switch (result) {
    case RELAY_DONE: return response_over(ex);
    case RELAY_BLOCKED_SOURCE: deadline_pause(ex, PEER_SERVICE, timeout_idle_ms(ex)); return STEP_WAIT;
    case RELAY_BLOCKED_SINK: deadline_pause(ex, PEER_CLIENT, timeout_send_ms(ex)); return STEP_WAIT;
    case RELAY_REFUSED:
    case RELAY_SOURCE_FAILED:
    case RELAY_TOO_LARGE:
    case RELAY_SINK_FAILED:
    case RELAY_POLICY:
    case RELAY_NO_MEMORY: break;
    }
    return response_failed(ex, result);
}

enum step_result step_tunnel(struct exchange *ex)
{
    enum relay_result result = relay_tunnel(ex);
    if (result == RELAY_BLOCKED_SOURCE || result == RELAY_BLOCKED_SINK) {
        deadline_pause(ex, PEER_SERVICE, timeout_idle_ms(ex));
        return STEP_WAIT;
    }
    ex->ended = true;
    return STEP_END;
}

enum step_result step_finish(struct exchange *ex)
{
    if (!stream_flush(ex->client))
        return step_give_up(ex, ERROR_CLIENT_CLOSED);
    if (stream_backlog(ex->client) > 0) {
        deadline_pause(ex, PEER_CLIENT, timeout_send_ms(ex));
        return STEP_WAIT;
    }
    ex->ended = true;
    return STEP_END;
}
