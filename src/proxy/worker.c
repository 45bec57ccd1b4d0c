/* The life of a worker: its thread, the snapshots that it adopts, its end. */
#include "proxy/worker.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/check.h"
#include "base/crash.h"
#include "base/memory.h"
#include "proxy/connection.h"
#include "proxy/driver.h"
#include "proxy/listener_socket.h"
#include "tls/library.h"

void (*worker_snapshot_unused)(struct snapshot *snapshot);
void (*worker_snapshot_adopted)(struct snapshot *snapshot);

enum { PIPE_BYTES = 1 << 20, LOGS_PER_SECOND = 10 };

/* --- pins --- */

static void drop_pin(struct snapshot_pin *pin)
{
    struct snapshot *snapshot = pin->snapshot;
    table_release(&pin->plans);
    arena_release(&pin->arena);
    memory_free(pin);
    if (atomic_fetch_sub(&snapshot->pins, 1) == 1)
        worker_snapshot_unused(snapshot);
}

void worker_pin_take(struct snapshot_pin *pin)
{
    pin->exchanges++;
}

void worker_pin_drop(struct snapshot_pin *pin)
{
    if (--pin->exchanges == 0 && !pin->current)
        drop_pin(pin);
}

static void retire_pin(struct snapshot_pin *pin)
{
    pin->current = false;
    pin->exchanges++; /* so that one place decides */
    worker_pin_drop(pin);
}

/* --- listeners --- */

static void listener_ready(struct watch *watch, uint32_t events)
{
    (void)events; /* someone waits, or the socket failed: accept tells */
    connection_accept(CONTAINER_OF(watch, struct listener, watch));
}

void listener_free(struct listener *listener)
{
    list_remove(&listener->link);
    timer_clear(&listener->worker->loop, &listener->retry);
    timer_clear(&listener->worker->loop, &listener->waiting_turn);
    if (listener->pin)
        worker_pin_drop(listener->pin);
    loop_defer_free(&listener->worker->loop, listener);
}

/* Of a listener that accepts no more; it goes with its last one. */
static void drain_connections(struct listener *listener, bool now)
{
    listener->connections_count++; /* or the last connection would free it while it is walked */
    LIST_EACH_SAFE (link, &listener->connections)
        connection_drain(CONTAINER_OF(link, struct connection, link), now);
    if (--listener->connections_count == 0)
        listener_free(listener);
}

/* Accepts no more; `pin` keeps its configuration for the connections that it has. */
static void listener_close(struct listener *listener, struct snapshot_pin *pin, bool now)
{
    if (listener->closed)
        return;
    listener->closed = true;
    listener->pin = pin;
    worker_pin_take(pin);
    loop_remove(&listener->worker->loop, &listener->watch);
    listener->watch.fd = -1;
    drain_connections(listener, now);
}

static struct listener *find_listener(struct worker *worker, const struct listener_socket *socket)
{
    LIST_EACH (link, &worker->listeners) {
        struct listener *listener = CONTAINER_OF(link, struct listener, link);
        if (!listener->closed && listener->watch.fd == listener_socket_fd(socket))
            return listener;
    }
    return NULL;
}

static void open_listener(struct worker *worker, const struct listener_config *config,
                          const struct listener_socket *socket)
{
    struct listener *listener = memory_zero(sizeof *listener);
    if (!listener) {
        log_error("out of memory: a worker does not listen until the next reload",
                  LOG_TEXT("listener", config->name), LOG_INT("worker", worker->index));
        return;
    }
    listener->worker = worker;
    listener->config = config;
    listener->watch = (struct watch){listener_socket_fd(socket), listener_ready};
    list_init(&listener->connections);
    list_init(&listener->waiting);
    list_push_back(&worker->listeners, &listener->link);
    if (loop_add(&worker->loop, &listener->watch, EPOLLIN | EPOLLEXCLUSIVE) < 0)
        log_error("a worker cannot watch a listening socket", LOG_TEXT("listener", config->name),
                  LOG_INT("worker", worker->index));
}

static bool is_configured(const struct listener *listener, const struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->listeners_count; i++)
        if (listener_socket_fd(snapshot->sockets[i]) == listener->watch.fd)
            return true;
    return false;
}

static void change_listeners(struct worker *worker, struct snapshot_pin *old, const struct snapshot *snapshot)
{
    LIST_EACH_SAFE (link, &worker->listeners) {
        struct listener *listener = CONTAINER_OF(link, struct listener, link);
        if (!listener->closed && !is_configured(listener, snapshot)) {
            connection_accept(listener); /* those who have come are served */
            listener_close(listener, old, false);
        }
    }
    for (size_t i = 0; i < snapshot->listeners_count; i++) {
        struct listener *listener = find_listener(worker, snapshot->sockets[i]);
        if (listener)
            listener->config = snapshot->listeners[i];
        else if (!worker->draining)
            open_listener(worker, snapshot->listeners[i], snapshot->sockets[i]);
    }
}

