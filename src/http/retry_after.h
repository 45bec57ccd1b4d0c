/* Retry-After (RFC 9110 section 10.2.3): seconds, or a date. */
#pragma once

#include <stdint.h>

#include "base/text.h"

enum { RETRY_AFTER_MAX_MS = 7 * 86400 * 1000 };

/* Milliseconds from `wall_ns` on, at most RETRY_AFTER_MAX_MS; 0: there is none, it is malformed, or in the past. */
int64_t retry_after_ms(struct text value, int64_t wall_ns);
