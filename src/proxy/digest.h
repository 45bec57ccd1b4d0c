/* SHA-256 (FIPS 180-4) of short texts, as keys and tokens are looked up by: no allocation. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

struct sha256 {
    union {
        uint8_t bytes[32];
        uint64_t words[4]; /* uniformly distributed, as hashes are */
    };
};

/* Any thread. False: the library refused. */
bool sha256_make(struct text t, struct sha256 *ret_digest);

/* In a time that does not depend on where they differ. */
static inline bool sha256_equal(const struct sha256 *a, const struct sha256 *b)
{
    uint64_t differing = 0;
    for (int i = 0; i < 4; i++)
        differing |= a->words[i] ^ b->words[i];
    return differing == 0;
}
