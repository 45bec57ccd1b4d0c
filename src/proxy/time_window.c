/* Time windows of routes. */
#include "proxy/time_window.h"

#include "base/check.h"
#include "base/time.h"
#include "expr/calendar.h"
#include "expr/zone.h"

enum { WEEKDAY_OF_1970 = 4, HOUR_SECONDS = 3600, MINUTE_SECONDS = 60 };

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static bool has_day(const struct time_window *window, int64_t day)
{
    int64_t weekday = (day + WEEKDAY_OF_1970) % 7;
    return window->days >> (weekday < 0 ? weekday + 7 : weekday) & 1;
}

bool time_window_holds(const struct time_window *window, int64_t wall_ns)
{
    int64_t utc = floor_div(wall_ns, NS_PER_SECOND);
    int64_t local = utc + (window->zone ? zone_offset(window->zone, utc) : window->offset_s);
    if (local < window->since_s || local >= window->until_s)
        return false;
    int64_t day = floor_div(local, DAY_SECONDS), second = local - day * DAY_SECONDS;
    if (window->from_s < window->to_s)
        return second >= window->from_s && second < window->to_s && has_day(window, day);
    return (second >= window->from_s && has_day(window, day))
           || (second < window->to_s && has_day(window, day - 1));
}

/* Is a day of the week of the window among the few days between the dates? A week has them all. */
static bool meets_a_day(const struct time_window *window)
{
    if (window->since_s == INT64_MIN || window->until_s == INT64_MAX)
        return true;
    int64_t first = floor_div(window->since_s, DAY_SECONDS),
            last = floor_div(window->until_s - 1, DAY_SECONDS);
    if (window->from_s >= window->to_s)
        first--; /* the evening before may reach into the first day */
    for (int64_t day = first; day <= last && day < first + 7; day++) {
        if (!has_day(window, day))
            continue;
        int64_t from = day * DAY_SECONDS + window->from_s, to = day * DAY_SECONDS + window->to_s;
        if (window->from_s >= window->to_s)
            to += DAY_SECONDS;
        if (MAX_OF(from, window->since_s) < MIN_OF(to, window->until_s))
            return true;
    }
    return last - first >= 7;
}

bool time_window_is_empty(const struct time_window *window)
{
    return window->days == 0 || window->since_s >= window->until_s || !meets_a_day(window);
}

/* Two digits. */
static bool parse_two(struct text t, int64_t *ret_number)
{
    return t.size == 2 && char_is_digit(t.at[0]) && char_is_digit(t.at[1]) && text_to_int64(t, ret_number);
}

bool time_window_parse_clock(struct text t, int32_t *ret_seconds)
{
    int64_t hour, minute, second = 0;
    struct text rest = t;
    if (!parse_two(text_split(&rest, ':'), &hour) || !rest.at || !parse_two(text_split(&rest, ':'), &minute))
        return false;
    if (rest.at && !parse_two(rest, &second))
        return false;
    int64_t seconds = hour * HOUR_SECONDS + minute * MINUTE_SECONDS + second;
    if (minute > 59 || second > 59 || seconds > DAY_SECONDS)
        return false;
    *ret_seconds = (int32_t)seconds;
    return true;
}

bool time_window_parse_date(struct text t, int64_t *ret_seconds, bool *ret_is_day)
{
    int64_t year, month, day;
    int32_t clock = 0;
    struct text time = t, date = text_split(&time, 'T'), rest = date, digits = text_split(&rest, '-');
    if (digits.size != 4 || !text_to_int64(digits, &year) || year < 1970 || !rest.at)
        return false;
    if (!parse_two(text_split(&rest, '-'), &month) || !rest.at || !parse_two(rest, &day) || month < 1
        || month > 12 || day < 1 || day > calendar_month_days(year, (int)month))
        return false;
    if (time.at && (!time_window_parse_clock(time, &clock) || clock == DAY_SECONDS))
        return false;
    *ret_seconds = calendar_days(year, (int)month, (int)day) * DAY_SECONDS + clock;
    *ret_is_day = !time.at;
    return true;
}

static int weekday_of(struct text t)
{
    static const struct text names[] = {TEXT_INIT("sun"), TEXT_INIT("mon"), TEXT_INIT("tue"),
                                        TEXT_INIT("wed"), TEXT_INIT("thu"), TEXT_INIT("fri"),
                                        TEXT_INIT("sat")};
    for (int i = 0; i < 7; i++)
        if (text_equal(t, names[i]))
            return i;
    return -1;
}

bool time_window_parse_days(struct text t, uint8_t *ret_days)
{
    struct text rest = t;
    int first = weekday_of(text_split(&rest, '-')), last = rest.at ? weekday_of(rest) : first;
    if (first < 0 || last < 0)
        return false;
    uint8_t days = (uint8_t)(1 << last);
    for (int day = first; day != last; day = (day + 1) % 7)
        days |= (uint8_t)(1 << day);
    *ret_days = days;
    return true;
}
