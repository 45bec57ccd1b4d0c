/* Time zones from TZif files (RFC 8536): the transitions that the file lists, and its rule for all times after them. */
#include "expr/zone.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "expr/calendar.h"

enum {
    NAME_MAX_BYTES = 64,
    FILE_BYTES_MAX = 256 * 1024,
    ZONES_MAX = 1024, /* names that are remembered; the database has about 600 */
    DAY = 86400,
};

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

struct zone {
    char name[NAME_MAX_BYTES];
    uint32_t count; /* of transitions */
    int64_t *times;
    int32_t *offsets; /* from each transition on */
    int32_t first;    /* before all of them */
    bool has_rule;
    struct rule rule;
};

static _Atomic(struct zone *) zones[ZONES_MAX]; /* filled in order, never changed: readers need no lock */
static atomic_size_t zones_count;
static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;

static uint32_t read_u32(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static int64_t read_i64(const unsigned char *at)
{
    return (int64_t)((uint64_t)read_u32(at) << 32 | read_u32(at + 4));
}

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

static bool rule_parse(struct text t, struct rule *rule)
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

static int32_t rule_offset(const struct rule *rule, int64_t seconds)
{
    if (!rule->has_daylight)
        return rule->standard;
    int64_t year = calendar_date(seconds + rule->standard).year;
    int64_t start = rule_seconds(&rule->start, year) - rule->standard,
            end = rule_seconds(&rule->end, year) - rule->daylight;
    bool in_daylight = start < end ? seconds >= start && seconds < end : seconds >= start || seconds < end;
    return in_daylight ? rule->daylight : rule->standard;
}

/* Sizes in the head of one block of a TZif file. */
struct tzif {
    uint32_t utc, standard, leaps, times, types, chars;
};

enum { TZIF_HEAD = 44 };

static bool tzif_head(const unsigned char *at, size_t size, struct tzif *head)
{
    if (size < TZIF_HEAD || memcmp(at, "TZif", 4) != 0)
        return false;
    *head = (struct tzif){read_u32(at + 20), read_u32(at + 24), read_u32(at + 28),
                          read_u32(at + 32), read_u32(at + 36), read_u32(at + 40)};
    return head->utc < 512 && head->standard < 512 && head->leaps < 512 && head->times < 8192
           && head->types < 512 && head->types > 0 && head->chars < 4096;
}

static size_t tzif_size(const struct tzif *head, size_t time_size)
{
    return TZIF_HEAD + head->times * (time_size + 1) + head->types * 6u + head->chars
           + head->leaps * (time_size + 4) + head->standard + head->utc;
}

static bool zone_fill(struct zone *zone, const unsigned char *at, const struct tzif *head)
{
    const unsigned char *times = at + TZIF_HEAD, *indexes = times + 8u * head->times,
                        *types = indexes + head->times;
    zone->times = memory_array(head->times, sizeof *zone->times);
    zone->offsets = memory_array(head->times, sizeof *zone->offsets);
    if (!zone->times || !zone->offsets)
        return false;
    zone->count = head->times;
    zone->first = (int32_t)read_u32(types);
    for (uint32_t i = 0; i < head->times; i++) {
        if (indexes[i] >= head->types)
            return false;
        zone->times[i] = read_i64(times + 8u * i);
        zone->offsets[i] = (int32_t)read_u32(types + 6u * indexes[i]);
    }
    return true;
}

/* The second block of the file has 64-bit times; the footer with the rule follows it. */
static bool zone_parse(struct zone *zone, const unsigned char *file, size_t size)
{
    struct tzif head;
    if (!tzif_head(file, size, &head) || file[4] < '2')
        return false;
    size_t skip = tzif_size(&head, 4);
    if (skip > size || !tzif_head(file + skip, size - skip, &head))
        return false;
    size_t end = skip + tzif_size(&head, 8);
    if (end > size || !zone_fill(zone, file + skip, &head))
        return false;
    struct text footer = {(const char *)file + end, size - end};
    if (footer.size >= 2 && footer.at[0] == '\n' && footer.at[footer.size - 1] == '\n')
        zone->has_rule = rule_parse(text_slice(footer, 1, footer.size - 1), &zone->rule);
    return true;
}

/* Only names of the database: no path leaves it. */
static bool name_is_safe(struct text name)
{
    if (!name.size || name.size >= NAME_MAX_BYTES || !char_is_alpha(name.at[0]))
        return false;
    for (size_t i = 0; i < name.size; i++)
        if (!char_is_alpha(name.at[i]) && !char_is_digit(name.at[i]) && !memchr("_+-/", name.at[i], 4))
            return false;
    return true;
}

/* The whole file; NULL: there is none, or it is none of ours. */
static unsigned char *read_file(const char *name, size_t *ret_size)
{
    char path[32 + NAME_MAX_BYTES];
    snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    unsigned char *file = fd < 0 ? NULL : memory_alloc(FILE_BYTES_MAX);
    ssize_t size = file ? read(fd, file, FILE_BYTES_MAX) : -1;
    if (fd >= 0)
        close(fd);
    if (size < 0 || size == FILE_BYTES_MAX) {
        memory_free(file);
        return NULL;
    }
    *ret_size = (size_t)size;
    return file;
}

static void zone_free(struct zone *zone)
{
    memory_free(zone->times);
    memory_free(zone->offsets);
    memory_free(zone);
}

static struct zone *zone_load(struct text name)
{
    struct zone *zone = memory_zero(sizeof *zone);
    if (!zone)
        return NULL;
    memcpy(zone->name, name.at, name.size);
    size_t size = 0;
    unsigned char *file = read_file(zone->name, &size);
    bool good = file && zone_parse(zone, file, size);
    memory_free(file);
    if (good)
        return zone;
    zone_free(zone);
    return NULL;
}

static struct zone *zone_known(struct text name, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct zone *zone = atomic_load_explicit(&zones[i], memory_order_relaxed);
        if (text_equal(text_of(zone->name), name))
            return zone;
    }
    return NULL;
}

