/* Randomness: a fast generator per thread for balancing and jitter, and the system's for anything that must not be guessed. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Draws the hash key; call once at the start of the process, before other threads run. */
void random_init(void);

/* xoshiro256** per thread, seeded from the system on first use. Not for secrets. */
uint64_t random_uint64(void);

/* Uniform in [0, bound), without bias; 0 for a bound of 0. */
uint64_t random_below(uint64_t bound);

/* From the kernel (getrandom); for ids, nonces and keys. Aborts if the kernel refuses. */
void random_secret(void *to, size_t size);

/* Tests: makes random_uint64() of this thread repeatable. */
void random_seed(uint64_t seed);
