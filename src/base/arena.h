/* Memory by lifetime: bump allocation in chained blocks, released at once, with a list of things to do at the end.
 *
 * An arena has a limit. When it is reached, or the heap is empty, allocations return NULL and `failed` stays true until the
 * arena is reset. Blocks are `block_size` bytes, or as large as a bigger request needs. Memory is aligned to 16 bytes. Blocks of several MiB are
 * on huge pages where the kernel has some. An arena
 * belongs to one thread at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

struct arena_block;
struct arena_deferred;

struct arena {
    char *at, *end;                  /* free part of the newest block */
    struct arena_block *blocks;      /* newest first */
    struct arena_deferred *deferred; /* newest first */
    size_t block_size;
    size_t used, limit; /* bytes in blocks */
    bool failed;        /* an allocation was refused since the last reset */
    bool wipe;          /* set by the owner: memory is overwritten before it goes back to the heap */
};

/* Allocates nothing yet. A `block_size` of 0 means 4 KiB, a `limit` of 0 none. */
void arena_init(struct arena *arena, size_t block_size, size_t limit);

void *arena_alloc_slow(struct arena *arena, size_t size);

/* `size` bytes, not cleared; NULL: the limit is reached. */
static inline void *arena_alloc(struct arena *arena, size_t size)
{
    size_t rounded = (size + 15) & ~(size_t)15;
    if (rounded - 1 < (size_t)(arena->end - arena->at)) { /* 0, also by overflow, takes the slow way */
        void *block = arena->at;
        arena->at += rounded;
        return block;
    }
    return arena_alloc_slow(arena, size);
}

/* The same, cleared. */
void *arena_zero(struct arena *arena, size_t size);

/* `count` elements of `size` bytes, cleared; NULL also when the product overflows. No elements take no memory. */
void *arena_array(struct arena *arena, size_t count, size_t size);

/* The same, aligned to a power of two: for tables that are read by cache lines. */
void *arena_aligned(struct arena *arena, size_t alignment, size_t count, size_t size);

#define ARENA_NEW(arena, type) ((type *)arena_zero((arena), sizeof(type)))

/* Copies; on failure an empty text (check `arena->failed` where it matters). The copy is followed by a zero byte. */
struct text arena_copy(struct arena *arena, struct text from);

/* printf into the arena; on failure an empty text. The text is followed by a zero byte. */
struct text arena_format(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Joins `count` texts; on failure an empty text. */
struct text arena_join(struct arena *arena, const struct text *parts, size_t count);

/* Calls `run(argument)` when the arena is reset or released, last deferred first. False: no memory; nothing was deferred. */
bool arena_defer(struct arena *arena, void (*run)(void *argument), void *argument);

/* Runs what was deferred and forgets all allocations, keeping the oldest block if it has the normal size. */
void arena_reset(struct arena *arena);

/* Runs what was deferred and returns all memory. The arena may be used again as if freshly initialised. */
void arena_release(struct arena *arena);
