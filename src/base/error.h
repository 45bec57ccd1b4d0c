/* What went wrong, for a person to read: one sentence in a buffer of the caller's. Functions fill it only on failure. */
#pragma once

#include <stddef.h>

struct error {
    int code; /* a negative errno, or 0 where none fits */
    char said[256];
};

/* Fills `*error` (which may be NULL) and returns `code`, so that a function can end with it. */
int error_set(struct error *error, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same with ": " and the system's text for `code`. */
int error_system(struct error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
