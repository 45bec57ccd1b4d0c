/* Heap access with a counter and a switch that makes an allocation fail. */
#include "base/memory.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"

enum { HUGE_PAGE = 2 << 20 };

static _Thread_local uint64_t calls, fail_at;

static bool refused(void)
{
    calls++;
    return UNLIKELY(fail_at) && --fail_at == 0;
}

void *memory_alloc(size_t size)
{
    return refused() ? NULL : malloc(size ? size : 1);
}

void *memory_zero(size_t size)
{
    return refused() ? NULL : calloc(1, size ? size : 1);
}

void *memory_aligned(size_t alignment, size_t size)
{
    void *block = NULL;
    if (refused() || posix_memalign(&block, alignment, size))
        return NULL;
    return block;
}

void *memory_large(size_t size)
{
    void *block = memory_aligned(HUGE_PAGE, size);
    if (block)
        (void)madvise(block, size & ~(size_t)(HUGE_PAGE - 1), MADV_HUGEPAGE); /* without it is only slower */
    return block;
}

void *memory_array(size_t count, size_t size)
{
    size_t total;
    if (refused() || __builtin_mul_overflow(count, size, &total))
        return NULL;
    return calloc(1, total ? total : 1);
}

void *memory_resize(void *block, size_t size)
{
    return refused() ? NULL : realloc(block, size ? size : 1);
}

void memory_free(void *block)
{
    free(block);
}

void memory_trim(void)
{
    (void)malloc_trim(0); /* it tells whether there was something */
}

void memory_wipe(void *block, size_t size)
{
    explicit_bzero(block, size);
}

uint64_t memory_calls(void)
{
    return calls;
}

void memory_fail_at(uint64_t nth)
{
    fail_at = nth;
}