/* --- adopting --- */

struct adoption {
    struct task task;
    struct worker *worker;
    struct snapshot *snapshot;
    struct snapshot_pin *pin;
    struct log_source *log;
};

static void adopt(struct task *task)
{
    struct adoption *adoption = CONTAINER_OF(task, struct adoption, task);
    struct worker *worker = adoption->worker;
    struct snapshot_pin *old = worker->pin;
    worker->pin = adoption->pin;
    worker->log = adoption->log;
    memory_free(adoption);
    change_listeners(worker, old, worker->pin->snapshot);
    if (old)
        retire_pin(old);
    if (atomic_fetch_sub(&worker->pin->snapshot->to_adopt, 1) == 1 && worker_snapshot_adopted)
        worker_snapshot_adopted(worker->pin->snapshot);
}

bool worker_adopt(struct worker *worker, struct snapshot *snapshot, struct log_source *log)
{
    struct adoption *adoption = memory_zero(sizeof *adoption);
    struct snapshot_pin *pin = memory_zero(sizeof *pin);
    if (!adoption || !pin) {
        memory_free(adoption);
        memory_free(pin);
        return false;
    }
    *pin = (struct snapshot_pin){.snapshot = snapshot, .worker = worker, .current = true};
    arena_init(&pin->arena, 0, 0);
    *adoption = (struct adoption){{.run = adopt}, worker, snapshot, pin, log};
    loop_mail(&worker->loop, &adoption->task);
    return true;
}

/* --- draining --- */

static void say_drained(struct task *task)
{
    struct worker *worker = CONTAINER_OF(task, struct worker, drained);
    worker->on_drained(worker);
}

void worker_check_drained(struct worker *worker)
{
    if (!worker->draining || worker->drained_posted)
        return;
    LIST_EACH (link, &worker->listeners) {
        if (CONTAINER_OF(link, struct listener, link)->connections_count > 0)
            return;
    }
    worker->drained_posted = true;
    timer_clear(&worker->loop, &worker->drain_deadline);
    worker->drained.run = say_drained;
    loop_post(&worker->loop, &worker->drained);
}

static void kill_all(struct worker *worker)
{
    LIST_EACH_SAFE (link, &worker->exchanges)
        exchange_kill(CONTAINER_OF(link, struct exchange, link), ERROR_SHUTDOWN);
    LIST_EACH_SAFE (of, &worker->listeners) {
        struct listener *listener = CONTAINER_OF(of, struct listener, link);
        LIST_EACH_SAFE (link, &listener->connections) {
            struct connection *connection = CONTAINER_OF(link, struct connection, link);
            if (!connection->exchange)
                connection_close(connection);
        }
    }
}

static void drain_over(struct timer *timer)
{
    kill_all(CONTAINER_OF(timer, struct worker, drain_deadline));
}

static void stop_accepting(struct worker *worker, bool close_idle)
{
    LIST_EACH_SAFE (link, &worker->listeners) {
        struct listener *listener = CONTAINER_OF(link, struct listener, link);
        if (!listener->closed)
            connection_accept(listener); /* those who have come are served */
        listener_close(listener, worker->pin, close_idle);
    }
    atomic_store(&worker->draining, true);
}

static void drain(struct task *task)
{
    struct worker *worker = CONTAINER_OF(task, struct worker, drain);
    atomic_store(&worker->drain_mailed, false); /* what is said from here on comes with another mail */
    int64_t due_ms = worker->loop.now_ms + atomic_load(&worker->drain_ms);
    bool close_idle = atomic_load(&worker->drain_closes_idle), begun = worker->draining;
    if (!begun)
        stop_accepting(worker, close_idle);
    else if (close_idle)
        LIST_EACH_SAFE (link, &worker->listeners)
            drain_connections(CONTAINER_OF(link, struct listener, link), true);
    worker->drain_deadline.on_due = drain_over;
    if (due_ms <= worker->loop.now_ms)
        kill_all(worker);
    else if (!timer_is_set(&worker->drain_deadline) || due_ms < worker->drain_deadline.due_ms)
        timer_set(&worker->loop, &worker->drain_deadline, due_ms);
    worker_check_drained(worker);
}

