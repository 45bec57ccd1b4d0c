/* How tries went within the last so many milliseconds, counted by all workers together.
 *
 * The window slides in tenths: a sum covers at least nine tenths of it and never more than all. Each tenth is a pair of words that carry
 * their own time, so counting is one compare-and-swap (two for a failure), and nothing has to be cleared in time. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { OUTCOME_PARTS = 10 };

/* Zeroed is empty. */
struct outcome_window {
    _Atomic uint64_t totals[OUTCOME_PARTS]; /* tick (32 bits), tries (32) */
    _Atomic uint64_t faults[OUTCOME_PARTS]; /* tick (32 bits), failed (16), slow (16); they stay at 65,535 */
};

struct outcome_sums {
    uint32_t total, failed, slow;
};

/* Counts `total` (0 or 1) tries, of which so many failed or were slow (0 or 1). Any thread. */
void outcome_window_add(struct outcome_window *window, int64_t window_ms, int64_t now_ms,
                        struct outcome_sums add);

void outcome_window_sum(const struct outcome_window *window, int64_t window_ms, int64_t now_ms,
                        struct outcome_sums *ret_sums);

void outcome_window_clear(struct outcome_window *window);
