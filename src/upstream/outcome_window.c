/* A sliding window of counts in atomics. */
#include "upstream/outcome_window.h"

#include "base/check.h"

static uint32_t tick_at(int64_t window_ms, int64_t now_ms)
{
    return (uint32_t)(now_ms / MAX_OF(window_ms / OUTCOME_PARTS, (int64_t)1));
}

static uint16_t add_saturated(uint16_t count, uint32_t by)
{
    return (uint16_t)MIN_OF((uint32_t)count + by, (uint32_t)UINT16_MAX);
}

static void add_total(_Atomic uint64_t *word, uint32_t tick, uint32_t by)
{
    uint64_t before = atomic_load_explicit(word, memory_order_relaxed), after;
    do {
        uint32_t count = (uint32_t)(before >> 32) == tick ? (uint32_t)before : 0;
        after = (uint64_t)tick << 32 | (count + MIN_OF(by, UINT32_MAX - count));
    } while (!atomic_compare_exchange_weak_explicit(word, &before, after, memory_order_relaxed,
                                                    memory_order_relaxed));
}

static void add_faults(_Atomic uint64_t *word, uint32_t tick, uint32_t failed, uint32_t slow)
{
    uint64_t before = atomic_load_explicit(word, memory_order_relaxed), after;
    do {
        uint32_t counts = (uint32_t)(before >> 32) == tick ? (uint32_t)before : 0;
        uint16_t now_failed = add_saturated((uint16_t)(counts >> 16), failed),
                 now_slow = add_saturated((uint16_t)counts, slow);
        after = (uint64_t)tick << 32 | (uint32_t)now_failed << 16 | now_slow;
    } while (!atomic_compare_exchange_weak_explicit(word, &before, after, memory_order_relaxed,
                                                    memory_order_relaxed));
}

void outcome_window_add(struct outcome_window *window, int64_t window_ms, int64_t now_ms,
                        struct outcome_sums add)
{
    uint32_t tick = tick_at(window_ms, now_ms);
    if (add.total)
        add_total(&window->totals[tick % OUTCOME_PARTS], tick, add.total);
    if (add.failed || add.slow)
        add_faults(&window->faults[tick % OUTCOME_PARTS], tick, add.failed, add.slow);
}

void outcome_window_sum(const struct outcome_window *window, int64_t window_ms, int64_t now_ms,
                        struct outcome_sums *ret_sums)
{
    uint32_t tick = tick_at(window_ms, now_ms);
    *ret_sums = (struct outcome_sums){0};
    for (unsigned i = 0; i < OUTCOME_PARTS; i++) {
        uint64_t total = atomic_load_explicit(&window->totals[i], memory_order_relaxed);
        uint64_t faults = atomic_load_explicit(&window->faults[i], memory_order_relaxed);
        if (tick - (uint32_t)(total >> 32) < OUTCOME_PARTS)
            ret_sums->total += (uint32_t)total;
        if (tick - (uint32_t)(faults >> 32) < OUTCOME_PARTS) {
            ret_sums->failed += (uint16_t)(faults >> 16);
            ret_sums->slow += (uint16_t)faults;
        }
    }
}

void outcome_window_clear(struct outcome_window *window)
{
    for (unsigned i = 0; i < OUTCOME_PARTS; i++) {
        atomic_store_explicit(&window->totals[i], 0, memory_order_relaxed);
        atomic_store_explicit(&window->faults[i], 0, memory_order_relaxed);
    }
}
