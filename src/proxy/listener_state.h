/* What a listener counts across workers, with a longer life than a snapshot: its connections in all and from each client address. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/address.h"

enum { CLIENT_SLOTS = 1 << 16 };

struct listener_state {
    _Atomic int32_t connections;
    /* Open addressing over words of 48 bits of the keyed hash of an address and 16 bits of count; a word whose count is 0 is free. */
    _Atomic uint64_t clients[CLIENT_SLOTS];
};

void *listener_state_create(void *unused);
void listener_state_destroy(void *state);

/* Counts one more connection of a client unless it has `max` (1 to 65,534) already. `*ret_slot` is to be given back; -1: the table is crowded and
 * the client goes uncounted. False: refused. */
bool listener_state_enter(struct listener_state *state, struct ip ip, uint32_t max, int32_t *ret_slot);
void listener_state_leave(struct listener_state *state, int32_t slot);
