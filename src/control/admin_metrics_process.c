/* What the metrics page says about the process itself: configuration, logs, memory, loops, and what the operating system tells. */
#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/check.h"
#include "base/time.h"
#include "control/admin.h"
#include "proxy/connection.h"
#include "proxy/listener_state.h"
#include "telemetry/prometheus.h"

static void write_seconds(struct prometheus *writer, const char *name, enum prometheus_type type,
                          const char *help, int64_t ns)
{
    prometheus_family(writer, name, type, help);
    prometheus_sample_seconds(writer, NULL, 0, ns);
}

/* --- configuration --- */

static void write_config(struct prometheus *writer, const struct gateway *gateway)
{
    const struct snapshot *snapshot = gateway->snapshot;
    admin_write_gauge(writer, "turnpike_config_version", "Number of the configuration in force.",
                      snapshot->version);
    admin_write_counter(writer, "turnpike_config_reloads_total",
                        "Configurations that came into force after the start.", gateway->reloads);
    admin_write_counter(writer, "turnpike_config_failures_total", "Configurations that were refused.",
                        gateway->failures);
    admin_write_gauge(writer, "turnpike_config_snapshots",
                      "Configurations in memory: the newest, and those that exchanges still use.",
                      gateway->snapshots_alive - (gateway->admin != NULL));
    write_seconds(writer, "turnpike_config_read_seconds", PROMETHEUS_GAUGE,
                  "How long the last reload took to read the files that changed.", gateway->read_ns);
    write_seconds(writer, "turnpike_config_compare_seconds", PROMETHEUS_GAUGE,
                  "How long it took to find what changed, to check it and to build it.",
                  snapshot->compared_ns);
    write_seconds(writer, "turnpike_config_apply_seconds", PROMETHEUS_GAUGE,
                  "How long it took from then until every worker had the configuration.", gateway->apply_ns);
    write_seconds(writer, "turnpike_config_applied_timestamp_seconds", PROMETHEUS_GAUGE,
                  "When the configuration in force was applied.", gateway->reload_ns);
    admin_write_gauge(writer, "turnpike_config_routes", "Routes in force.", snapshot->routes_count);
    admin_write_gauge(writer, "turnpike_config_services", "Services in force.", snapshot->services.count);
    admin_write_gauge(writer, "turnpike_config_consumers", "Consumers in force.",
                      consumer_set_count(snapshot->consumers));
    admin_write_counter(
        writer, "turnpike_route_regex_limit_total",
        "Regular expressions of routes that were given up because a path made them work too long.",
        router_regex_limit_hits());
}

/* --- logs --- */

static void write_logs(struct prometheus *writer, const struct gateway *gateway)
{
    struct log_file_stats total = gateway->logs_closed;
    LIST_EACH (link, &gateway->logs) {
        struct log_file_stats stats;
        log_file_read_stats(CONTAINER_OF(link, const struct shared_log, link)->file, &stats);
        total.bytes_written += stats.bytes_written;
        total.lines_dropped += stats.lines_dropped;
        total.lines_lost += stats.lines_lost;
    }
    admin_write_counter(writer, "turnpike_access_log_bytes_total",
                        "Bytes of the access log that were written.", total.bytes_written);
    prometheus_family(writer, "turnpike_access_log_dropped_total", PROMETHEUS_COUNTER,
                      "Lines of the access log that were lost.");
    prometheus_sample(writer, &(const struct prometheus_label){"reason", TEXT("no-room")}, 1,
                      total.lines_dropped);
    prometheus_sample(writer, &(const struct prometheus_label){"reason", TEXT("write-failed")}, 1,
                      total.lines_lost);
}

/* --- memory --- */

static size_t bytes_of_objects(const struct table *objects)
{
    size_t bytes = objects->capacity * sizeof(struct table_slot), cursor = 0;
    for (const struct table_slot *slot; (slot = table_next(objects, &cursor));) {
        const struct object *object = slot->value;
        bytes += sizeof *object + object->arena.used;
    }
    return bytes;
}

/* Walks the whole configuration, once for each version. */
static size_t config_bytes(const struct gateway *gateway)
{
    static uint64_t version;
    static size_t bytes;
    const struct snapshot *snapshot = gateway->snapshot;
    if (version == snapshot->version)
        return bytes;
    version = snapshot->version;
    bytes = sizeof *snapshot + snapshot->arena.used + router_bytes(snapshot->router)
            + bytes_of_objects(&snapshot->services) + gateway->builder.routes.bytes
            + bytes_of_objects(&snapshot->listener_objects);
    const struct object *const single[] = {snapshot->gateway_policies, snapshot->consumer_object,
                                           snapshot->settings_object};
    for (size_t i = 0; i < COUNT_OF(single); i++)
        bytes += single[i] ? sizeof *single[i] + single[i]->arena.used : 0;
    return bytes;
}

static size_t connection_bytes(const struct gateway *gateway)
{
    size_t bytes = 0;
    for (size_t i = 0; i < gateway->snapshot->listeners_count; i++)
        bytes += (size_t)MAX_OF(atomic_load(&gateway->snapshot->listeners[i]->state->connections), 0)
                 * sizeof(struct connection);
    for (unsigned i = 0; i < gateway->workers_count; i++)
        bytes += atomic_load_explicit(&gateway->workers[i].upstream.open_count, memory_order_relaxed)
                 * sizeof(struct origin_connection);
    return bytes;
}

