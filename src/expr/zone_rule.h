/* The rule that a time zone follows behind the transitions of its file: a POSIX TZ string. Internal to the room. */
#pragma once

#include "base/text.h"

/* A day of a rule: "M3.2.0" (month, week, weekday), "J60" (day 1 to 365, never 29 February) or "59" (day 0 to 365). */
struct rule_day {
    enum { RULE_MONTH, RULE_JULIAN, RULE_YEARDAY } kind;
    int month, week, day;
    int32_t time; /* seconds into the day; may be negative or beyond */
};

/* The POSIX rule of a file's footer: "CET-1CEST,M3.5.0,M10.5.0/3". */
struct rule {
    int32_t standard, daylight; /* offsets east of UTC */
    bool has_daylight;
    struct rule_day start, end;
};

/* False: it is none. */
bool rule_parse(struct text t, struct rule *ret_rule);

/* Seconds east of UTC at an instant. */
int32_t rule_offset(const struct rule *rule, int64_t seconds);

/* Whether the offset stays the same in all of [from, to). */
bool rule_rests(const struct rule *rule, int64_t from, int64_t to);
