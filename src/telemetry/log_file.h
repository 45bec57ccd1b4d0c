/* Where log lines go: workers put them into rings, and the control thread writes the rings to a file,
 * standard output or a unix datagram socket in big batches, every flush interval or sooner when a ring is
 * half full. While nothing is logged nothing runs.
 *
 * A writer that is slow or broken never delays a request: a full ring drops lines, and so does a failed write
 * (no space, no reader). Both are counted, and reported once a minute through base/log.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "net/loop.h"
#include "telemetry/ring.h"

struct log_file;

/* One worker's way in. */
struct log_source {
    struct ring ring;
    struct log_file *file;
    struct task wake, hurry; /* mailed by the worker: there is something, and there is much */
    _Atomic bool wake_sent, hurry_sent;
    bool wake_ran, hurry_ran; /* control thread: it came, and may be sent again after a flush */
};

struct log_file_options {
    const char *name; /* for reports: "access log" */
    const char
        *path; /* a file (appended to, mode 0640), "stdout", "stderr" or "unix-datagram:/path"; copied */
    int64_t flush_ms;              /* 0: 100 ms */
    size_t sources;                /* how many workers */
    size_t ring_size;              /* of each, a power of two; 0: 1 MiB */
    struct log_file_stats *closed; /* where its numbers are added when it is freed; NULL: nowhere */
};

struct log_file_stats {
    uint64_t bytes_written, writes;
    uint64_t bytes_dropped, lines_lost; /* by failed writes */
    uint64_t lines_dropped;             /* by full rings */
    uint64_t failures;                  /* of writes, but those that would only have blocked */
};

/* On the control thread, whose loop it is. NULL: *reterr says why (with the path). A datagram socket that
 * does not exist yet is no error. */
struct log_file *log_file_new(struct loop *loop, const struct log_file_options *options,
                              struct error *reterr);

/* The sources, [0, options.sources); valid until log_file_free(). */
struct log_source *log_file_source(struct log_file *file, size_t source);

/* On the source's worker: contiguous room for one line (at most half the ring), NULL: dropped and counted.
 * The line's actual size is committed, with its newline, before the next reservation. */
static inline char *log_source_reserve(struct log_source *source, size_t size)
{
    return ring_reserve(&source->ring, size);
}

void log_source_wake(struct log_source *source);

static inline void log_source_commit(struct log_source *source, size_t size)
{
    ring_commit(&source->ring, size);
    if (!atomic_load_explicit(&source->wake_sent, memory_order_relaxed) || ring_is_half_full(&source->ring))
        log_source_wake(source);
}

/* Opens the path again (SIGUSR1, after the file was moved away). A negative errno: the old one stays in use
 * and *reterr says why. */
int log_file_reopen(struct log_file *file, struct error *reterr);

/* Writes what the rings hold now, as far as that is possible without waiting. */
void log_file_flush(struct log_file *file);

/* Flushes, waiting up to `wait_ms` for a slow reader, and frees. What is left is counted as dropped and
 * reported. No worker may use its source any more. NULL allowed. */
void log_file_free(struct log_file *file, int64_t wait_ms);

size_t log_file_bytes(const struct log_file *file); /* memory that it takes */
void log_file_read_stats(const struct log_file *file, struct log_file_stats *ret_stats);
