/* What unit tests share: cmocka with the headers that it wants before it, and a few assertions in Turnpike's words. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"

#define RUN_TESTS(tests) cmocka_run_group_tests((tests), NULL, NULL)

/* Same bytes; the message shows both as strings. */
#define assert_text(got, wanted) assert_text_at((got), (wanted), __FILE__, __LINE__)

static inline void assert_text_at(struct text got, const char *wanted, const char *file, int line)
{
    if (!text_equal(got, text_of(wanted))) {
        print_error("got \"%.*s\", wanted \"%s\"\n", TEXT_ARGS(got), wanted);
        _fail(file, line);
    }
}

/* `run` ends the process by abort(), as a failed CHECK does; it runs in a child, whose standard error is closed. */
static inline bool aborts(void (*run)(void))
{
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        run();
        _exit(0);
    }
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status)
           && WTERMSIG(status) == SIGABRT;
}
