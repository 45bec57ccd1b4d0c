/* Dates, instants and spans. */
#include "expr/calendar.h"

#include <stdio.h>

#include "base/check.h"
#include "base/time.h"

enum { DAY_SECONDS = 86400, ERA_DAYS = 146097 /* 400 years */ };

/* Counts years from 1 March, so that the leap day is the last of its year. */
int64_t calendar_days(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400, year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * ERA_DAYS + day_of_era - 719468; /* from 0000-03-01 to 1970-01-01 */
}

struct date calendar_date(int64_t seconds)
{
    int64_t days = seconds / DAY_SECONDS - (seconds % DAY_SECONDS < 0);
    int in_day = (int)(seconds - days * DAY_SECONDS);
    int64_t shifted = days + 719468, era = (shifted >= 0 ? shifted : shifted - ERA_DAYS + 1) / ERA_DAYS;
    int64_t day_of_era = shifted - era * ERA_DAYS;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int day_of_year = (int)(day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100));
    int shifted_month = (5 * day_of_year + 2) / 153; /* 0: March */
    struct date date = {
        .month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9,
        .day = day_of_year - (153 * shifted_month + 2) / 5 + 1,
        .hour = in_day / 3600,
        .minute = in_day / 60 % 60,
        .second = in_day % 60,
        .weekday = (int)(((days + 4) % 7 + 7) % 7), /* 1970-01-01 was a Thursday */
    };
    date.year = year_of_era + era * 400 + (date.month <= 2);
    date.yearday = (int)(days - calendar_days(date.year, 1, 1));
    return date;
}

bool calendar_is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

int calendar_month_days(int64_t year, int month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && calendar_is_leap(year) ? 29 : days[month - 1];
}

bool timestamp_in_range(struct value_time time)
{
    return time.seconds >= TIMESTAMP_SECONDS_MIN && time.seconds <= TIMESTAMP_SECONDS_MAX;
}

bool duration_in_range(struct value_time time)
{
    int64_t ns; /* of the next whole second towards zero, as INT64_MIN is no multiple of a second */
    bool negative = time.seconds < 0;
    return !__builtin_mul_overflow(time.seconds + negative, NS_PER_SECOND, &ns)
           && !__builtin_add_overflow(ns, negative ? time.nanos - NS_PER_SECOND : time.nanos, &ns);
}

bool time_add(struct value_time a, struct value_time b, struct value_time *ret_time)
{
    int64_t nanos = (int64_t)a.nanos + b.nanos, seconds;
    bool carry = nanos >= NS_PER_SECOND;
    if (__builtin_add_overflow(a.seconds, b.seconds, &seconds)
        || __builtin_add_overflow(seconds, carry, &seconds))
        return false;
    *ret_time = (struct value_time){seconds, (int32_t)(carry ? nanos - NS_PER_SECOND : nanos)};
    return true;
}

bool time_subtract(struct value_time a, struct value_time b, struct value_time *ret_time)
{
    int64_t nanos = (int64_t)a.nanos - b.nanos, seconds;
    bool borrow = nanos < 0;
    if (__builtin_sub_overflow(a.seconds, b.seconds, &seconds)
        || __builtin_sub_overflow(seconds, borrow, &seconds))
        return false;
    *ret_time = (struct value_time){seconds, (int32_t)(borrow ? nanos + NS_PER_SECOND : nanos)};
    return true;
}

/* Takes `count` digits and the sign that must follow (0: none) off the front; -1: they are not there. */
static int take_digits(struct text *t, size_t count, char after)
{
    int value = 0;
    if (t->size < count + (after != 0))
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (!char_is_digit(t->at[i]))
            return -1;
        value = 10 * value + (t->at[i] - '0');
    }
    if (after && t->at[count] != after)
        return -1;
    *t = text_slice(*t, count + (after != 0), t->size);
    return value;
}

/* ".123": up to nine decimals count, further ones are dropped. False: a point without digits. */
static bool take_fraction(struct text *t, int32_t *ret_nanos)
{
    *ret_nanos = 0;
    if (t->size == 0 || t->at[0] != '.')
        return true;
    size_t i = 1;
    for (int32_t unit = 100000000; i < t->size && char_is_digit(t->at[i]); i++, unit /= 10)
        *ret_nanos += unit * (t->at[i] - '0');
    *t = text_slice(*t, i, t->size);
    return i > 1;
}

/* "Z", "+01:00" */
static bool parse_offset(struct text t, int64_t *ret_seconds)
{
    *ret_seconds = 0;
    if (text_equal(t, TEXT("Z")) || text_equal(t, TEXT("z")))
        return true;
    bool negative = t.size && t.at[0] == '-';
    if (!t.size || (t.at[0] != '+' && !negative))
        return false;
    t = text_slice(t, 1, t.size);
    int hours = take_digits(&t, 2, ':'), minutes = take_digits(&t, 2, 0);
    *ret_seconds = (hours * 3600 + minutes * 60) * (negative ? -1 : 1);
    return t.size == 0 && hours >= 0 && hours < 24 && minutes >= 0 && minutes < 60;
}

