/* Arranges the endpoints of a service by labels, priority and zone. */
#include "upstream/endpoint_set.h"

#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/error.h"
#include "base/hash.h"

/* One building run. */
struct build {
    struct arena *arena;
    const struct balance_rules *rules;
    struct service_shared *shared;
    struct error *error;
    const struct service_endpoint **chosen; /* scratch: those of the subset that is made */
    uint32_t chosen_count, groups_count;
};

static bool too_many(struct build *build, int most, const char *what)
{
    error_set(build->error, -E2BIG, "more than %d %s", most, what);
    return false;
}

static bool no_memory(struct build *build)
{
    error_set(build->error, -ENOMEM, "out of memory");
    return false;
}

uint64_t subset_hash(const struct text *values, uint32_t count)
{
    uint64_t hash = 0;
    for (uint32_t i = 0; i < count; i++)
        if (values[i].size)
            hash = hash_mix(hash ^ hash_stable(values[i], i + 1));
    return hash;
}

/* --- groups --- */

/* Those of `from` in the zone (NULL: any) that take requests. */
static bool make_group(struct build *build, const struct service_endpoint **from, uint32_t count,
                       const struct text *zone, struct balance_group *group)
{
    group->candidates = arena_array(build->arena, count, sizeof *group->candidates);
    if (!group->candidates)
        return no_memory(build);
    for (uint32_t i = 0; i < count; i++) {
        if (from[i]->weight == 0 || from[i]->drain || (zone && !text_equal(from[i]->zone, *zone)))
            continue;
        group->candidates[group->count++] = (struct candidate){from[i]->endpoint, from[i]->weight};
        group->weight += from[i]->weight;
    }
    group->usable = group->weight;
    group->shared = &build->shared->groups[build->groups_count++ % GROUPS_SHARED];
    const struct balance_type *type = build->rules->type;
    return group->count == 0 || !type->prepare || type->prepare(group, build->rules, build->arena)
           || no_memory(build);
}

static bool is_new_zone(const struct service_endpoint **from, uint32_t at)
{
    for (uint32_t i = 0; i < at; i++)
        if (text_equal(from[i]->zone, from[at]->zone))
            return false;
    return true;
}

/* Zones count where they are wanted, the node's own is among them, and there is another. */
static bool make_zones(struct build *build, struct tier *tier, const struct service_endpoint **from,
                       uint32_t count)
{
    struct text zones[ZONES_MAX];
    tier->own = -1;
    if (!build->rules->zones || !build->rules->own_zone.size)
        return true;
    for (uint32_t i = 0; i < count; i++) {
        if (!is_new_zone(from, i))
            continue;
        if (tier->zones_count == ZONES_MAX)
            return too_many(build, ZONES_MAX, "zones");
        if (text_equal(from[i]->zone, build->rules->own_zone))
            tier->own = (int32_t)tier->zones_count;
        zones[tier->zones_count++] = from[i]->zone;
    }
    if (tier->own < 0 || tier->zones_count < 2) {
        tier->zones_count = 0;
        return true;
    }
    tier->zones = arena_array(build->arena, tier->zones_count, sizeof *tier->zones);
    if (!tier->zones)
        return no_memory(build);
    for (uint32_t i = 0; i < tier->zones_count; i++)
        if (!make_group(build, from, count, &zones[i], &tier->zones[i]))
            return false;
    return true;
}

/* --- tiers --- */

static int by_priority(const void *a_, const void *b_)
{
    const struct service_endpoint *a = *(const struct service_endpoint *const *)a_;
    const struct service_endpoint *b = *(const struct service_endpoint *const *)b_;
    if (a->priority != b->priority)
        return a->priority < b->priority ? -1 : 1;
    return a < b ? -1 : a > b; /* as listed */
}

static uint32_t tier_end(const struct build *build, uint32_t at)
{
    uint32_t end = at;
    while (end < build->chosen_count && build->chosen[end]->priority == build->chosen[at]->priority)
        end++;
    return end;
}

static bool make_tier(struct build *build, struct tier *tier, uint32_t at, uint32_t end)
{
    const struct service_endpoint **from = build->chosen + at;
    tier->priority = from[0]->priority;
    tier->looked_ms = INT64_MIN;
    return make_group(build, from, end - at, NULL, &tier->all) && make_zones(build, tier, from, end - at);
}

/* A tier in which all are drained is none. */
static bool make_tiers(struct build *build, struct subset *subset)
{
    uint32_t count = 0;
    qsort(build->chosen, build->chosen_count, sizeof *build->chosen, by_priority);
    for (uint32_t at = 0; at < build->chosen_count; at = tier_end(build, at))
        count++;
    if (count > TIERS_MAX)
        return too_many(build, TIERS_MAX, "priorities");
    subset->tiers = arena_array(build->arena, count, sizeof *subset->tiers);
    if (!subset->tiers)
        return no_memory(build);
    for (uint32_t at = 0; at < build->chosen_count; at = tier_end(build, at)) {
        struct tier *tier = &subset->tiers[subset->tiers_count];
        if (!make_tier(build, tier, at, tier_end(build, at)))
            return false;
        if (tier->all.count > 0)
            subset->tiers_count++;
        else
            *tier = (struct tier){0};
    }
    return true;
}

