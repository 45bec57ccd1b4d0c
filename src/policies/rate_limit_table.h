/* Counts per key of a rate limit: one table for all workers of a node, exact across them, without locks.
 *
 * Open addressing; an entry is half a cache line and all of its state changes by one compare-and-swap. A key is known by its keyed 64-bit
 * hash: that two of 100,000 live keys share an entry has a chance of 1 in 3,000,000,000, and no client can bring it about. The table
 * keeps at least `keys` keys. When it is full, an entry whose window is over is used again; when there is none, the one nearest to its
 * end among RATE_PROBES is, and `evictions` counts it: that key starts anew.
 *
 * Threads that are in different windows (each reads its clock once per turn) agree on the newest one that an entry has seen. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rate_algorithm { RATE_FIXED_WINDOW, RATE_SLIDING_WINDOW, RATE_TOKEN_BUCKET };

enum { RATE_PROBES = 64 };
#define RATE_LIMIT_MAX     4000000000ll /* counts have 32 bits */
#define RATE_WINDOW_MS_MAX 2678400000ll /* 31 days */

struct rate_entry {
    _Atomic uint64_t tag; /* hash of the key; 0: never used */
    _Atomic uint64_t words
        [2]; /* windows: index << 32 | count, of even and odd windows; token bucket: see rate_rule, then unused */
    uint64_t unused;
};

struct rate_table {
    enum rate_algorithm algorithm;
    uint64_t window_ms;
    size_t capacity, keys;
    int32_t
        ahead_max; /* windows that another thread's clock may be ahead; beyond that the wall clock was set back */
    _Atomic(struct rate_entry *) entries; /* aligned, in `block`; made with the first key */
    _Atomic(void *) block;
    _Atomic uint64_t used;           /* entries that were ever used */
    _Atomic uint64_t evictions;      /* counts that were lost because the table was full */
    _Atomic uint64_t evictions_told; /* of them, those that were logged */
};

/* What is allowed in a window. The table's algorithm and window do not change, a rule may with every reload. */
struct rate_rule {
    uint64_t limit; /* of the token bucket: the burst */
    /* Token bucket (GCRA): the time that one token takes, and a full bucket, in 1/16 ns. */
    uint64_t token, full;
};

struct rate_clock {
    int64_t wall_ns, monotonic_ns;
};

struct rate_answer {
    bool allowed;
    uint32_t window;    /* that was charged, for rate_refund() */
    uint64_t remaining; /* after this request */
    int64_t reset_ns;   /* until the window ends or the bucket is full */
    int64_t retry_ns;   /* refused: until the same request could pass */
};

/* NULL: no memory. The entries themselves are made with the first key. */
struct rate_table *rate_table_new(enum rate_algorithm algorithm, int64_t window_ms, size_t keys);
void rate_table_free(struct rate_table *table);

/* For `limit` in each window; token buckets hold `burst` (0: the limit). False: out of range. */
bool rate_rule_init(struct rate_rule *rule, const struct rate_table *table, int64_t limit, int64_t burst);

/* The key's entry, made when it is new. NULL: no memory for the table. */
struct rate_entry *rate_table_find(struct rate_table *table, uint64_t hash, const struct rate_clock *clock);

/* Takes `cost` (0 only asks) if it fits. With `charge` false nothing changes. Returns ret_answer->allowed. */
bool rate_take(const struct rate_table *table, struct rate_entry *entry, const struct rate_rule *rule,
               const struct rate_clock *clock, uint64_t cost, bool charge, struct rate_answer *ret_answer);

/* Gives back what an answer took. */
void rate_refund(const struct rate_table *table, struct rate_entry *entry, const struct rate_rule *rule,
                 uint64_t cost, const struct rate_answer *answer);
