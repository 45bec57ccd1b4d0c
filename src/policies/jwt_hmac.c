/* HMAC by copies of hash states.
 *
 * OpenSSL's low-level functions are marked as deprecated, because they cannot change their provider; but only their states are plain
 * memory: copying one of EVP_MD_CTX or EVP_MAC_CTX allocates, and takes longer than hashing a token. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "policies/jwt_hmac.h"

#include "base/check.h"
#include "base/memory.h"

enum { BLOCK_SHA256 = 64, BLOCK_SHA512 = 128 };

static void start_256(SHA256_CTX *state, const uint8_t *key, uint8_t pad)
{
    uint8_t block[BLOCK_SHA256];
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = key[i] ^ pad;
    SHA256_Init(state);
    SHA256_Update(state, block, sizeof block);
    memory_wipe(block, sizeof block);
}

static void start_512(SHA512_CTX *state, enum jwt_hash hash, const uint8_t *key, uint8_t pad)
{
    uint8_t block[BLOCK_SHA512];
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = key[i] ^ pad;
    if (hash == JWT_SHA384)
        SHA384_Init(state);
    else
        SHA512_Init(state);
    SHA512_Update(state, block, sizeof block);
    memory_wipe(block, sizeof block);
}

/* A key longer than a block stands for its hash. */
static void make_block(enum jwt_hash hash, struct text secret, uint8_t block[BLOCK_SHA512])
{
    memset(block, 0, BLOCK_SHA512);
    const uint8_t *at = (const uint8_t *)secret.at;
    if (secret.size <= (hash == JWT_SHA256 ? BLOCK_SHA256 : BLOCK_SHA512))
        memcpy(block, at, secret.size);
    else if (hash == JWT_SHA256)
        SHA256(at, secret.size, block);
    else if (hash == JWT_SHA384)
        SHA384(at, secret.size, block);
    else
        SHA512(at, secret.size, block);
}

void jwt_hmac_init(struct jwt_hmac *hmac, enum jwt_hash hash, struct text secret)
{
    uint8_t block[BLOCK_SHA512];
    CHECK(secret.size > 0);
    make_block(hash, secret, block);
    *hmac = (struct jwt_hmac){.hash = hash};
    if (hash == JWT_SHA256) {
        start_256(&hmac->sha256.inner, block, 0x36);
        start_256(&hmac->sha256.outer, block, 0x5c);
    } else {
        start_512(&hmac->sha512.inner, hash, block, 0x36);
        start_512(&hmac->sha512.outer, hash, block, 0x5c);
    }
    memory_wipe(block, sizeof block);
}

static size_t make_256(const struct jwt_hmac *hmac, struct text message, uint8_t *to)
{
    SHA256_CTX state = hmac->sha256.inner;
    SHA256_Update(&state, message.at, message.size);
    SHA256_Final(to, &state);
    state = hmac->sha256.outer;
    SHA256_Update(&state, to, SHA256_DIGEST_LENGTH);
    SHA256_Final(to, &state);
    return SHA256_DIGEST_LENGTH;
}

static size_t make_512(const struct jwt_hmac *hmac, struct text message, uint8_t *to)
{
    size_t size = hmac->hash == JWT_SHA384 ? SHA384_DIGEST_LENGTH : SHA512_DIGEST_LENGTH;
    SHA512_CTX state = hmac->sha512.inner;
    SHA512_Update(&state, message.at, message.size);
    SHA512_Final(to, &state); /* cut to 48 bytes for SHA-384 by the state's own md_len */
    state = hmac->sha512.outer;
    SHA512_Update(&state, to, size);
    SHA512_Final(to, &state);
    return size;
}

size_t jwt_hmac_make(const struct jwt_hmac *hmac, struct text message, uint8_t to[JWT_HMAC_SIZE_MAX])
{
    return hmac->hash == JWT_SHA256 ? make_256(hmac, message, to) : make_512(hmac, message, to);
}
