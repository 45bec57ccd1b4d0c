/* Parts of timestamps and durations. */
#include <errno.h>

#include "base/time.h"
#include "expr/calendar.h"
#include "expr/function.h"
#include "expr/zone.h"

/* What a constant time zone is prepared as. */
struct place {
    const struct zone *zone; /* NULL: a fixed offset */
    int32_t offset;
};

/* "+02:00", "UTC": what needs no database. */
static bool place_is_fixed(struct text name, struct place *place)
{
    *place = (struct place){NULL, 0};
    return zone_parse_fixed(name, &place->offset) || text_equal(name, TEXT("UTC"));
}

/* As the expression runs: of what was read before. */
static bool find_place(struct text name, struct place *place)
{
    if (place_is_fixed(name, place))
        return true;
    place->zone = zone_find(name);
    return place->zone;
}

static bool prepare_place(struct arena *arena, struct value constant, const void **ret_prepared,
                          struct error *reterr)
{
    struct place *place = ARENA_NEW(arena, struct place);
    if (!place)
        return error_set(reterr, -ENOMEM, "out of memory"), false;
    int code = place_is_fixed(constant.text, place) ? 0 : zone_load(constant.text, &place->zone);
    if (code == -ENOMEM)
        return error_set(reterr, code, "out of memory"), false;
    if (code < 0) {
        error_set(reterr, 0, "unknown time zone '%.*s'", TEXT_ARGS(text_slice(constant.text, 0, 80)));
        return false;
    }
    *ret_prepared = place;
    return true;
}

/* The local date of a timestamp; the second argument is the zone, if `zoned`. False: there is no such zone. */
static bool local_date(struct call *call, const struct value *arguments, bool zoned, struct date *ret_date)
{
    int64_t seconds = arguments[0].time.seconds;
    struct place found = {NULL, 0};
    const struct place *place = zoned && call->prepared ? call->prepared : &found;
    if (zoned && !call->prepared && !find_place(arguments[1].text, &found))
        return fault_text(call->evaluation, "unknown time zone", arguments[1].text);
    *ret_date = calendar_date(seconds + (place->zone ? zone_offset(place->zone, seconds) : place->offset));
    return true;
}

/* Two functions for each part: in UTC, and in a zone. */
#define PART_FUNCTION(name, expression)                                                                      \
    static bool name(struct call *call, const struct value *arguments, bool zoned, struct value *ret_value)  \
    {                                                                                                        \
        struct date date;                                                                                    \
        if (!local_date(call, arguments, zoned, &date))                                                      \
            return false;                                                                                    \
        *ret_value = value_int(expression);                                                                  \
        return true;                                                                                         \
    }                                                                                                        \
    static bool name##_utc(struct call *call, const struct value *arguments, struct value *ret_value)        \
    {                                                                                                        \
        return name(call, arguments, false, ret_value);                                                      \
    }                                                                                                        \
    static bool name##_zoned(struct call *call, const struct value *arguments, struct value *ret_value)      \
    {                                                                                                        \
        return name(call, arguments, true, ret_value);                                                       \
    }

PART_FUNCTION(year, date.year)
PART_FUNCTION(month, date.month - 1)
PART_FUNCTION(day, date.day)
PART_FUNCTION(day_of_month, date.day - 1)
PART_FUNCTION(day_of_week, date.weekday)
PART_FUNCTION(day_of_year, date.yearday)
PART_FUNCTION(hours, date.hour)
PART_FUNCTION(minutes, date.minute)
PART_FUNCTION(seconds, date.second)
PART_FUNCTION(milliseconds, arguments[0].time.nanos / NS_PER_MS)

/* Whole units of a duration, towards zero: of {-1, 500000000} that are 0 seconds. */
static int64_t whole_seconds(struct value_time time)
{
    return time.seconds + (time.seconds < 0 && time.nanos > 0);
}

