/* Counts requests and retries in a sliding window of ten slots, and spreads retries in time. */
#include "upstream/retry.h"

#include "base/check.h"
#include "base/random.h"

enum { COUNT_BITS = 40, EPOCH_MASK = (1 << 24) - 1, TRIES_MAX = 64 };
static const uint64_t COUNT_MASK = (UINT64_C(1) << COUNT_BITS) - 1;

static uint64_t epoch_of(const struct retry_rules *rules, int64_t now_ms)
{
    return (uint64_t)(now_ms / MAX_OF(rules->budget_window_ms / RETRY_BUDGET_SLOTS, 1)) & EPOCH_MASK;
}

/* One more in the slot of this time; what an earlier round left there is dropped. */
static void count(retry_count *slots, uint64_t epoch)
{
    retry_count *slot = &slots[epoch % RETRY_BUDGET_SLOTS];
    uint64_t seen = atomic_load_explicit(slot, memory_order_relaxed);
    for (int i = 0; i < TRIES_MAX; i++) {
        uint64_t next = seen >> COUNT_BITS == epoch ? seen + 1 : epoch << COUNT_BITS | 1;
        if (atomic_compare_exchange_weak_explicit(slot, &seen, next, memory_order_relaxed,
                                                  memory_order_relaxed))
            return;
    }
}

static void take_back(retry_count *slots, uint64_t epoch)
{
    retry_count *slot = &slots[epoch % RETRY_BUDGET_SLOTS];
    uint64_t seen = atomic_load_explicit(slot, memory_order_relaxed);
    for (int i = 0; i < TRIES_MAX && seen >> COUNT_BITS == epoch && (seen & COUNT_MASK) > 0; i++)
        if (atomic_compare_exchange_weak_explicit(slot, &seen, seen - 1, memory_order_relaxed,
                                                  memory_order_relaxed))
            return;
}

static uint64_t sum(const retry_count *slots, uint64_t epoch)
{
    uint64_t total = 0;
    for (int i = 0; i < RETRY_BUDGET_SLOTS; i++) {
        uint64_t word = atomic_load_explicit(&slots[i], memory_order_relaxed);
        if (((epoch - (word >> COUNT_BITS)) & EPOCH_MASK) < RETRY_BUDGET_SLOTS)
            total += word & COUNT_MASK;
    }
    return total;
}

void retry_count_request(const struct retry_rules *rules, unsigned worker, int64_t now_ms)
{
    if (rules->budget)
        count(rules->budget->requests[worker % RETRY_BUDGET_SHARDS].slots, epoch_of(rules, now_ms));
}

static uint64_t allowance(const struct retry_rules *rules, uint64_t epoch)
{
    uint64_t requests = 0;
    for (int i = 0; i < RETRY_BUDGET_SHARDS; i++)
        requests += sum(rules->budget->requests[i].slots, epoch);
    return MAX_OF(rules->budget_min, (uint64_t)(rules->budget_share * (double)requests));
}

/* Counted first and taken back if it was too much: two workers at once can refuse one too many, never allow one. */
bool retry_take(const struct retry_rules *rules, int64_t now_ms)
{
    struct retry_budget *budget = rules->budget;
    if (!budget)
        return true;
    uint64_t epoch = epoch_of(rules, now_ms);
    count(budget->retries, epoch);
    if (sum(budget->retries, epoch) <= allowance(rules, epoch)) {
        atomic_fetch_add_explicit(&budget->made, 1, memory_order_relaxed);
        return true;
    }
    take_back(budget->retries, epoch);
    atomic_fetch_add_explicit(&budget->refused, 1, memory_order_relaxed);
    return false;
}

int64_t retry_backoff_ms(const struct retry_rules *rules, unsigned tries)
{
    int64_t most = rules->backoff_base_ms;
    for (unsigned i = 1; i < tries && most < rules->backoff_max_ms; i++)
        most *= 2;
    return (int64_t)random_below((uint64_t)MIN_OF(most, rules->backoff_max_ms) + 1);
}
