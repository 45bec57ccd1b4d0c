/* Free list of I/O buffers under a shared budget. */
#include "net/buffer_pool.h"

#include "base/check.h"
#include "base/memory.h"

static_assert(sizeof(struct buffer) == 16, "BUFFER_ROOM counts on it");

void buffer_pool_init(struct buffer_pool *pool, struct buffer_budget *budget, size_t free_max)
{
    *pool = (struct buffer_pool){.budget = budget, .free_max = free_max};
}

bool buffer_budget_take(struct buffer_budget *budget, size_t bytes)
{
    int64_t before = atomic_fetch_add_explicit(&budget->bytes, (int64_t)bytes, memory_order_relaxed);
    if (before + (int64_t)bytes <= atomic_load_explicit(&budget->bytes_max, memory_order_relaxed))
        return true;
    buffer_budget_give(budget, bytes);
    atomic_fetch_add_explicit(&budget->refused, 1, memory_order_relaxed);
    return false;
}

void buffer_budget_give(struct buffer_budget *budget, size_t bytes)
{
    atomic_fetch_sub_explicit(&budget->bytes, (int64_t)bytes, memory_order_relaxed);
}

static void discard(struct buffer_pool *pool, struct buffer *buffer)
{
    memory_free(buffer);
    buffer_budget_give(pool->budget, BUFFER_SIZE);
}

void buffer_pool_release(struct buffer_pool *pool)
{
    CHECK(pool->used_count == 0);
    while (pool->free) {
        struct buffer *buffer = pool->free;
        pool->free = buffer->next;
        discard(pool, buffer);
    }
    pool->free_count = 0;
}

struct buffer *buffer_take_slow(struct buffer_pool *pool)
{
    if (!buffer_budget_take(pool->budget, BUFFER_SIZE))
        return NULL;
    struct buffer *buffer = memory_alloc(BUFFER_SIZE);
    if (!buffer) {
        buffer_budget_give(pool->budget, BUFFER_SIZE);
        atomic_fetch_add_explicit(&pool->budget->refused, 1, memory_order_relaxed);
        return NULL;
    }
    pool->used_count++;
    buffer->next = NULL;
    buffer->start = buffer->end = 0;
    return buffer;
}

void buffer_give(struct buffer_pool *pool, struct buffer *buffer)
{
    if (!buffer)
        return;
    CHECK(pool->used_count > 0);
    pool->used_count--;
    /* When half of the budget is used, buffers go back to the heap: what one worker hoards, another may need. */
    int64_t bytes = atomic_load_explicit(&pool->budget->bytes, memory_order_relaxed);
    int64_t bytes_max = atomic_load_explicit(&pool->budget->bytes_max, memory_order_relaxed);
    if (pool->free_count >= pool->free_max || bytes > bytes_max / 2) {
        discard(pool, buffer);
        return;
    }
    buffer->next = pool->free;
    pool->free = buffer;
    pool->free_count++;
}
