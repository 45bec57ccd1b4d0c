/* The event loop. A turn: wait, events, timers, tasks, what was batched. */
#include "net/loop.h"

#include <errno.h>
#include <limits.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/time.h"
#include "net/timer.h"

enum { WALL_MEASURE_NS = 100000000 };

/* One reading of the monotonic clock; the wall clock's distance to it changes seldom (when someone sets
 * it). */
static void read_clocks(struct loop *loop)
{
    loop->now_ns = loop->mark_ns = time_monotonic_ns();
    loop->now_ms = loop->now_ns / NS_PER_MS;
    if (loop->now_ns >= loop->wall_measure_ns) {
        loop->wall_offset_ns = time_wall_ns() - loop->now_ns;
        loop->wall_measure_ns = loop->now_ns + WALL_MEASURE_NS;
    }
    loop->wall_ns = loop->now_ns + loop->wall_offset_ns;
}

static void append_task(struct loop *loop, struct task *task)
{
    task->next = NULL;
    *loop->tasks_last = task;
    loop->tasks_last = &task->next;
}

/* Moves the mail to the tasks, oldest first. */
static void take_mail(struct loop *loop)
{
    struct task *newest = atomic_exchange_explicit(&loop->mail, NULL, memory_order_acquire), *oldest = NULL;
    while (newest) {
        struct task *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        struct task *next = oldest->next;
        append_task(loop, oldest);
        oldest = next;
    }
}

/* The eventfd is watched edge-triggered and never read: each write is an edge. */
static void mail_ready(struct watch *watch, uint32_t events)
{
    (void)events; /* there is but one kind */
    take_mail(CONTAINER_OF(watch, struct loop, mail_watch));
}

int loop_init(struct loop *loop)
{
    *loop = (struct loop){.poller = epoll_create1(EPOLL_CLOEXEC), .mail_fd = -1};
    loop->tasks_last = &loop->tasks_first;
    if (loop->poller < 0)
        return -errno;
    loop->mail_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int error = loop->mail_fd < 0 ? -errno : 0;
    loop->mail_watch = (struct watch){.fd = loop->mail_fd, .on_ready = mail_ready};
    if (!error)
        error = loop_add(loop, &loop->mail_watch, EPOLLIN | EPOLLET);
    read_clocks(loop);
    loop->turn_end_ns = loop->now_ns;
    wheel_init(loop);
    if (error)
        loop_release(loop);
    return error;
}

static void bury(struct loop *loop)
{
    while (loop->graveyard) {
        void *block = loop->graveyard;
        loop->graveyard = *(void **)block;
        memory_free(block);
    }
}

void loop_release(struct loop *loop)
{
    bury(loop);
    if (loop->mail_fd >= 0)
        close(loop->mail_fd);
    if (loop->poller >= 0)
        close(loop->poller);
    loop->mail_fd = loop->poller = -1;
}

static int control(struct loop *loop, int operation, struct watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    return epoll_ctl(loop->poller, operation, watch->fd, &event) ? -errno : 0;
}

int loop_add(struct loop *loop, struct watch *watch, uint32_t events)
{
    return control(loop, EPOLL_CTL_ADD, watch, events);
}

int loop_change(struct loop *loop, struct watch *watch, uint32_t events)
{
    return control(loop, EPOLL_CTL_MOD, watch, events);
}

void loop_forget(struct loop *loop, const struct watch *watch)
{
    for (int i = loop->batch_at; i < loop->batch_count; i++)
        if (loop->batch[i].data.ptr == watch)
            loop->batch[i].data.ptr = NULL;
}

void loop_remove(struct loop *loop, struct watch *watch)
{
    if (watch->fd >= 0)
        (void)control(loop, EPOLL_CTL_DEL, watch, 0); /* one that was never added is as good as removed */
    loop_forget(loop, watch);
}

