/* What a thread is doing, for the crash report: a pointer per thread to a note that the thread's driver keeps up to date.
 *
 * Setting it is one store. The handler of a crash reads note and texts through the kernel, so that even dangling pointers are
 * harmless there; while the process lives, whoever set a note keeps it valid until the next crash_note_set(). */
#pragma once

#include <stdint.h>

#include "base/text.h"

struct crash_note {
    uint64_t exchange; /* its id; 0: none */
    struct text
        path; /* of the request, without its query, which may hold secrets; .at NULL: none, likewise below */
    struct text route, policy;
    const char *step, *waiting_for; /* zero-terminated; NULL: none */
};

extern _Thread_local const struct crash_note *crash_note_current;

/* NULL: nothing in particular. */
static inline void crash_note_set(const struct crash_note *note)
{
    crash_note_current = note;
}
