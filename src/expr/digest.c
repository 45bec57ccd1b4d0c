/* Hashes: one OpenSSL context per thread and algorithm, made once and used again. */
#include "expr/digest.h"

#include <openssl/evp.h>
#include <pthread.h>

#include "base/memory.h"

static const struct {
    const char *name;
    size_t block; /* bytes, for HMAC */
} algorithms[DIGESTS] = {
    [DIGEST_MD5] = {"MD5", 64},          [DIGEST_SHA1] = {"SHA1", 64},
    [DIGEST_SHA256] = {"SHA2-256", 64},  [DIGEST_SHA384] = {"SHA2-384", 128},
    [DIGEST_SHA512] = {"SHA2-512", 128},
};

enum { BLOCK_MAX = 128 };

/* What a thread keeps. */
struct contexts {
    EVP_MD_CTX *of[DIGESTS];
};

static EVP_MD *fetched[DIGESTS]; /* written once */
static pthread_key_t contexts_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local struct contexts *contexts;

static void free_contexts(void *data)
{
    struct contexts *of_thread = data;
    for (size_t i = 0; i < DIGESTS; i++)
        EVP_MD_CTX_free(of_thread->of[i]);
    memory_free(of_thread);
}

static void set_up(void)
{
    for (size_t i = 0; i < DIGESTS; i++)
        fetched[i] =
            EVP_MD_fetch(NULL, algorithms[i].name, NULL); /* NULL where a policy of the system forbids it */
    (void)pthread_key_create(&contexts_key,
                             free_contexts); /* without a key the contexts stay until the process ends */
}

bool digest_ready(void)
{
    return pthread_once(&once, set_up) == 0;
}

/* A started context; NULL: not to be had. */
static EVP_MD_CTX *start(enum digest digest)
{
    (void)digest_ready(); /* it was, when the expression was compiled: this only looks */
    if (!contexts) {
        contexts = memory_zero(sizeof *contexts);
        if (!contexts)
            return NULL;
        (void)pthread_setspecific(contexts_key, contexts); /* the same */
    }
    EVP_MD_CTX **context = &contexts->of[digest];
    if (!*context)
        *context = EVP_MD_CTX_new();
    if (!*context || !fetched[digest] || EVP_DigestInit_ex2(*context, fetched[digest], NULL) != 1)
        return NULL;
    return *context;
}

bool digest_make(enum digest digest, const struct text *parts, size_t count,
                 unsigned char to[DIGEST_BYTES_MAX], size_t *ret_size)
{
    EVP_MD_CTX *context = start(digest);
    unsigned size = 0;
    for (size_t i = 0; context && i < count; i++)
        if (EVP_DigestUpdate(context, parts[i].at, parts[i].size) != 1)
            return false;
    if (!context || EVP_DigestFinal_ex(context, to, &size) != 1)
        return false;
    *ret_size = size;
    return true;
}

bool digest_hmac(enum digest digest, struct text key, struct text message, unsigned char to[DIGEST_BYTES_MAX],
                 size_t *ret_size)
{
    unsigned char short_key[DIGEST_BYTES_MAX] = {0}, inner[BLOCK_MAX], outer[BLOCK_MAX],
                  hash[DIGEST_BYTES_MAX];
    size_t block = algorithms[digest].block, size = 0;
    if (key.size > block) {
        if (!digest_make(digest, &key, 1, short_key, &size))
            return false;
        key = (struct text){(const char *)short_key, size};
    }
    for (size_t i = 0; i < block; i++) {
        unsigned char c = i < key.size ? (unsigned char)key.at[i] : 0;
        inner[i] = c ^ 0x36;
        outer[i] = c ^ 0x5c;
    }
    struct text first[] = {{(const char *)inner, block}, message};
    bool good = digest_make(digest, first, 2, hash, &size);
    struct text second[] = {{(const char *)outer, block}, {(const char *)hash, size}};
    good = good && digest_make(digest, second, 2, to, ret_size);
    memory_wipe(short_key, sizeof short_key);
    memory_wipe(inner, sizeof inner);
    memory_wipe(outer, sizeof outer);
    return good;
}