#define SPAN_FUNCTION(name, expression)                                                                      \
    static bool name(struct call *call, const struct value *arguments, struct value *ret_value)              \
    {                                                                                                        \
        struct value_time time = arguments[0].time;                                                          \
        (void)call; /* cannot fail */                                                                        \
        *ret_value = value_int(expression);                                                                  \
        return true;                                                                                         \
    }

SPAN_FUNCTION(span_hours, whole_seconds(time) / 3600)
SPAN_FUNCTION(span_minutes, whole_seconds(time) / 60)
SPAN_FUNCTION(span_seconds, whole_seconds(time))
/* The part below a second, with the sign of the whole. */
SPAN_FUNCTION(span_milliseconds, time.seconds<0 && time.nanos> 0 ? -((NS_PER_SECOND - time.nanos) / NS_PER_MS)
                                                                 : time.nanos / NS_PER_MS)

/* `utc` and `tokyo` are what the examples give. */
#define EXAMPLE_TIME "timestamp('2026-01-31T23:30:05.25Z')."
#define PART_ROWS(title, name, text, utc, tokyo)                                                             \
    {title,                                                                                                  \
     FUNCTION_RECEIVER,                                                                                      \
     {SIG_TIMESTAMP},                                                                                        \
     SIG_INT,                                                                                                \
     name##_utc,                                                                                             \
     text ", in UTC.",                                                                                       \
     2,                                                                                                      \
     .example = EXAMPLE_TIME title "() => " utc},                                                            \
    {                                                                                                        \
        title, FUNCTION_RECEIVER, {SIG_TIMESTAMP, SIG_STRING}, SIG_INT, name##_zoned,                        \
            text ", in a time zone: \"Europe/Paris\" or \"+02:00\".", 5,                                     \
            .prepares = 2, .prepare = prepare_place, .ready = zones_load,                                    \
            .example = EXAMPLE_TIME title "('Asia/Tokyo') => " tokyo                                         \
    }

static const struct function rows[] = {
    PART_ROWS("getFullYear", year, "The year", "2026", "2026"),
    PART_ROWS("getMonth", month, "The month, 0 to 11", "0", "1"),
    PART_ROWS("getDate", day, "The day of the month, 1 to 31", "31", "1"),
    PART_ROWS("getDayOfMonth", day_of_month, "The day of the month, 0 to 30", "30", "0"),
    PART_ROWS("getDayOfWeek", day_of_week, "The day of the week, 0 (Sunday) to 6", "6", "0"),
    PART_ROWS("getDayOfYear", day_of_year, "The day of the year, 0 to 365", "30", "31"),
    PART_ROWS("getHours", hours, "The hour, 0 to 23", "23", "8"),
    PART_ROWS("getMinutes", minutes, "The minute, 0 to 59", "30", "30"),
    PART_ROWS("getSeconds", seconds, "The second, 0 to 59", "5", "5"),
    PART_ROWS("getMilliseconds", milliseconds, "The millisecond, 0 to 999", "250", "250"),
    {"getHours",
     FUNCTION_RECEIVER,
     {SIG_DURATION},
     SIG_INT,
     span_hours,
     "Whole hours of a duration.",
     1,
     .example = "duration('90m').getHours() => 1"},
    {"getMinutes",
     FUNCTION_RECEIVER,
     {SIG_DURATION},
     SIG_INT,
     span_minutes,
     "Whole minutes of a duration.",
     1,
     .example = "duration('90m').getMinutes() => 90"},
    {"getSeconds",
     FUNCTION_RECEIVER,
     {SIG_DURATION},
     SIG_INT,
     span_seconds,
     "Whole seconds of a duration.",
     1,
     .example = "duration('90.5s').getSeconds() => 90"},
    {"getMilliseconds",
     FUNCTION_RECEIVER,
     {SIG_DURATION},
     SIG_INT,
     span_milliseconds,
     "The milliseconds of a duration beside its whole seconds.",
     1,
     .example = "duration('90.5s').getMilliseconds() => 500"},
};

const struct function_group functions_time = FUNCTION_GROUP("Time", rows);
