/* State with a longer life than a snapshot (counters, tables of limits), claimed by name: a reload finds it again, and what no snapshot
 * claims any more is destroyed. Control thread only; what the states themselves hold is shared by workers as their owner decides. */
#pragma once

#include <stdint.h>

#include "base/arena.h"
#include "base/text.h"

struct states;

struct states *states_new(void);
void states_free(struct states *states); /* destroys what is left */

/* Finds or makes the state `kind`/`name` with this `shape` (a hash of what makes old contents unusable, such as the kind of window). The
 * claim is given back when `arena` is released. NULL: `create` failed or no memory. */
void *states_claim(struct states *states, struct arena *arena, const char *kind, struct text name,
                   uint64_t shape, void *(*create)(void *argument), void (*destroy)(void *state),
                   void *argument);
