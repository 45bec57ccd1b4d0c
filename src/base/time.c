/* Clocks, dates and durations. */
#include "base/time.h"

#include <stdio.h>
#include <time.h>

#include "base/check.h"

static int64_t read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

int64_t time_monotonic_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t time_wall_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

/* Nanoseconds within the second, also before 1970. */
static int64_t within_second(int64_t wall_ns)
{
    int64_t ns = wall_ns % NS_PER_SECOND;
    return ns < 0 ? ns + NS_PER_SECOND : ns;
}

static struct tm split(int64_t wall_ns)
{
    time_t seconds = wall_ns / NS_PER_SECOND - (wall_ns % NS_PER_SECOND < 0);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    return parts;
}

static void put(char *to, int width, int value)
{
    for (int i = width - 1; i >= 0; i--, value /= 10)
        to[i] = (char)('0' + value % 10);
}

void time_write_http(int64_t wall_ns, char to[TIME_HTTP_SIZE])
{
    struct tm t = split(wall_ns);
    memcpy(to, "Sun, 00 Jan 0000 00:00:00 GMT", TIME_HTTP_SIZE);
    memcpy(to, &"SunMonTueWedThuFriSat"[3 * t.tm_wday], 3);
    put(to + 5, 2, t.tm_mday);
    memcpy(to + 8, &"JanFebMarAprMayJunJulAugSepOctNovDec"[3 * t.tm_mon], 3);
    put(to + 12, 4, t.tm_year + 1900);
    put(to + 17, 2, t.tm_hour);
    put(to + 20, 2, t.tm_min);
    put(to + 23, 2, t.tm_sec);
}

void time_write_iso(int64_t wall_ns, char to[TIME_ISO_SIZE])
{
    struct tm t = split(wall_ns);
    memcpy(to, "0000-00-00T00:00:00.000Z", TIME_ISO_SIZE);
    put(to, 4, t.tm_year + 1900);
    put(to + 5, 2, t.tm_mon + 1);
    put(to + 8, 2, t.tm_mday);
    put(to + 11, 2, t.tm_hour);
    put(to + 14, 2, t.tm_min);
    put(to + 17, 2, t.tm_sec);
    put(to + 20, 3, (int)(within_second(wall_ns) / NS_PER_MS));
}

/* Largest first; an earlier one that is a prefix of a later one ("m" of "ms") is told apart by the length of the unit. */
static const struct unit {
    struct text name;
    int64_t ns;
} units[] = {
    {TEXT_INIT("w"), 7 * 24 * 3600 * NS_PER_SECOND},
    {TEXT_INIT("d"), 24 * 3600 * NS_PER_SECOND},
    {TEXT_INIT("h"), 3600 * NS_PER_SECOND},
    {TEXT_INIT("m"), 60 * NS_PER_SECOND},
    {TEXT_INIT("s"), NS_PER_SECOND},
    {TEXT_INIT("ms"), NS_PER_MS},
    {TEXT_INIT("us"), 1000},
    {TEXT_INIT("ns"), 1},
};

static size_t run_of(struct text t, size_t at, bool letters)
{
    size_t end = at;
    while (end < t.size
           && (letters ? char_is_alpha(t.at[end]) : char_is_digit(t.at[end]) || t.at[end] == '.'))
        end++;
    return end;
}

/* `number` of units of `unit_ns`: exact when it is whole, rounded when it has a fraction. */
static bool to_ns(struct text number, int64_t unit_ns, int64_t *ret_ns)
{
    int64_t whole;
    double value;
    if (text_to_int64(number, &whole))
        return !__builtin_mul_overflow(whole, unit_ns, ret_ns);
    if (text_find_char(number, '.') == TEXT_NONE || !text_to_double(number, &value))
        return false;
    double ns = value * (double)unit_ns;
    if (!(ns < 9.2e18))
        return false;
    *ret_ns = (int64_t)(ns + 0.5);
    return true;
}

bool time_parse_duration(struct text t, int64_t *ret_ns)
{
    int64_t total = 0;
    size_t last_unit = 0, at = 0;
    while (at < t.size) {
        size_t number_end = run_of(t, at, false), unit_end = run_of(t, number_end, true), unit = last_unit;
        struct text name = text_slice(t, number_end, unit_end);
        while (unit < COUNT_OF(units) && !text_equal(units[unit].name, name))
            unit++;
        int64_t ns;
        if (unit == COUNT_OF(units) || !to_ns(text_slice(t, at, number_end), units[unit].ns, &ns)
            || __builtin_add_overflow(total, ns, &total))
            return false;
        last_unit = unit + 1;
        at = unit_end;
    }
    if (t.size == 0)
        return false;
    *ret_ns = total;
    return true;
}

struct text time_format_duration(int64_t ns, char to[64])
{
    size_t size = 0;
    for (size_t i = 1; i < COUNT_OF(units) && ns > 0; i++) { /* no weeks: days read better */
        if (ns < units[i].ns)
            continue;
        size +=
            (size_t)snprintf(to + size, 64 - size, "%lld%s", (long long)(ns / units[i].ns), units[i].name.at);
        ns %= units[i].ns;
    }
    if (size == 0)
        size = (size_t)snprintf(to, 64, "0s");
    return (struct text){to, size};
}
