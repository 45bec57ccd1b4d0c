/* Chained blocks with a bump pointer. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"

enum { BLOCK_SIZE_DEFAULT = 4096, BLOCK_SIZE_LARGE = 4 << 20 };

struct arena_block {
    struct arena_block *older;
    size_t size; /* of the whole block, this head included */
};

struct arena_deferred {
    struct arena_deferred *older;
    void (*run)(void *argument);
    void *argument;
};

#define BLOCK_HEAD ((sizeof(struct arena_block) + 15) & ~(size_t)15)

void arena_init(struct arena *arena, size_t block_size, size_t limit)
{
    *arena = (struct arena){
        .block_size = block_size ? block_size : BLOCK_SIZE_DEFAULT,
        .limit = limit ? limit : SIZE_MAX,
    };
}

static void free_block(const struct arena *arena, struct arena_block *block)
{
    if (arena->wipe)
        memory_wipe(block, block->size);
    memory_free(block);
}

static void *refuse(struct arena *arena)
{
    arena->failed = true;
    return NULL;
}

void *arena_alloc_slow(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2)
        return refuse(arena);
    size_t rounded = (MAX_OF(size, 1) + 15) & ~(size_t)15;
    if (rounded <= (size_t)(arena->end - arena->at)) { /* a size of 0 with room left */
        void *block = arena->at;
        arena->at += rounded;
        return block;
    }
    size_t block_size = MAX_OF(arena->block_size, BLOCK_HEAD + rounded);
    if (block_size > arena->limit - arena->used)
        block_size = BLOCK_HEAD + rounded; /* the last bytes below the limit still count */
    if (block_size > arena->limit - arena->used)
        return refuse(arena);
    struct arena_block *block =
        block_size < BLOCK_SIZE_LARGE ? memory_alloc(block_size) : memory_large(block_size);
    if (!block)
        return refuse(arena);
    block->size = block_size;
    arena->used += block_size;
    char *start = (char *)block + BLOCK_HEAD;
    bool special = block_size > arena->block_size && arena->blocks;
    if (special) { /* a big one goes behind the newest block, whose free part stays in use */
        block->older = arena->blocks->older;
        arena->blocks->older = block;
        return start;
    }
    block->older = arena->blocks;
    arena->blocks = block;
    arena->at = start + rounded;
    arena->end = (char *)block + block_size;
    return start;
}

void *arena_zero(struct arena *arena, size_t size)
{
    void *block = arena_alloc(arena, size);
    return block ? memset(block, 0, size) : NULL;
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return refuse(arena);
    static char none[1];
    return total ? arena_zero(arena, total) : none;
}

void *arena_aligned(struct arena *arena, size_t alignment, size_t count, size_t size)
{
    size_t total;
    CHECK(alignment && (alignment & (alignment - 1)) == 0);
    if (__builtin_mul_overflow(count, size, &total) || __builtin_add_overflow(total, alignment, &total))
        return refuse(arena);
    char *block = arena_zero(arena, total);
    return block ? block + (-(uintptr_t)block & (alignment - 1)) : NULL;
}

struct text arena_copy(struct arena *arena, struct text from)
{
    return arena_join(arena, &from, 1);
}

struct text arena_join(struct arena *arena, const struct text *parts, size_t count)
{
    size_t size = 1;
    for (size_t i = 0; i < count; i++)
        if (__builtin_add_overflow(size, parts[i].size, &size))
            return refuse(arena), TEXT("");
    char *copy = arena_alloc(arena, size);
    if (!copy)
        return TEXT("");
    char *at = copy;
    for (size_t i = 0; i < count; i++)
        if (parts[i].size)
            at = (char *)memcpy(at, parts[i].at, parts[i].size) + parts[i].size;
    *at = 0;
    return (struct text){copy, size - 1};
}

struct text arena_format(struct arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    CHECK(size >= 0);
    char *made = arena_alloc(arena, (size_t)size + 1);
    if (!made)
        return TEXT("");
    va_start(arguments, format);
    vsnprintf(made, (size_t)size + 1, format, arguments);
    va_end(arguments);
    return (struct text){made, (size_t)size};
}

bool arena_defer(struct arena *arena, void (*run)(void *argument), void *argument)
{
    struct arena_deferred *deferred = arena_alloc(arena, sizeof *deferred);
    if (!deferred)
        return false;
    *deferred = (struct arena_deferred){arena->deferred, run, argument};
    arena->deferred = deferred;
    return true;
}

static void run_deferred(struct arena *arena)
{
    while (arena->deferred) {
        struct arena_deferred *next = arena->deferred;
        arena->deferred = next->older;
        next->run(next->argument);
    }
}

void arena_reset(struct arena *arena)
{
    run_deferred(arena);
    arena->failed = false;
    struct arena_block *block = arena->blocks;
    while (block && block->older) {
        struct arena_block *older = block->older;
        free_block(arena, block);
        block = older;
    }
    if (block && block->size != arena->block_size) {
        free_block(arena, block);
        block = NULL;
    }
    arena->blocks = block;
    arena->used = block ? block->size : 0;
    arena->at = block ? (char *)block + BLOCK_HEAD : NULL;
    arena->end = block ? (char *)block + block->size : NULL;
}

void arena_release(struct arena *arena)
{
    run_deferred(arena);
    for (struct arena_block *block = arena->blocks, *older; block; block = older) {
        older = block->older;
        free_block(arena, block);
    }
    bool wipe = arena->wipe;
    arena_init(arena, arena->block_size, arena->limit);
    arena->wipe = wipe;
}