void worker_drain(struct worker *worker, int64_t deadline_ms, bool close_idle)
{
    atomic_store(&worker->drain_ms, deadline_ms);
    atomic_store(&worker->drain_closes_idle, close_idle);
    worker->drain.run = drain;
    if (!atomic_exchange(&worker->drain_mailed, true))
        loop_mail(&worker->loop, &worker->drain);
}

/* --- the thread --- */

/* The turn before this one: nothing else ran on this thread meanwhile. */
static void count_turn(struct loop *loop)
{
    struct worker *worker = loop->owner;
    histogram_record(&worker->counts.turns, loop->turn_ns);
}

int worker_init(struct worker *worker, unsigned index, struct loop *control, struct buffer_budget *budget,
                struct thread_pool *threads)
{
    *worker = (struct worker){.index = index, .control = control, .threads = threads};
    int error = loop_init(&worker->loop);
    if (error < 0)
        return error;
    worker->loop.owner = worker;
    worker->loop.before_wait = count_turn;
    list_init(&worker->listeners);
    list_init(&worker->exchanges);
    buffer_pool_init(&worker->buffers, budget, WORKER_FREE_BUFFERS);
    worker->upstream =
        (struct upstream_worker){.loop = &worker->loop, .buffers = &worker->buffers, .index = index};
    return 0;
}

static void *thread(void *argument)
{
    struct worker *worker = argument;
    char name[16];
    snprintf(name, sizeof name, "worker-%u", worker->index);
    (void)crash_thread_begin(name); /* without a stack of its own, only a stack overflow goes unreported */
    crash_thread_exchanges(&worker->exchanges, (ptrdiff_t)offsetof(struct exchange, note)
                                                   - (ptrdiff_t)offsetof(struct exchange, link));
    loop_run(&worker->loop);
    tls_library_thread_end();
    crash_thread_end();
    atomic_store(&worker->finished, true);
    return NULL;
}

int worker_start(struct worker *worker)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the control thread's */
    int error = pthread_create(&worker->thread, NULL, thread, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -error;
}

void worker_join(struct worker *worker)
{
    pthread_join(worker->thread, NULL);
}

void worker_release_pins(struct worker *worker)
{
    LIST_EACH_SAFE (link, &worker->listeners)
        listener_free(CONTAINER_OF(link, struct listener, link));
    if (worker->pin)
        retire_pin(worker->pin);
    worker->pin = NULL;
}

void worker_release(struct worker *worker)
{
    while (worker->free_exchanges) {
        struct exchange *ex = worker->free_exchanges;
        worker->free_exchanges = ex->next_free;
        arena_release(&ex->arena);
        memory_free(ex);
    }
    for (unsigned i = 0; i < worker->pipes_free; i++) {
        close(worker->pipes[i][0]);
        close(worker->pipes[i][1]);
    }
    buffer_pool_release(&worker->buffers);
    loop_release(&worker->loop);
}

/* --- small things that a worker lends --- */

struct text worker_http_date(struct worker *worker)
{
    int64_t second = worker->loop.wall_ns / NS_PER_SECOND;
    if (second != worker->http_date_s) {
        worker->http_date_s = second;
        time_write_http(worker->loop.wall_ns, worker->http_date);
    }
    return (struct text){worker->http_date, TIME_HTTP_SIZE};
}

bool worker_take_pipe(struct worker *worker, int ret_pipe[2])
{
    if (worker->pipes_free > 0) {
        memcpy(ret_pipe, worker->pipes[--worker->pipes_free], sizeof worker->pipes[0]);
        return true;
    }
    if (worker->pipes_made >= WORKER_PIPES_MAX || pipe2(ret_pipe, O_NONBLOCK | O_CLOEXEC) < 0)
        return false;
    (void)fcntl(ret_pipe[1], F_SETPIPE_SZ, PIPE_BYTES); /* a smaller one works too */
    worker->pipes_made++;
    return true;
}

void worker_give_pipe(struct worker *worker, const int pipe[2], bool empty)
{
    if (empty) {
        memcpy(worker->pipes[worker->pipes_free++], pipe, sizeof worker->pipes[0]);
        return;
    }
    close(pipe[0]);
    close(pipe[1]);
    worker->pipes_made--;
}

bool worker_may_log(struct worker *worker)
{
    int64_t second = worker->loop.now_ms / MS_PER_SECOND;
    if (worker->logs_second != second) {
        worker->logs_second = second;
        worker->logs_count = 0;
    }
    if (worker->logs_count++ < LOGS_PER_SECOND)
        return true;
    metric_add(worker->metrics, METRIC_LOG_LINES_SUPPRESSED, 1);
    return false;
}
