/* Counts connections by client without locks: one compare-and-swap an accept. */
#include "proxy/listener_state.h"

#include "base/hash.h"
#include "base/memory.h"

enum { PROBES_MAX = 32 };

const char *const limit_names[LIMITS_COUNT] = {
#define LIMIT(identifier, text) text,
#include "proxy/limit.def"
#undef LIMIT
};

void *listener_state_create(void *unused)
{
    (void)unused;
    return memory_zero(sizeof(struct listener_state));
}

void listener_state_destroy(void *state)
{
    memory_free(state);
}

static uint64_t count_of(uint64_t word)
{
    return word & 0xffff;
}

/* Takes the word from `seen` to one more, or a free one to the first of `key`. */
static bool advance(_Atomic uint64_t *word, uint64_t seen, uint64_t key)
{
    uint64_t wanted = (count_of(seen) ? seen : key << 16) + 1;
    return atomic_compare_exchange_weak(word, &seen, wanted);
}

/* The slot that counts `key` already, else the first free one, else -1. */
static int32_t find(struct listener_state *state, uint64_t key)
{
    int32_t free_slot = -1;
    for (uint32_t i = 0; i < PROBES_MAX; i++) {
        uint32_t slot = (uint32_t)(key + i) & (CLIENT_SLOTS - 1);
        uint64_t word = atomic_load_explicit(&state->clients[slot], memory_order_relaxed);
        if (count_of(word) && word >> 16 == key)
            return (int32_t)slot;
        if (!count_of(word) && free_slot < 0)
            free_slot = (int32_t)slot;
    }
    return free_slot;
}

bool listener_state_enter(struct listener_state *state, struct ip ip, uint32_t max, int32_t *ret_slot)
{
    uint64_t key = hash_bytes(&ip, sizeof ip) >> 16;
    *ret_slot = -1;
    for (int tries = 0; tries < 64; tries++) {
        int32_t slot = find(state, key);
        if (slot < 0)
            return true;
        uint64_t word = atomic_load(&state->clients[slot]);
        if (count_of(word) && word >> 16 != key)
            continue; /* taken by another meanwhile */
        if (count_of(word) >= max)
            return false;
        if (advance(&state->clients[slot], word, key)) {
            *ret_slot = slot;
            return true;
        }
    }
    return true;
}

void listener_state_leave(struct listener_state *state, int32_t slot)
{
    if (slot >= 0)
        atomic_fetch_sub(&state->clients[slot], 1);
}
