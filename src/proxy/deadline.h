/* The deadlines of an exchange: one timer, moved only when a deadline comes nearer; when it fires early, it looks again. */
#pragma once

#include "proxy/exchange.h"

/* Makes sure that the timer fires by `due_ms`. */
static inline void deadline_arm(struct exchange *ex, int64_t due_ms)
{
    if (!timer_is_set(&ex->timer) || ex->timer.due_ms > due_ms)
        timer_set(ex->loop, &ex->timer, due_ms);
}

static inline void deadline_phase(struct exchange *ex, int64_t after_ms)
{
    ex->deadline_phase_ms = ex->loop->now_ms + after_ms;
    deadline_arm(ex, ex->deadline_phase_ms);
}
