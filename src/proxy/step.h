/* The steps of an exchange. Private to the driver: only its loop calls the steps, in the order of enum exchange_step.
 *
 * A step returns GO (the next step, which it has set), WAIT (an event, a deadline or an operation will wake the exchange) or END. It runs
 * with the exchange's worker, and never calls another step. */
#pragma once

#include "proxy/exchange.h"
#include "proxy/listener_state.h"
#include "proxy/relay.h"
#include "upstream/service.h"

enum step_result { STEP_GO, STEP_WAIT, STEP_END };

/* step_request.c */
enum step_result step_route(struct exchange *ex);
enum step_result step_buffer_request(struct exchange *ex);
enum step_result step_request_policies(struct exchange *ex);

/* step_attempt.c */
enum step_result step_attempt(struct exchange *ex);
enum step_result step_expect_answer(struct exchange *ex);

/* step_queue.c */
enum step_result step_queue(struct exchange *ex);

/* step_retry.c */
enum step_result step_back_off(struct exchange *ex);

/* step_response.c */
enum step_result step_buffer_response(struct exchange *ex);
enum step_result step_response_policies(struct exchange *ex);
enum step_result step_send_head(struct exchange *ex);
enum step_result step_relay(struct exchange *ex);
enum step_result step_tunnel(struct exchange *ex);
enum step_result step_finish(struct exchange *ex);

/* --- what steps have in common --- */

/* Answers from here with the outcome's problem document; response hooks see it. Only before the head was sent. */
enum step_result step_answer(struct exchange *ex, enum exchange_error error);

/* Nothing more can be said to the client: the connection is closed. */
enum step_result step_give_up(struct exchange *ex, enum exchange_error error);

/* Ends the attempt; then an answer if the head is not out yet, else the end. */
enum step_result step_fail(struct exchange *ex, enum exchange_error error);

/* The pump of the request said that it cannot go on. */
enum step_result step_request_failed(struct exchange *ex, enum relay_result result);

/* The head of the request could not be understood, or did not come in time (H1_REFUSALS_COUNT). */
void step_refuse_head(struct exchange *ex, enum h1_refusal refusal);

/* The exchange's memory is used up: 503 is said instead of what was to be said. Once. */
void step_answer_without_memory(struct exchange *ex);

/* What is left of a request that will not be passed on: bytes that are here already are read and dropped, so that the connection may be
 * kept; more is not waited for. */
void step_settle_request(struct exchange *ex);

/* Gathers the request's body whole, then goes on with `next`, which may ask again what it asked (body_request_is_whole()). Only until something
 * of the body was sent. It needs no route and no plan. */
enum step_result step_gather_then(struct exchange *ex, enum exchange_step next);

/* A client that waits for permission to send its body gets it (RFC 9110 section 10.1.1), once. False: its connection broke. */
bool step_allow_body(struct exchange *ex);

/* step_queue.c: takes a place in the row before the service. GO: it is this exchange's turn, or the step is set. `busy`: it was, but the endpoints
 * have as many requests as they may. */
enum step_result step_take_place(struct exchange *ex, bool busy);
enum step_result step_queue_timed_out(struct exchange *ex);

/* step_retry.c: before the first attempt; then, after a failure of this kind: may there be another attempt? If so, it is taken from the budget,
 * and step_try_again() follows, which sets the step. */
void step_prepare_replay(struct exchange *ex);
bool step_may_retry(struct exchange *ex, enum retry_on reason);
enum step_result step_try_again(struct exchange *ex, enum retry_on reason);

/* Is this an answer to try again for, if that may be? */
bool step_is_to_retry(struct exchange *ex, const struct response *response);

/* step_hedge.c: sets the time of a hedge when the request has been sent; begins it then; true: it has answered first, and is the attempt now, with
 * ex->response; true: the attempt is over, and the hedge is the attempt from now on (`failed`: that counts against the endpoint); ends it. */
void step_hedge_plan(struct exchange *ex);
void step_hedge_begin(struct exchange *ex);
bool step_hedge_answered(struct exchange *ex);
bool step_hedge_replaces(struct exchange *ex, bool failed);
void step_hedge_drop(struct exchange *ex);

/* Is the answer that has just come one to try again for? Then it is dropped, and the step is set. */
bool step_retry_answer(struct exchange *ex);

void step_count_limit(const struct exchange *ex, enum limit limit);
