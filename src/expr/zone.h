/* Time zones: fixed offsets and the names of the system's tz database. Internal to the room.
 *
 * A zone of the database is read once in the life of the process, on its first use, and kept: constant names while expressions are
 * compiled, others when an expression first meets them (one read of a small file, cached by the kernel). Thread-safe. */
#pragma once

#include "base/text.h"

struct zone;

/* A zone of the database: "UTC", "Europe/Paris". NULL: there is none, or no memory. */
const struct zone *zone_find(struct text name);

/* True: `name` is a fixed offset, "+02:00", "-03:30", "02:00", in seconds east of UTC. */
bool zone_parse_fixed(struct text name, int32_t *ret_offset);

/* Seconds east of UTC at an instant. */
int32_t zone_offset(const struct zone *zone, int64_t seconds);
