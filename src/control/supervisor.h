/* The process that `turnpike run` becomes: it holds the listening sockets and keeps one gateway process running on them.
 *
 * One thread, no configuration, next to no memory: what can go wrong is in the gateway process, and this one survives it. It works as PID 1,
 * as a service of systemd and as an ordinary process. docs/internals/processes.md says who does what on which signal, and how an upgrade
 * replaces both. */
#pragma once

#include <stdint.h>

/* What is 0 gets the value that is said. */
struct supervisor_options {
    const char *path; /* the gateway process's program, and its arguments, NULL at the end */
    char *const *arguments;
    const char *program;    /* where an upgrade finds the new program; NULL: there are no upgrades */
    char *const *again;     /* its arguments to become the next supervisor, NULL at the end */
    int64_t restart_ms_min; /* 100: wait before the second restart in a row; doubles each time ... */
    int64_t restart_ms_max; /* 5000: ... up to this */
    int64_t steady_ms;      /* 10000: a gateway process that lived so long is restarted at once */
    int64_t kill_ms;        /* 2000: from SIGQUIT to SIGKILL */
    int64_t ask_ms;         /* 10000: for a new program to say whether it can take over */
    int64_t
        ready_ms; /* 60000: for a new gateway process to get ready; the gateway process in service may say otherwise */
};

/* Runs until a signal ends it. Returns the exit status: 0 after a drain or quick stop, 1 if the gateway process crashed meanwhile, if the first
 * one refused its configuration (status 1 before it was ready), or if the machine refused what is needed to begin. In an upgrade the new program
 * comes in through here too, and finds in the environment what the old one handed on. */
int supervisor_run(const struct supervisor_options *options);
