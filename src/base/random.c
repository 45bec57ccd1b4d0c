/* xoshiro256** (Blackman and Vigna 2018) and getrandom(2). */
#include "base/random.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/random.h>

#include "base/check.h"
#include "base/hash.h"

static _Thread_local uint64_t state[4];
static _Thread_local bool seeded;

void random_secret(void *to, size_t size)
{
    char *at = to;
    while (size > 0) {
        ssize_t n = getrandom(at, size, 0);
        CHECK(n >= 0 || errno == EINTR);
        if (n < 0)
            continue;
        at += n;
        size -= (size_t)n;
    }
}

void random_init(void)
{
    uint64_t key[2];
    random_secret(key, sizeof key);
    hash_set_key(key[0], key[1]);
}

void random_seed(uint64_t seed)
{
    for (size_t i = 0; i < COUNT_OF(state); i++)
        state[i] = hash_mix(seed += 0x9e3779b97f4a7c15u);
    seeded = true;
}

static inline uint64_t rotate(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

uint64_t random_uint64(void)
{
    if (UNLIKELY(!seeded)) {
        random_secret(state, sizeof state);
        state[0] |= 1;
        seeded = true;
    }
    uint64_t result = rotate(state[1] * 5, 7) * 9, shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate(state[3], 45);
    return result;
}

uint64_t random_below(uint64_t bound)
{
    if (bound == 0)
        return 0;
    unsigned __int128 product = (unsigned __int128)random_uint64() * bound;
    uint64_t threshold = (0 - bound) % bound;
    while ((uint64_t)product < threshold) /* Lemire 2019 */
        product = (unsigned __int128)random_uint64() * bound;
    return (uint64_t)(product >> 64);
}
