/* The table of bounds, and the way to a bucket without a search. */
#include "telemetry/histogram.h"

#define US 1000ull
#define MS (1000 * US)
#define S  (1000 * MS)

const uint64_t histogram_bounds_ns[] = {
    5 * US,    10 * US,   25 * US, 50 * US, 100 * US, 250 * US, 500 * US,   1 * MS,
    2500 * US, 5 * MS,    10 * MS, 25 * MS, 50 * MS,  100 * MS, 250 * MS,   500 * MS,
    1 * S,     2500 * MS, 5 * S,   10 * S,  30 * S,   60 * S,   UINT64_MAX,
};

const uint8_t histogram_starts[64] = {
    0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  1,  2,  3,  4,  5,  6,  7,  8,  8,
    9,  10, 11, 12, 13, 14, 15, 16, 17, 17, 18, 19, 20, 21, 22, 22, 22, 22, 22, 22, 22, 22,
    22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22,
};

void histogram_sum(const struct histogram *histogram, struct histogram_total *total)
{
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t count = atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
        total->buckets[i] += count;
        total->count += count;
    }
    total->sum_ns += atomic_load_explicit(&histogram->sum_ns, memory_order_relaxed);
}
