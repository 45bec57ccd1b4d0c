/* peak-ewma: of two at random the one whose requests in flight are expected to be answered sooner (after Finagle's balancer).
 *
 * What is expected is the endpoint's moving peak: a slower answer than expected counts at once, a faster one wins slowly, over the time
 * of `decay`. So an endpoint that stalls is avoided after its first slow answer, and comes back by itself. */
#include <math.h>

#include "base/check.h"
#include "base/random.h"
#include "upstream/balance.h"

enum { LOOKS_MAX = 16 };

/* One atomic word: microseconds above, the time of the sample in milliseconds (of 2^32) below. */
static uint64_t pack(uint32_t latency_us, int64_t now_ms)
{
    return (uint64_t)latency_us << 32 | (uint32_t)now_ms;
}

static uint32_t latency_of(uint64_t packed)
{
    return (uint32_t)(packed >> 32);
}

/* What is left of it after so much time without a sample: it fades, so that an endpoint that was slow is asked again. */
static double faded(uint64_t packed, int64_t decay_ms, int64_t now_ms)
{
    uint32_t age_ms = (uint32_t)now_ms - (uint32_t)packed;
    if (age_ms > INT32_MAX)
        age_ms = 0; /* another worker's clock is a little ahead */
    return latency_of(packed) * exp(-(double)age_ms / (double)decay_ms);
}

void endpoint_timed(struct endpoint *endpoint, int64_t took_us, bool failed, int64_t decay_ms, int64_t now_ms)
{
    uint64_t before = atomic_load_explicit(&endpoint->latency, memory_order_relaxed);
    double sample = (double)MIN_OF(MAX_OF(took_us, 1), (int64_t)UINT32_MAX);
    double left = faded(before, decay_ms, now_ms);
    if (failed) /* a quick failure is no quick answer */
        sample = MAX_OF(sample, 2.0 * latency_of(before) + 1000);
    double weight = before ? left / MAX_OF((double)latency_of(before), 1.0) : 0;
    double after = sample >= left ? sample : latency_of(before) * weight + sample * (1 - weight);
    uint64_t packed = pack((uint32_t)MIN_OF(MAX_OF(after, 1.0), (double)UINT32_MAX), now_ms);
    /* When another worker was faster its sample stands: one of two that came together is enough. */
    (void)atomic_compare_exchange_strong(&endpoint->latency, &before, packed);
}

uint32_t endpoint_latency_us(const struct endpoint *endpoint, int64_t decay_ms, int64_t now_ms)
{
    uint64_t packed = atomic_load_explicit(&endpoint->latency, memory_order_relaxed);
    return packed ? (uint32_t)MAX_OF(faded(packed, decay_ms, now_ms), 1.0) : 0;
}

/* Of one who never answered nothing is known: it is asked at once, and again only when it has answered or is the least bad. */
static double cost(const struct candidate *candidate, const struct balance_rules *rules, int64_t now_ms)
{
    uint64_t packed = atomic_load_explicit(&candidate->endpoint->latency, memory_order_relaxed);
    int32_t in_flight =
        MAX_OF(atomic_load_explicit(&candidate->endpoint->in_flight, memory_order_relaxed), 0);
    double weight = (double)candidate->weight * candidate_ramp(candidate, rules, now_ms);
    double latency = packed ? faded(packed, rules->decay_ms, now_ms) + 1 : in_flight ? 1e9 : 0;
    return latency * (in_flight + 1) / weight;
}

static bool is_good(const struct balance_group *group, const struct balance_rules *rules,
                    const struct pick *pick, uint32_t index, int64_t now_ms)
{
    return candidate_rank(&group->candidates[index], rules, pick, now_ms) >= RANK_HELD;
}

/* Two different ones who are good, if chance finds them soon. */
static uint32_t draw(const struct balance_group *group, const struct balance_rules *rules,
                     const struct pick *pick, int64_t now_ms, uint32_t drawn[2])
{
    uint32_t count = 0;
    for (int looks = 0; looks < LOOKS_MAX && count < 2; looks++) {
        uint32_t index = (uint32_t)random_below(group->count);
        if ((count == 0 || index != drawn[0]) && is_good(group, rules, pick, index, now_ms))
            drawn[count++] = index;
    }
    return count;
}

static uint32_t pick_fastest(const struct balance_group *group, const struct balance_rules *rules,
                             const struct pick *pick, int64_t now_ms)
{
    uint32_t drawn[2];
    uint32_t count = draw(group, rules, pick, now_ms, drawn);
    if (count == 0)
        return group_scan(group, rules, pick, now_ms);
    if (count == 1)
        return drawn[0];
    double first = cost(&group->candidates[drawn[0]], rules, now_ms);
    double second = cost(&group->candidates[drawn[1]], rules, now_ms);
    return first <= second ? drawn[0] : drawn[1];
}

const struct balance_type balance_peak_ewma = {.name = "peak-ewma", .is_timed = true, .pick = pick_fastest};
