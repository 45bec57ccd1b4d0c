/* least-requests: the fewest requests in flight for each unit of weight. All are looked at while they are few, else two at random
 * (Mitzenmacher 2001): looking at all would send every worker to the same one. */
#include "base/check.h"
#include "base/random.h"
#include "upstream/balance.h"

enum { FEW = 8, LOOKS_MAX = 16 };

struct best {
    uint32_t index;
    enum rank rank;
    uint64_t load, weight; /* compared as load / weight, without division */
};

/* Slow start is a smaller weight here, so that one who is held back may still be the least loaded. */
static void consider(struct best *best, const struct balance_group *group, const struct balance_rules *rules,
                     const struct pick *pick, uint32_t index, int64_t now_ms)
{
    const struct candidate *candidate = &group->candidates[index];
    enum rank rank = candidate_rank(candidate, rules, pick, now_ms);
    int32_t in_flight = atomic_load_explicit(&candidate->endpoint->in_flight, memory_order_relaxed);
    uint64_t load = (uint64_t)MAX_OF(in_flight, 0) + 1;
    uint64_t weight = (uint64_t)candidate->weight * candidate_ramp(candidate, rules, now_ms);
    rank = rank == RANK_HELD ? RANK_WELCOME : rank;
    bool better = best->weight == 0 || rank > best->rank
                  || (rank == best->rank && load * best->weight < best->load * weight);
    if (better)
        *best = (struct best){index, rank, load, weight};
}

static uint32_t pick_of_few(const struct balance_group *group, const struct balance_rules *rules,
                            const struct pick *pick, int64_t now_ms)
{
    struct best best = {0};
    uint32_t start = (uint32_t)random_below(group->count);
    for (uint32_t i = 0; i < group->count; i++)
        consider(&best, group, rules, pick, (start + i) % group->count, now_ms);
    return best.index;
}

static uint32_t pick_least(const struct balance_group *group, const struct balance_rules *rules,
                           const struct pick *pick, int64_t now_ms)
{
    struct best best = {0};
    if (group->count <= FEW)
        return pick_of_few(group, rules, pick, now_ms);
    for (int looks = 0, good = 0; looks < LOOKS_MAX && good < 2; looks++) {
        uint32_t index = (uint32_t)random_below(group->count);
        good += candidate_rank(&group->candidates[index], rules, pick, now_ms) >= RANK_HELD;
        consider(&best, group, rules, pick, index, now_ms);
    }
    return best.rank == RANK_WELCOME ? best.index : group_scan(group, rules, pick, now_ms);
}

const struct balance_type balance_least_requests = {.name = "least-requests", .pick = pick_least};
