/* A ring of bytes between one thread that writes (a worker) and one that reads (the control thread), without
 * locks.
 *
 * The writer asks for contiguous room, fills it and commits what it used. Room never wraps: when the end of
 * the ring is too near, the rest of it is skipped, and the reader is told where. Positions are counts of
 * bytes that only rise. */
#pragma once

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct ring {
    /* Read by both. */
    alignas(64) char *bytes;
    uint64_t size; /* a power of two */

    /* The writer's. */
    alignas(64) _Atomic uint64_t head; /* committed up to here */
    uint64_t reserved;                 /* where the room that was given last begins */
    uint64_t tail_seen;                /* `tail` when it was last looked at */
    uint64_t skip;            /* the reader goes on at the next lap when it comes here; published by `head` */
    _Atomic uint64_t dropped; /* reservations refused */

    /* The reader's. */
    alignas(64) _Atomic uint64_t tail;
};

/* `size` is a power of two of at least 4 KiB. False: no memory. */
bool ring_init(struct ring *ring, size_t size);
void ring_release(struct ring *ring);

/* Writer: contiguous room of `size` bytes, at most half the ring; NULL: it is full, which is counted. A
 * second call before ring_commit() replaces the first. */
char *ring_reserve(struct ring *ring, size_t size);

/* Writer: hands the first `size` bytes of the room to the reader; not more than was reserved. */
void ring_commit(struct ring *ring, size_t size);

/* Writer: whether more than half of the ring waits to be read. */
bool ring_is_half_full(struct ring *ring);

/* Reader: what is there, oldest first, in up to two parts; how many parts (0: empty). A part may be empty
 * only if there are two. */
int ring_peek(const struct ring *ring, struct iovec ret_parts[2]);

/* Reader: gives back the first `size` bytes of what was peeked. */
void ring_consume(struct ring *ring, size_t size);

/* Reader: how much of the ring is in use, skipped bytes included. */
size_t ring_waiting(const struct ring *ring);

/* Any thread: reservations refused so far. */
static inline uint64_t ring_dropped(const struct ring *ring)
{
    return atomic_load_explicit(&ring->dropped, memory_order_relaxed);
}
