/* Steps before the first attempt: the route is found, the body is buffered if something needs it whole, request hooks run. */
#include <inttypes.h>

#include "base/check.h"
#include "proxy/body.h"
#include "proxy/chain.h"
#include "proxy/connection.h"
#include "proxy/deadline.h"
#include "proxy/match.h"
#include "proxy/relay.h"
#include "proxy/step.h"
#include "proxy/timeouts.h"
#include "proxy/worker.h"
#include "tls/peer.h"
#include "tls/server.h"

bool step_allow_body(struct exchange *ex)
{
    if (!ex->request.expects_continue || ex->continue_sent || ex->request_done)
        return true;
    ex->continue_sent = true;
    return ex->request.version_minor == 0
           || h1_stream_send_raw(&ex->connection->h1, TEXT("HTTP/1.1 100 Continue\r\n\r\n"));
}

static enum step_result refuse_size(struct exchange *ex)
{
    bool buffered = ex->step == EXCHANGE_BUFFER_REQUEST && !relay_is_over_limit(ex);
    step_count_limit(ex, buffered ? LIMIT_BUFFERED_BODY : LIMIT_BODY);
    ex->keep = false;
    enum step_result result = step_fail(ex, ERROR_BODY_TOO_LARGE);
    if (!ex->ended)
        exchange_respond_problem(
            ex, 413,
            arena_format(&ex->arena, "The request body is larger than the %" PRId64 " bytes that %s.",
                         buffered ? body_request_max(ex) : relay_limit(ex),
                         buffered ? "are read whole here (buffered_body)" : "are accepted here (body)"));
    return result;
}

static enum step_result refuse_for_memory(struct exchange *ex)
{
    step_count_limit(ex, LIMIT_BUFFERS);
    ex->keep = false;
    enum step_result result = step_fail(ex, ERROR_BUFFERS_FULL);
    if (!ex->ended)
        fields_set_known(&ex->response.fields, NAME_RETRY_AFTER, TEXT("1"));
    return result;
}

/* A body that breaks the protocol, or whose trailers are too large. */
static enum step_result refuse_body(struct exchange *ex)
{
    enum h1_refusal refusal = ex->connection->h1.stream.refusal;
    if (refusal == H1_TRAILERS_TOO_LARGE)
        step_count_limit(ex, LIMIT_TRAILERS);
    enum step_result progress = step_fail(ex, ERROR_BAD_REQUEST);
    if (!ex->ended)
        exchange_respond_problem(ex, h1_refusal_status(refusal), text_of(h1_refusal_text(refusal)));
    return progress;
}

enum step_result step_request_failed(struct exchange *ex, enum relay_result result)
{
    switch (result) {
    case RELAY_TOO_LARGE: return refuse_size(ex);
    case RELAY_REFUSED: return refuse_body(ex);
    case RELAY_NO_MEMORY: return step_fail(ex, ERROR_NO_MEMORY);
    case RELAY_POLICY:
        if (ex->local && ex->error == ERROR_NONE && !ex->head_sent) {
            attempt_abort(&ex->attempt, &ex->worker->upstream, false);
            ex->error = ERROR_POLICY_REFUSED;
            ex->keep = false;
            ex->chain_at = ex->plan->count;
            ex->step = EXCHANGE_RESPONSE_POLICIES;
            return STEP_GO;
        }
        return step_fail(ex, ex->error ? ex->error : ERROR_POLICY_FAULT);
    case RELAY_SOURCE_FAILED:
        if (ex->attempt.connection)
            attempt_abort(&ex->attempt, &ex->worker->upstream, false);
        return step_give_up(ex, ERROR_CLIENT_CLOSED);
    case RELAY_BLOCKED_SOURCE:
    case RELAY_BLOCKED_SINK:
    case RELAY_DONE:
    case RELAY_SINK_FAILED: break;
    }
    UNREACHABLE();
}

/* A connection serves only what it was made for: it may have been made under the rules of another name, or under what held before a reload. */
static bool is_misdirected(const struct exchange *ex)
{
    const struct connection *c = ex->connection;
    const struct tls_server *server = c->listener->config->tls;
    return server && !(c->tls && tls_server_covers(server, c->tls, ex->request.host));
}

