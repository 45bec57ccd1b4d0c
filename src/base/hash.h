/* SipHash-1-3 with a key drawn at start (Aumasson and Bernstein 2012): what a client sends cannot be chosen to collide.
 * Values differ from process to process; do not store them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

/* 64 bits over the data; thread-safe after the first random_init(). */
uint64_t hash_bytes(const void *data, size_t size);

static inline uint64_t hash_text(struct text t)
{
    return hash_bytes(t.at, t.size);
}

/* A fixed permutation of 64 bits (the finaliser of SplitMix64): for keys that are numbers, and to combine hashes. */
static inline uint64_t hash_mix(uint64_t value)
{
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

/* The same function with a fixed key: the same value in every process and on every node, so that they agree. Whoever knows the key
 * can find texts that collide: for what is configured, and where collisions harm nobody but the one who makes them. */
uint64_t hash_stable(struct text t, uint64_t seed);

/* Sets the key; tests use it for repeatable orders. random_init() sets a random one. */
void hash_set_key(uint64_t low, uint64_t high);
