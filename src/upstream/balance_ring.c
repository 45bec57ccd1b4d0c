/* ring: consistent hashing by points on a ring (Karger et al. 1997), with bounded load (Mirrokni et al. 2016).
 *
 * A key belongs to the next point. When an endpoint comes or goes exactly its share of the keys moves, nothing else; shares are as even as
 * there are points. Who is out of service or full is passed over: its keys go to the next ones on the ring. */
#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"
#include "upstream/balance.h"

enum { POINTS_OF_ONE_MAX = 4096 };

struct point {
    uint64_t at;
    uint32_t index;
};

struct ring {
    struct point *points;
    uint32_t count;
};

/* Few enough for one endpoint, whatever the weights. */
static uint32_t points_of(const struct candidate *candidate, uint32_t each, uint32_t weight_most)
{
    uint64_t points = (uint64_t)candidate->weight * each, most = (uint64_t)weight_most * each;
    if (most > POINTS_OF_ONE_MAX)
        points = points * POINTS_OF_ONE_MAX / most;
    return (uint32_t)MAX_OF(points, 1u);
}

static int compare(const void *a_, const void *b_)
{
    const struct point *a = a_, *b = b_;
    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

/* Point k of an endpoint depends on nothing but the endpoint and k. */
static void place_points(struct ring *ring, const struct balance_group *group, uint32_t each,
                         uint32_t weight_most)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < group->count; i++) {
        const struct candidate *candidate = &group->candidates[i];
        uint32_t points = points_of(candidate, each, weight_most);
        for (uint32_t k = 0; k < points; k++)
            ring->points[n++] = (struct point){hash_mix(candidate->endpoint->hash ^ hash_mix(k + 1)), i};
    }
    qsort(ring->points, n, sizeof *ring->points, compare);
}

static bool prepare(struct balance_group *group, const struct balance_rules *rules, struct arena *arena)
{
    struct ring *ring = ARENA_NEW(arena, struct ring);
    uint32_t most = 0;
    uint64_t count = 0;
    for (uint32_t i = 0; i < group->count; i++)
        most = MAX_OF(most, group->candidates[i].weight);
    for (uint32_t i = 0; i < group->count; i++)
        count += points_of(&group->candidates[i], rules->points, most);
    if (!ring || count > UINT32_MAX || !(ring->points = arena_array(arena, count, sizeof *ring->points)))
        return false;
    ring->count = (uint32_t)count;
    place_points(ring, group, rules->points, most);
    group->table = ring;
    return true;
}

/* The first point at or after `at`, going round. */
static uint32_t find(const struct ring *ring, uint64_t at)
{
    uint32_t low = 0, high = ring->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (ring->points[middle].at < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low == ring->count ? 0 : low;
}

/* Goes on round the ring for as long as it takes to meet everybody, within a bound. */
static uint32_t pick_point(const struct balance_group *group, const struct balance_rules *rules,
                           const struct pick *pick, int64_t now_ms)
{
    const struct ring *ring = group->table;
    uint32_t at = find(ring, hash_mix(pick_key(pick))), looks = MIN_OF(ring->count, 4 * group->count + 64);
    for (uint32_t look = 0; look < looks; look++) {
        uint32_t index = ring->points[(at + look) % ring->count].index;
        const struct candidate *candidate = &group->candidates[index];
        if (LIKELY(candidate_rank(candidate, rules, pick, now_ms) == RANK_WELCOME
                   && candidate_has_room(group, candidate, rules)))
            return index;
    }
    return group_find_room(group, rules, pick, now_ms);
}

const struct balance_type balance_ring = {
    .name = "ring", .needs_key = true, .prepare = prepare, .pick = pick_point};
