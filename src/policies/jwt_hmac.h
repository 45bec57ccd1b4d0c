/* HMAC with SHA-2 (RFC 2104) and a key that does not change: what depends on the key alone is computed once, so that a check hashes no
 * more than the message and touches no heap. Immutable once made, so threads share it. */
#pragma once

#include <openssl/sha.h>
#include <stdint.h>

#include "base/text.h"

enum jwt_hash { JWT_SHA256, JWT_SHA384, JWT_SHA512 };
enum { JWT_HMAC_SIZE_MAX = 64 };

struct jwt_hmac {
    enum jwt_hash hash;
    union {
        struct {
            SHA256_CTX inner, outer;
        } sha256;
        struct {
            SHA512_CTX inner, outer;
        } sha512; /* SHA-384 too */
    };
};

void jwt_hmac_init(struct jwt_hmac *hmac, enum jwt_hash hash, struct text secret);

/* Into `to`; returns the size: 32, 48 or 64. */
size_t jwt_hmac_make(const struct jwt_hmac *hmac, struct text message, uint8_t to[JWT_HMAC_SIZE_MAX]);
