/* The timing wheel of a loop, as loop.c drives it. Owners of timers use timer_set() and timer_clear() of
 * net/loop.h. */
#pragma once

#include "net/loop.h"

/* Empty, starting at loop->now_ms. */
void wheel_init(struct loop *loop);

/* Runs what is due at loop->now_ms, in the order of ticks. A timer that is set meanwhile runs in a later
 * call, even if it is due. */
void wheel_run(struct loop *loop);

/* When wheel_run() has something to do next, in milliseconds of the clock of loop->now_ms; -1: there is no
 * timer. It may be sooner than the first timer: a timer far away moves through the levels. */
int64_t wheel_next_ms(const struct loop *loop);
