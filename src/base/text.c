/* Text helpers without allocation. */
#include "base/text.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/check.h"

size_t text_find(struct text t, struct text part)
{
    if (part.size == 0)
        return 0;
    const char *found = t.size ? memmem(t.at, t.size, part.at, part.size) : NULL;
    return found ? (size_t)(found - t.at) : TEXT_NONE;
}

size_t text_find_char(struct text t, char c)
{
    const char *found = t.size ? memchr(t.at, c, t.size) : NULL;
    return found ? (size_t)(found - t.at) : TEXT_NONE;
}

size_t text_find_last_char(struct text t, char c)
{
    const char *found = t.size ? memrchr(t.at, c, t.size) : NULL;
    return found ? (size_t)(found - t.at) : TEXT_NONE;
}

static bool same_nocase(const char *a, const char *b, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (char_lower(a[i]) != char_lower(b[i]))
            return false;
    return true;
}

bool text_equal_nocase(struct text a, struct text b)
{
    return a.size == b.size && same_nocase(a.at, b.at, a.size);
}

bool text_starts_with_nocase(struct text t, struct text p)
{
    return t.size >= p.size && same_nocase(t.at, p.at, p.size);
}

int text_compare(struct text a, struct text b)
{
    size_t shared = MIN_OF(a.size, b.size);
    int order = shared ? memcmp(a.at, b.at, shared) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

bool text_equal_constant_time(struct text a, struct text b)
{
    if (a.size != b.size)
        return false;
    volatile unsigned char difference = 0;
    for (size_t i = 0; i < a.size; i++)
        difference = difference | (unsigned char)(a.at[i] ^ b.at[i]);
    return difference == 0;
}

struct text text_trim(struct text t)
{
    while (t.size && (t.at[0] == ' ' || t.at[0] == '\t'))
        t.at++, t.size--;
    while (t.size && (t.at[t.size - 1] == ' ' || t.at[t.size - 1] == '\t'))
        t.size--;
    return t;
}

struct text text_split(struct text *rest, char separator)
{
    size_t at = text_find_char(*rest, separator);
    struct text part = *rest;
    if (at == TEXT_NONE) {
        *rest = (struct text){NULL, 0};
        return part;
    }
    *rest = (struct text){part.at + at + 1, part.size - at - 1};
    part.size = at;
    return part;
}

bool text_to_uint64(struct text t, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (t.size == 0)
        return false;
    for (size_t i = 0; i < t.size; i++) {
        if (!char_is_digit(t.at[i]) || __builtin_mul_overflow(value, 10, &value)
            || __builtin_add_overflow(value, (uint64_t)(t.at[i] - '0'), &value))
            return false;
    }
    *ret_value = value;
    return true;
}

bool text_to_int64(struct text t, int64_t *ret_value)
{
    bool negative = t.size && t.at[0] == '-';
    uint64_t magnitude;
    if (!text_to_uint64(text_slice(t, negative, t.size), &magnitude)
        || magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return false;
    *ret_value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

bool text_to_double(struct text t, double *ret_value)
{
    char copy[64], *end;
    bool plain = t.size > 0 && t.size < sizeof copy;
    for (size_t i = 0; plain && i < t.size; i++)
        plain = char_is_digit(t.at[i]) || memchr("+-.eE", t.at[i], 5);
    if (!plain)
        return false;
    memcpy(copy, t.at, t.size);
    copy[t.size] = 0;
    double value = strtod(copy, &end);
    if (*end || !isfinite(value))
        return false;
    *ret_value = value;
    return true;
}

void text_hex(const void *data, size_t size, char *to)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++) {
        to[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        to[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
}

/* Bytes that follow a leading byte; -1: it cannot lead. */
static int utf8_following(unsigned char lead)
{
    return lead < 0x80 ? 0 : lead < 0xc2 ? -1 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : lead < 0xf5 ? 3 : -1;
}

bool text_is_utf8(struct text t)
{
    static const uint32_t smallest[] = {0, 0x80, 0x800, 0x10000};
    for (size_t i = 0; i < t.size;) {
        unsigned char lead = (unsigned char)t.at[i++];
        int following = utf8_following(lead);
        if (following < 0 || (size_t)following > t.size - i)
            return false;
        uint32_t point = following ? lead & (0x3fu >> following) : lead;
        for (int k = 0; k < following; k++, i++) {
            unsigned char next = (unsigned char)t.at[i];
            if ((next & 0xc0) != 0x80)
                return false;
            point = point << 6 | (next & 0x3f);
        }
        if (point < smallest[following] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
            return false;
    }
    return true;
}

unsigned text_distance(struct text a, struct text b, unsigned max)
{
    enum { LONGEST = 64 };
    unsigned row[LONGEST + 1];
    if (a.size > LONGEST || b.size > LONGEST)
        return max;
    for (unsigned j = 0; j <= b.size; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a.size; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b.size; j++) {
            unsigned replaced = diagonal + (char_lower(a.at[i - 1]) != char_lower(b.at[j - 1]));
            diagonal = row[j];
            row[j] = MIN_OF(replaced, MIN_OF(row[j], row[j - 1]) + 1);
        }
    }
    return MIN_OF(row[b.size], max);
}
