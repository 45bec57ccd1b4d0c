/* Threads that take jobs from a bounded queue. Submitting never waits: the queue is Vyukov's bounded array of
 * cells with sequence numbers, and the threads sleep on a semaphore that counts what is in it. */
#include "net/thread_pool.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdalign.h>

#include "base/check.h"
#include "base/memory.h"

struct cell {
    _Atomic size_t sequence; /* position: free for it; position + 1: holds its job */
    struct job *job;
};

struct thread_pool {
    alignas(64) _Atomic size_t put_at; /* the next position to fill */
    alignas(64) _Atomic size_t take_at;
    alignas(64) _Atomic size_t waiting; /* jobs in the queue */
    _Atomic size_t refused;
    _Atomic bool stopping;
    sem_t filled;
    size_t queue_max, mask;
    struct cell *cells;
    size_t threads_count;
    pthread_t threads[];
};

/* There is room: `waiting` was raised before, and there are at least as many cells as jobs may wait. Only a
 * thread that has claimed a cell and not yet let go of it can make this turn more than once. */
static void put(struct thread_pool *pool, struct job *job)
{
    size_t at = atomic_load_explicit(&pool->put_at, memory_order_relaxed);
    for (;;) {
        struct cell *cell = &pool->cells[at & pool->mask];
        size_t sequence = atomic_load_explicit(&cell->sequence, memory_order_acquire);
        if (sequence != at) {
            at = atomic_load_explicit(&pool->put_at, memory_order_relaxed);
        } else if (atomic_compare_exchange_weak_explicit(&pool->put_at, &at, at + 1, memory_order_relaxed,
                                                         memory_order_relaxed)) {
            cell->job = job;
            atomic_store_explicit(&cell->sequence, at + 1, memory_order_release);
            return;
        }
    }
}

/* There is a job: the semaphore said so. */
static struct job *take(struct thread_pool *pool)
{
    size_t at = atomic_load_explicit(&pool->take_at, memory_order_relaxed);
    for (;;) {
        struct cell *cell = &pool->cells[at & pool->mask];
        size_t sequence = atomic_load_explicit(&cell->sequence, memory_order_acquire);
        if (sequence != at + 1) {
            at = atomic_load_explicit(&pool->take_at, memory_order_relaxed);
        } else if (atomic_compare_exchange_weak_explicit(&pool->take_at, &at, at + 1, memory_order_relaxed,
                                                         memory_order_relaxed)) {
            struct job *job = cell->job;
            atomic_store_explicit(&cell->sequence, at + pool->mask + 1, memory_order_release);
            atomic_fetch_sub_explicit(&pool->waiting, 1, memory_order_release);
            return job;
        }
    }
}

static void job_done(struct task *task)
{
    struct job *job = CONTAINER_OF(task, struct job, task);
    job->done(job);
}

static void *run_thread(void *argument)
{
    struct thread_pool *pool = argument;
    for (;;) {
        while (sem_wait(&pool->filled))
            CHECK(errno == EINTR);
        if (atomic_load_explicit(&pool->stopping, memory_order_acquire))
            return NULL;
        struct job *job = take(pool);
        job->work(job);
        job->task.run = job_done;
        loop_mail(job->home, &job->task);
    }
}

/* Signals are for the threads that expect them. */
static size_t start_threads(struct thread_pool *pool, size_t count)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    size_t started = 0;
    while (started < count && !pthread_create(&pool->threads[started], NULL, run_thread, pool))
        (void)pthread_setname_np(pool->threads[started++], "pool"); /* for people only */
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static bool queue_init(struct thread_pool *pool, size_t queue_max)
{
    size_t capacity = 2; /* a single cell could not tell full from empty */
    while (capacity < queue_max)
        if (__builtin_mul_overflow(capacity, 2, &capacity))
            return false;
    pool->queue_max = queue_max;
    pool->mask = capacity - 1;
    pool->cells = memory_array(capacity, sizeof *pool->cells);
    for (size_t i = 0; pool->cells && i < capacity; i++)
        atomic_init(&pool->cells[i].sequence, i);
    return pool->cells;
}

struct thread_pool *thread_pool_new(size_t threads, size_t queue_max)
{
    size_t size;
    if (threads == 0 || __builtin_mul_overflow(threads, sizeof(pthread_t), &size)
        || __builtin_add_overflow(size, sizeof(struct thread_pool), &size))
        return NULL;
    struct thread_pool *pool = memory_aligned(alignof(struct thread_pool), size);
    if (!pool)
        return NULL;
    *pool = (struct thread_pool){.threads_count = 0};
    if (!queue_init(pool, queue_max) || sem_init(&pool->filled, 0, 0)) {
        memory_free(pool->cells);
        memory_free(pool);
        return NULL;
    }
    pool->threads_count = start_threads(pool, threads);
    if (pool->threads_count == threads)
        return pool;
    thread_pool_free(pool);
    return NULL;
}

void thread_pool_free(struct thread_pool *pool)
{
    if (!pool)
        return;
    atomic_store_explicit(&pool->stopping, true, memory_order_release);
    for (size_t i = 0; i < pool->threads_count; i++)
        sem_post(&pool->filled);
    for (size_t i = 0; i < pool->threads_count; i++)
        pthread_join(pool->threads[i], NULL);
    sem_destroy(&pool->filled);
    memory_free(pool->cells);
    memory_free(pool);
}

bool thread_pool_submit(struct thread_pool *pool, struct loop *home, struct job *job)
{
    if (atomic_fetch_add_explicit(&pool->waiting, 1, memory_order_acquire) >= pool->queue_max) {
        atomic_fetch_sub_explicit(&pool->waiting, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&pool->refused, 1, memory_order_relaxed);
        return false;
    }
    job->home = home;
    put(pool, job);
    sem_post(&pool->filled);
    return true;
}

size_t thread_pool_refused(const struct thread_pool *pool)
{
    return atomic_load_explicit(&pool->refused, memory_order_relaxed);
}
