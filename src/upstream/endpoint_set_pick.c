/* Chooses one endpoint of a set: sticky, subset, priority, zone, algorithm. */
#include "base/check.h"
#include "base/hash.h"
#include "base/random.h"
#include "upstream/endpoint_set.h"
#include "upstream/health.h"

enum { LOOK_AGAIN_MS = 20, PICKS_MAX = 4 };

/* --- who is usable: counted now and then, not for each request --- */

static void count_usable(struct balance_group *group, const struct service *service, int64_t now_ms)
{
    uint64_t usable = 0;
    for (uint32_t i = 0; i < group->count; i++)
        if (endpoint_usable(service, group->candidates[i].endpoint, now_ms))
            usable += group->candidates[i].weight;
    atomic_store_explicit(&group->usable, usable, memory_order_relaxed);
}

/* Several workers may do so at once: they find the same. */
static void look(struct tier *tier, const struct service *service, int64_t now_ms)
{
    int64_t looked_ms = atomic_load_explicit(&tier->looked_ms, memory_order_relaxed);
    if (LIKELY(looked_ms != INT64_MIN && now_ms - looked_ms < LOOK_AGAIN_MS))
        return;
    atomic_store_explicit(&tier->looked_ms, now_ms, memory_order_relaxed);
    count_usable(&tier->all, service, now_ms);
    for (uint32_t i = 0; i < tier->zones_count; i++)
        count_usable(&tier->zones[i], service, now_ms);
}

static double usable_of(const struct balance_group *group)
{
    return (double)atomic_load_explicit(&group->usable, memory_order_relaxed);
}

/* A number from 0 to 1: the same for the same key, so that a key stays where it is. */
static double fraction(const struct pick *pick, uint64_t purpose)
{
    uint64_t bits = pick->has_key ? hash_mix(pick->key ^ hash_mix(purpose)) : random_uint64();
    return (double)(bits >> 11) * 0x1p-53;
}

/* --- sticky --- */

