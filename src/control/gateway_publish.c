/* Makes a snapshot the one in force: its log and sockets, the workers that adopt it, and its end. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/time.h"
#include "control/gateway_state.h"
#include "control/process_limits.h"
#include "proxy/settings.h"
#include "upstream/health_checker.h"

struct gateway *gateway_of_process;

/* --- the access log --- */

static struct shared_log *claim_log(struct gateway *gateway, const struct settings *settings,
                                    struct report *report)
{
    struct shared_log *before = gateway->snapshot ? gateway->snapshot->log : NULL;
    if (settings->access_log_path.size == 0)
        return NULL;
    if (before && text_equal(before->path, settings->access_log_path)) {
        before->claims++;
        return before;
    }
    struct error error = {.said = "out of memory"};
    struct shared_log *log = memory_zero(sizeof *log + settings->access_log_path.size + 1);
    if (log) {
        char *path = (char *)(log + 1);
        memcpy(path, settings->access_log_path.at, settings->access_log_path.size);
        *log = (struct shared_log){.path = {path, settings->access_log_path.size}, .claims = 1};
        struct log_file_options options = {.name = "access log",
                                           .path = path,
                                           .sources = gateway->workers_count,
                                           .closed = &gateway->logs_closed};
        log->file = log_file_new(&gateway->control.loop, &options, &error);
        if (log->file) {
            list_push_front(&gateway->logs, &log->link);
            return log;
        }
    }
    memory_free(log);
    report_error(report, (struct place){0}, TEXT("access_log.path"), "%s", error.said);
    return NULL;
}

static void drop_log(struct shared_log *log)
{
    if (!log || --log->claims > 0)
        return;
    list_remove(&log->link);
    log_file_free(log->file, 1000);
    memory_free(log);
}

/* --- the end of a snapshot --- */

static void free_snapshot(struct task *task)
{
    struct snapshot *snapshot = CONTAINER_OF(task, struct snapshot, free_task);
    struct gateway *gateway = gateway_of_process;
    struct shared_log *log = snapshot->log;
    gateway_drop_sockets(gateway, snapshot);
    snapshot_free(snapshot);
    drop_log(log);
    gateway->snapshots_alive--;
}

/* Any thread. */
void gateway_snapshot_unused(struct snapshot *snapshot)
{
    snapshot->free_task.run = free_snapshot;
    loop_mail(&gateway_of_process->control.loop, &snapshot->free_task);
}

static void adopted(struct task *task)
{
    (void)task; /* whichever it was: what the newest does not have is closed when all have adopted it */
    struct gateway *gateway = gateway_of_process;
    if (atomic_load(&gateway->snapshot->to_adopt) > 0)
        return;
    if (gateway->applied_version != gateway->snapshot->version)
        gateway->apply_ns = time_monotonic_ns() - gateway->snapshot->edit_began_ns;
    gateway->applied_version = gateway->snapshot->version;
    gateway_refuse_on_old_sockets(gateway);
}

/* Any thread. */
void gateway_snapshot_adopted(struct snapshot *snapshot)
{
    snapshot->adopted_task.run = adopted;
    loop_mail(&gateway_of_process->control.loop, &snapshot->adopted_task);
}

void gateway_unpin(struct snapshot *snapshot)
{
    if (snapshot && atomic_fetch_sub(&snapshot->pins, 1) == 1)
        gateway_snapshot_unused(snapshot);
}

/* --- publishing --- */

void gateway_tell_settings(struct gateway *gateway)
{
    const struct settings *settings = &gateway->snapshot->settings;
    supervisor_link_log(&gateway->supervisor, (enum log_level)settings->log_level,
                        (enum log_format)settings->log_format);
    supervisor_link_settings(&gateway->supervisor, settings->upgrade_ready_ms, settings->drain_ms);
}

void gateway_publish(struct gateway *gateway, struct snapshot *snapshot)
{
    struct snapshot *old = gateway->snapshot;
    snapshot_commit(snapshot);
    atomic_store(&snapshot->pins, gateway->workers_count + 1);
    atomic_store(&snapshot->to_adopt, gateway->workers_count);
    gateway->snapshot = snapshot;
    gateway->snapshots_alive++;
    gateway->budget.bytes_max = snapshot->settings.buffers_bytes_max;
    discovery_configure(gateway->discovery, &snapshot->settings.discovery);
    health_checker_limit(gateway->checker, (unsigned)snapshot->settings.health_checks_at_once);
    for (unsigned i = 0; i < gateway->workers_count; i++) {
        struct log_source *source = snapshot->log ? log_file_source(snapshot->log->file, i) : NULL;
        if (!worker_adopt(&gateway->workers[i], snapshot, source)) {
            log_error("out of memory: a worker keeps its old configuration", LOG_INT("worker", i));
            if (atomic_fetch_sub(&snapshot->to_adopt, 1) == 1)
                gateway_snapshot_adopted(snapshot);
            gateway_unpin(snapshot);
        }
    }
    gateway_unpin(old);
    log_set_level((enum log_level)snapshot->settings.log_level);
    log_set_format((enum log_format)snapshot->settings.log_format);
    gateway_tell_settings(gateway);
    process_limits_files(snapshot);
    if (gateway->watcher)
        watcher_set(gateway->watcher, snapshot->settings.watch ? snapshot->files : NULL,
                    snapshot->settings.watch ? snapshot->files_count : 0);
}

struct snapshot *gateway_build(struct gateway *gateway, const struct document *document,
                               struct report *report)
{
    struct snapshot *snapshot = snapshot_build(&gateway->builder, document, gateway->snapshot, report);
    if (!snapshot)
        return NULL;
    snapshot->log = claim_log(gateway, &snapshot->settings, report);
    if (report->errors == 0 && gateway_open_sockets(gateway, snapshot, report))
        return snapshot;
    gateway_drop_sockets(gateway, snapshot);
    struct shared_log *log = snapshot->log;
    snapshot_free(snapshot);
    drop_log(log);
    return NULL;
}
