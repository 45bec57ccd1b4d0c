/* Reads the configuration, away from the control thread, and has it published.
 *
 * A large file takes a second to read. Meanwhile the control thread answers and checks and writes logs; it only compares what was read with
 * what is in force, and builds what changed. One reading at a time: who asks for another meanwhile gets it after that. */
#include <stdio.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/time.h"
#include "control/gateway_state.h"
#include "proxy/settings.h"

enum {
    LARGE_BYTES = 16 << 20,     /* a document whose memory is given back to the kernel at once */
    READING_BLOCK = 256 * 1024, /* so large that it does not lie between what stays */
};

struct load {
    struct job job;
    struct gateway *gateway;
    struct arena arena;
    struct report report;
    struct document document;
    struct document_skip skip;
    bool is_of_all; /* files, whether they changed or not */
    bool is_read;
    int64_t read_ns;
};

/* --- telling --- */

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
        {"dns", text_equal(settings->dns_servers, before->dns_servers)
                    && settings->dns_timeout_ms == before->dns_timeout_ms
                    && settings->dns_tries == before->dns_tries
                    && settings->dns_search == before->dns_search},
        {"core_limit", settings->core_bytes_max == before->core_bytes_max},
        {"metrics.series", settings->series_max == before->series_max},
    };
    for (size_t i = 0; i < COUNT_OF(others); i++)
        if (!others[i].same)
            log_warn("a setting changed that needs a restart", LOG_STRING("setting", others[i].name));
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

/* Takes the snapshot that was built, or says why there is none. */
static bool settle(struct gateway *gateway, struct snapshot *snapshot, const struct report *report,
                   bool first)
{
    if (report->errors || report->warnings)
        report_print(report, stderr);
    if (snapshot) {
        if (!first)
            warn_of_fixed_settings(gateway, &snapshot->settings);
        gateway_publish(gateway, snapshot);
        say_success(gateway, first);
        return true;
    }
    gateway->failures++;
    if (!first)
        log_error("configuration refused; the old one stays in force",
                  LOG_STRING("file", gateway->config_path), LOG_INT("errors", report->errors));
    say_failure(gateway, report);
    return false;
}

bool gateway_load_first(struct gateway *gateway, const struct document *document)
{
    struct arena arena;
    struct report report;
    arena_init(&arena, READING_BLOCK, 0);
    report_init(&report, &arena);
    struct snapshot *snapshot = gateway_build(gateway, document, &report);
    bool fine = settle(gateway, snapshot, &report, true);
    arena_release(&arena);
    memory_trim();
    return fine;
}

/* --- reading --- */

static void load_release(struct load *load)
{
    bool large = load->arena.used > LARGE_BYTES;
    arena_release(&load->arena);
    if (large)
        memory_trim();
}

/* On a thread of the pool. The route book, which says what may be skipped, does not change while a load is under way. */
static void read_files(struct job *job)
{
    struct load *load = CONTAINER_OF(job, struct load, job);
    int64_t began_ns = time_monotonic_ns();
    load->is_read =
        document_read_changed(load->gateway->config_path, NULL, load->is_of_all ? NULL : &load->skip,
                              &load->arena, &load->report, &load->document);
    load->read_ns = time_monotonic_ns() - began_ns;
}

static void files_read(struct job *job);

static void read_on(struct load *load)
{
    arena_init(&load->arena, READING_BLOCK, 0);
    load->arena.wipe = true; /* it holds secrets in the clear */
    report_init(&load->report, &load->arena);
    load->skip = snapshot_skip(&load->gateway->builder);
    load->job = (struct job){.work = read_files, .done = files_read};
    if (thread_pool_submit(load->gateway->threads, &load->gateway->control.loop, &load->job))
        return;
    read_files(&load->job); /* all threads are busy, and none may take our turn */
    files_read(&load->job);
}

/* Only changed files were read, and that is not enough: what skipped routes were built from has changed; or something is wrong, and the report
 * is to be of everything. */
static bool wants_all(const struct load *load, const struct snapshot *snapshot)
{
    return !snapshot && !load->is_of_all && load->skip.skipped_count > 0;
}

static void files_read(struct job *job)
{
    struct load *load = CONTAINER_OF(job, struct load, job);
    struct gateway *gateway = load->gateway;
    if (gateway->draining) {
        gateway_reload_stop(gateway);
        return;
    }
    struct snapshot *snapshot = load->is_read ? gateway_build(gateway, &load->document, &load->report) : NULL;
    if (wants_all(load, snapshot)) {
        load_release(load);
        load->is_of_all = true;
        read_on(load);
        return;
    }
    gateway->read_ns = load->read_ns;
    (void)settle(gateway, snapshot, &load->report, false); /* it has said all there is to say */
    gateway_reload_stop(gateway);
    if (gateway->reload_again)
        gateway_reload(gateway);
}

void gateway_reload(struct gateway *gateway)
{
    gateway->reload_again = gateway->load != NULL;
    if (gateway->load)
        return;
    if (gateway->draining) {
        log_warn("the configuration is not read again: this process is about to end");
        return;
    }
    gateway->load = memory_zero(sizeof *gateway->load);
    if (!gateway->load) {
        log_error("out of memory: the configuration is not read again");
        gateway->failures++;
        return;
    }
    gateway->load->gateway = gateway;
    read_on(gateway->load);
}

void gateway_reload_stop(struct gateway *gateway)
{
    struct load *load = gateway->load;
    gateway->load = NULL;
    if (load)
        load_release(load);
    memory_free(load);
}