static struct endpoint *find_known(const struct subset *subset, uint64_t hash)
{
    uint32_t low = 0, high = subset->known_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (subset->known[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low < subset->known_count && subset->known[low].hash == hash ? subset->known[low].endpoint : NULL;
}

/* --- subset --- */

static struct subset *find_subset(struct endpoint_set *set, uint64_t hash)
{
    uint32_t low = 0, high = set->subsets_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (set->subsets[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low < set->subsets_count && set->subsets[low].hash == hash ? &set->subsets[low] : NULL;
}

static struct subset *choose_subset(struct endpoint_set *set, const struct pick *pick)
{
    if (LIKELY(set->subsets_count == 1 && set->rules->subset_count == 0))
        return &set->subsets[0];
    uint64_t hash = subset_hash(pick->subset, set->rules->subset_count);
    struct subset *found = find_subset(set, hash);
    return found ? found : set->rules->subset_any ? &set->subsets[0] : NULL;
}

/* --- priority --- */

/* The part of the requests that a tier takes, if all came to it. */
static double capacity(struct tier *tier, const struct balance_rules *rules)
{
    double usable = usable_of(&tier->all) / (double)tier->all.weight;
    return rules->overflow <= 0 ? usable > 0 : MIN_OF(usable / rules->overflow, 1.0);
}

/* The first one takes what it can, the next one what is left, and so on; where all together cannot take everything, each takes in proportion. */
static uint32_t choose_tier(struct subset *subset, const struct balance_rules *rules, const struct pick *pick,
                            int64_t now_ms)
{
    double takes[TIERS_MAX], left = 1;
    for (uint32_t i = 0; i < subset->tiers_count; i++) {
        look(&subset->tiers[i], service_of_rules(rules), now_ms);
        takes[i] = MIN_OF(capacity(&subset->tiers[i], rules), left);
        left -= takes[i];
    }
    double at = fraction(pick, 1) * (1 - left);
    for (uint32_t i = 0; i < subset->tiers_count; i++) {
        if (at < takes[i])
            return i;
        at -= takes[i];
    }
    return 0; /* nobody is usable anywhere */
}

/* --- zone --- */

/* The own zone takes as much of what enters in it as its part of the usable weight allows; the rest goes to the zones that have more weight
 * than requests that enter there. */
static struct balance_group *choose_zone(struct tier *tier, const struct balance_rules *rules,
                                         const struct pick *pick, int64_t now_ms)
{
    look(tier, service_of_rules(rules), now_ms);
    double total = usable_of(&tier->all), zones = tier->zones_count, spare = 0;
    double own_share = rules->own_share > 0 ? rules->own_share : 1 / zones;
    double other_share = (1 - own_share) / (zones - 1);
    double at = fraction(pick, 2) * own_share * total - usable_of(&tier->zones[tier->own]);
    if (total <= 0)
        return &tier->all;
    if (at < 0)
        return &tier->zones[tier->own];
    for (uint32_t i = 0; i < tier->zones_count; i++)
        if ((int32_t)i != tier->own)
            spare += MAX_OF(usable_of(&tier->zones[i]) - other_share * total, 0.0);
    double spilled = own_share * total - usable_of(&tier->zones[tier->own]);
    at = spilled > 0 ? at / spilled * spare : 0;
    for (uint32_t i = 0; i < tier->zones_count; i++) {
        double room = MAX_OF(usable_of(&tier->zones[i]) - other_share * total, 0.0);
        if ((int32_t)i == tier->own)
            continue;
        if (at < room)
            return &tier->zones[i];
        at -= room;
    }
    return &tier->all;
}

/* --- all together --- */

struct found {
    struct picked picked;
    enum rank rank;
};

/* Keeps the better one, if it is usable at all. False: it is good enough. */
static bool try_group(struct found *found, struct balance_group *group, const struct balance_rules *rules,
                      const struct pick *pick, int64_t now_ms)
{
    if (group->count == 0)
        return true;
    uint32_t index = group->count == 1 ? 0 : rules->type->pick(group, rules, pick, now_ms);
    const struct candidate *candidate = &group->candidates[index];
    enum rank rank = candidate_rank(candidate, rules, pick, now_ms);
    if (rank > found->rank)
        *found = (struct found){{candidate->endpoint, group->shared}, rank};
    return found->rank < RANK_HELD;
}

static bool try_tier(struct found *found, struct tier *tier, const struct balance_rules *rules,
                     const struct pick *pick, int64_t now_ms)
{
    if (tier->zones_count > 0
        && !try_group(found, choose_zone(tier, rules, pick, now_ms), rules, pick, now_ms))
        return false;
    return try_group(found, &tier->all, rules, pick, now_ms);
}

static struct picked pick_once(struct endpoint_set *set, const struct pick *pick, int64_t now_ms)
{
    const struct balance_rules *rules = set->rules;
    struct subset *subset = choose_subset(set, pick);
    struct found found = {0};
    if (!subset || subset->known_count == 0)
        return found.picked;
    if (pick->wanted) {
        struct endpoint *endpoint = find_known(subset, pick->wanted);
        if (endpoint && endpoint_usable(service_of_rules(rules), endpoint, now_ms)
            && !pick_was_tried(pick, endpoint))
            return (struct picked){endpoint, &set->shared->groups[0]};
    }
    if (subset->tiers_count == 0)
        return found.picked;
    uint32_t first = subset->tiers_count == 1 ? 0 : choose_tier(subset, rules, pick, now_ms);
    if (!try_tier(&found, &subset->tiers[first], rules, pick, now_ms))
        return found.picked;
    for (uint32_t i = 0; i < subset->tiers_count; i++) /* rather another priority than one that failed */
        if (i != first && !try_tier(&found, &subset->tiers[i], rules, pick, now_ms))
            break;
    return found.picked;
}

/* Whoever looks good may be ejected by another worker before it is taken, while the others look bad because it was there: then there is another
 * choice. */
struct picked endpoint_set_pick(struct endpoint_set *set, const struct pick *pick, int64_t now_ms)
{
    struct picked picked = pick_once(set, pick, now_ms);
    for (int i = 1; UNLIKELY(!picked.endpoint) && i < PICKS_MAX; i++)
        picked = pick_once(set, pick, now_ms);
    return picked;
}
