/* random: by weight, without memory. Two draws in a row know nothing of each other. */
#include "base/check.h"
#include "base/random.h"
#include "upstream/balance.h"

enum { LOOKS_MAX = 4 };

/* The alias method (Walker 1977, Vose 1991): a column, and within it one of two candidates. */
struct column {
    uint32_t threshold; /* of 2^32: below it the column's own candidate */
    uint32_t other;
};

/* Columns that hold less than a whole one are filled up by those that hold more. `share` is scaled so that 1 fills a column. */
static void fill(struct column *columns, double *share, uint32_t *order, uint32_t count)
{
    uint32_t small = 0, large = count; /* indexes below `small` and from `large` on wait in `order` */
    for (uint32_t i = 0; i < count; i++)
        order[share[i] < 1 ? small++ : --large] = i;
    while (small > 0 && large < count) {
        uint32_t little = order[--small], much = order[large];
        columns[little] = (struct column){(uint32_t)(share[little] * 4294967295.0), much};
        share[much] -= 1 - share[little];
        if (share[much] < 1) {
            large++;
            order[small++] = much;
        }
    }
    while (small > 0) /* only rounding is missing */
        columns[order[--small]] = (struct column){UINT32_MAX, order[small]};
    for (; large < count; large++)
        columns[order[large]] = (struct column){UINT32_MAX, order[large]};
}

static bool prepare(struct balance_group *group, const struct balance_rules *rules, struct arena *arena)
{
    (void)rules;
    struct column *columns = arena_array(arena, group->count, sizeof *columns);
    double *share = arena_array(arena, group->count, sizeof *share);
    uint32_t *order = arena_array(arena, group->count, sizeof *order);
    if (!columns || !share || !order)
        return false;
    for (uint32_t i = 0; i < group->count; i++)
        share[i] = (double)group->candidates[i].weight * group->count / (double)group->weight;
    fill(columns, share, order, group->count);
    group->table = columns;
    return true;
}

static uint32_t draw(const struct balance_group *group)
{
    const struct column *columns = group->table;
    uint32_t column = (uint32_t)random_below(group->count);
    bool own = (uint32_t)random_uint64() <= columns[column].threshold;
    return own ? column : columns[column].other;
}

static uint32_t pick_random(const struct balance_group *group, const struct balance_rules *rules,
                            const struct pick *pick, int64_t now_ms)
{
    for (int i = 0; i < LOOKS_MAX; i++) {
        uint32_t index = draw(group);
        if (LIKELY(candidate_rank(&group->candidates[index], rules, pick, now_ms) == RANK_WELCOME))
            return index;
    }
    return group_scan(group, rules, pick, now_ms);
}

const struct balance_type balance_random = {.name = "random", .prepare = prepare, .pick = pick_random};
