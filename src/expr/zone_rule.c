/* POSIX TZ strings such as "CET-1CEST,M3.5.0,M10.5.0/3". */
#include "expr/zone_rule.h"

#include "expr/calendar.h"

enum { DAY = 86400 };

/* "<+03>" or "CET": skips it. */
static bool rule_name(struct text *t)
{
    size_t size = 0;
    if (t->size && t->at[0] == '<') {
        size = text_find_char(*t, '>');
        if (size == TEXT_NONE)
            return false;
        size++;
    }
    while (size < t->size && char_is_alpha(t->at[size]))
        size++;
    *t = text_slice(*t, size, t->size);
    return size >= 3;
}

static bool rule_number(struct text *t, int max, int *ret_number)
{
    size_t size = 0;
    int number = 0;
    while (size < t->size && size < 3 && char_is_digit(t->at[size]))
        number = 10 * number + (t->at[size++] - '0');
    *t = text_slice(*t, size, t->size);
    *ret_number = number;
    return size > 0 && number <= max;
}

static bool rule_take(struct text *t, char c)
{
    if (!t->size || t->at[0] != c)
        return false;
    *t = text_slice(*t, 1, t->size);
    return true;
}

/* "[+-]hh[:mm[:ss]]" in seconds. */
static bool rule_time(struct text *t, int32_t *ret_seconds)
{
    int sign = rule_take(t, '-') ? -1 : 1, hours, minutes = 0, seconds = 0;
    if (sign > 0)
        (void)rule_take(t, '+'); /* may stand there */
    if (!rule_number(t, 167, &hours))
        return false;
    if (rule_take(t, ':')
        && (!rule_number(t, 59, &minutes) || (rule_take(t, ':') && !rule_number(t, 59, &seconds))))
        return false;
    *ret_seconds = sign * (hours * 3600 + minutes * 60 + seconds);
    return true;
}

static bool rule_day(struct text *t, struct rule_day *day)
{
    bool good;
    if (rule_take(t, 'M')) {
        day->kind = RULE_MONTH;
        good = rule_number(t, 12, &day->month) && rule_take(t, '.') && rule_number(t, 5, &day->week)
               && rule_take(t, '.') && rule_number(t, 6, &day->day) && day->month > 0 && day->week > 0;
    } else {
        day->kind = rule_take(t, 'J') ? RULE_JULIAN : RULE_YEARDAY;
        good = rule_number(t, 365, &day->day);
    }
    day->time = 2 * 3600;
    return good && (!rule_take(t, '/') || rule_time(t, &day->time));
}

bool rule_parse(struct text t, struct rule *rule)
{
    int32_t west;
    if (!rule_name(&t) || !rule_time(&t, &west))
        return false;
    rule->standard = -west;
    rule->has_daylight = t.size > 0;
    if (!rule->has_daylight)
        return true;
    if (!rule_name(&t))
        return false;
    rule->daylight = rule->standard + 3600;
    if (t.size && t.at[0] != ',') {
        if (!rule_time(&t, &west))
            return false;
        rule->daylight = -west;
    }
    return rule_take(&t, ',') && rule_day(&t, &rule->start) && rule_take(&t, ',') && rule_day(&t, &rule->end)
           && t.size == 0;
}

/* The local second since 1970 of a rule's day in a year. */
static int64_t rule_seconds(const struct rule_day *rule, int64_t year)
{
    int64_t day = calendar_days(year, 1, 1);
    if (rule->kind == RULE_YEARDAY) {
        day += rule->day;
    } else if (rule->kind == RULE_JULIAN) {
        day += rule->day - 1 + (calendar_is_leap(year) && rule->day >= 60);
    } else {
        day = calendar_days(year, rule->month, 1);
        int weekday = (int)(((day + 4) % 7 + 7) % 7);
        int in_month = (rule->day - weekday + 7) % 7 + 7 * (rule->week - 1);
        if (in_month >= calendar_month_days(year, rule->month))
            in_month -= 7; /* week 5 is the last, fourth or fifth */
        day += in_month;
    }
    return day * DAY + rule->time;
}

int32_t rule_offset(const struct rule *rule, int64_t seconds)
{
    if (!rule->has_daylight)
        return rule->standard;
    int64_t year = calendar_date(seconds + rule->standard).year;
    int64_t start = rule_seconds(&rule->start, year) - rule->standard,
            end = rule_seconds(&rule->end, year) - rule->daylight;
    bool in_daylight = start < end ? seconds >= start && seconds < end : seconds >= start || seconds < end;
    return in_daylight ? rule->daylight : rule->standard;
}

bool rule_rests(const struct rule *rule, int64_t from, int64_t to)
{
    enum { YEARS_MAX = 3 };
    int64_t first = calendar_date(from).year - 1, last = calendar_date(to).year + 1;
    if (!rule->has_daylight)
        return true;
    if (last - first > YEARS_MAX + 1)
        return false; /* it changes each year */
    for (int64_t year = first; year <= last; year++) {
        int64_t start = rule_seconds(&rule->start, year) - rule->standard,
                end = rule_seconds(&rule->end, year) - rule->daylight;
        if ((start > from && start < to) || (end > from && end < to))
            return false;
    }
    return true;
}
