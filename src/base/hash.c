/* SipHash-1-3, as published by its authors. */
#include "base/hash.h"

#include <string.h>

static uint64_t key_low = 0x0706050403020100u, key_high = 0x0f0e0d0c0b0a0908u;

void hash_set_key(uint64_t low, uint64_t high)
{
    key_low = low;
    key_high = high;
}

static inline uint64_t rotate(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

struct sip {
    uint64_t a, b, c, d;
};

static inline void sip_round(struct sip *s)
{
    s->a += s->b;
    s->c += s->d;
    s->b = rotate(s->b, 13) ^ s->a;
    s->d = rotate(s->d, 16) ^ s->c;
    s->a = rotate(s->a, 32);
    s->c += s->b;
    s->a += s->d;
    s->b = rotate(s->b, 17) ^ s->c;
    s->d = rotate(s->d, 21) ^ s->a;
    s->c = rotate(s->c, 32);
}

static inline uint64_t sip(uint64_t low, uint64_t high, const void *data, size_t size)
{
    const unsigned char *at = data;
    struct sip s = {low ^ 0x736f6d6570736575u, high ^ 0x646f72616e646f6du, low ^ 0x6c7967656e657261u,
                    high ^ 0x7465646279746573u};
    size_t left = size;
    for (; left >= 8; left -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        s.d ^= word;
        sip_round(&s);
        s.a ^= word;
    }
    uint64_t last = (uint64_t)size << 56;
    for (size_t i = 0; i < left; i++)
        last |= (uint64_t)at[i] << (8 * i);
    s.d ^= last;
    sip_round(&s);
    s.a ^= last;
    s.c ^= 0xff;
    sip_round(&s);
    sip_round(&s);
    sip_round(&s);
    return s.a ^ s.b ^ s.c ^ s.d;
}

uint64_t hash_bytes(const void *data, size_t size)
{
    return sip(key_low, key_high, data, size);
}

uint64_t hash_stable(struct text t, uint64_t seed)
{
    return sip(seed, 0x7475726e70696b65u, t.at, t.size);
}
