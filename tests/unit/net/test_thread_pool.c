/* Jobs go out to threads and come home. */
#include "net_test.h"

#include <pthread.h>
#include <semaphore.h>

#include "base/check.h"
#include "base/memory.h"
#include "net/thread_pool.h"

enum { THREADS = 3, JOBS = 3000 };

static int make_loop(void **state)
{
    static struct loop loop;
    *state = &loop;
    return loop_init(&loop);
}

static int release_loop(void **state)
{
    loop_release(*state);
    return 0;
}

struct sum {
    struct job job;
    pthread_t home;
    uint64_t value, square;
    int works, dones;
    size_t *left;
    struct loop *loop;
};

static void square(struct job *job)
{
    struct sum *sum = CONTAINER_OF(job, struct sum, job);
    assert_false(pthread_equal(pthread_self(), sum->home));
    sum->square = sum->value * sum->value;
    sum->works++;
}

static void count_home(struct job *job)
{
    struct sum *sum = CONTAINER_OF(job, struct sum, job);
    assert_true(pthread_equal(pthread_self(), sum->home));
    assert_int_equal(sum->works, 1);
    assert_int_equal(sum->square, sum->value * sum->value);
    sum->dones++;
    if (--*sum->left == 0)
        loop_stop(sum->loop);
}

static void every_job_runs_once_elsewhere_and_is_done_at_home(void **state)
{
    static struct sum sums[JOBS];
    size_t left = JOBS;
    struct thread_pool *pool = thread_pool_new(THREADS, JOBS);
    assert_non_null(pool);
    for (size_t i = 0; i < JOBS; i++) {
        sums[i] = (struct sum){.job = {.work = square, .done = count_home},
                               .home = pthread_self(),
                               .value = i,
                               .left = &left,
                               .loop = *state};
        assert_true(thread_pool_submit(pool, *state, &sums[i].job));
    }
    loop_run(*state);
    for (size_t i = 0; i < JOBS; i++)
        assert_int_equal(sums[i].dones, 1);
    assert_int_equal(thread_pool_refused(pool), 0);
    thread_pool_free(pool);
}

struct gate {
    struct job job;
    sem_t *entered, *open;
    bool done;
    int works;
};

static void wait_at_gate(struct job *job)
{
    struct gate *gate = CONTAINER_OF(job, struct gate, job);
    gate->works++;
    sem_post(gate->entered);
    sem_wait(gate->open);
}

static void note_done(struct job *job)
{
    CONTAINER_OF(job, struct gate, job)->done = true;
}

static void full_queue_refuses_and_counts(void **state)
{
    struct loop *loop = *state;
    sem_t entered, open;
    sem_init(&entered, 0, 0);
    sem_init(&open, 0, 0);
    struct thread_pool *pool = thread_pool_new(1, 3);
    struct gate gates[5];
    for (int i = 0; i < 5; i++)
        gates[i] = (struct gate){
            .job = {.work = wait_at_gate, .done = note_done}, .entered = &entered, .open = &open};
    assert_true(thread_pool_submit(pool, loop, &gates[0].job));
    sem_wait(&entered); /* it runs and waits no more in the queue */
    for (int i = 1; i < 4; i++)
        assert_true(thread_pool_submit(pool, loop, &gates[i].job));
    assert_false(thread_pool_submit(pool, loop, &gates[4].job));
    assert_int_equal(thread_pool_refused(pool), 1);
    for (int i = 0; i < 4; i++)
        sem_post(&open);
    for (int i = 0; i < 4; i++)
        turn_until(loop, &gates[i].done);
    assert_int_equal(gates[4].works, 0);
    assert_true(thread_pool_submit(pool, loop, &gates[4].job)); /* there is room again */
    sem_post(&open);
    turn_until(loop, &gates[4].done);
    thread_pool_free(pool);
    sem_destroy(&entered);
    sem_destroy(&open);
}

static void queue_of_zero_refuses_everything(void **state)
{
    struct thread_pool *pool = thread_pool_new(1, 0);
    struct gate gate = {.job = {.work = wait_at_gate, .done = note_done}};
    assert_false(thread_pool_submit(pool, *state, &gate.job));
    thread_pool_free(pool);
}

struct opener {
    sem_t *open;
};

static void *open_gate(void *argument)
{
    sem_post(((struct opener *)argument)->open);
    return NULL;
}

static void free_waits_for_the_running_and_drops_the_queued(void **state)
{
    struct loop *loop = *state;
    sem_t entered, open;
    sem_init(&entered, 0, 0);
    sem_init(&open, 0, 0);
    struct thread_pool *pool = thread_pool_new(1, 3);
    struct gate gates[2];
    for (int i = 0; i < 2; i++)
        gates[i] = (struct gate){
            .job = {.work = wait_at_gate, .done = note_done}, .entered = &entered, .open = &open};
    assert_true(thread_pool_submit(pool, loop, &gates[0].job));
    assert_true(thread_pool_submit(pool, loop, &gates[1].job));
    sem_wait(&entered);
    pthread_t thread;
    struct opener opener = {&open};
    assert_int_equal(pthread_create(&thread, NULL, open_gate, &opener), 0);
    sem_post(&open); /* should the second run after all, it ends too */
    thread_pool_free(pool);
    pthread_join(thread, NULL);
    assert_int_equal(gates[0].works, 1);
    turn_until(loop, &gates[0].done);
    assert_int_equal(gates[1].done, gates[1].works > 0);
    sem_destroy(&entered);
    sem_destroy(&open);
}

static void bad_sizes_and_no_memory_give_null(void **state)
{
    (void)state;
    assert_null(thread_pool_new(0, 1));
    assert_null(thread_pool_new(SIZE_MAX / 4, 1));
    assert_null(thread_pool_new(1, SIZE_MAX));
    for (uint64_t nth = 1; nth <= 2; nth++) {
        memory_fail_at(nth);
        assert_null(thread_pool_new(1, 1));
        memory_fail_at(0);
    }
    thread_pool_free(NULL);
}

int main(void)
{
#define POOL_TEST(name) cmocka_unit_test_setup_teardown(name, make_loop, release_loop)
    const struct CMUnitTest tests[] = {
        POOL_TEST(every_job_runs_once_elsewhere_and_is_done_at_home),
        POOL_TEST(full_queue_refuses_and_counts),
        POOL_TEST(queue_of_zero_refuses_everything),
        POOL_TEST(free_waits_for_the_running_and_drops_the_queued),
        POOL_TEST(bad_sizes_and_no_memory_give_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
