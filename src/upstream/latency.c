/* A histogram with a constant relative error, and the search for outliers. */
#include "upstream/latency.h"

#include <stdlib.h>

#include "base/check.h"

enum { FIRST_BIT = 6, PARTS_BITS = 2, PARTS = 1 << PARTS_BITS };

static unsigned bucket_of(uint64_t us)
{
    unsigned bit = 63 - (unsigned)__builtin_clzll(us | 1);
    if (bit < FIRST_BIT)
        return 0;
    return MIN_OF((bit - FIRST_BIT) * PARTS + (unsigned)(us >> (bit - PARTS_BITS)) % PARTS,
                  LATENCY_BUCKETS - 1u);
}

static uint32_t bucket_start(unsigned bucket)
{
    return bucket == 0 ? 0 : (uint32_t)(PARTS + bucket % PARTS) << (FIRST_BIT - PARTS_BITS + bucket / PARTS);
}

void latency_record(struct latencies *latencies, int64_t ns)
{
    unsigned bucket = bucket_of((uint64_t)MAX_OF(ns, 0) / 1000);
    atomic_fetch_add_explicit(&latencies->buckets[bucket], 1, memory_order_relaxed);
}

/* Within a bucket they are taken to lie evenly. */
uint32_t latency_take(struct latencies *latencies, double percentile, uint32_t *ret_us)
{
    uint32_t counts[LATENCY_BUCKETS], total = 0, below = 0;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        total += counts[i] = atomic_exchange_explicit(&latencies->buckets[i], 0, memory_order_relaxed);
    double wanted = percentile * total;
    *ret_us = 0;
    for (unsigned i = 0; i < LATENCY_BUCKETS && total; below += counts[i++]) {
        if (counts[i] == 0 || below + counts[i] < wanted)
            continue;
        uint32_t start = bucket_start(i), width = bucket_start(i + 1) - start;
        *ret_us = start + (uint32_t)(width * (wanted - below) / counts[i]);
        break;
    }
    return total;
}

static int slower_first(const void *a_, const void *b_)
{
    const struct latency_of *a = a_, *b = b_;
    return a->us < b->us ? 1 : a->us > b->us ? -1 : 0;
}

uint32_t latency_compare(struct latency_of *all, uint32_t count, double factor, uint32_t above_us)
{
    if (count < 2)
        return 0;
    qsort(all, count, sizeof *all, slower_first);
    uint32_t outliers = 0;
    for (; outliers < count; outliers++) {
        struct latency_of *one = &all[outliers];
        uint32_t middle = (count - 1) / 2; /* of all but `one`; of two in the middle the faster */
        one->others_us = all[middle >= outliers ? middle + 1 : middle].us;
        if (one->us <= above_us || one->us <= factor * one->others_us)
            break;
    }
    return outliers;
}
