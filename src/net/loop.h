/* The event loop of one thread: readiness of descriptors (epoll, edge-triggered), timers, tasks of its own,
 * mail from other threads.
 *
 * Everything runs to completion on the loop's thread; nothing here locks. Of all functions only loop_mail()
 * may be called by any thread. Callbacks may add, remove and free anything: storage that a callback might still name is freed
 * with loop_defer_free() or after the turn. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "base/list.h"

struct loop;

/* A descriptor that is watched. Registered once; the caller keeps its own readiness and tries the system call
 * before waiting. A watch whose `fd` is negative gets no more events: closing the descriptor and setting -1
 * is enough, if the watch's memory lives until the end of the turn. Before it is freed earlier or used for
 * another descriptor: loop_remove() or loop_forget(). */
struct watch {
    int fd;
    /* `events`: EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR. */
    void (*on_ready)(struct watch *watch, uint32_t events);
};

/* A timer: one at a time, embedded in its owner. Zeroed is valid and not running. `due_ms` is on the clock of
 * loop.now_ms. */
struct timer {
    struct list link;
    int64_t due_ms;
    void (*on_due)(struct timer *timer);
};

/* Work for later in this turn, or by mail from another thread. Storage is the sender's until `run` is
 * called. */
struct task {
    struct task *next;
    void (*run)(struct task *task);
};

enum {
    LOOP_TICK_MS = 8,
    LOOP_WHEEL_BITS = 8,
    LOOP_WHEEL_SLOTS = 1 << LOOP_WHEEL_BITS,
    LOOP_WHEEL_LEVELS = 4
};
enum {
    LOOP_BATCH_MAX = 256,
    LOOP_TASKS_BUDGET = 1024 /* per turn; the rest runs in the next one, which does not wait */
};

struct loop {
    int poller, mail_fd;
    bool stopping;
    int64_t now_ns; /* monotonic, read once after each wait */
    int64_t now_ms;
    int64_t mark_ns; /* the latest reading of the monotonic clock in this turn; whoever reads it sets it */
    int64_t wall_ns; /* wall clock at the same moment */
    struct task *tasks_first, **tasks_last;
    _Atomic(struct task *) mail; /* newest first */
    struct watch mail_watch;
    struct list wheel[LOOP_WHEEL_LEVELS][LOOP_WHEEL_SLOTS];
    uint64_t wheel_map[LOOP_WHEEL_LEVELS][LOOP_WHEEL_SLOTS / 64]; /* which slots hold something */
    int64_t wheel_tick;                                           /* the next tick to be run */
    struct list due;                                              /* timers of the tick that is running */
    uint64_t timers_count;
    void *graveyard;                        /* blocks of loop_defer_free */
    uint64_t turns, events;                 /* so far */
    int64_t lag_ns_max;                     /* longest turn since it was last read and zeroed by the owner */
    void (*before_wait)(struct loop *loop); /* once per turn, may be NULL: flush what was batched */
    void *owner;
    int64_t turn_end_ns;       /* monotonic, when the last turn ended */
    int64_t turn_ns;           /* how long it took, its wait left out */
    int64_t wall_offset_ns;    /* wall clock less monotonic clock, measured anew every 100 ms at most */
    int64_t wall_measure_ns;   /* when that is due */
    int batch_at, batch_count; /* the event that is handled, and how many were fetched */
    struct epoll_event batch[LOOP_BATCH_MAX];
};

int loop_init(struct loop *loop); /* 0, or a negative errno */
void loop_release(struct loop *loop);

/* Runs until loop_stop(). At least one turn. */
void loop_run(struct loop *loop);
void loop_turn(struct loop *loop, int64_t wait_ms_max); /* one turn; negative: as long as the timers allow */
void loop_stop(struct loop *loop); /* on the loop's thread; another thread mails a task that calls it */

/* Watches for the events for good; edge-triggered unless `events` lacks EPOLLET. 0, or a negative errno. */
int loop_add(struct loop *loop, struct watch *watch, uint32_t events);
int loop_change(struct loop *loop, struct watch *watch, uint32_t events);

/* Ends a watch, before its descriptor is closed. Only needed if duplicates of the descriptor may live on: else
 * closing it and loop_forget() do, without a system call. */
void loop_remove(struct loop *loop, struct watch *watch);

/* Drops events that were already fetched for a watch; loop_remove() does so too. Without a system call: for a
 * watch whose descriptor was or will be closed, and whose memory is freed or used again before the turn
 * ends. */
void loop_forget(struct loop *loop, const struct watch *watch);

/* Starts or moves a timer; O(1), and next to nothing when a running one is moved to later. It fires once, not
 * before due_ms and about one tick after it at the latest. */
void timer_set(struct loop *loop, struct timer *timer, int64_t due_ms);
void timer_clear(struct loop *loop, struct timer *timer);
static inline bool timer_is_set(const struct timer *timer)
{
    return timer->link.next != NULL;
}

/* Runs a task later in this turn, after the events; tasks that are posted meanwhile run too, up to a budget
 * per turn. */
void loop_post(struct loop *loop, struct task *task);

/* Takes back a task that was posted or mailed and has not run, on the loop's thread; O(tasks waiting). False:
 * it was not there. */
bool loop_unpost(struct loop *loop, struct task *task);

/* From any thread: runs the task on the loop's thread soon. The release/acquire pair makes what was written
 * before visible. */
void loop_mail(struct loop *loop, struct task *task);

/* Frees a block of memory_alloc() at the end of the turn: events already fetched may still name it. The
 * block's first word is used from now on, so it must not hold a watch (or its events are forgotten first).
 * NULL is allowed. */
void loop_defer_free(struct loop *loop, void *block);
