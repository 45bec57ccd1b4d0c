/* TZif files: the second block, which has 64-bit times, and the rule in the footer. */
#include "expr/zone_file.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"

static uint32_t read_u32(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static int64_t read_i64(const unsigned char *at)
{
    return (int64_t)((uint64_t)read_u32(at) << 32 | read_u32(at + 4));
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

/* An offset that a zone may have; RFC 8536 allows -25 to 26 hours. */
static bool offset_of_type(const unsigned char *types, const struct tzif *head, unsigned type,
                           int32_t *ret_offset)
{
    if (type >= head->types)
        return false;
    int32_t offset = (int32_t)read_u32(types + 6u * type);
    *ret_offset = offset;
    return offset > -OFFSET_LIMIT && offset < OFFSET_LIMIT;
}

static bool zone_fill(struct zone *zone, const unsigned char *at, const struct tzif *head)
{
    const unsigned char *times = at + TZIF_HEAD, *indexes = times + 8u * head->times,
                        *types = indexes + head->times;
    if (!offset_of_type(types, head, 0, &zone->first))
        return false;
    for (uint32_t i = 0; i < head->times; i++) {
        int64_t time = MAX_OF(read_i64(times + 8u * i), -TIME_LIMIT); /* some begin with the big bang */
        int32_t offset;
        if (time >= TIME_LIMIT || !offset_of_type(types, head, indexes[i], &offset))
            return false;
        zone->transitions[i] = transition_pack(time, offset);
        if (i && zone->transitions[i] <= zone->transitions[i - 1])
            return false;
    }
    zone->count = head->times;
    return true;
}

/* Files list decades of transitions that only repeat the rule: those go. */
static void zone_trim(struct zone *zone)
{
    for (; zone->has_rule && zone->count > 1; zone->count--) {
        const int64_t *last = &zone->transitions[zone->count - 1];
        int64_t from = transition_time(last[-1]), to = transition_time(last[0]);
        int32_t before = transition_offset(last[-1]);
        if (rule_offset(&zone->rule, to) != transition_offset(last[0])
            || rule_offset(&zone->rule, to - 1) != before || rule_offset(&zone->rule, from) != before
            || !rule_rests(&zone->rule, from, to))
            return;
    }
}

/* The footer, "\nRULE\n". */
static void take_rule(struct zone *zone, struct text footer)
{
    if (footer.size >= 2 && footer.at[0] == '\n' && footer.at[footer.size - 1] == '\n')
        zone->has_rule = rule_parse(text_slice(footer, 1, footer.size - 1), &zone->rule);
}

static int zone_make(const unsigned char *block, const struct tzif *head, struct text footer,
                     struct zone **ret_zone)
{
    struct zone *zone = memory_zero(sizeof *zone + head->times * sizeof zone->transitions[0]);
    if (!zone)
        return -ENOMEM;
    if (!zone_fill(zone, block, head)) {
        memory_free(zone);
        return -EINVAL;
    }
    take_rule(zone, footer);
    zone_trim(zone);
    struct zone *smaller = memory_resize(zone, sizeof *zone + zone->count * sizeof zone->transitions[0]);
    *ret_zone = smaller ? smaller : zone;
    return 0;
}

int zone_parse(const unsigned char *file, size_t size, struct zone **ret_zone)
{
    struct tzif head;
    if (!tzif_head(file, size, &head) || file[4] < '2')
        return -EINVAL;
    size_t skip = tzif_size(&head, 4);
    if (skip > size || !tzif_head(file + skip, size - skip, &head))
        return -EINVAL;
    size_t end = skip + tzif_size(&head, 8);
    if (end > size)
        return -EINVAL;
    return zone_make(file + skip, &head, (struct text){(const char *)file + end, size - end}, ret_zone);
}