static size_t exchange_bytes(const struct gateway *gateway)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < gateway->workers_count; i++)
        bytes += atomic_load_explicit(&gateway->workers[i].counts.exchange_bytes, memory_order_relaxed);
    return bytes;
}

static size_t log_bytes(const struct gateway *gateway)
{
    size_t bytes = 0;
    LIST_EACH (link, &gateway->logs)
        bytes += log_file_bytes(CONTAINER_OF(link, const struct shared_log, link)->file);
    return bytes;
}

static void write_memory(struct prometheus *writer, const struct gateway *gateway)
{
    const struct {
        const char *name;
        size_t bytes;
    } subsystems[] = {
        {"access-log", log_bytes(gateway)},
        {"buffers", (size_t)MAX_OF(atomic_load(&gateway->budget.bytes), 0)},
        {"configuration", config_bytes(gateway)},
        {"connections", connection_bytes(gateway)},
        {"exchanges", exchange_bytes(gateway)},
        {"metrics", metrics_bytes(gateway->metrics)},
    };
    prometheus_family(writer, "turnpike_memory_bytes", PROMETHEUS_GAUGE,
                      "Memory in use, by what it is used for.");
    for (size_t i = 0; i < COUNT_OF(subsystems); i++) {
        const struct prometheus_label label = {"subsystem", text_of(subsystems[i].name)};
        prometheus_sample(writer, &label, 1, subsystems[i].bytes);
    }
    admin_write_gauge(writer, "turnpike_buffers_limit_bytes", "Memory that buffers may take.",
                      (uint64_t)gateway->budget.bytes_max);
    admin_write_counter(writer, "turnpike_buffers_refused_total",
                        "Buffers that were not given because of their limit, or for want of memory.",
                        atomic_load(&gateway->budget.refused));
}

/* --- workers --- */

static void write_loops(struct prometheus *writer, const struct gateway *gateway)
{
    admin_write_gauge(writer, "turnpike_workers", "Worker threads.", gateway->workers_count);
    admin_write_counter(writer, "turnpike_thread_pool_refused_total",
                        "Jobs for the threads of blocking libraries that found their queue full.",
                        thread_pool_refused(gateway->threads));
    prometheus_family(writer, "turnpike_loop_turn_seconds", PROMETHEUS_HISTOGRAM,
                      "Turns of a worker's loop, waiting left out: nothing else ran meanwhile.");
    for (unsigned i = 0; i < gateway->workers_count; i++) {
        char number[12];
        int size = snprintf(number, sizeof number, "%u", i);
        const struct prometheus_label label = {"worker", {number, (size_t)size}};
        struct histogram_total total = {.count = 0};
        histogram_sum(&gateway->workers[i].counts.turns, &total);
        prometheus_sample_histogram(writer, &label, 1, &total);
    }
}

/* --- what the operating system tells, under the names that Prometheus' own clients use --- */

static uint64_t open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    uint64_t count = 0;
    while (folder && readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return count > 3 ? count - 3 : 0; /* ".", "..", and the folder itself */
}

static void write_system_memory(struct prometheus *writer)
{
    unsigned long long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file && fscanf(file, "%llu %llu", &pages, &resident) != 2)
        pages = resident = 0;
    if (file)
        fclose(file);
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    admin_write_gauge(writer, "process_virtual_memory_bytes", "Virtual memory of the gateway process.",
                      pages * page);
    admin_write_gauge(writer, "process_resident_memory_bytes", "Resident memory of the gateway process.",
                      resident * page);
}

static void write_system(struct prometheus *writer, const struct gateway *gateway)
{
    struct rusage usage = {{0}, {0}};
    struct rlimit limit = {0};
    getrusage(RUSAGE_SELF, &usage);
    getrlimit(RLIMIT_NOFILE, &limit);
    int64_t cpu_ns = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * NS_PER_SECOND
                     + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
    write_seconds(writer, "process_cpu_seconds_total", PROMETHEUS_COUNTER, "CPU time of the gateway process.",
                  cpu_ns);
    int64_t running_ns = time_monotonic_ns() - gateway->began_ns;
    write_seconds(writer, "process_start_time_seconds", PROMETHEUS_GAUGE, "When the gateway process began.",
                  time_wall_ns() - running_ns);
    write_system_memory(writer);
    admin_write_gauge(writer, "process_open_fds", "Descriptors that are open.", open_descriptors());
    admin_write_gauge(writer, "process_max_fds", "Descriptors that may be open.", limit.rlim_cur);
    const struct prometheus_label version = {"version", TEXT(TURNPIKE_VERSION)};
    prometheus_family(writer, "turnpike_build_info", PROMETHEUS_GAUGE,
                      "Always 1; the label is the version of the program.");
    prometheus_sample(writer, &version, 1, 1);
}

void admin_write_process(struct prometheus *writer, const struct gateway *gateway)
{
    write_config(writer, gateway);
    write_logs(writer, gateway);
    write_memory(writer, gateway);
    write_loops(writer, gateway);
    write_system(writer, gateway);
}
