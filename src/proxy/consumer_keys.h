/* The table from keys to the consumers that own them (room-private).
 *
 * A look-up among a million waits for memory once, and does so while it computes the digest: where to look is told by a quicker hash of the key
 * (SipHash with the process's own key), so that the line is on its way before SHA-256 begins. Two places share a cache line; a look-up
 * begins at the first of a line and goes on in the next ones. Half of the places are free, so the first line nearly always suffices. A table that
 * the processor's caches hold is looked up by the digest alone, which saves the quicker hash. */
#pragma once

#include "base/arena.h"
#include "proxy/digest.h"

/* The first 224 bits of the digest (as hard to find another key for as SHA-224), and whose it is. */
struct consumer_key {
    uint64_t digest[3];
    uint32_t digest_rest;
    uint32_t
        owner; /* number of the consumer + 1; with CONSUMER_KEY_EXTRA the number of an extra + 1; 0: nothing is here */
};

enum { CONSUMER_KEY_LINE = 2 }; /* places in 64 bytes */

#define CONSUMER_KEY_EXTRA (1U << 31)

struct consumer_keys {
    struct consumer_key *places; /* 64-byte aligned */
    uint64_t lines;
    size_t count;
    bool is_large; /* beyond the processor's caches */
};

/* For up to `count` keys. False: no memory. */
bool consumer_keys_init(struct consumer_keys *keys, struct arena *arena, size_t count);

/* The place of a key, or the free one where it would be. NULL: the digest could not be made. */
const struct consumer_key *consumer_keys_find(const struct consumer_keys *keys, struct text key);

/* The same for the builder, who keeps to the count: a place that is free (`owner` is 0) gets the digest, and the caller its owner. */
struct consumer_key *consumer_keys_place(struct consumer_keys *keys, struct text key);
