/* Ways to an answer that is made here, and to the end of an exchange that cannot be answered. */
#include "proxy/connection.h"
#include "proxy/listener_state.h"
#include "proxy/problem.h"
#include "proxy/chain.h"
#include "proxy/step.h"
#include "proxy/worker.h"

enum { ARENA_RESERVE = 32 * 1024, SETTLE_PIECES_MAX = 64 };

void step_count_limit(const struct exchange *ex, enum limit limit)
{
    listener_state_count(ex->connection->listener->config->state, limit);
}

void step_settle_request(struct exchange *ex)
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

enum step_result step_answer(struct exchange *ex, enum exchange_error error)
{
    struct problem problem = problem_of(error);
    ex->error = error;
    step_settle_request(ex);
    exchange_respond_problem(ex, problem.status, problem.detail);
    if (ex->step <= EXCHANGE_EXPECT_ANSWER)
        chain_turn(ex);
    else if (ex->chain_at > 0)
        ex->chain_at--; /* the hook that was under way is over; the outer ones still see the answer */
    ex->step = EXCHANGE_RESPONSE_POLICIES;
    return STEP_GO;
}

enum step_result step_give_up(struct exchange *ex, enum exchange_error error)
{
    if (ex->error == ERROR_NONE)
        ex->error = error;
    ex->keep = false;
    ex->ended = true;
    return STEP_END;
}

/* What an error says about the endpoint; FAULT_NONE: nothing. */
static enum fault fault_of(const struct exchange *ex, enum exchange_error error)
{
    if (error == ERROR_CONNECT_TIMEOUT || error == ERROR_TLS_TIMEOUT)
        return FAULT_CONNECT;
    if (error == ERROR_IDLE_TIMEOUT || error == ERROR_RESPONSE_TIMEOUT)
        return FAULT_TIMEOUT;
    if (error == ERROR_TOTAL_TIMEOUT && ex->step == EXCHANGE_EXPECT_ANSWER && ex->request_done)
        return FAULT_TIMEOUT; /* the whole request is there, and no answer */
    if (error == ERROR_ORIGIN_INVALID)
        return FAULT_INVALID;
    return error == ERROR_ORIGIN_CLOSED ? FAULT_CLOSED : FAULT_NONE;
}

enum step_result step_fail(struct exchange *ex, enum exchange_error error)
{
    step_hedge_drop(ex);
    if (ex->attempt.connection) {
        enum fault fault = fault_of(ex, error);
        ex->attempt.report.fault = fault;
        attempt_abort(&ex->attempt, &ex->worker->upstream, fault != FAULT_NONE);
    }
    if (ex->head_sent || ex->upgraded)
        return step_give_up(ex, error);
    return step_answer(ex, error);
}

static enum exchange_error error_of_refusal(enum h1_refusal refusal)
{
    return refusal == H1_REFUSALS_COUNT ? ERROR_REQUEST_TIMEOUT
           : refusal == H1_NO_MEMORY    ? ERROR_NO_MEMORY
                                        : ERROR_BAD_REQUEST;
}

void step_refuse_head(struct exchange *ex, enum h1_refusal refusal)
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

/* The exchange's memory is used up: what was to be said is not reliable, so 503 is said instead, from a reserve. */
void step_answer_without_memory(struct exchange *ex)
{
    struct problem problem = problem_of(ERROR_NO_MEMORY);
    ex->arena_failed_once = true;
    ex->arena.failed = false;
    ex->arena.limit += ARENA_RESERVE;
    ex->error = ERROR_NO_MEMORY;
    step_count_limit(ex, LIMIT_ARENA);
    if (ex->attempt.connection)
        attempt_abort(&ex->attempt, &ex->worker->upstream, false);
    step_settle_request(ex);
    exchange_respond_problem(ex, problem.status, problem.detail);
}
