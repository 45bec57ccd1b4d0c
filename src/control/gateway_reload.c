/* Reads the configuration, builds a snapshot, hands it to the workers; frees snapshots that no one uses. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/time.h"
#include "control/gateway_state.h"
#include "control/process_limits.h"
#include "proxy/settings.h"

enum { LARGE_BYTES = 16 << 20 }; /* a document whose memory is given back to the kernel at once */

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

static void warn_of_fixed_settings(const struct gateway *gateway, const struct settings *settings)
{
    if (gateway->workers_count != (unsigned)settings->workers)
        log_warn("`workers` changed: that needs a restart", LOG_INT("running", gateway->workers_count),
                 LOG_INT("configured", settings->workers));
    const struct settings *before = &gateway->snapshot->settings;
    const struct {
        const char *name;
        bool same;
    } others[] = {
        {"data_dir", text_equal(settings->data_dir, before->data_dir)},
        {"user", text_equal(settings->user, before->user)},
        {"admin", text_equal(settings->admin_address, before->admin_address)},
        {"dns", text_equal(settings->dns_servers, before->dns_servers)},
        {"core_limit", settings->core_bytes_max == before->core_bytes_max},
        {"metrics.series", settings->series_max == before->series_max},
    };
    for (size_t i = 0; i < COUNT_OF(others); i++)
        if (!others[i].same)
            log_warn("a setting changed that needs a restart", LOG_STRING("setting", others[i].name));
}

void gateway_tell_settings(struct gateway *gateway)
{
    const struct settings *settings = &gateway->snapshot->settings;
    supervisor_link_log(&gateway->supervisor, (enum log_level)settings->log_level,
                        (enum log_format)settings->log_format);
    supervisor_link_settings(&gateway->supervisor, settings->upgrade_ready_ms, settings->drain_ms);
}

static void publish(struct gateway *gateway, struct snapshot *snapshot)
{
    struct snapshot *old = gateway->snapshot;
    snapshot_commit(snapshot);
    atomic_store(&snapshot->pins, gateway->workers_count + 1);
    atomic_store(&snapshot->to_adopt, gateway->workers_count);
    gateway->snapshot = snapshot;
    gateway->snapshots_alive++;
    gateway->budget.bytes_max = snapshot->settings.buffers_bytes_max;
    for (unsigned i = 0; i < gateway->workers_count; i++) {
        struct log_source *source = snapshot->log ? log_file_source(snapshot->log->file, i) : NULL;
        if (!worker_adopt(&gateway->workers[i], snapshot, source)) {
            log_error("out of memory: a worker keeps its old configuration", LOG_INT("worker", i));
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

static struct snapshot *build(struct gateway *gateway, const struct document *document, struct report *report)
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

static void say_failure(struct gateway *gateway, const struct report *report)
{
    const struct finding *first = report->first;
    while (first && first->severity != SEVERITY_ERROR)
        first = first->next;
    if (first)
        snprintf(gateway->last_failure, sizeof gateway->last_failure, "%.*s: %.*s", TEXT_ARGS(first->path),
                 TEXT_ARGS(first->said));
    supervisor_link_reloaded(&gateway->supervisor, false, text_of(gateway->last_failure));
}

static void say_success(struct gateway *gateway, bool first)
{
    struct snapshot *snapshot = gateway->snapshot;
    gateway->reload_ns = time_wall_ns();
    if (first)
        return; /* said when it is ready */
    gateway_write_addresses(gateway);
    gateway->reloads++;
    log_info("configuration applied", LOG_INT("version", snapshot->version),
             LOG_INT("built", snapshot->objects_built), LOG_INT("shared", snapshot->objects_shared),
             LOG_INT("read_ms", gateway->read_ns / NS_PER_MS),
             LOG_INT("compare_ms", snapshot->compared_ns / NS_PER_MS));
    supervisor_link_reloaded(&gateway->supervisor, true, TEXT("configuration applied"));
}

/* --- loading --- */

struct load {
    struct arena arena;
    struct report report;
    struct snapshot *snapshot;
};

static void load_init(struct load *load)
{
    *load = (struct load){.snapshot = NULL};
    arena_init(&load->arena, 256 * 1024, 0);
    load->arena.wipe = true; /* it holds secrets in the clear */
    report_init(&load->report, &load->arena);
}

static void load_release(struct load *load)
{
    bool large = load->arena.used > LARGE_BYTES;
    arena_release(&load->arena);
    if (large)
        memory_trim();
}

static void load_files(struct gateway *gateway, struct load *load, struct document_skip *skip)
{
    struct document document;
    int64_t began_ns = time_monotonic_ns();
    if (!document_read_changed(gateway->config_path, NULL, skip, &load->arena, &load->report, &document))
        return;
    gateway->read_ns = time_monotonic_ns() - began_ns;
    load->snapshot = build(gateway, &document, &load->report);
}

/* First the files that changed. Where that is not enough (what skipped routes were built from changed), or something is wrong (the report is
 * to be of everything), all of them. */
static void load_changes(struct gateway *gateway, struct load *load)
{
    struct document_skip skip = snapshot_skip(&gateway->builder);
    load_files(gateway, load, &skip);
    if (load->snapshot || skip.skipped_count == 0)
        return;
    load_release(load);
    load_init(load);
    load_files(gateway, load, NULL);
}

bool gateway_load(struct gateway *gateway, const struct document *first)
{
    struct load load;
    load_init(&load);
    if (first)
        load.snapshot = build(gateway, first, &load.report);
    else
        load_changes(gateway, &load);
    if (load.report.errors || load.report.warnings)
        report_print(&load.report, stderr);
    if (load.snapshot) {
        if (!first)
            warn_of_fixed_settings(gateway, &load.snapshot->settings);
        publish(gateway, load.snapshot);
        say_success(gateway, first);
    } else {
        gateway->failures++;
        if (!first)
            log_error("configuration refused; the old one stays in force",
                      LOG_STRING("file", gateway->config_path), LOG_INT("errors", load.report.errors));
        say_failure(gateway, &load.report);
    }
    load_release(&load);
    return load.snapshot;
}
