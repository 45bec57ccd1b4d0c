/* Sets OpenSSL up. */
#include "tls/library.h"

#include <malloc.h>
#include <pthread.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/ssl.h>

#include "base/check.h"
#include "base/memory.h"

enum {
    SECURE_HEAP_BYTES = 4 << 20, /* some 1,500 RSA keys, or 10,000 of elliptic curves */
    SECURE_HEAP_UNIT = 16,
    RECORD_MIN = 16 * 1024,
    RECORD_ROOM =
        17
        * 1024, /* a record with all that may be around it (RFC 8446 section 5.2, RFC 5246 section 6.2.3) */
    SPARES_MAX = 64 /* of a thread: 1 MiB */
};

static _Thread_local bool is_secret;

/* Buffers of records, last in first out. All have the same room, so that any of them will do. */
struct spare {
    struct spare *next;
};
static _Thread_local struct spare *spares;
static _Thread_local unsigned spares_count;

static bool is_record(size_t size)
{
    return size > RECORD_MIN && size <= RECORD_ROOM;
}

static void *take(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (!is_record(size))
        return memory_alloc(size);
    struct spare *spare = spares;
    if (!spare)
        return memory_alloc(RECORD_ROOM);
    spares = spare->next;
    spares_count--;
    return spare;
}

/* The usable size of such a block is at least its room, and that of no other block lies so near. */
static bool keep(void *block)
{
    size_t size = malloc_usable_size(block);
    if (size < RECORD_ROOM || size > RECORD_ROOM + 64 || spares_count >= SPARES_MAX)
        return false;
    struct spare *spare = block;
    spare->next = spares;
    spares = spare;
    spares_count++;
    return true;
}

void tls_library_thread_end(void)
{
    while (spares) {
        struct spare *spare = spares;
        spares = spare->next;
        memory_free(spare);
    }
    spares_count = 0;
}

static void give(void *block, const char *file, int line)
{
    (void)file;
    (void)line;
    if (UNLIKELY(is_secret) && block)
        memory_wipe(block, malloc_usable_size(block));
    if (block && !keep(block))
        memory_free(block);
}

static void *change(void *block, size_t size, const char *file, int line)
{
    if (size == 0) {
        give(block, file, line);
        return NULL;
    }
    if (LIKELY(!is_secret) || !block)
        return memory_resize(block, size);
    void *other = memory_alloc(size);
    if (!other)
        return NULL;
    memcpy(other, block, MIN_OF(size, malloc_usable_size(block)));
    give(block, file, line);
    return other;
}

void tls_library_begin(void)
{
    CHECK(CRYPTO_set_mem_functions(take, change, give));
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Without it (an old kernel, no memory) keys are in the ordinary heap, and are still wiped when they are freed. */
static void make(void)
{
    (void)CRYPTO_secure_malloc_init(SECURE_HEAP_BYTES, SECURE_HEAP_UNIT);
}

bool tls_library_ready(void)
{
    pthread_once(&once, make);
    return OPENSSL_init_ssl(0, NULL) == 1;
}

void tls_library_secret_begin(void)
{
    is_secret = true;
}

void tls_library_secret_end(void)
{
    is_secret = false;
}
