/* The end of a process whose invariants no longer hold. */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Noreturn void check_failed(const char *condition, const char *file, int line, const char *function)
{
    char said[512];
    int size = snprintf(said, sizeof said, "turnpike: check failed: %s at %s:%d in %s\n", condition, file,
                        line, function);
    if (size > 0) {
        ssize_t written = write(STDERR_FILENO, said, MIN_OF((size_t)size, sizeof said - 1));
        (void)written; /* nothing is left to tell it to */
    }
    abort();
}
