/* Assertions and the few macros that everything uses.
 *
 * CHECK() states what a programmer may rely on; it runs in release builds too, because a gateway that goes on with a broken
 * invariant is worse than one that is restarted. Operating errors are never CHECKed: they are values. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define static_assert _Static_assert

#define LIKELY(condition)   __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define MIN_OF(a, b)    ((a) < (b) ? (a) : (b))
#define MAX_OF(a, b)    ((a) > (b) ? (a) : (b))

/* The struct of `type` that holds `pointer` as its `member`. */
#define CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define CHECK(condition)                                                                                     \
    (LIKELY(condition) ? (void)0 : check_failed(#condition, __FILE__, __LINE__, __func__))
#define UNREACHABLE() check_failed("unreachable", __FILE__, __LINE__, __func__)

/* Says which assertion failed on standard error and aborts, so that a core and a crash report are left. */
_Noreturn void check_failed(const char *condition, const char *file, int line, const char *function);
