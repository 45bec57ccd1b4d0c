/* Clocks and how times are written. Monotonic times are for durations and deadlines, wall times for people and protocols. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

#define NS_PER_SECOND 1000000000ll
#define NS_PER_MS     1000000ll
#define NS_PER_US     1000ll
#define MS_PER_SECOND 1000ll

int64_t time_monotonic_ns(void);
int64_t time_wall_ns(void); /* since 1970 in UTC */

enum {
    TIME_HTTP_SIZE = 29, /* "Sun, 06 Nov 1994 08:49:37 GMT" */
    TIME_ISO_SIZE = 24,  /* "1994-11-06T08:49:37.123Z" */
};

/* IMF-fixdate (RFC 9110 section 5.6.7) and RFC 3339 with milliseconds; exactly that many bytes, no zero byte. */
void time_write_http(int64_t wall_ns, char to[TIME_HTTP_SIZE]);
void time_write_iso(int64_t wall_ns, char to[TIME_ISO_SIZE]);

/* "250ms", "1m30s", "1.5h", "2d"; units ns us ms s m h d w, largest first, no sign. False: not a duration or out of range. */
bool time_parse_duration(struct text t, int64_t *ret_ns);

/* Shortest such form, into a buffer of 64 bytes; returns it as text. */
struct text time_format_duration(int64_t ns, char to[64]);
