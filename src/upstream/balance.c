/* What algorithms of balancing share. */
#include "upstream/balance.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/random.h"
#include "upstream/health.h"

enum { RAMP_LEAST = RAMP_FULL / 16 };

/* --- what one exchange has tried --- */

bool pick_was_tried(const struct pick *pick, const struct endpoint *endpoint)
{
    for (unsigned i = 0; i < pick->tried.count; i++)
        if (pick->tried.ids[i] == endpoint->id)
            return true;
    return false;
}

void pick_note_tried(struct pick *pick, const struct endpoint *endpoint)
{
    if (pick->tried.count < ATTEMPTS_MAX && !pick_was_tried(pick, endpoint))
        pick->tried.ids[pick->tried.count++] = endpoint->id;
}

uint64_t pick_key(const struct pick *pick)
{
    return pick->has_key ? pick->key : random_uint64();
}

/* --- candidates --- */

uint32_t candidate_ramp(const struct candidate *candidate, const struct balance_rules *rules, int64_t now_ms)
{
    if (LIKELY(rules->slow_start_ms == 0))
        return RAMP_FULL;
    int64_t age_ms = now_ms - endpoint_began_ms(candidate->endpoint);
    if (age_ms >= rules->slow_start_ms)
        return RAMP_FULL;
    return (uint32_t)MAX_OF(age_ms * RAMP_FULL / rules->slow_start_ms, (int64_t)RAMP_LEAST);
}

/* Held back by chance; with a key by the key, so that a key that has come to an endpoint stays there. */
static bool is_held(const struct candidate *candidate, const struct balance_rules *rules,
                    const struct pick *pick, int64_t now_ms)
{
    uint32_t ramp = candidate_ramp(candidate, rules, now_ms);
    if (LIKELY(ramp == RAMP_FULL))
        return false;
    uint64_t chance = pick->has_key ? hash_mix(pick->key ^ candidate->endpoint->hash) : random_uint64();
    return chance % RAMP_FULL >= ramp;
}

enum rank candidate_rank(const struct candidate *candidate, const struct balance_rules *rules,
                         const struct pick *pick, int64_t now_ms)
{
    if (UNLIKELY(!endpoint_usable(service_of_rules(rules), candidate->endpoint, now_ms)))
        return RANK_UNUSABLE;
    if (UNLIKELY(pick->tried.count > 0 && pick_was_tried(pick, candidate->endpoint)))
        return RANK_TRIED;
    return is_held(candidate, rules, pick, now_ms) ? RANK_HELD : RANK_WELCOME;
}

/* Reservoir sampling by weight: each is kept with the chance of its weight among those so far. */
uint32_t group_scan(const struct balance_group *group, const struct balance_rules *rules,
                    const struct pick *pick, int64_t now_ms)
{
    uint32_t best = 0;
    enum rank best_rank = RANK_UNUSABLE;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < group->count; i++) {
        const struct candidate *candidate = &group->candidates[i];
        enum rank rank = candidate_rank(candidate, rules, pick, now_ms);
        uint64_t weight = (uint64_t)candidate->weight * candidate_ramp(candidate, rules, now_ms);
        rank = rank == RANK_HELD ? RANK_WELCOME : rank; /* its weight is smaller instead */
        if (rank < best_rank)
            continue;
        seen = rank > best_rank ? weight : seen + weight;
        if (random_below(seen) < weight)
            best = i;
        best_rank = rank;
    }
    return best;
}

bool candidate_has_room(const struct balance_group *group, const struct candidate *candidate,
                        const struct balance_rules *rules)
{
    if (rules->load_factor <= 0)
        return true;
    int32_t own = atomic_load_explicit(&candidate->endpoint->in_flight, memory_order_relaxed);
    int32_t all = atomic_load_explicit(&group->shared->in_flight, memory_order_relaxed);
    double share = (double)(MAX_OF(all, 0) + 1) * candidate->weight / (double)group->weight;
    return own < rules->load_factor * share; /* so its bound is rounded up: an idle one always has room */
}

uint32_t group_find_room(const struct balance_group *group, const struct balance_rules *rules,
                         const struct pick *pick, int64_t now_ms)
{
    uint32_t start = (uint32_t)(hash_mix(pick_key(pick)) % group->count);
    for (uint32_t i = 0; i < group->count; i++) {
        uint32_t index = (start + i) % group->count;
        if (candidate_rank(&group->candidates[index], rules, pick, now_ms) == RANK_WELCOME
            && candidate_has_room(group, &group->candidates[index], rules))
            return index;
    }
    return group_scan(group, rules, pick, now_ms);
}

struct picked service_pick(const struct service *service, const struct pick *pick, int64_t now_ms)
{
    struct endpoint_set *set = atomic_load_explicit(&service->set, memory_order_acquire);
    return set ? endpoint_set_pick(set, pick, now_ms) : (struct picked){0};
}

bool service_occupy(const struct service *service, struct endpoint *endpoint)
{
    int32_t before = atomic_fetch_add_explicit(&endpoint->in_flight, 1, memory_order_relaxed);
    if (LIKELY(!service->queue.per_endpoint_max) || before < service->queue.per_endpoint_max)
        return true;
    atomic_fetch_sub_explicit(&endpoint->in_flight, 1, memory_order_relaxed);
    return false;
}

int64_t service_free_slots(const struct service *service)
{
    int64_t slots = 0;
    const struct endpoint_set *set = service_set(service);
    for (uint32_t i = 0; set && i < set->count; i++) {
        const struct service_endpoint *at = &set->endpoints[i];
        int32_t in_flight = atomic_load_explicit(&at->endpoint->in_flight, memory_order_relaxed);
        if (at->weight > 0)
            slots += MAX_OF(service->queue.per_endpoint_max - in_flight, 0);
    }
    return slots;
}
