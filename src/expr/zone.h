/* Time zones: fixed offsets and the names of the system's tz database.
 *
 * Reading the database and asking it are two things. What is read stays for the life of the process: a constant name when its
 * expression is compiled, the whole database when an expression that computes a name is. Workers only ask: no file, no lock. */
#pragma once

#include "base/text.h"

struct zone;

/* Reads a zone of the database, "Europe/Paris", unless it is there already. 0, -ENOENT: there is none, -ENOMEM. The thread may wait. */
int zone_load(struct text name, const struct zone **ret_zone);

/* Reads the whole database, once; a system may have none. False: no memory. The thread may wait. */
bool zones_load(void);

/* A zone that was read; NULL: there is none. Any thread, waits for nothing. */
const struct zone *zone_find(struct text name);

/* True: `name` is a fixed offset, "+02:00", "-03:30", "02:00", in seconds east of UTC. */
bool zone_parse_fixed(struct text name, int32_t *ret_offset);

/* Seconds east of UTC at an instant. */
int32_t zone_offset(const struct zone *zone, int64_t seconds);

/* Files of the database that this process has opened: tests prove by it that none is opened where no thread may wait. */
uint64_t zone_files_opened(void);
