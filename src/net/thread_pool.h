/* A few threads for library calls that take long (password hashes, blocking files). Reached by jobs whose
 * completion comes back as mail to the loop that sent them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "net/loop.h"

struct thread_pool;

struct job {
    struct task task;              /* internal: the way back */
    struct loop *home;             /* internal */
    void (*work)(struct job *job); /* on a pool thread: touches only the job's own data */
    void (*done)(struct job *job); /* on the home loop, exactly once */
};

/* `queue_max` jobs may wait. NULL: no memory or threads. */
struct thread_pool *thread_pool_new(size_t threads, size_t queue_max);
void thread_pool_free(
    struct thread_pool *pool); /* waits for the running jobs; those queued are dropped without `done` */

/* From any thread, without a lock or a wait. False: the queue is full (counted); nothing will be called. The
 * home loop must outlive the job. */
bool thread_pool_submit(struct thread_pool *pool, struct loop *home, struct job *job);
size_t thread_pool_refused(const struct thread_pool *pool);
