/* maglev: consistent hashing by a table of which each candidate fills its share in an order of its own (Eisenbud et al. 2016).
 *
 * One look finds the endpoint, and shares are nearly exact. When an endpoint comes or goes its share of the keys moves, and a few more;
 * while one is only out of service nothing is built anew: its keys are spread over the others by further hashes. */
#include "base/check.h"
#include "base/hash.h"
#include "upstream/balance.h"

enum { LOOKS_MAX = 16 };

/* What a candidate wants next: a permutation of the table, by an offset and a step. */
struct wish {
    uint32_t at, step;
    uint32_t due; /* turns that it has in a round, in units of the largest weight */
};

static uint32_t weight_most(const struct balance_group *group)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < group->count; i++)
        most = MAX_OF(most, group->candidates[i].weight);
    return most;
}

static void start(struct wish *wishes, const struct balance_group *group, uint32_t size)
{
    for (uint32_t i = 0; i < group->count; i++) {
        uint64_t hash = group->candidates[i].endpoint->hash;
        wishes[i] = (struct wish){(uint32_t)(hash_mix(hash) % size),
                                  (uint32_t)(hash_mix(hash + 1) % (size - 1)) + 1, 0};
    }
}

static uint32_t next_free(struct wish *wish, const uint16_t *table, uint32_t size)
{
    uint32_t at = wish->at;
    while (table[at] != UINT16_MAX)
        at = (uint32_t)(((uint64_t)at + wish->step) % size);
    wish->at = (uint32_t)(((uint64_t)at + wish->step) % size);
    return at;
}

/* Each in turn takes the next free place that it wants; lighter ones miss turns. */
static void fill(uint16_t *table, uint32_t size, struct wish *wishes, const struct balance_group *group)
{
    uint32_t filled = 0, most = weight_most(group);
    memset(table, 0xff, size * sizeof *table);
    while (filled < size) {
        for (uint32_t i = 0; i < group->count && filled < size; i++) {
            wishes[i].due += group->candidates[i].weight;
            if (wishes[i].due < most)
                continue;
            wishes[i].due -= most;
            table[next_free(&wishes[i], table, size)] = (uint16_t)i;
            filled++;
        }
    }
}

static bool prepare(struct balance_group *group, const struct balance_rules *rules, struct arena *arena)
{
    uint16_t *table = arena_alloc(arena, rules->table_size * sizeof *table);
    struct wish *wishes = arena_array(arena, group->count, sizeof *wishes);
    if (!table || !wishes)
        return false;
    start(wishes, group, rules->table_size);
    fill(table, rules->table_size, wishes, group);
    group->table = table;
    return true;
}

static uint32_t pick_place(const struct balance_group *group, const struct balance_rules *rules,
                           const struct pick *pick, int64_t now_ms)
{
    const uint16_t *table = group->table;
    uint64_t key = pick_key(pick);
    for (uint32_t look = 0; look < LOOKS_MAX; look++) {
        uint32_t index = table[hash_mix(key + look) % rules->table_size];
        const struct candidate *candidate = &group->candidates[index];
        if (LIKELY(candidate_rank(candidate, rules, pick, now_ms) == RANK_WELCOME
                   && candidate_has_room(group, candidate, rules)))
            return index;
    }
    return group_find_room(group, rules, pick, now_ms);
}

const struct balance_type balance_maglev = {
    .name = "maglev", .needs_key = true, .prepare = prepare, .pick = pick_place};
