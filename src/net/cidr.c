/* Ranges of addresses: one, and a set of many as sorted intervals that do not touch. */
#include <stdlib.h>

#include "base/arena.h"
#include "net/address.h"

typedef unsigned __int128 number; /* an IP as a number, so that neighbours and limits are arithmetic */

struct interval {
    number first, last;
};

struct cidr_set {
    size_t count;
    struct interval intervals[];
};

static number number_of(struct ip ip)
{
    number value = 0;
    for (size_t i = 0; i < sizeof ip.bytes; i++)
        value = value << 8 | ip.bytes[i];
    return value;
}

/* The bits that are free within a prefix. */
static number host_mask(uint8_t bits)
{
    return bits == 0 ? ~(number)0 : ((number)1 << (128 - bits)) - 1;
}

bool cidr_parse(struct text text, struct cidr *ret_cidr)
{
    size_t slash = text_find_char(text, '/');
    struct text address = text_slice(text, 0, slash);
    struct ip ip;
    if (!ip_parse(address, &ip))
        return false;
    uint64_t bits_max = text_find_char(address, ':') == TEXT_NONE ? 32 : 128, bits = bits_max;
    if (slash != TEXT_NONE) {
        struct text digits = text_slice(text, slash + 1, text.size);
        if (digits.size > 3 || (digits.size > 1 && digits.at[0] == '0') || !text_to_uint64(digits, &bits)
            || bits > bits_max)
            return false;
    }
    struct cidr cidr = {.base = ip, .bits = (uint8_t)(128 - bits_max + bits)};
    if (number_of(ip) & (cidr.bits == 128 ? 0 : host_mask(cidr.bits)))
        return false;
    *ret_cidr = cidr;
    return true;
}

bool cidr_contains(const struct cidr *cidr, struct ip ip)
{
    size_t whole = cidr->bits / 8;
    unsigned rest = cidr->bits % 8;
    if (memcmp(cidr->base.bytes, ip.bytes, whole) != 0)
        return false;
    return rest == 0 || (cidr->base.bytes[whole] ^ ip.bytes[whole]) >> (8 - rest) == 0;
}

static int by_first(const void *a, const void *b)
{
    const struct interval *left = a, *right = b;
    return left->first < right->first ? -1 : left->first > right->first;
}

/* Joins sorted intervals that overlap or touch; how many are left. */
static size_t join(struct interval *intervals, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        struct interval *last = kept ? &intervals[kept - 1] : NULL;
        if (last && (intervals[i].first <= last->last || intervals[i].first - last->last == 1))
            last->last = intervals[i].last > last->last ? intervals[i].last : last->last;
        else
            intervals[kept++] = intervals[i];
    }
    return kept;
}

struct cidr_set *cidr_set_new(struct arena *arena, const struct cidr *ranges, size_t count)
{
    size_t size;
    if (__builtin_mul_overflow(count, sizeof(struct interval), &size)
        || __builtin_add_overflow(size, sizeof(struct cidr_set), &size))
        return NULL;
    struct cidr_set *set = arena_alloc(arena, size);
    if (!set)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        number host = ranges[i].bits == 128 ? 0 : host_mask(ranges[i].bits);
        number first = number_of(ranges[i].base) & ~host;
        set->intervals[i] = (struct interval){first, first | host};
    }
    if (count > 1)
        qsort(set->intervals, count, sizeof *set->intervals, by_first);
    set->count = join(set->intervals, count);
    return set;
}

bool cidr_set_contains(const struct cidr_set *set, struct ip ip)
{
    number wanted = number_of(ip);
    size_t from = 0, to = set->count; /* the last interval that begins at or before it is in [from - 1, to) */
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (set->intervals[middle].first <= wanted)
            from = middle + 1;
        else
            to = middle;
    }
    return from > 0 && wanted <= set->intervals[from - 1].last;
}
