/* RLIMIT_NOFILE and RLIMIT_CORE. */
#include "control/process_limits.h"

#include <errno.h>
#include <limits.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/check.h"
#include "base/log.h"
#include "proxy/connection.h"

enum {
    CORE_NONE =
        1, /* too small for a file, and the value at which the kernel starts no core_pattern program either; 0 would start it */
    FILES_FOR_EACH = 2, /* connections of a client, and one to an endpoint for it */
    FILES_KEPT_PART =
        8, /* of all: kept for connections to endpoints, logs and files of a reload, between ... */
    FILES_KEPT_MIN = 16,
    FILES_KEPT_MAX = 4096,
    FILES_BESIDE = 256 /* sockets, logs, pipes, files that a reload reads */
};

static void set_core(rlim_t soft)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_CORE, &limit) < 0)
        return; /* never for a limit that exists */
    limit.rlim_cur = MIN_OF(soft, limit.rlim_max);
    if (setrlimit(RLIMIT_CORE, &limit) < 0)
        log_warn("the limit of cores cannot be set", LOG_STRING("reason", strerror(errno)));
}

void process_limits_no_core(void)
{
    set_core(CORE_NONE);
}

void process_limits_core(int64_t bytes)
{
    struct rlimit limit;
    set_core(bytes > 0 ? (rlim_t)bytes : CORE_NONE);
    if (bytes == 0)
        return;
    if (getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur < (rlim_t)bytes)
        log_warn(
            "`core_limit` is above what the system allows; raise LimitCORE= of the service, or `ulimit -Hc`",
            LOG_INT("configured", bytes), LOG_INT("allowed", limit.rlim_cur));
    if (prctl(PR_SET_DUMPABLE, 1) < 0)
        log_warn("cores are off, as after a change of user", LOG_STRING("reason", strerror(errno)));
}

static rlim_t files_needed(const struct snapshot *snapshot)
{
    uint64_t connections = 0;
    for (size_t i = 0; i < snapshot->listeners_count; i++)
        connections += snapshot->listeners[i]->connections_max; /* fewer than 2^10 of 2^24 */
    return connections * FILES_FOR_EACH + FILES_BESIDE;
}

/* Clients do not get the last ones. */
static void keep_some(rlim_t all)
{
    rlim_t kept = MIN_OF(MAX_OF(all / FILES_KEPT_PART, (rlim_t)FILES_KEPT_MIN), (rlim_t)FILES_KEPT_MAX);
    rlim_t end = all > kept ? all - kept : 1;
    atomic_store_explicit(&connection_fd_end, (int)MIN_OF(end, (rlim_t)INT_MAX), memory_order_relaxed);
}

void process_limits_files(const struct snapshot *snapshot)
{
    static rlim_t said_needed, said_allowed;
    struct rlimit limit;
    rlim_t needed = files_needed(snapshot);
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return; /* never for a limit that exists */
    rlim_t hard = limit.rlim_max;
    limit.rlim_cur = limit.rlim_max = MAX_OF(hard, needed);
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) { /* more than the hard limit is for privileged processes */
        limit.rlim_cur = limit.rlim_max = hard;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* the soft limit stays then */
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    keep_some(limit.rlim_cur);
    if (limit.rlim_cur >= needed || (said_needed == needed && said_allowed == limit.rlim_cur))
        return;
    said_needed = needed;
    said_allowed = limit.rlim_cur;
    log_warn(
        "fewer open files are allowed than `limits.connections` of the listeners may need; raise LimitNOFILE= "
        "of the service or `ulimit -n`, or lower `limits.connections`",
        LOG_INT("needed", needed), LOG_INT("allowed", limit.rlim_cur));
}