static enum step_result refuse_misdirected(struct exchange *ex)
{
    ex->route = ex->snapshot->fallback;
    ex->target = &ex->route->target;
    chain_set_plan(ex, ex->target->plan);
    ex->keep = false;
    return step_answer(ex, ERROR_MISDIRECTED);
}

static void set_total_deadline(struct exchange *ex)
{
    int64_t total_ms = timeout_total_ms(ex);
    if (total_ms <= 0)
        return;
    ex->deadline_total_ms = ex->loop->now_ms + total_ms;
    deadline_arm(ex, ex->deadline_total_ms);
}

/* The body decides on the route: it is read whole first. Meanwhile there are no policies: what goes wrong is answered without any. */
static enum step_result gather_for_route(struct exchange *ex)
{
    static const struct plan none;
    ex->target = &ex->snapshot->fallback->target;
    chain_set_plan(ex, &none);
    return step_gather_then(ex, EXCHANGE_ROUTE);
}

enum step_result step_route(struct exchange *ex)
{
    if (is_misdirected(ex))
        return refuse_misdirected(ex);
    const struct route *route = match_route(ex);
    if (!route)
        return gather_for_route(ex);
    ex->route = route;
    ex->service = ex->target->service;
    chain_set_plan(ex, ex->target->plan);
    if (ex->error == ERROR_POLICY_FAULT) /* no service could be chosen, or its path not be rewritten */
        return step_answer(ex, ERROR_POLICY_FAULT);
    if (ex->route->client_certificate && !(ex->connection->tls && tls_peer_verified(ex->connection->tls)))
        return step_answer(ex, ERROR_CLIENT_CERTIFICATE);
    int64_t max = relay_limit(ex);
    bool over = ex->request.body.kind == BODY_LENGTH && max > 0 && ex->request.body.length > (uint64_t)max;
    if (over || relay_is_over_limit(ex))
        return refuse_size(ex);
    set_total_deadline(ex);
    ex->step = EXCHANGE_REQUEST_POLICIES;
    return STEP_GO;
}

enum step_result step_gather_then(struct exchange *ex, enum exchange_step next)
{
    ex->after_buffering = next;
    ex->step = EXCHANGE_BUFFER_REQUEST;
    return STEP_GO;
}

enum step_result step_buffer_request(struct exchange *ex)
{
    bool announced = ex->request.body.kind == BODY_LENGTH;
    if (announced && ex->request.body.length > (uint64_t)body_request_max(ex))
        return refuse_size(ex);
    if (!step_allow_body(ex))
        return step_give_up(ex, ERROR_CLIENT_CLOSED);
    enum relay_result result = body_gather_request(ex);
    if (result == RELAY_BLOCKED_SOURCE) {
        deadline_body(ex);
        return STEP_WAIT;
    }
    if (result == RELAY_NO_MEMORY)
        return refuse_for_memory(ex);
    if (result != RELAY_DONE)
        return step_request_failed(ex, result);
    ex->deadline_phase_ms = INT64_MAX;
    ex->step = ex->after_buffering;
    return STEP_GO;
}

enum step_result step_request_policies(struct exchange *ex)
{
    switch (chain_request(ex)) {
    case CHAIN_WAIT: return STEP_WAIT;
    case CHAIN_DONE: ex->step = EXCHANGE_ATTEMPT; return STEP_GO;
    case CHAIN_RESPOND:
        if (ex->response.status >= 400)
            ex->error = ERROR_POLICY_REFUSED;
        step_settle_request(ex);
        chain_turn(ex);
        ex->step = EXCHANGE_RESPONSE_POLICIES;
        return STEP_GO;
    case CHAIN_BODY: return step_gather_then(ex, EXCHANGE_REQUEST_POLICIES);
    case CHAIN_DROP: return step_give_up(ex, ERROR_POLICY_REFUSED);
    case CHAIN_FAULT: return step_fail(ex, ex->error ? ex->error : ERROR_POLICY_FAULT);
    }
    UNREACHABLE();
}
