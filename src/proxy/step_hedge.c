/* A hedge: the same request at a second endpoint, while the first one still owes its answer. Whichever answers first is taken, the other one is
 * cancelled. */
#include "base/check.h"
#include "proxy/deadline.h"
#include "proxy/forward.h"
#include "proxy/step.h"
#include "proxy/timeouts.h"
#include "proxy/worker.h"

enum { INTERIM_MAX = 16 };

/* In the arena of the exchange. */
struct hedge {
    struct attempt attempt;
    struct exchange *exchange;
    struct response response;
    int64_t began_ns;
    bool sent;
    uint8_t interims;
};

static void on_event(struct attempt *attempt)
{
    exchange_wake(CONTAINER_OF(attempt, struct hedge, attempt)->exchange);
}

void step_hedge_drop(struct exchange *ex)
{
    struct hedge *hedge = ex->hedge;
    ex->deadline_hedge_ms = INT64_MAX;
    ex->hedge = NULL;
    if (hedge)
        attempt_release(&hedge->attempt, &ex->worker->upstream);
}

/* --- begin --- */

/* What has to go out again, if it is small enough to be queued at once. */
static bool body_of(const struct exchange *ex, struct text *ret_body)
{
    *ret_body = TEXT("");
    if (ex->request_begun && ex->replay_state == REPLAY_KEPT && ex->replay_over)
        *ret_body = whole_text(&ex->replay);
    else if (ex->request_begun && ex->request_buffered && !ex->plan->request_stream)
        *ret_body = ex->request_body;
    else if (ex->request_begun)
        return false;
    return ret_body->size <= STREAM_HIGH_WATER;
}

void step_hedge_plan(struct exchange *ex)
{
    struct text body;
    if (LIKELY(!ex->service->hedge.times) || ex->hedged || ex->deadline_hedge_ms != INT64_MAX
        || !method_is_idempotent(ex->request.method) || ex->request.upgrade || !body_of(ex, &body))
        return;
    int64_t after_ms = hedge_after_ms(&ex->service->hedge, ex->loop->now_ms);
    if (after_ms < 0)
        return;
    ex->deadline_hedge_ms = ex->loop->now_ms + after_ms;
    deadline_arm(ex, ex->deadline_hedge_ms);
}

void step_hedge_begin(struct exchange *ex)
{
    ex->deadline_hedge_ms = INT64_MAX;
    if (ex->step != EXCHANGE_EXPECT_ANSWER || ex->hedge || ex->hedged)
        return;
    struct hedge *hedge = ARENA_NEW(&ex->arena, struct hedge);
    if (!hedge || !retry_take(&ex->service->retry, ex->loop->now_ms))
        return;
    hedge->exchange = ex;
    hedge->attempt.on_event = on_event;
    hedge->attempt.pick = ex->attempt.pick;
    hedge->began_ns = ex->loop->now_ns;
    ex->hedged = true;
    if (attempt_start(&hedge->attempt, &ex->worker->upstream, ex->service) != ATTEMPT_FINE)
        return;
    ex->hedge = hedge;
    atomic_fetch_add_explicit(&ex->service->hedge.times->begun, 1, memory_order_relaxed);
    if (hedge->attempt.endpoint == ex->attempt.endpoint)
        step_hedge_drop(ex); /* it would wait behind the same trouble */
}

/* --- go on --- */

static bool send_all(struct exchange *ex, struct hedge *hedge)
{
    struct text body;
    struct stream *origin = attempt_stream(&hedge->attempt);
    hedge->sent = true;
    if (!body_of(ex, &body) || !forward_request_head(ex, &hedge->attempt))
        return false;
    return ex->request_begun ? stream_send(origin, body, SEND_END, &ex->request.trailers)
                             : stream_flush(origin);
}

/* False: there is nothing to be had of it any more. */
static bool advance(struct exchange *ex, struct hedge *hedge)
{
    struct attempt *attempt = &hedge->attempt;
    if (attempt_is_connecting(attempt) && attempt_connected(attempt, &ex->worker->upstream) != ATTEMPT_FINE)
        return false;
    if (attempt_is_connecting(attempt))
        return true;
    if ((!hedge->sent && !send_all(ex, hedge)) || !stream_flush(attempt_stream(attempt)))
        return false;
    while (hedge->response.status < 200) {
        fields_init(&hedge->response.fields, &ex->arena);
        switch (attempt_read_head(attempt, &ex->arena, ex->request.method, &hedge->response)) {
        case H1_HEAD_DONE: break;
        case H1_HEAD_BLOCKED: hedge->response.status = 0; return true;
        case H1_HEAD_REFUSED:
        case H1_HEAD_END:
        case H1_HEAD_FAILED:
        case H1_HEAD_NO_BUFFER: return false;
        }
        if (hedge->response.status < 200) {
            if (hedge->response.status == 101 || ++hedge->interims > INTERIM_MAX)
                return false;
            h1_stream_next(&attempt->connection->h1);
        }
    }
    return true;
}

/* The hedge becomes the attempt. Heads that were read stay readable: their buffers go along. */
static void take_over(struct exchange *ex, bool failed)
{
    struct hedge *hedge = ex->hedge;
    if (ex->attempt.connection)
        attempt_abort(&ex->attempt, &ex->worker->upstream, failed);
    struct buffer **last = &hedge->attempt.held;
    while (*last)
        last = &(*last)->next;
    *last = ex->attempt.held;
    hedge->attempt.on_event = ex->attempt.on_event;
    ex->attempt = hedge->attempt;
    ex->attempt.connection->attempt = &ex->attempt;
    ex->response = hedge->response;
    ex->attempt_ns = hedge->began_ns;
    ex->endpoint_url =
        arena_copy(&ex->arena, ex->attempt.endpoint->url); /* the endpoint may go before the exchange */
    ex->hedge = NULL;
    ex->sink_failed = false;
    atomic_fetch_add_explicit(&ex->service->hedge.times->won, 1, memory_order_relaxed);
}

bool step_hedge_answered(struct exchange *ex)
{
    if (!advance(ex, ex->hedge)) {
        step_hedge_drop(ex);
        return false;
    }
    if (ex->hedge->response.status < 200)
        return false;
    if (step_is_to_retry(ex, &ex->hedge->response)) { /* no better than none: the first one may still do */
        step_hedge_drop(ex);
        return false;
    }
    take_over(ex, false);
    return true;
}

bool step_hedge_replaces(struct exchange *ex, bool failed)
{
    if (!ex->hedge || !ex->hedge->sent || ex->hedge->response.status != 0)
        return false;
    take_over(ex, failed);
    ex->deadline_try_ms = INT64_MAX;
    deadline_phase(ex, timeout_response_ms(ex));
    return true;
}
