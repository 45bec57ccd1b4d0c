/* The policy chain of an exchange: runs request hooks in order, response hooks in reverse order, and resumes after a wait. */
#pragma once

#include "policy/plan.h"
#include "proxy/exchange.h"

enum chain_result {
    CHAIN_DONE,    /* all have passed */
    CHAIN_WAIT,    /* one waits */
    CHAIN_RESPOND, /* one answered */
    CHAIN_DROP,    /* one wants the connection closed */
    CHAIN_FAULT,   /* one failed and is to deny */
    CHAIN_BODY,    /* the next one needs the body whole: gather it and come back */
};

enum chain_result chain_request(struct exchange *ex); /* from ex->chain_at */
void chain_turn(struct exchange *ex); /* the response side begins with the entries that were entered */
enum chain_result chain_response(struct exchange *ex);

/* Body hooks over a piece; CHAIN_DONE, or RESPOND (request side only), DROP, FAULT. */
enum chain_result chain_request_body(struct exchange *ex, struct body_chunk *chunk);
enum chain_result chain_response_body(struct exchange *ex, struct body_chunk *chunk);

void chain_end(struct exchange *ex); /* on_end of all that were entered */

void chain_set_plan(struct exchange *ex, const struct plan *plan);
void chain_identified(struct exchange *ex); /* the consumer's policies join */

/* The entry that runs or waits now, NULL: none. */
const struct policy_instance *chain_current(const struct exchange *ex);

/* Used by await operations. */
enum verdict chain_wait(struct exchange *ex, struct await *operation, const char *what, int64_t timeout_ms,
                        policy_step *step, const char *name);
void chain_ready(struct await *operation, enum await_status status, const char *reason);
void chain_cancel(struct exchange *ex); /* what is pending is cancelled, no step runs */
