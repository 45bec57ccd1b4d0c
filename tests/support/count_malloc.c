/* Preloaded into the program under test: counts every call of the heap, whoever makes it (libraries included), into a file that the test
 * reads. The file is named by COUNT_MALLOC_FILE and holds one number of 64 bits, shared by all processes of the program.
 *
 *     gcc -shared -fPIC -O2 -o count_malloc.so count_malloc.c                      a plain build: the allocator's own names are taken
 *     gcc -shared -fPIC -O2 -DSANITIZER_HOOK -o count_malloc.so count_malloc.c     AddressSanitizer owns those names: its hook is used */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t *calls;

/* Before main(); nothing that the dynamic linker allocates earlier matters. */
__attribute__((constructor)) static void open_counter(void)
{
    const char *path = getenv("COUNT_MALLOC_FILE");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *shared = mmap(NULL, sizeof *calls, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (shared != MAP_FAILED)
        calls = shared;
}

static void count(void)
{
    if (calls)
        __atomic_fetch_add(calls, 1, __ATOMIC_RELAXED);
}

#ifdef SANITIZER_HOOK

void __sanitizer_malloc_hook(const volatile void *block, size_t size);

void __sanitizer_malloc_hook(const volatile void *block, size_t size)
{
    (void)block, (void)size;
    count();
}

#else

/* The C library's own names for its allocator; ours get the public names. */
void *libc_allocate(size_t size) __asm__("__libc_malloc");
void *libc_zero(size_t count, size_t size) __asm__("__libc_calloc");
void *libc_resize(void *block, size_t size) __asm__("__libc_realloc");
void *libc_align(size_t alignment, size_t size) __asm__("__libc_memalign");

void *counted_allocate(size_t size) __asm__("malloc");
void *counted_zero(size_t count, size_t size) __asm__("calloc");
void *counted_resize(void *block, size_t size) __asm__("realloc");
void *counted_align(size_t alignment, size_t size) __asm__("memalign");
void *counted_align_strictly(size_t alignment, size_t size) __asm__("aligned_alloc");
int counted_align_to(void **block, size_t alignment, size_t size) __asm__("posix_memalign");

void *counted_allocate(size_t size)
{
    count();
    return libc_allocate(size);
}

void *counted_zero(size_t items, size_t size)
{
    count();
    return libc_zero(items, size);
}

void *counted_resize(void *block, size_t size)
{
    count();
    return libc_resize(block, size);
}

void *counted_align(size_t alignment, size_t size)
{
    count();
    return libc_align(alignment, size);
}

void *counted_align_strictly(size_t alignment, size_t size)
{
    count();
    return libc_align(alignment, size);
}

int counted_align_to(void **block, size_t alignment, size_t size)
{
    count();
    *block = libc_align(alignment, size);
    return *block ? 0 : ENOMEM;
}

#endif
