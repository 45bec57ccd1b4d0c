/* What a TZif file (RFC 8536) says of a time zone. Internal to the room. */
#pragma once

#include "expr/zone_rule.h"

enum { OFFSET_BITS = 18, OFFSET_LIMIT = 1 << 17 };
#define TIME_LIMIT ((int64_t)1 << 45)

/* One block of memory. Transitions that the rule finds as well are left out. */
struct zone {
    struct rule rule; /* behind the last transition, if has_rule */
    bool has_rule;
    uint32_t count;
    int32_t first;         /* the offset before the first transition; seconds east of UTC, as all offsets */
    int64_t transitions[]; /* ascending; time and the offset from then on, packed */
};

static inline int64_t transition_pack(int64_t time, int32_t offset)
{
    return time * (1 << OFFSET_BITS) + offset + OFFSET_LIMIT;
}

static inline int64_t transition_time(int64_t transition)
{
    return transition >> OFFSET_BITS;
}

static inline int32_t transition_offset(int64_t transition)
{
    return (int32_t)(transition & ((1 << OFFSET_BITS) - 1)) - OFFSET_LIMIT;
}

/* The zone of a file's bytes, to be freed with memory_free(). 0, -EINVAL: it is no such file, -ENOMEM. */
int zone_parse(const unsigned char *file, size_t size, struct zone **ret_zone);