bool timestamp_parse(struct text t, struct value_time *ret_time)
{
    int year = take_digits(&t, 4, '-'), month = take_digits(&t, 2, '-'), day = take_digits(&t, 2, 0);
    if (year < 0 || month < 1 || month > 12 || day < 1 || day > calendar_month_days(year, month))
        return false;
    if (t.size == 0 || (t.at[0] != 'T' && t.at[0] != 't'))
        return false;
    t = text_slice(t, 1, t.size);
    int hour = take_digits(&t, 2, ':'), minute = take_digits(&t, 2, ':'), second = take_digits(&t, 2, 0);
    int32_t nanos;
    int64_t offset;
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59
        || !take_fraction(&t, &nanos) || !parse_offset(t, &offset))
        return false;
    struct value_time time = {
        calendar_days(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60 + second - offset, nanos};
    *ret_time = time;
    return timestamp_in_range(time);
}

/* One number with its unit off the front, as whole nanoseconds of up to 128 bits. */
static bool take_span(struct text *t, __int128 *ret_ns)
{
    static const struct {
        struct text name;
        int64_t ns;
    } units[] = {
        {TEXT_INIT("h"), 3600 * NS_PER_SECOND},
        {TEXT_INIT("ms"), NS_PER_MS},
        {TEXT_INIT("m"), 60 * NS_PER_SECOND},
        {TEXT_INIT("s"), NS_PER_SECOND},
        {TEXT_INIT("us"), 1000},
        {TEXT_INIT("\302\265s"), 1000},
        {TEXT_INIT("ns"), 1},
    };
    uint64_t whole = 0, fraction = 0, scale = 1;
    size_t i = 0, digits = 0;
    for (; i < t->size && char_is_digit(t->at[i]); i++, digits++)
        if (__builtin_mul_overflow(whole, 10, &whole)
            || __builtin_add_overflow(whole, (uint64_t)(t->at[i] - '0'), &whole))
            return false;
    if (i < t->size && t->at[i] == '.')
        for (i++; i < t->size && char_is_digit(t->at[i]); i++, digits++)
            if (scale < 1000000000000000) { /* further decimals are below any unit */
                fraction = 10 * fraction + (uint64_t)(t->at[i] - '0');
                scale *= 10;
            }
    struct text rest = text_slice(*t, i, t->size);
    for (size_t u = 0; digits && u < COUNT_OF(units); u++) {
        if (!text_starts_with(rest, units[u].name))
            continue;
        *ret_ns = (__int128)whole * units[u].ns + (__int128)fraction * units[u].ns / (__int128)scale;
        *t = text_slice(rest, units[u].name.size, rest.size);
        return true;
    }
    return false;
}

bool duration_parse(struct text t, struct value_time *ret_time)
{
    bool negative = t.size && t.at[0] == '-';
    t = text_slice(t, t.size && (negative || t.at[0] == '+'), t.size);
    __int128 total = 0, part;
    if (text_equal(t, TEXT("0"))) {
        *ret_time = (struct value_time){0, 0};
        return true;
    }
    if (t.size == 0)
        return false;
    while (t.size) {
        if (!take_span(&t, &part))
            return false;
        total += part;
        if (total > (__int128)INT64_MAX + negative)
            return false;
    }
    total = negative ? -total : total;
    int64_t seconds = (int64_t)(total / NS_PER_SECOND), nanos = (int64_t)(total % NS_PER_SECOND);
    *ret_time = (struct value_time){nanos < 0 ? seconds - 1 : seconds,
                                    (int32_t)(nanos < 0 ? nanos + NS_PER_SECOND : nanos)};
    return true;
}

/* ".5" for 500,000,000 nanoseconds; nothing for 0. */
static size_t write_fraction(int32_t nanos, char *to)
{
    if (nanos == 0)
        return 0;
    char digits[16];
    int size = snprintf(digits, sizeof digits, ".%09d", nanos);
    while (digits[size - 1] == '0')
        size--;
    memcpy(to, digits, (size_t)size);
    return (size_t)size;
}

size_t timestamp_write(struct value_time time, char to[TIME_TEXT_MAX])
{
    struct date d = calendar_date(time.seconds);
    size_t size = (size_t)snprintf(to, TIME_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02d", (int)d.year % 10000,
                                   d.month % 100, d.day % 100, d.hour % 100, d.minute % 100, d.second % 100);
    size += write_fraction(time.nanos, to + size);
    to[size++] = 'Z';
    return size;
}

size_t duration_write(struct value_time time, char to[TIME_TEXT_MAX])
{
    bool negative = time.seconds < 0;
    int64_t seconds = time.seconds;
    int32_t nanos = time.nanos;
    if (negative) { /* as sign and magnitude */
        seconds = -(seconds + (nanos > 0));
        nanos = nanos > 0 ? (int32_t)(NS_PER_SECOND - nanos) : 0;
    }
    size_t size = (size_t)snprintf(to, TIME_TEXT_MAX - 12, "%s%lld", negative ? "-" : "", (long long)seconds);
    size += write_fraction(nanos, to + size);
    to[size++] = 's';
    return size;
}
