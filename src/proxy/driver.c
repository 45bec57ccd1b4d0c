/* The driver: takes exchanges, moves them from step to step, and ends them. The steps themselves are in step_request.c, step_attempt.c and
 * step_response.c, in the order in which they happen. */
#include "proxy/driver.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/time.h"
#include "proxy/chain.h"
#include "proxy/connection.h"
#include "proxy/deadline.h"
#include "proxy/forward.h"
#include "proxy/record.h"
#include "proxy/relay.h"
#include "proxy/step.h"
#include "proxy/worker.h"

enum { ARENA_BLOCK = 8 * 1024, ARENA_MAX = 1 << 20 };
enum { EXCHANGE_BYTES = sizeof(struct exchange) + ARENA_BLOCK }; /* as a rule */

/* --- life --- */

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
    ex->deadline_total_ms = ex->deadline_try_ms = ex->deadline_hedge_ms = ex->deadline_phase_ms = INT64_MAX;
    ex->timer.on_due = deadline_passed;
    ex->attempt.on_event = on_attempt_event;
    uint32_t requests_max = connection->listener->config->requests_max;
    ex->keep = ex->request.keep_alive && (!requests_max || connection->requests + 1 < requests_max);
    list_push_front(&worker->exchanges, &ex->link);
    worker->exchanges_count++;
    metric_add(worker->metrics, METRIC_REQUESTS_IN_FLIGHT, 1);
    if (refusal != H1_FINE) {
        step_refuse_head(ex, refusal);
    } else {
        ex->request_done = connection->h1.in_done;
        connection->h1.trailers = &ex->request.trailers;
        fields_init(&ex->request.trailers, &ex->arena);
        ex->request.scheme =
            connection->tls ? TEXT("https")
                            : TEXT("http"); /* of the connection: what an absolute-form says proves nothing */
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
    step_hedge_drop(ex);
    if (ex->attempt.connection)
        attempt_abort(&ex->attempt, &worker->upstream, false);
    if (ex->service)
        queue_leave(ex->service, &ex->place);
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

/* --- the loop --- */

static const struct {
    const char *name;
    enum step_result (*run)(struct exchange *ex);
} steps[] = {
    [EXCHANGE_ROUTE] = {"route", step_route},
    [EXCHANGE_BUFFER_REQUEST] = {"buffer-request", step_buffer_request},
    [EXCHANGE_REQUEST_POLICIES] = {"request-policies", step_request_policies},
    [EXCHANGE_BACK_OFF] = {"back-off", step_back_off},
    [EXCHANGE_QUEUE] = {"queue", step_queue},
    [EXCHANGE_ATTEMPT] = {"attempt", step_attempt},
    [EXCHANGE_EXPECT_ANSWER] = {"expect-answer", step_expect_answer},
    [EXCHANGE_RESPONSE_POLICIES] = {"response-policies", step_response_policies},
    [EXCHANGE_BUFFER_RESPONSE] = {"buffer-response", step_buffer_response},
    [EXCHANGE_SEND_HEAD] = {"send-head", step_send_head},
    [EXCHANGE_RELAY] = {"relay", step_relay},
    [EXCHANGE_TUNNEL] = {"tunnel", step_tunnel},
    [EXCHANGE_FINISH] = {"finish", step_finish},
};
static_assert(COUNT_OF(steps) == EXCHANGE_STEPS_COUNT, "a function for each step");

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
    int64_t since_ns = MAX_OF(ex->loop->now_ns, ex->left_ns); /* it could have run since then */
    ex->queued_ns += ex->loop->mark_ns - since_ns;
    crash_note_set(&ex->note);
    do {
        ex->again = false;
        do
            note_step(ex);
        while (!ex->ended && steps[ex->step].run(ex) == STEP_GO);
    } while (ex->again && !ex->ended);
    ex->running = false;
    crash_note_set(NULL);
    ex->left_ns = ex->loop->mark_ns = time_monotonic_ns();
    ex->own_ns += ex->left_ns - since_ns;
    if (ex->ended && !ex->turn_posted) {
        end(ex);
    } else if ((ex->yielded || ex->ended) && !ex->turn_posted) {
        ex->yielded = false;
        ex->turn_posted = true;
        ex->turn.run = go_on;
        loop_post(ex->loop, &ex->turn);
    }
}

void exchange_kill(struct exchange *ex, enum exchange_error error)
{
    chain_cancel(ex);
    step_give_up(ex, error);
    exchange_wake(ex);
}

/* --- for pages and reports --- */

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
    case EXCHANGE_BUFFER_RESPONSE: return "service";
    case EXCHANGE_QUEUE: return "turn";
    case EXCHANGE_BACK_OFF: return "back-off";
    case EXCHANGE_ATTEMPT: return ex->attempt.state == ATTEMPT_SECURING ? "tls" : "connect";
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
