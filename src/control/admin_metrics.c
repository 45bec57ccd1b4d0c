/* The metrics page: what telemetry counts, and what only this process can tell. A scrape reads the workers' counters; it never touches them. */
#include "base/check.h"
#include "base/memory.h"
#include "control/admin.h"
#include "telemetry/prometheus.h"
#include "upstream/endpoint.h"

enum { METRICS_BYTES_MAX = 32 << 20 };

static uint64_t sum(const struct gateway *gateway, size_t offset)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < gateway->workers_count; i++) {
        const char *counts = (const char *)&gateway->workers[i].counts;
        total += atomic_load_explicit((const _Atomic uint64_t *)(const void *)(counts + offset), memory_order_relaxed);
    }
    return total;
}

static void write_errors(struct prometheus *writer, const struct gateway *gateway)
{
    prometheus_family(writer, "turnpike_errors_total", PROMETHEUS_COUNTER, "Exchanges that were not simply answered by their service, by kind.");
    for (unsigned i = 1; i < ERRORS_COUNT; i++) {
        const struct prometheus_label label = {"kind", exchange_error_text((enum exchange_error)i)};
        prometheus_sample(writer, &label, 1, sum(gateway, offsetof(struct worker_counts, errors[i])));
    }
}

static void write_limits(struct prometheus *writer, const struct gateway *gateway)
{
    prometheus_family(writer, "turnpike_limits_reached_total", PROMETHEUS_COUNTER, "Times that a limit was reached, by limit.");
    for (unsigned i = 0; i < LIMITS_COUNT; i++) {
        const struct prometheus_label label = {"limit", text_of(limit_names[i])};
        prometheus_sample(writer, &label, 1, sum(gateway, offsetof(struct worker_counts, limits[i])));
    }
}

static void write_policies(struct prometheus *writer, const struct gateway *gateway)
{
    static const char *const verdicts[] = {"next", "respond", "drop", "fault", "wait", "skipped"};
    static_assert(COUNT_OF(verdicts) == VERDICT_COUNTS, "a name for each verdict");
    prometheus_family(writer, "turnpike_policy_verdicts_total", PROMETHEUS_COUNTER, "What policies decided.");
    for (size_t i = 0; i < policies_count; i++) {
        for (unsigned k = 0; k < VERDICT_COUNTS; k++) {
            uint64_t count = sum(gateway, offsetof(struct worker_counts, policy[i][k]));
            const struct prometheus_label labels[] = {{"policy", text_of(policies[i]->name)}, {"verdict", text_of(verdicts[k])}};
            if (count > 0)
                prometheus_sample(writer, labels, COUNT_OF(labels), count);
        }
    }
    prometheus_family(writer, "turnpike_policy_seconds_total", PROMETHEUS_COUNTER, "CPU time of policy hooks, of one in 64 runs.");
    for (size_t i = 0; i < policies_count; i++) {
        uint64_t ns = sum(gateway, offsetof(struct worker_counts, policy_ns[i]));
        const struct prometheus_label label = {"policy", text_of(policies[i]->name)};
        if (ns > 0)
            prometheus_sample_seconds(writer, &label, 1, (int64_t)ns);
    }
    prometheus_family(writer, "turnpike_policy_samples_total", PROMETHEUS_COUNTER, "Runs of policy hooks that were timed.");
    for (size_t i = 0; i < policies_count; i++) {
        uint64_t samples = sum(gateway, offsetof(struct worker_counts, policy_samples[i]));
        const struct prometheus_label label = {"policy", text_of(policies[i]->name)};
        if (samples > 0)
            prometheus_sample(writer, &label, 1, samples);
    }
}

static void write_endpoints(struct prometheus *writer, const struct gateway *gateway)
{
    static const struct {
        const char *name, *help;
        enum prometheus_type type;
    } families[] = {
        {"turnpike_endpoint_requests_total", "Attempts at an endpoint that have ended.", PROMETHEUS_COUNTER},
        {"turnpike_endpoint_failures_total", "Attempts at an endpoint that failed.", PROMETHEUS_COUNTER},
        {"turnpike_endpoint_ejections_total", "Times that an endpoint was taken out of service by passive marking.", PROMETHEUS_COUNTER},
        {"turnpike_endpoint_in_service", "1 while an endpoint takes requests.", PROMETHEUS_GAUGE},
        {"turnpike_endpoint_in_flight", "Attempts at an endpoint under way.", PROMETHEUS_GAUGE},
    };
    for (unsigned i = 0; i < COUNT_OF(families); i++) {
        prometheus_family(writer, families[i].name, families[i].type, families[i].help);
        for (const struct endpoint *at = NULL; (at = endpoints_next(gateway->endpoints, at));) {
            const struct prometheus_label labels[] = {{"service", at->service}, {"endpoint", at->url}};
            const uint64_t values[] = {atomic_load(&at->requests), atomic_load(&at->failed), atomic_load(&at->ejections),
                                       !endpoint_is_ejected(at, gateway->control.loop.now_ms), (uint64_t)MAX_OF(atomic_load(&at->in_flight), 0)};
            prometheus_sample(writer, labels, COUNT_OF(labels), values[i]);
        }
    }
}

static void write_gauge(struct prometheus *writer, const char *name, const char *help, uint64_t value)
{
    prometheus_family(writer, name, PROMETHEUS_GAUGE, help);
    prometheus_sample(writer, NULL, 0, value);
}

static void write_process(struct prometheus *writer, const struct gateway *gateway)
{
    const struct snapshot *snapshot = gateway->snapshot;
    write_gauge(writer, "turnpike_config_version", "Number of the configuration in force.", snapshot->version);
    write_gauge(writer, "turnpike_config_snapshots", "Configurations in memory: the newest, and those that exchanges still use.", gateway->snapshots_alive);
    write_gauge(writer, "turnpike_config_routes", "Routes in force.", router_count(snapshot->router));
    write_gauge(writer, "turnpike_config_consumers", "Consumers in force.", consumer_set_count(snapshot->consumers));
    write_gauge(writer, "turnpike_buffer_bytes", "Memory of I/O buffers.", (uint64_t)MAX_OF(atomic_load(&gateway->budget.bytes), 0));
    write_gauge(writer, "turnpike_workers", "Worker threads.", gateway->workers_count);
}

/* Lines that the access log dropped are counted by its file; the export wants them among the fixed metrics. */
static void take_log_stats(const struct gateway *gateway)
{
    struct log_file_stats stats = {0};
    if (gateway->snapshot->log)
        log_file_read_stats(gateway->snapshot->log->file, &stats);
    metric_set(gateway->control.metrics, METRIC_LOG_LINES_DROPPED, stats.lines_dropped);
    metric_set(gateway->control.metrics, METRIC_LOG_BYTES_DROPPED, stats.bytes_dropped);
}

void admin_metrics(struct page *page)
{
    struct prometheus writer;
    struct text text;
    enum prometheus_format format = prometheus_choose(fields_get_known(&page->exchange->request.fields, NAME_ACCEPT));
    prometheus_init(&writer, format, METRICS_BYTES_MAX);
    take_log_stats(page->gateway);
    metrics_write(page->gateway->metrics, &writer);
    write_errors(&writer, page->gateway);
    write_limits(&writer, page->gateway);
    write_policies(&writer, page->gateway);
    write_endpoints(&writer, page->gateway);
    write_process(&writer, page->gateway);
    if (prometheus_finish(&writer, &text))
        page_put(page, text);
    else
        page->failed = true;
    page->content_type = prometheus_content_type(format);
    prometheus_release(&writer);
}
