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

/* The deadline of a pause of `whom`. It is set when something has moved or the turn to move has passed to the other side, not whenever the
 * exchange is woken: a peer that only makes events gains no time. */
void deadline_pause(struct exchange *ex, enum exchange_peer whom, int64_t pause_ms);

/* How long the client may pause with its body, and how long at all at the slowest rate. */
void deadline_body(struct exchange *ex);

/* What the exchange's timer calls. */
void deadline_passed(struct timer *timer);
