/* When a route may be taken: days of the week, a span of the day, dates, in a time zone that was read when the snapshot was built. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

struct zone;

enum { DAY_SECONDS = 86400, WEEKDAYS_ALL = 0x7f };

struct time_window {
    uint8_t days; /* bit 0: Sunday */
    int32_t from_s,
        to_s; /* of the day, `to_s` not included; from after to: over midnight, on the day of `from` */
    int64_t since_s,
        until_s; /* local seconds since 1970, `until_s` not included; INT64_MIN, INT64_MAX: open */
    const struct zone *zone; /* NULL: `offset_s` */
    int32_t offset_s;        /* east of UTC */
};

/* At this instant of the wall clock? */
bool time_window_holds(const struct time_window *window, int64_t wall_ns);

/* Is there no instant at all in it? */
bool time_window_is_empty(const struct time_window *window);

/* "08:00", "23:59:30"; 24:00 is the end of the day. */
bool time_window_parse_clock(struct text t, int32_t *ret_seconds);

/* "2026-12-24" or "2026-12-24T18:00". `*ret_is_day`: it has no time of day. */
bool time_window_parse_date(struct text t, int64_t *ret_seconds, bool *ret_is_day);

/* "mon", "sat-mon". */
bool time_window_parse_days(struct text t, uint8_t *ret_days);
