/* Waiting, for policies: every operation has a deadline, a name, and a cancel that leaves nothing behind.
 *
 *     struct my_state { struct http_call call; };
 *     static policy_step my_answer;
 *     static enum verdict my_request(struct exchange *ex, const void *config, void *state_)
 *     {
 *         struct my_state *state = state_;
 *         ...
 *         return await_http(ex, &state->call, service, &request, 500, STEP(my_answer));
 *     }
 *
 * Completion only marks the exchange ready; its driver loop alone calls the step, with `operation.status` set. Success, error, timeout
 * arrive at the same step. When the exchange ends early, the core cancels what is pending and no step runs. */
#pragma once

#include "http/message.h"
#include "net/thread_pool.h"
#include "policy/policy.h"

enum await_status { AWAIT_PENDING, AWAIT_DONE, AWAIT_FAILED, AWAIT_TIMEOUT };

/* First member of every operation. */
struct await {
    enum await_status status;
    const char *reason; /* with AWAIT_FAILED: a static sentence for the operator's log */
    void (*cancel)(struct await *operation);
    struct exchange *exchange;
};

#define STEP(function) (function), #function

/* --- time --- */
struct await_delay {
    struct await operation;
};
enum verdict await_delay(struct exchange *ex, struct await_delay *delay, int64_t delay_ms, policy_step *step,
                         const char *name);

/* --- a blocking library on the thread pool --- */
struct await_work {
    struct await operation;
    void (*work)(void *data); /* on a pool thread; touches only `data` */
    void *
        data; /* from memory_alloc(): owned by the operation from the call on; after the step ran, or when the
                                 exchange went away meanwhile, it is released by `release` */
    void (*release)(void *data);
    struct await_work_job *job; /* internal */
};
/* AWAIT_FAILED when the queue is full. */
enum verdict await_work(struct exchange *ex, struct await_work *work, int64_t timeout_ms, policy_step *step,
                        const char *name);

/* --- an HTTP request to a service, with its own timeouts, pools and connections --- */
struct service;
struct origin_call;
struct http_call {
    struct await operation;
    unsigned status;      /* of the answer */
    struct fields fields; /* of the answer, in the exchange arena */
    struct text body;     /* at most body_bytes_max of it */
    struct origin_call *internal;
};
struct http_call_request {
    enum http_method method;
    struct text target;          /* path and query, written as it is: must be valid */
    struct text host;            /* Host */
    const struct fields *fields; /* may be NULL */
    struct text body;
    uint32_t body_bytes_max; /* of the answer; a longer one is AWAIT_FAILED */
};
enum verdict await_http(struct exchange *ex, struct http_call *call, struct service *service,
                        const struct http_call_request *request, int64_t timeout_ms, policy_step *step,
                        const char *name);
