/* Fixed-size I/O buffers of one worker, last in first out so that the warmest is used next. A connection holds one only while there are
 * bytes in it. The memory limit covers all workers. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
    struct buffer *next; /* in the pool, or in its owner's queue */
    uint32_t start, end; /* bytes [start, end) hold data */
    char at[];
};

enum { BUFFER_SIZE = 32 * 1024, BUFFER_ROOM = BUFFER_SIZE - 16 };

/* Shared by the pools of all workers. */
struct buffer_budget {
    _Atomic int64_t bytes;
    _Atomic int64_t bytes_max; /* a reload may change it while workers take buffers */
    _Atomic uint64_t refused;
};

struct buffer_pool {
    struct buffer *free;
    size_t free_count, free_max; /* more than that goes back to the heap */
    size_t used_count;
    struct buffer_budget *budget;
};

void buffer_pool_init(struct buffer_pool *pool, struct buffer_budget *budget, size_t free_max);
void buffer_pool_release(struct buffer_pool *pool);

struct buffer *buffer_take_slow(struct buffer_pool *pool);

/* An empty buffer; NULL: over the budget or no memory. */
static inline struct buffer *buffer_take(struct buffer_pool *pool)
{
    struct buffer *buffer = pool->free;
    if (!buffer)
        return buffer_take_slow(pool);
    pool->free = buffer->next;
    pool->free_count--;
    pool->used_count++;
    buffer->next = NULL;
    buffer->start = buffer->end = 0;
    return buffer;
}

/* Memory of another kind under the same budget. False: it is used up, which is counted; nothing was taken. Any thread. */
bool buffer_budget_take(struct buffer_budget *budget, size_t bytes);
void buffer_budget_give(struct buffer_budget *budget, size_t bytes);

void buffer_give(struct buffer_pool *pool, struct buffer *buffer); /* NULL allowed */
