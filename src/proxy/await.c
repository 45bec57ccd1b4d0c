/* The operations that policies may wait for: time, a blocking library, an HTTP call. */
#include "policy/await.h"

#include "base/check.h"
#include "base/memory.h"
#include "proxy/chain.h"
#include "proxy/worker.h"
#include "upstream/call.h"

/* --- time: the wait's own deadline is what is waited for --- */

static void cancel_delay(struct await *operation)
{
    operation->status = AWAIT_DONE;
}

enum verdict await_delay(struct exchange *ex, struct await_delay *delay, int64_t delay_ms, policy_step *step,
                         const char *name)
{
    delay->operation = (struct await){.status = AWAIT_PENDING, .cancel = cancel_delay};
    return chain_wait(ex, &delay->operation, "delay", delay_ms, step, name);
}

/* --- work on the thread pool --- */

/* Outlives the exchange if it must: whoever is left frees it. */
struct await_work_job {
    struct job job;
    struct await_work *work; /* NULL: the exchange went away */
    void (*run)(void *data);
    void (*release)(void *data);
    void *data;
};

static void run_job(struct job *job)
{
    struct await_work_job *self = CONTAINER_OF(job, struct await_work_job, job);
    self->run(self->data);
}

static void free_job(void *job_)
{
    struct await_work_job *job = job_;
    if (job->release)
        job->release(job->data);
    memory_free(job);
}

static void job_done(struct job *job)
{
    struct await_work_job *self = CONTAINER_OF(job, struct await_work_job, job);
    struct await_work *work = self->work;
    if (!work) {
        free_job(self);
        return;
    }
    work->job = NULL;
    if (!arena_defer(&work->operation.exchange->arena, free_job, self)) { /* `data` is needed by the step */
        free_job(self);
        work->data = NULL;
        chain_ready(&work->operation, AWAIT_FAILED, "out of memory");
        return;
    }
    chain_ready(&work->operation, AWAIT_DONE, NULL);
}

static void cancel_work(struct await *operation)
{
    struct await_work *work = CONTAINER_OF(operation, struct await_work, operation);
    if (work->job)
        work->job->work = NULL;
    work->job = NULL;
    work->data = NULL;
}

enum verdict await_work(struct exchange *ex, struct await_work *work, int64_t timeout_ms, policy_step *step,
                        const char *name)
{
    work->operation = (struct await){.status = AWAIT_PENDING, .cancel = cancel_work, .exchange = ex};
    struct await_work_job *job = memory_zero(sizeof *job);
    if (job)
        *job = (struct await_work_job){
            {.work = run_job, .done = job_done}, work, work->work, work->release, work->data};
    work->job = job;
    if (!job || !thread_pool_submit(ex->worker->threads, ex->loop, &job->job)) {
        if (work->release)
            work->release(work->data);
        work->data = NULL;
        memory_free(job);
        work->job = NULL;
        work->operation.status = AWAIT_FAILED;
        work->operation.reason = "the queue for blocking work is full";
    }
    return chain_wait(ex, &work->operation, "work", timeout_ms, step, name);
}

/* --- HTTP --- */

static void call_over(struct origin_call *origin_call)
{
    struct http_call *call = origin_call->owner;
    struct exchange *ex = call->operation.exchange;
    bool fine = origin_call->failure == NULL;
    call->internal = NULL;
    call->status = origin_call->response.status;
    call->fields = origin_call->response.fields;
    call->body = origin_call->body;
    origin_call_release(origin_call, &ex->arena);
    chain_ready(&call->operation, fine ? AWAIT_DONE : AWAIT_FAILED, origin_call->failure);
}

static void cancel_call(struct await *operation)
{
    struct http_call *call = CONTAINER_OF(operation, struct http_call, operation);
    if (call->internal)
        origin_call_cancel(call->internal);
    call->internal = NULL;
}

enum verdict await_http(struct exchange *ex, struct http_call *call, struct service *service,
                        const struct http_call_request *request, int64_t timeout_ms, policy_step *step,
                        const char *name)
{
    *call = (struct http_call){.operation = {.status = AWAIT_PENDING, .cancel = cancel_call, .exchange = ex}};
    struct origin_call *internal = ARENA_NEW(&ex->arena, struct origin_call);
    if (!internal) {
        call->operation.status = AWAIT_FAILED;
        call->operation.reason = "out of memory";
        return chain_wait(ex, &call->operation, "http", timeout_ms, step, name);
    }
    call->internal = internal;
    enum verdict verdict = chain_wait(ex, &call->operation, "http", timeout_ms, step, name);
    *internal = (struct origin_call){.owner = call,
                                     .on_over = call_over,
                                     .arena = &ex->arena,
                                     .worker = &ex->worker->upstream,
                                     .service = service,
                                     .body_bytes_max = request->body_bytes_max,
                                     .send_body = request->body};
    internal->request.method = request->method;
    internal->request.method_text = method_text(request->method);
    internal->how.target = request->target;
    internal->how.host = request->host;
    origin_call_start(internal, request->fields);
    return verdict;
}