const struct zone *zone_find(struct text name)
{
    struct zone *zone = zone_known(name, atomic_load_explicit(&zones_count, memory_order_acquire));
    if (zone || !name_is_safe(name))
        return zone;
    pthread_mutex_lock(&loading);
    size_t count = atomic_load_explicit(&zones_count, memory_order_acquire);
    zone = zone_known(name, count);
    if (!zone && count < ZONES_MAX && (zone = zone_load(name))) {
        atomic_store_explicit(&zones[count], zone, memory_order_relaxed);
        atomic_store_explicit(&zones_count, count + 1, memory_order_release);
    }
    pthread_mutex_unlock(&loading);
    return zone;
}

bool zone_parse_fixed(struct text name, int32_t *ret_offset)
{
    bool negative = name.size && name.at[0] == '-';
    struct text t = text_slice(name, name.size && (negative || name.at[0] == '+'), name.size);
    if (t.size != 5 || !char_is_digit(t.at[0]) || !char_is_digit(t.at[1]) || t.at[2] != ':'
        || !char_is_digit(t.at[3]) || !char_is_digit(t.at[4]))
        return false;
    int hours = 10 * (t.at[0] - '0') + t.at[1] - '0', minutes = 10 * (t.at[3] - '0') + t.at[4] - '0';
    *ret_offset = (negative ? -1 : 1) * (hours * 3600 + minutes * 60);
    return hours < 24 && minutes < 60;
}

int32_t zone_offset(const struct zone *zone, int64_t seconds)
{
    size_t from = 0, to = zone->count; /* finds the first transition after the instant */
    while (from < to) {
        size_t middle = (from + to) / 2;
        if (zone->times[middle] <= seconds)
            from = middle + 1;
        else
            to = middle;
    }
    if (from == zone->count && zone->has_rule)
        return rule_offset(&zone->rule, seconds);
    return from == 0 ? zone->first : zone->offsets[from - 1];
}
