/* A worker: one thread with its loop, its connections, its pools. Shares nothing with others but what this file names. */
#pragma once

#include <pthread.h>

#include "base/time.h"
#include "net/buffer_pool.h"
#include "net/loop.h"
#include "proxy/exchange.h"
#include "proxy/snapshot.h"
#include "telemetry/log_file.h"
#include "telemetry/metrics.h"
#include "tls/counts.h"
#include "upstream/pool.h"

enum { WORKER_PIPES_MAX = 32, WORKER_FREE_EXCHANGES = 256, WORKER_FREE_BUFFERS = 256 };

/* A snapshot as one worker uses it: exchanges count here, without atomics. */
struct snapshot_pin {
    struct snapshot *snapshot;
    struct worker *worker;
    uint32_t exchanges;
    bool current;
    struct arena arena; /* plans of consumer kinds seen here */
    struct table plans;
};

/* One listener in one worker. */
struct listener {
    struct watch watch;
    struct worker *worker;
    const struct listener_config
        *config;              /* of the worker's newest snapshot, or of the last one that had it */
    struct snapshot_pin *pin; /* keeps `config` alive once it has left the configuration */
    struct list link;
    struct list connections;
    uint32_t connections_count;
    bool closed;         /* accepts no more */
    struct timer retry;  /* accept failed for want of descriptors: again a little later */
    struct list waiting; /* TLS layers of connections whose handshakes may not begin yet */
    uint32_t waiting_count;
    struct timer waiting_turn;
};

enum verdict_count {
    COUNT_NEXT,
    COUNT_RESPOND,
    COUNT_DROP,
    COUNT_FAULT,
    COUNT_WAIT,
    COUNT_SKIPPED,
    VERDICT_COUNTS
};
enum { POLICIES_MAX = 256 };

/* What a worker counts beside telemetry/metrics.def: labelled by a fixed set. Written by it alone with counter_bump(), read by others. */
struct worker_counts {
    _Atomic uint64_t errors[ERRORS_COUNT];
    _Atomic uint64_t policy[POLICIES_MAX][VERDICT_COUNTS];
    _Atomic uint64_t policy_samples[POLICIES_MAX], policy_ns[POLICIES_MAX];
    _Atomic uint64_t
        exchange_bytes; /* of exchanges under way or kept for reuse, with the first block of their arenas */
    struct tls_counts tls;  /* of clients */
    struct histogram turns; /* of the loop */
};

struct worker {
    unsigned index;
    pthread_t thread;
    struct loop loop;
    struct loop *control;
    struct buffer_pool buffers;
    struct upstream_worker upstream;
    struct thread_pool *threads;
    struct list listeners;
    struct list exchanges;
    uint32_t exchanges_count;
    struct snapshot_pin *pin; /* of the newest snapshot */
    struct exchange *free_exchanges;
    uint32_t free_exchanges_count;
    uint64_t next_id;
    int pipes[WORKER_PIPES_MAX][2];
    unsigned pipes_free, pipes_made;
    _Atomic bool draining; /* accepts no more */
    struct timer drain_deadline;
    struct worker_counts counts;
    struct log_source *log; /* access log; NULL: none */
    struct metric_thread *metrics;
    char http_date[TIME_HTTP_SIZE];
    int64_t http_date_s;
    char log_time[TIME_ISO_SIZE];
    int64_t log_second;
    uint64_t sample; /* for timings of policies */
    void (*on_drained)(
        struct worker *worker); /* called once on the worker's thread: the owner ends the loop */
    void *gateway;              /* the owner's */
    struct task drain, drained;
    _Atomic bool drain_mailed, drain_closes_idle; /* of who drains it; the task reads them */
    _Atomic int64_t drain_ms;
    bool drained_posted;
    _Atomic bool finished; /* the loop has ended */
    int64_t logs_second;   /* limit of log lines about exchanges */
    uint32_t logs_count;
};

int worker_init(struct worker *worker, unsigned index, struct loop *control, struct buffer_budget *budget,
                struct thread_pool *threads);
int worker_start(struct worker *worker); /* starts the thread */
void worker_join(struct worker *worker);
void worker_release_pins(
    struct worker *worker); /* after its loop has ended: lets go of the newest snapshot and its listeners */
void worker_release(struct worker *worker);

/* Any thread: the worker adopts a snapshot, and writes access log lines to `log` (NULL: none) from then on; its listeners are opened, changed, closed.
 * The snapshot is pinned for it already. False: no memory. */
bool worker_adopt(struct worker *worker, struct snapshot *snapshot, struct log_source *log);

/* The control thread: accept no more, finish what is under way within `deadline_ms`, then call `on_drained`. With `close_idle` connections
 * without a request are closed; without it they may ask once more until their own timeout. Called again with less time: that holds; with 0: at
 * once. */
void worker_drain(struct worker *worker, int64_t deadline_ms, bool close_idle);

/* Worker thread. */
void listener_free(struct listener *listener); /* a closed one whose last connection has gone */
struct text worker_http_date(struct worker *worker);
void worker_pin_take(struct snapshot_pin *pin);
void worker_pin_drop(struct snapshot_pin *pin);
bool worker_take_pipe(struct worker *worker, int ret_pipe[2]);
void worker_give_pipe(struct worker *worker, const int pipe[2], bool empty);
void worker_check_drained(struct worker *worker);
bool worker_may_log(struct worker *worker); /* of log lines about exchanges, ten a second; more are counted */

/* The control thread frees snapshots: set once by it. */
extern void (*worker_snapshot_unused)(struct snapshot *snapshot);

/* All workers have adopted it: nobody watches sockets of older ones any more. Called once, on the last worker's thread. */
extern void (*worker_snapshot_adopted)(struct snapshot *snapshot);
