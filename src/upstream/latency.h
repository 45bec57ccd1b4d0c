/* Latencies of an endpoint, counted by all workers, and who of several is much slower than the others. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

enum { LATENCY_BUCKETS = 84 };

/* Zeroed is empty. Four buckets for each doubling from 64 microseconds to 134 seconds. */
struct latencies {
    _Atomic uint32_t buckets[LATENCY_BUCKETS];
};

void latency_record(struct latencies *latencies, int64_t ns); /* any thread */

/* Empties it and returns how many there were; the microseconds within which the share `percentile` of them lay. */
uint32_t latency_take(struct latencies *latencies, double percentile, uint32_t *ret_us);

/* One of those that are compared. */
struct latency_of {
    uint32_t us, others_us; /* the median of the others: set by latency_compare() */
    uint32_t index;         /* the caller's */
};

/* Sorts by time, slowest first, and returns how many at the front are more than `factor` times slower than the others, and slower than
 * `above_us`. */
uint32_t latency_compare(struct latency_of *all, uint32_t count, double factor, uint32_t above_us);
