/* What the kernel lets this process have: open files, and cores. */
#pragma once

#include <stdint.h>

#include "proxy/snapshot.h"

/* No core of this process, nor of those it starts: memory and environment hold secrets. The hard limit stays, so that a gateway process may be
 * configured otherwise. */
void process_limits_no_core(void);

/* Cores of up to so many bytes, as far as the hard limit goes; 0: none. After a change of user, which makes the kernel write none. */
void process_limits_core(int64_t bytes);

/* As many descriptors as the connections of the snapshot's listeners need, and all that are free to take. Says in the log, and only when it is
 * news, if that is too few. */
void process_limits_files(const struct snapshot *snapshot);