/* --- subsets --- */

static int by_hash(const void *a_, const void *b_)
{
    const struct known_endpoint *a = a_, *b = b_;
    return a->hash < b->hash ? -1 : a->hash > b->hash;
}

static bool make_known(struct build *build, struct subset *subset)
{
    subset->known_count = build->chosen_count;
    subset->known = arena_array(build->arena, subset->known_count, sizeof *subset->known);
    if (!subset->known)
        return no_memory(build);
    for (uint32_t i = 0; i < subset->known_count; i++) {
        struct endpoint *endpoint = build->chosen[i]->endpoint;
        subset->known[i] = (struct known_endpoint){endpoint->hash, endpoint};
    }
    qsort(subset->known, subset->known_count, sizeof *subset->known, by_hash);
    return true;
}

static struct text label_of(const struct service_endpoint *endpoint, struct text name)
{
    const struct text_pair *labels = endpoint->labels.items;
    for (size_t i = 0; i < endpoint->labels.count; i++)
        if (text_equal(labels[i].key, name))
            return labels[i].value;
    return TEXT("");
}

/* The labels of an endpoint that are named by the bits of `mask`; 0: it lacks one of them. */
static uint64_t labels_hash(const struct build *build, const struct service_endpoint *endpoint, unsigned mask)
{
    struct text values[SUBSET_LABELS_MAX] = {{0}};
    for (uint32_t i = 0; i < build->rules->subset_count; i++) {
        if (!(mask >> i & 1))
            continue;
        values[i] = label_of(endpoint, build->rules->subset_labels[i]);
        if (values[i].size == 0)
            return 0;
    }
    return subset_hash(values, build->rules->subset_count);
}

static bool make_subset(struct build *build, const struct endpoint_set *set, unsigned mask, uint64_t hash,
                        struct subset *subset)
{
    subset->hash = hash;
    build->chosen_count = 0;
    for (uint32_t i = 0; i < set->count; i++)
        if (hash == 0 || labels_hash(build, &set->endpoints[i], mask) == hash)
            build->chosen[build->chosen_count++] = &set->endpoints[i];
    return make_tiers(build, subset) && make_known(build, subset);
}

static bool has_subset(const struct endpoint_set *set, uint64_t hash)
{
    for (uint32_t i = 0; i < set->subsets_count; i++)
        if (set->subsets[i].hash == hash)
            return true;
    return false;
}

static int by_subset_hash(const void *a_, const void *b_)
{
    const struct subset *a = a_, *b = b_;
    return a->hash < b->hash ? -1 : a->hash > b->hash;
}

/* One for each choice of labels and each set of values that occurs. */
static bool make_subsets(struct build *build, struct endpoint_set *set)
{
    unsigned masks = 1u << build->rules->subset_count;
    uint32_t room = build->rules->subset_count ? SUBSETS_MAX : 1;
    set->subsets = arena_array(build->arena, room, sizeof *set->subsets);
    if (!set->subsets)
        return no_memory(build);
    if (!make_subset(build, set, 0, 0, &set->subsets[set->subsets_count++]))
        return false;
    for (unsigned mask = 1; mask < masks; mask++) {
        for (uint32_t i = 0; i < set->count; i++) {
            uint64_t hash = labels_hash(build, &set->endpoints[i], mask);
            if (!hash || has_subset(set, hash))
                continue;
            if (set->subsets_count == SUBSETS_MAX)
                return too_many(build, SUBSETS_MAX, "subsets by labels");
            if (!make_subset(build, set, mask, hash, &set->subsets[set->subsets_count]))
                return false;
            set->subsets_count++;
        }
    }
    qsort(set->subsets, set->subsets_count, sizeof *set->subsets, by_subset_hash);
    return true;
}

struct endpoint_set *endpoint_set_build(struct arena *arena, const struct balance_rules *rules,
                                        struct service_shared *shared, struct service_endpoint *endpoints,
                                        uint32_t count, struct error *reterr)
{
    struct build build = {.arena = arena, .rules = rules, .shared = shared, .error = reterr};
    struct endpoint_set *set = ARENA_NEW(arena, struct endpoint_set);
    build.chosen = arena_array(arena, count, sizeof *build.chosen);
    if (!set || !build.chosen) {
        no_memory(&build);
        return NULL;
    }
    set->rules = rules;
    set->shared = shared;
    set->endpoints = endpoints;
    set->count = count;
    return make_subsets(&build, set) ? set : NULL;
}
