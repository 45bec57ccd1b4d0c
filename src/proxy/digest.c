/* SHA-256 by OpenSSL's low-level functions: their state is plain memory, while each EVP_DigestInit_ex2() allocates. They are marked as
 * deprecated because they cannot change their provider, which matters for FIPS builds; see docs/adr/0005. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "proxy/digest.h"

#include <openssl/sha.h>

#include "base/memory.h"

bool sha256_make(struct text t, struct sha256 *ret_digest)
{
    SHA256_CTX state;
    bool fine = SHA256_Init(&state) == 1 && SHA256_Update(&state, t.at, t.size) == 1
                && SHA256_Final(ret_digest->bytes, &state) == 1;
    memory_wipe(&state, sizeof state);
    return fine;
}
