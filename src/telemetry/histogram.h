/* Durations counted in fixed buckets: those that Prometheus' clients use by default up to 60 s, and more of them
 * below for a gateway's own share. One thread writes with plain stores; any thread reads. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

enum { HISTOGRAM_BOUNDS = 22, HISTOGRAM_BUCKETS = HISTOGRAM_BOUNDS + 1 };

/* Upper limits in nanoseconds, each inside its bucket ("le"), ascending; after them a sentinel that nothing
 * exceeds. */
extern const uint64_t histogram_bounds_ns[HISTOGRAM_BOUNDS + 1];
extern const uint8_t histogram_starts
    [64]; /* by the position of the highest bit: how many bounds are below that power of two */

struct histogram {
    _Atomic uint64_t buckets[HISTOGRAM_BUCKETS]; /* not cumulative; the last holds what exceeds all bounds */
    _Atomic uint64_t sum_ns;
};

/* A sum over threads, for readers. */
struct histogram_total {
    uint64_t buckets[HISTOGRAM_BUCKETS];
    uint64_t sum_ns, count;
};

/* Adds to a number that only this thread writes: no locked instruction. */
static inline void counter_bump(_Atomic uint64_t *counter, uint64_t by)
{
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + by, memory_order_relaxed);
}

/* The bucket of a duration: no bit position has more than one bound inside it, so one comparison settles
 * it. */
static inline unsigned histogram_bucket(uint64_t ns)
{
    unsigned start = histogram_starts[63 - __builtin_clzll(ns | 1)];
    return start + (ns > histogram_bounds_ns[start]);
}

/* Counts one duration; a negative one (a clock that went back) counts as 0. */
static inline void histogram_record(struct histogram *histogram, int64_t ns)
{
    uint64_t duration = ns > 0 ? (uint64_t)ns : 0;
    counter_bump(&histogram->buckets[histogram_bucket(duration)], 1);
    counter_bump(&histogram->sum_ns, duration);
}

void histogram_sum(const struct histogram *histogram, struct histogram_total *total); /* adds to it */