/* How long epoll_wait() may sleep: rounded up, so that it does not wake just before a tick. */
static int wait_ms(const struct loop *loop, int64_t wait_ms_max)
{
    if (loop->tasks_first || loop->stopping)
        return 0;
    int64_t wait = wait_ms_max;
    int64_t next_ms = wheel_next_ms(loop);
    if (next_ms >= 0) {
        int64_t next_ns = next_ms > INT64_MAX / NS_PER_MS ? INT64_MAX : next_ms * NS_PER_MS;
        int64_t ahead_ns = MAX_OF(next_ns - loop->turn_end_ns, 0);
        int64_t ahead_ms = ahead_ns / NS_PER_MS + (ahead_ns % NS_PER_MS > 0);
        wait = wait < 0 ? ahead_ms : MIN_OF(wait, ahead_ms);
    }
    return wait < 0 ? -1 : (int)MIN_OF(wait, INT_MAX);
}

static void run_events(struct loop *loop, int count)
{
    loop->events += (uint64_t)count;
    loop->batch_count = count;
    for (loop->batch_at = 0; loop->batch_at < loop->batch_count; loop->batch_at++) {
        struct epoll_event *event = &loop->batch[loop->batch_at];
        struct watch *watch = event->data.ptr;
        if (watch && watch->fd >= 0)
            watch->on_ready(watch, event->events);
    }
    loop->batch_at = loop->batch_count = 0;
}

static void run_tasks(struct loop *loop)
{
    for (int budget = LOOP_TASKS_BUDGET; budget > 0 && loop->tasks_first; budget--) {
        struct task *task = loop->tasks_first;
        loop->tasks_first = task->next;
        if (!loop->tasks_first)
            loop->tasks_last = &loop->tasks_first;
        task->run(task);
    }
}

void loop_turn(struct loop *loop, int64_t wait_ms_max)
{
    int count = epoll_wait(loop->poller, loop->batch, LOOP_BATCH_MAX, wait_ms(loop, wait_ms_max));
    CHECK(count >= 0 || errno == EINTR);
    read_clocks(loop);
    loop->turns++;
    run_events(loop, MAX_OF(count, 0)); /* before the timers: what has arrived in time is not late */
    wheel_run(loop);
    run_tasks(loop);
    if (loop->before_wait)
        loop->before_wait(loop);
    bury(loop);
    loop->turn_end_ns = time_monotonic_ns();
    loop->turn_ns = loop->turn_end_ns - loop->now_ns;
    loop->lag_ns_max = MAX_OF(loop->lag_ns_max, loop->turn_ns);
}

void loop_run(struct loop *loop)
{
    do
        loop_turn(loop, -1);
    while (!loop->stopping);
    loop->stopping = false;
}

void loop_stop(struct loop *loop)
{
    loop->stopping = true;
}

void loop_post(struct loop *loop, struct task *task)
{
    append_task(loop, task);
}

bool loop_unpost(struct loop *loop, struct task *task)
{
    take_mail(loop);
    for (struct task **at = &loop->tasks_first; *at; at = &(*at)->next) {
        if (*at != task)
            continue;
        *at = task->next;
        if (!*at)
            loop->tasks_last = at;
        return true;
    }
    return false;
}

void loop_mail(struct loop *loop, struct task *task)
{
    int mail_fd = loop->mail_fd; /* once the task is in, its owner may end the loop's thread */
    struct task *newest = atomic_load_explicit(&loop->mail, memory_order_relaxed);
    do
        task->next = newest;
    while (!atomic_compare_exchange_weak_explicit(&loop->mail, &newest, task, memory_order_release,
                                                  memory_order_relaxed));
    if (newest)
        return; /* whoever put the first one wakes the loop */
    uint64_t one = 1;
    ssize_t written = write(mail_fd, &one, sizeof one);
    (void)written; /* it could only fail when the counter is full, and then the loop is awake */
}

void loop_defer_free(struct loop *loop, void *block)
{
    if (!block)
        return;
    *(void **)block = loop->graveyard;
    loop->graveyard = block;
}
