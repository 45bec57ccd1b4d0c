/* The row before a busy service. */
#include "base/check.h"
#include "proxy/deadline.h"
#include "proxy/step.h"
#include "proxy/worker.h"

/* 503, and when to come again: about as long as the row is. */
static enum step_result refuse(struct exchange *ex, enum exchange_error error)
{
    int64_t seconds = (ex->service->queue.timeout_ms + 999) / 1000;
    queue_leave(ex->service, &ex->place);
    enum step_result result = step_fail(ex, error);
    if (!ex->ended)
        fields_set_known(&ex->response.fields, NAME_RETRY_AFTER,
                         arena_format(&ex->arena, "%d", (int)seconds));
    return result;
}

static void on_turn(struct queue_place *place)
{
    exchange_wake(CONTAINER_OF(place, struct exchange, place));
}

enum step_result step_take_place(struct exchange *ex, bool busy)
{
    if (LIKELY(queue_has_turn(&ex->place)) && !busy)
        return STEP_GO;
    ex->place.on_turn = on_turn;
    switch (queue_enter(ex->service, &ex->place, ex->loop)) {
    case QUEUE_ADMITTED: return STEP_GO;
    case QUEUE_FULL: return refuse(ex, ERROR_QUEUE_FULL);
    case QUEUE_WAIT: break;
    }
    if (ex->queue_until_ms == 0) /* its time in the row before this try, in all */
        ex->queue_until_ms = ex->loop->now_ms + ex->service->queue.timeout_ms;
    ex->deadline_phase_ms = ex->queue_until_ms;
    ex->deadline_try_ms = INT64_MAX;
    deadline_arm(ex, ex->deadline_phase_ms);
    ex->step = EXCHANGE_QUEUE;
    return STEP_GO;
}

enum step_result step_queue(struct exchange *ex)
{
    if (!queue_has_turn(&ex->place))
        return STEP_WAIT;
    ex->deadline_phase_ms = INT64_MAX;
    ex->step = EXCHANGE_ATTEMPT;
    return STEP_GO;
}

enum step_result step_queue_timed_out(struct exchange *ex)
{
    atomic_fetch_add_explicit(&ex->service->queue.queue->timed_out, 1, memory_order_relaxed);
    return refuse(ex, ERROR_QUEUE_TIMEOUT);
}
