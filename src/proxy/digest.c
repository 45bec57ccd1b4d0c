/* SHA-256 by OpenSSL. The algorithm is fetched once for the process and each thread keeps one context: both cost more than the hash
 * itself, and both allocate. */
#include "proxy/digest.h"

#include <openssl/evp.h>
#include <pthread.h>

#include "base/check.h"

static EVP_MD *algorithm;
static pthread_key_t context_key; /* only for its destructor */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local EVP_MD_CTX *thread_context;

static void free_context(void *context)
{
    EVP_MD_CTX_free(context);
}

static void prepare_process(void)
{
    CHECK(pthread_key_create(&context_key, free_context) == 0);
    algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
}

static bool prepare_thread(void)
{
    pthread_once(&once, prepare_process);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!algorithm || !context || EVP_DigestInit_ex2(context, algorithm, NULL) != 1
        || pthread_setspecific(context_key, context) != 0) {
        EVP_MD_CTX_free(context);
        return false;
    }
    thread_context = context;
    return true;
}

bool sha256_make(struct text t, struct sha256 *ret_digest)
{
    if (UNLIKELY(!thread_context) && !prepare_thread())
        return false;
    return EVP_DigestInit_ex2(thread_context, algorithm, NULL) == 1
           && EVP_DigestUpdate(thread_context, t.at, t.size) == 1
           && EVP_DigestFinal_ex(thread_context, ret_digest->bytes, NULL) == 1;
}
