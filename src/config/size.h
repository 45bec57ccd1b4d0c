/* Sizes in bytes as people write them: "64KiB", "10MB", "512". */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

/* Units B, KiB to TiB (powers of 1024) and kB or KB to TB (powers of 1000); a fraction is allowed if whole bytes come out. False: not a size
 * or out of range. */
bool size_parse(struct text t, int64_t *ret_bytes);

/* What `t` would be with its unit written right ("10mb", "64k"), .at NULL: no idea. In `to`, which has 64 bytes. */
struct text size_near_miss(struct text t, char to[64]);

/* Shortest exact form, into `to`. */
struct text size_format(int64_t bytes, char to[64]);
