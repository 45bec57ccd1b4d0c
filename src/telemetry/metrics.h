/* What Turnpike counts about itself: fixed metrics (metrics.def), and a bounded number of series by route and
 * service.
 *
 * Each thread writes its own block with plain stores, and the control thread adds the blocks up when someone
 * asks: counting takes no lock and no locked instruction. Numbers of one export may be a few requests apart
 * from each other.
 *
 * A series is claimed by name when a snapshot is built, so it survives reloads, and belongs to the snapshots
 * that hold it. Series that no one holds stay until their place is needed. Beyond the limit all new claims
 * share one series, "_overflow". */
#pragma once

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/error.h"
#include "base/text.h"
#include "telemetry/histogram.h"

enum metric_id {
#define METRIC(id, kind, name, help) METRIC_##id,
#include "telemetry/metrics.def"
#undef METRIC
    METRIC_IDS_COUNT
};

enum metric_kind { METRIC_KIND_COUNTER, METRIC_KIND_GAUGE };

struct metric_about {
    const char *name, *help;
    enum metric_kind kind;
};
extern const struct metric_about metric_abouts[METRIC_IDS_COUNT];

/* 1xx to 5xx, and exchanges that ended without a response. */
enum series_status {
    SERIES_NONE,
    SERIES_1XX,
    SERIES_2XX,
    SERIES_3XX,
    SERIES_4XX,
    SERIES_5XX,
    SERIES_STATUSES
};

/* One thread's numbers of one series. */
struct series_block {
    _Atomic uint64_t requests[SERIES_STATUSES];
    _Atomic uint64_t bytes_in, bytes_out;
    _Atomic uint64_t attempts, failures, retries;
    struct histogram total, upstream, own, queued, waited;
};

enum { SERIES_CHUNK_BITS = 8, SERIES_CHUNK_SIZE = 1 << SERIES_CHUNK_BITS };

struct series_chunk {
    _Atomic(struct series_block *) blocks[SERIES_CHUNK_SIZE]; /* made by the worker on first use */
};

/* All that one thread writes. */
struct metric_thread {
    alignas(64) _Atomic uint64_t values[METRIC_IDS_COUNT];
    struct series_block *overflow;           /* always there: also where a block could not be allocated */
    _Atomic(struct series_chunk *) chunks[]; /* by index >> SERIES_CHUNK_BITS; as many as the limit needs */
};

struct metrics;

/* `threads` blocks: the workers', and one for the control thread by convention the last. At most `series_max`
 * series, to which the overflow series comes on top; 0 is allowed. NULL: no memory. All functions below run
 * on the control thread unless they say so. */
struct metrics *metrics_new(size_t threads, uint32_t series_max, struct error *reterr);
void metrics_free(struct metrics *metrics); /* NULL allowed; no thread may count any more */

/* A thread's block, for as long as the metrics live; from any thread. */
struct metric_thread *metrics_thread(struct metrics *metrics, size_t thread);
size_t metrics_threads_count(const struct metrics *metrics);

/* A block that counts like the others and that no one adds up: for traffic that is not to be measured, such as that of the admin
 * listener. */
struct metric_thread *metrics_apart(struct metrics *metrics);

size_t metrics_bytes(const struct metrics *metrics); /* memory that the metrics take */

/* On the thread that owns the block. */
static inline void metric_add(struct metric_thread *thread, enum metric_id id, uint64_t by)
{
    counter_bump(&thread->values[id], by);
}
static inline void metric_subtract(struct metric_thread *thread, enum metric_id id, uint64_t by)
{
    counter_bump(&thread->values[id], -by);
}

/* Sum over the threads; from any thread. */
uint64_t metric_total(const struct metrics *metrics, enum metric_id id);

/* A claimed series. What it points to is valid until the claim is given back. */
struct metric_series {
    uint32_t index;  /* for series_record() */
    uint32_t claims; /* how many hold it */
    struct text route, service;
};

enum { SERIES_OVERFLOW = 0 }; /* its index */

/* The series of a route and a service (either may be empty); one more claim on it. Never NULL: beyond the
 * limit, or without memory, it is the overflow series. Names are copied. A series that was given back by all
 * and claimed again goes on counting, unless its place was needed meanwhile. */
struct metric_series *series_claim(struct metrics *metrics, struct text route, struct text service);

/* Gives a claim back: no worker may record to its index any more. NULL allowed. */
void series_unclaim(struct metrics *metrics, struct metric_series *series);

/* How one exchange went. */
struct series_sample {
    unsigned status;              /* of the response; 0: none */
    uint64_t bytes_in, bytes_out; /* of the bodies */
    int64_t total_ns;
    int64_t upstream_ns; /* of the attempt that was answered, until its head was there; negative: none was */
    int64_t own_ns, queued_ns;   /* the gateway's share, and what of it was waiting for its turn */
    int64_t waited_ns;           /* what policies waited; 0: none did */
    uint32_t attempts, failures; /* at endpoints, and those of them that failed */
};

/* The thread's block of a series, allocated when it is missing. On the thread that owns `thread`. */
struct series_block *series_block_new(struct metric_thread *thread, uint32_t index);

static inline struct series_block *series_block_of(struct metric_thread *thread, uint32_t index)
{
    struct series_chunk *chunk =
        atomic_load_explicit(&thread->chunks[index >> SERIES_CHUNK_BITS], memory_order_acquire);
    struct series_block *block =
        LIKELY(chunk)
            ? atomic_load_explicit(&chunk->blocks[index & (SERIES_CHUNK_SIZE - 1)], memory_order_relaxed)
            : thread->overflow;
    return LIKELY(block) ? block : series_block_new(thread, index);
}

/* Counts one exchange: some 20 loads and stores. On the thread that owns `thread`; `index` comes from a
 * claimed series. */
static inline void series_record(struct metric_thread *thread, uint32_t index,
                                 const struct series_sample *sample)
{
    struct series_block *block = series_block_of(thread, index);
    unsigned status = sample->status / 100;
    counter_bump(&block->requests[status < SERIES_STATUSES ? status : SERIES_NONE], 1);
    counter_bump(&block->bytes_in, sample->bytes_in);
    counter_bump(&block->bytes_out, sample->bytes_out);
    histogram_record(&block->total, sample->total_ns);
    histogram_record(&block->own, sample->own_ns);
    histogram_record(&block->queued, sample->queued_ns);
    if (UNLIKELY(sample->waited_ns > 0))
        histogram_record(&block->waited, sample->waited_ns);
    if (sample->upstream_ns >= 0)
        histogram_record(&block->upstream, sample->upstream_ns);
    if (sample->attempts > 0)
        counter_bump(&block->attempts, sample->attempts);
    if (UNLIKELY(sample->attempts > 1))
        counter_bump(&block->retries, sample->attempts - 1);
    if (UNLIKELY(sample->failures > 0))
        counter_bump(&block->failures, sample->failures);
}

/* A series' sums over the threads. */
struct series_total {
    uint64_t requests[SERIES_STATUSES];
    uint64_t bytes_in, bytes_out;
    uint64_t attempts, failures, retries;
    struct histogram_total total, upstream, own, queued, waited;
};
void series_sum(const struct metrics *metrics, const struct metric_series *series,
                struct series_total *ret_total);

/* Walks all series that have a name, held or not, the overflow series first: start with *cursor = 0; NULL at
 * the end. Claims may come and go meanwhile. */
const struct metric_series *series_next(const struct metrics *metrics, uint32_t *cursor);

struct prometheus;

/* Everything, as metric families. Series without a request are left out. */
void metrics_write(const struct metrics *metrics, struct prometheus *writer);
