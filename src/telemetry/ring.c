/* The byte ring. A position p is at p modulo size; a lap is a walk through the whole ring. There is at most
 * one end of a lap between tail and head, so one `skip` is enough: the writer sets it for a lap only after
 * the reader has passed the end of the one before. */
#include "telemetry/ring.h"

#include "base/check.h"
#include "base/memory.h"

enum { SIZE_MIN = 4096 };

bool ring_init(struct ring *ring, size_t size)
{
    CHECK(size >= SIZE_MIN && (size & (size - 1)) == 0);
    *ring = (struct ring){.bytes = memory_alloc(size), .size = size};
    return ring->bytes;
}

void ring_release(struct ring *ring)
{
    memory_free(ring->bytes);
    ring->bytes = NULL;
}

/* The position at which the lap after that of `position` begins. */
static uint64_t lap_end(const struct ring *ring, uint64_t position)
{
    return (position | (ring->size - 1)) + 1;
}

char *ring_reserve(struct ring *ring, size_t size)
{
    CHECK(size > 0 && size <= ring->size / 2);
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed), at = head;
    if (size > lap_end(ring, at) - at)
        at = lap_end(ring, at);
    if (at + size - ring->tail_seen > ring->size)
        ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
    if (at + size - ring->tail_seen > ring->size) {
        uint64_t dropped = atomic_load_explicit(&ring->dropped, memory_order_relaxed);
        atomic_store_explicit(&ring->dropped, dropped + 1, memory_order_relaxed);
        return NULL;
    }
    ring->reserved = at;
    return ring->bytes + (at & (ring->size - 1));
}

void ring_commit(struct ring *ring, size_t size)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    if (size == 0)
        return;
    if (ring->reserved != head)
        ring->skip = head;
    atomic_store_explicit(&ring->head, ring->reserved + size, memory_order_release);
}

bool ring_is_half_full(struct ring *ring)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    if (LIKELY(head - ring->tail_seen <= ring->size / 2))
        return false;
    ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
    return head - ring->tail_seen > ring->size / 2;
}

size_t ring_waiting(const struct ring *ring)
{
    return atomic_load_explicit(&ring->head, memory_order_acquire)
           - atomic_load_explicit(&ring->tail, memory_order_relaxed);
}

/* Where the bytes that begin at `tail` end, if `head` is in a later lap. */
static uint64_t first_end(const struct ring *ring, uint64_t tail)
{
    uint64_t end = lap_end(ring, tail);
    return ring->skip > end - ring->size && ring->skip < end ? ring->skip : end;
}

int ring_peek(const struct ring *ring, struct iovec ret_parts[2])
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    uint64_t end = lap_end(ring, tail), mask = ring->size - 1;
    if (head == tail)
        return 0;
    if (head <= end) {
        ret_parts[0] = (struct iovec){ring->bytes + (tail & mask), head - tail};
        return 1;
    }
    ret_parts[0] = (struct iovec){ring->bytes + (tail & mask), first_end(ring, tail) - tail};
    ret_parts[1] = (struct iovec){ring->bytes, head - end};
    return 2;
}

void ring_consume(struct ring *ring, size_t size)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    uint64_t end = lap_end(ring, tail);
    if (head > end) {
        uint64_t first = first_end(ring, tail) - tail;
        tail = size < first ? tail + size : end + (size - first);
    } else {
        tail += size;
    }
    CHECK(tail <= head);
    atomic_store_explicit(&ring->tail, tail, memory_order_release);
}
