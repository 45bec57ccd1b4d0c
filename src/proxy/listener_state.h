/* What a listener counts across workers, with a longer life than a snapshot: its connections in all and from each client address, and how
 * often each of its limits was reached. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/address.h"

enum { CLIENT_SLOTS = 1 << 16 };

/* Counted when a client reaches it: proxy/limit.def. */
enum limit {
#define LIMIT(identifier, text) LIMIT_##identifier,
#include "proxy/limit.def"
#undef LIMIT
    LIMITS_COUNT
};
extern const char *const limit_names[LIMITS_COUNT];

struct listener_state {
    _Atomic int32_t connections;
    _Atomic int32_t handshakes;        /* of TLS, under way */
    _Atomic int64_t handshake_turn_ns; /* when the next one may begin, for their rate; monotonic */
    _Atomic uint64_t accepted;         /* connections so far */
    _Atomic uint64_t limits[LIMITS_COUNT];
    /* Open addressing over words of 48 bits of the keyed hash of an address and 16 bits of count; a word whose count is 0 is free. */
    _Atomic uint64_t clients[CLIENT_SLOTS];
};

void *listener_state_create(void *unused);
void listener_state_destroy(void *state);

/* Any thread, when a limit was reached: seldom, so that it may be one number for all. */
static inline void listener_state_count(struct listener_state *state, enum limit limit)
{
    atomic_fetch_add_explicit(&state->limits[limit], 1, memory_order_relaxed);
}

/* Counts one more connection of a client unless it has `max` (1 to 65,534) already. `*ret_slot` is to be given back; -1: the table is crowded and
 * the client goes uncounted. False: refused. */
bool listener_state_enter(struct listener_state *state, struct ip ip, uint32_t max, int32_t *ret_slot);
void listener_state_leave(struct listener_state *state, int32_t slot);
