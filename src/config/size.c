/* Sizes with binary and decimal units. */
#include "config/size.h"

#include <stdio.h>

#include "base/check.h"

static const struct unit {
    struct text name;
    int64_t bytes;
} units[] = {
    {TEXT_INIT("TiB"), 1ll << 40},
    {TEXT_INIT("GiB"), 1ll << 30},
    {TEXT_INIT("MiB"), 1ll << 20},
    {TEXT_INIT("KiB"), 1ll << 10},
    {TEXT_INIT("TB"), 1000000000000},
    {TEXT_INIT("GB"), 1000000000},
    {TEXT_INIT("MB"), 1000000},
    {TEXT_INIT("kB"), 1000},
    {TEXT_INIT("KB"), 1000},
    {TEXT_INIT("B"), 1},
    {TEXT_INIT(""), 1},
};
enum { BINARY_UNITS = 4 };

static size_t number_size(struct text t)
{
    size_t end = 0;
    while (end < t.size && (char_is_digit(t.at[end]) || t.at[end] == '.'))
        end++;
    return end;
}

static bool parse_in(struct text number, int64_t unit, int64_t *ret_bytes)
{
    uint64_t whole, bytes;
    double fraction;
    if (text_to_uint64(number, &whole)) {
        if (__builtin_mul_overflow(whole, (uint64_t)unit, &bytes) || bytes > INT64_MAX)
            return false;
        *ret_bytes = (int64_t)bytes;
        return true;
    }
    if (!text_to_double(number, &fraction) || fraction * (double)unit >= 9e18)
        return false;
    *ret_bytes = (int64_t)(fraction * (double)unit);
    return (double)*ret_bytes == fraction * (double)unit;
}

bool size_parse(struct text t, int64_t *ret_bytes)
{
    size_t end = number_size(t);
    struct text name = text_slice(t, end, t.size);
    for (size_t i = 0; i < COUNT_OF(units); i++)
        if (text_equal(name, units[i].name))
            return parse_in(text_slice(t, 0, end), units[i].bytes, ret_bytes);
    return false;
}

struct text size_near_miss(struct text t, char to[64])
{
    size_t end = number_size(t);
    struct text number = text_slice(t, 0, end), name = text_trim(text_slice(t, end, t.size));
    for (size_t i = 0; i < COUNT_OF(units) && end && end < 20 && name.size; i++) {
        bool is_letter = i < BINARY_UNITS && text_equal_nocase(name, text_slice(units[i].name, 0, 1));
        if (is_letter || text_equal_nocase(name, units[i].name))
            return (struct text){to, (size_t)snprintf(to, 64, "%.*s%s", TEXT_ARGS(number), units[i].name.at)};
    }
    return (struct text){NULL, 0};
}

struct text size_format(int64_t bytes, char to[64])
{
    for (size_t i = 0; i < BINARY_UNITS && bytes; i++)
        if (bytes % units[i].bytes == 0)
            return (struct text){to, (size_t)snprintf(to, 64, "%lld%s", (long long)(bytes / units[i].bytes),
                                                      units[i].name.at)};
    return (struct text){to, (size_t)snprintf(to, 64, "%lld", (long long)bytes)};
}
