/* Crash reports: a JSON file in `data_dir`/crashes for each death by SIGSEGV, SIGBUS, SIGILL, SIGFPE or SIGABRT.
 *
 * The report holds time, pid, version, signal, fault address, thread, what the thread was doing (base/crash_note.h), other exchanges
 * under way and what they wait for, and the addresses of the stack. Of what clients sent it holds paths. After it is written the signal goes on to whoever handled it before, by
 * default the kernel, so that a core is left where cores are allowed. */
#pragma once

#include <stddef.h>

#include "base/error.h"
#include "base/list.h"

enum {
    CRASH_REPORTS_MAX = 20,   /* files kept, newest first */
    CRASH_EXCHANGES_MAX = 32, /* under way that a report lists */
    CRASH_THREADS_MAX = 1024, /* whose exchanges can be listed */
};

/* Makes the folder, removes old reports beyond the limit, installs the handlers, and prepares the calling thread as crash_thread_begin()
 * does. Call it once, after privileges are dropped (the handler must be able to write there). 0, or a negative errno and the reason. */
int crash_install(const char *data_dir, struct error *reterr);

/* Names the calling thread (at most 15 bytes are kept) and gives it a stack of its own for the handler, so that an overflow of
 * its normal stack is reported too. Without the call a crash of the thread is still reported, but not a stack overflow. 0, or a
 * negative errno. */
int crash_thread_begin(const char *name);

/* The calling thread's exchanges, for the report: a ring of links, each with a struct crash_note `note_offset` bytes from the link (negative if
 * before it). The list must live until crash_thread_end(). Costs nothing afterwards; beyond CRASH_THREADS_MAX it does nothing. */
void crash_thread_exchanges(const struct list *all, ptrdiff_t note_offset);

/* Before a thread that called crash_thread_begin() ends. */
void crash_thread_end(void);
