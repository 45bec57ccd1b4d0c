/* Another try? What may be tried again, when, and what has to be undone for it. */
#include "base/check.h"
#include "http/retry_after.h"
#include "proxy/body.h"
#include "proxy/connection.h"
#include "proxy/deadline.h"
#include "proxy/step.h"
#include "proxy/worker.h"

enum { SETTLE_PIECES_MAX = 16 };

/* Can the body go out once more? Body hooks see every byte once, so what they have passed is what is kept. */
static bool may_replay(const struct exchange *ex)
{
    return !ex->request_begun || (ex->request_buffered && !ex->plan->request_stream)
           || ex->replay_state == REPLAY_KEPT;
}

static bool is_safe(const struct exchange *ex, enum retry_on reason)
{
    return reason == RETRY_CONNECT_FAILURE || ex->service->retry.unsafe
           || method_is_idempotent(ex->request.method);
}

/* Whether the body has to be kept while it is sent for the first time. */
void step_prepare_replay(struct exchange *ex)
{
    const struct retry_rules *rules = &ex->service->retry;
    const struct body_framing *body = &ex->request.body;
    bool retries = rules->attempts > 0 && (rules->on & ~(unsigned)RETRY_CONNECT_FAILURE);
    bool useful = (retries || ex->service->hedge.times) && is_safe(ex, RETRY_RESET);
    bool fits = body->kind != BODY_LENGTH || body->length <= (uint64_t)rules->body_bytes_max;
    ex->replay_state = useful && fits && !ex->request_done ? REPLAY_KEPT : REPLAY_LOST;
}

bool step_may_retry(struct exchange *ex, enum retry_on reason)
{
    const struct retry_rules *rules = &ex->service->retry;
    return (rules->on & (unsigned)reason) && ex->attempts <= rules->attempts && !ex->head_sent
           && may_replay(ex) && is_safe(ex, reason) && retry_take(rules, ex->loop->now_ms);
}

/* The body begins anew. */
static void rewind_body(struct exchange *ex)
{
    if (ex->request_buffered && !ex->plan->request_stream) {
        ex->request_sent = 0;
        ex->request_done = false;
    } else if (ex->replay_state == REPLAY_KEPT) {
        ex->replay_sent = 0;
        ex->request_done = ex->request_done && !ex->replay_over;
    }
}

/* A failed connection says nothing about the others: as long as there are some, the next one is tried at once. */
static int64_t wait_of(const struct exchange *ex, enum retry_on reason)
{
    bool elsewhere = ex->attempts < service_set(ex->service)->count;
    bool of_connection = reason == RETRY_CONNECT_FAILURE || reason == RETRY_RESET;
    return of_connection && elsewhere ? 0 : retry_backoff_ms(&ex->service->retry, ex->attempts);
}

static enum step_result try_after(struct exchange *ex, int64_t wait_ms)
{
    rewind_body(ex);
    ex->response = (struct response){.status = 0};
    ex->upgraded = false;
    step_hedge_drop(ex);
    ex->deadline_phase_ms = ex->deadline_try_ms = INT64_MAX;
    ex->step = EXCHANGE_ATTEMPT;
    if (wait_ms > 0) {
        ex->step = EXCHANGE_BACK_OFF;
        deadline_phase(ex, wait_ms);
    }
    return STEP_GO;
}

enum step_result step_try_again(struct exchange *ex, enum retry_on reason)
{
    return try_after(ex, wait_of(ex, reason));
}

enum step_result step_back_off(struct exchange *ex)
{
    if (ex->deadline_phase_ms > ex->loop->now_ms)
        return STEP_WAIT;
    ex->deadline_phase_ms = INT64_MAX;
    ex->step = EXCHANGE_ATTEMPT;
    return STEP_GO;
}

/* --- answers --- */

/* The answer is not wanted. What is here of it is dropped, so that its connection may be used again; more is not waited for. */
static void drop_answer(struct exchange *ex)
{
    struct stream *origin = attempt_stream(&ex->attempt);
    enum stream_status status = STREAM_DATA;
    for (int pieces = 0; pieces < SETTLE_PIECES_MAX && status == STREAM_DATA; pieces++) {
        struct text dropped;
        status = stream_read(origin, &dropped);
    }
    bool whole = status == STREAM_END && ex->request_done && !ex->sink_failed;
    if (whole)
        attempt_finish(&ex->attempt, &ex->worker->upstream, ex->response.keep_alive);
    else
        attempt_abort(&ex->attempt, &ex->worker->upstream, false);
}

/* The reason to try again that an answer is, 0: none. */
static unsigned reason_of(struct exchange *ex, const struct response *response)
{
    const struct retry_rules *rules = &ex->service->retry;
    bool holds = false; /* a condition that fails decides nothing: the answer is passed on */
    if (rules->on & RETRY_STATUS && status_set_has(&rules->statuses, response->status))
        return RETRY_STATUS;
    if (response == &ex->response && rules->when && exchange_eval_bool(ex, rules->when, &holds) && holds)
        return RETRY_CONDITION;
    return 0;
}

bool step_is_to_retry(struct exchange *ex, const struct response *response)
{
    return reason_of(ex, response) != 0;
}

/* Retry-After in milliseconds, -1: longer than may be waited. */
static int64_t asked_wait_ms(const struct exchange *ex)
{
    const struct retry_rules *rules = &ex->service->retry;
    struct text value = fields_get_known(&ex->response.fields, NAME_RETRY_AFTER);
    int64_t wait_ms = value.at ? retry_after_ms(value, ex->loop->wall_ns) : 0;
    return wait_ms > rules->backoff_max_ms ? -1 : wait_ms;
}

bool step_retry_answer(struct exchange *ex)
{
    const struct retry_rules *rules = &ex->service->retry;
    if (LIKELY(!(rules->on & (RETRY_STATUS | RETRY_CONDITION))) || ex->attempts > rules->attempts)
        return false;
    enum retry_on reason = reason_of(ex, &ex->response);
    int64_t asked_ms = reason ? asked_wait_ms(ex) : -1;
    if (asked_ms < 0)
        return false;
    int64_t wait_ms = MAX_OF(asked_ms, wait_of(ex, reason));
    if (ex->deadline_total_ms - ex->loop->now_ms <= wait_ms || !step_may_retry(ex, reason))
        return false;
    drop_answer(ex);
    try_after(ex, wait_ms);
    return true;
}
