/* The only door to the heap: everything else goes through arenas, pools or these functions.
 *
 * Each may return NULL (out of memory, or a failure that a test asked for); the caller handles it. Sizes of zero are allowed and
 * give a pointer that memory_free() takes. Thread-safe. */
#pragma once

#include <stddef.h>
#include <stdint.h>

void *memory_alloc(size_t size) __attribute__((malloc, warn_unused_result));
void *memory_zero(size_t size) __attribute__((malloc, warn_unused_result)); /* zeroed */
void *memory_aligned(size_t alignment, size_t size) __attribute__((malloc, warn_unused_result));

/* For tables of several MiB that are read at random: on huge pages where the kernel gives them on request
 * (/sys/kernel/mm/transparent_hugepage/enabled is `madvise` or `always`), so that the addresses of few pages are to be translated. */
void *memory_large(size_t size) __attribute__((malloc, warn_unused_result));

/* Array of `count` elements of `size` bytes, zeroed; NULL also when the product overflows. */
void *memory_array(size_t count, size_t size) __attribute__((malloc, warn_unused_result));

/* Like realloc: on NULL the old block is untouched. */
void *memory_resize(void *block, size_t size) __attribute__((warn_unused_result));

void memory_free(void *block);

/* Gives freed pages back to the kernel; takes a while: after something large has gone, not on a worker. */
void memory_trim(void);

/* Overwrites `size` bytes so that the compiler cannot leave it out; for secrets. */
void memory_wipe(void *block, size_t size);

/* Calls of memory_alloc() and its kin by this thread so far: tests prove by it that a path does not allocate. */
uint64_t memory_calls(void);

/* Tests: the Nth allocation of this thread from now on fails once (1 is the next); 0 turns that off. */
void memory_fail_at(uint64_t nth);
