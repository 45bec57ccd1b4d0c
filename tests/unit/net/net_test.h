/* What the tests of src/net/ share. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/time.h"
#include "net/loop.h"

/* Turns the loop until `*flag`, and fails the test if that takes longer than ten seconds. */
static inline void turn_until(struct loop *loop, const bool *flag)
{
    int64_t end_ns = time_monotonic_ns() + 10 * NS_PER_SECOND;
    while (!*flag && time_monotonic_ns() < end_ns)
        loop_turn(loop, 100);
    assert_true(*flag);
}
