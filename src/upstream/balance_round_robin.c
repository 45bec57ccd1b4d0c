/* round-robin: smooth and weighted, a table of turns with one counter that all workers share (docs/adr/0018). */
#include "base/check.h"
#include "upstream/balance.h"

enum { TURNS_MAX = 4096, LOOKS_MAX = 16 };

struct turns {
    const uint16_t *indexes;
    uint32_t count;
};

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
    while (b) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Weights in lowest terms, their sum within TURNS_MAX as far as every candidate still gets a turn. */
static uint64_t reduce(const struct candidate *candidates, uint32_t count, uint32_t *weights)
{
    uint32_t divisor = 0;
    uint64_t total = 0, reduced = 0;
    for (uint32_t i = 0; i < count; i++) {
        divisor = common_divisor(candidates[i].weight, divisor);
        total += candidates[i].weight;
    }
    total /= MAX_OF(divisor, 1u);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t weight = candidates[i].weight / MAX_OF(divisor, 1u);
        if (total > TURNS_MAX && weight)
            weight = MAX_OF((weight * TURNS_MAX + total / 2) / total, 1u);
        weights[i] = (uint32_t)weight;
        reduced += weight;
    }
    return reduced;
}

/* Equal weights need no search, which would cost the square of their number. */
static bool take_in_order(const uint32_t *weights, uint32_t count, uint16_t *turns)
{
    for (uint32_t i = 0; i < count; i++) {
        if (weights[i] != 1)
            return false;
        turns[i] = (uint16_t)i;
    }
    return true;
}

const uint16_t *balance_turns(struct arena *arena, const struct candidate *candidates, uint32_t count,
                              uint32_t *ret_count)
{
    uint32_t *weights = arena_array(arena, count, sizeof *weights);
    int64_t *current = arena_array(arena, count, sizeof *current);
    uint64_t total = weights ? reduce(candidates, count, weights) : 0;
    uint16_t *turns = arena_array(arena, total, sizeof *turns);
    *ret_count = (uint32_t)total;
    if (!weights || !current || !turns)
        return NULL;
    if (total == count && take_in_order(weights, count, turns))
        return turns;
    for (uint64_t turn = 0; turn < total; turn++) {
        uint32_t best = 0;
        for (uint32_t i = 0; i < count; i++) {
            current[i] += weights[i];
            if (current[i] > current[best])
                best = i;
        }
        current[best] -= (int64_t)total;
        turns[turn] = (uint16_t)best;
    }
    return turns;
}

static bool prepare(struct balance_group *group, const struct balance_rules *rules, struct arena *arena)
{
    (void)rules;
    struct turns *turns = ARENA_NEW(arena, struct turns);
    if (!turns || !(turns->indexes = balance_turns(arena, group->candidates, group->count, &turns->count)))
        return false;
    group->table = turns;
    return true;
}

/* Each look takes a turn of its own: so the turns of those who are passed over are lost, and the others' shares stay as they are. */
static uint32_t pick_turn(const struct balance_group *group, const struct balance_rules *rules,
                          const struct pick *pick, int64_t now_ms)
{
    const struct turns *turns = group->table;
    for (uint32_t look = 0; look < LOOKS_MAX; look++) {
        uint64_t turn = atomic_fetch_add_explicit(&group->shared->turn, 1, memory_order_relaxed);
        uint32_t index = turns->indexes[turn % turns->count];
        if (LIKELY(candidate_rank(&group->candidates[index], rules, pick, now_ms) == RANK_WELCOME))
            return index;
    }
    return group_scan(group, rules, pick, now_ms);
}

const struct balance_type balance_round_robin = {
    .name = "round-robin", .prepare = prepare, .pick = pick_turn};
