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
    SECURE_HEAP_UNIT = 16
};

static _Thread_local bool is_secret;

static void *take(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return memory_alloc(size);
}

static void give(void *block, const char *file, int line)
{
    (void)file;
    (void)line;
    if (UNLIKELY(is_secret) && block)
        memory_wipe(block, malloc_usable_size(block));
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
