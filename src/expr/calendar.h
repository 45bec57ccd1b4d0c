/* Dates, instants and spans without the C library's time zones: the proleptic Gregorian calendar. */
#pragma once

#include "base/text.h"
#include "expr/value.h"

#define TIMESTAMP_SECONDS_MIN (-62135596800) /* 0001-01-01T00:00:00Z */
#define TIMESTAMP_SECONDS_MAX 253402300799   /* 9999-12-31T23:59:59Z */

struct date {
    int64_t year;
    int month, day; /* 1 to 12, 1 to 31 */
    int hour, minute, second;
    int weekday, yearday; /* 0: Sunday; 0: 1 January */
};

/* Days since 1970 of a date, and back. */
int64_t calendar_days(int64_t year, int month, int day);
struct date calendar_date(int64_t seconds);

bool calendar_is_leap(int64_t year);
int calendar_month_days(int64_t year, int month);

bool timestamp_in_range(struct value_time time);
bool duration_in_range(
    struct value_time time); /* nanoseconds that fit into an int64_t: 292 years either way */

/* Sums and differences of instants and spans; false: beyond int64_t seconds, which is beyond every range. */
bool time_add(struct value_time a, struct value_time b, struct value_time *ret_time);
bool time_subtract(struct value_time a, struct value_time b, struct value_time *ret_time);

/* RFC 3339; false: malformed or out of range. */
bool timestamp_parse(struct text t, struct value_time *ret_time);
/* "1h30m", "-1.5s", "250ms", "0"; units h m s ms us ns. */
bool duration_parse(struct text t, struct value_time *ret_time);

enum { TIME_TEXT_MAX = 40 };
/* RFC 3339 in UTC with as many decimals as it needs; seconds with "s". Returns the size; no zero byte. */
size_t timestamp_write(struct value_time time, char to[TIME_TEXT_MAX]);
size_t duration_write(struct value_time time, char to[TIME_TEXT_MAX]);
