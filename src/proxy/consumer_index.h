/* Open addressing from hashes to numbers, of an exact size: what the consumer set finds names by (room-private).
 *
 * A slot holds 32 bits of the hash and a number, so a look-up reads what a number stands for only where that is nearly sure to be
 * the one. Slots are taken in the order of the hash's high bits, with linear probing, and are at most two thirds full. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

struct consumer_index {
    uint64_t *slots; /* 0: free; else the low half of the hash above the number + 1 */
    uint64_t capacity;
};

enum { CONSUMER_INDEX_MAX = 1 << 30 }; /* numbers, and how many of them */

/* For up to `count` numbers. False: no memory. */
bool consumer_index_init(struct consumer_index *index, struct arena *arena, size_t count);

/* Adds; the caller has looked whether there is an equal one, and keeps to the count. */
void consumer_index_put(struct consumer_index *index, uint64_t hash, uint32_t number);

/* A walk over the numbers whose hash fits: start with consumer_index_first(), UINT32_MAX is the end. */
struct consumer_walk {
    uint64_t at;
    uint32_t tag;
};
uint32_t consumer_index_next(const struct consumer_index *index, struct consumer_walk *walk);

static inline uint64_t consumer_index_home(const struct consumer_index *index, uint64_t hash)
{
    return (uint64_t)((unsigned __int128)hash * index->capacity >> 64);
}

static inline struct consumer_walk consumer_index_first(const struct consumer_index *index, uint64_t hash)
{
    return (struct consumer_walk){consumer_index_home(index, hash), (uint32_t)hash};
}
