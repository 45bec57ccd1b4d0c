/* The metrics page: what telemetry counts, and what only this process can tell. A scrape reads the workers' counters; it never touches
 * them. Every family is described in docs/manual/metrics.md. */
#include "base/check.h"
#include "control/admin.h"
#include "proxy/listener_state.h"
#include "telemetry/prometheus.h"

enum { METRICS_BYTES_MAX = 32 << 20 };

static uint64_t sum(const struct gateway *gateway, size_t offset)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < gateway->workers_count; i++) {
        const char *counts = (const char *)&gateway->workers[i].counts;
        total += atomic_load_explicit((const _Atomic uint64_t *)(const void *)(counts + offset),
                                      memory_order_relaxed);
    }
    return total;
}

/* --- listeners --- */

static void write_connections(struct prometheus *writer, const struct gateway *gateway)
{
    const struct snapshot *snapshot = gateway->snapshot;
    prometheus_family(writer, "turnpike_connections", PROMETHEUS_GAUGE, "Client connections open now.");
    for (size_t i = 0; i < snapshot->listeners_count; i++) {
        const struct prometheus_label label = {"listener", snapshot->listeners[i]->name};
        prometheus_sample_signed(writer, &label, 1, atomic_load(&snapshot->listeners[i]->state->connections));
    }
    prometheus_family(writer, "turnpike_connections_total", PROMETHEUS_COUNTER,
                      "Client connections that were accepted.");
    for (size_t i = 0; i < snapshot->listeners_count; i++) {
        const struct prometheus_label label = {"listener", snapshot->listeners[i]->name};
        prometheus_sample(writer, &label, 1, atomic_load(&snapshot->listeners[i]->state->accepted));
    }
}

static void write_limits(struct prometheus *writer, const struct gateway *gateway)
{
    const struct snapshot *snapshot = gateway->snapshot;
    prometheus_family(writer, "turnpike_limits_reached_total", PROMETHEUS_COUNTER,
                      "Times that a limit was reached, by listener and limit.");
    for (size_t i = 0; i < snapshot->listeners_count; i++) {
        const struct listener_config *listener = snapshot->listeners[i];
        for (unsigned limit = 0; limit < LIMITS_COUNT; limit++) {
            const struct prometheus_label labels[] = {{"listener", listener->name},
                                                      {"limit", text_of(limit_names[limit])}};
            prometheus_sample(writer, labels, COUNT_OF(labels), atomic_load(&listener->state->limits[limit]));
        }
    }
}

/* --- exchanges --- */

static void write_errors(struct prometheus *writer, const struct gateway *gateway)
{
    prometheus_family(writer, "turnpike_errors_total", PROMETHEUS_COUNTER,
                      "Exchanges that were not simply answered by their service, by kind.");
    for (unsigned i = 1; i < ERRORS_COUNT; i++) {
        const struct prometheus_label label = {"kind", exchange_error_text((enum exchange_error)i)};
        prometheus_sample(writer, &label, 1, sum(gateway, offsetof(struct worker_counts, errors[i])));
    }
}

static void write_verdicts(struct prometheus *writer, const struct gateway *gateway)
{
    static const char *const verdicts[] = {"next", "respond", "drop", "fault", "wait", "skipped"};
    static_assert(COUNT_OF(verdicts) == VERDICT_COUNTS, "a name for each verdict");
    prometheus_family(writer, "turnpike_policy_verdicts_total", PROMETHEUS_COUNTER, "What policies decided.");
    for (size_t i = 0; i < policies_count; i++) {
        for (unsigned k = 0; k < VERDICT_COUNTS; k++) {
            uint64_t count = sum(gateway, offsetof(struct worker_counts, policy[i][k]));
            const struct prometheus_label labels[] = {{"policy", text_of(policies[i]->name)},
                                                      {"verdict", text_of(verdicts[k])}};
            if (count > 0)
                prometheus_sample(writer, labels, COUNT_OF(labels), count);
        }
    }
}

static void write_policy_times(struct prometheus *writer, const struct gateway *gateway)
{
    prometheus_family(writer, "turnpike_policy_seconds_total", PROMETHEUS_COUNTER,
                      "Time of the runs of policy hooks that were timed.");
    for (size_t i = 0; i < policies_count; i++) {
        uint64_t ns = sum(gateway, offsetof(struct worker_counts, policy_ns[i]));
        const struct prometheus_label label = {"policy", text_of(policies[i]->name)};
        if (ns > 0)
            prometheus_sample_seconds(writer, &label, 1, (int64_t)ns);
    }
    prometheus_family(writer, "turnpike_policy_samples_total", PROMETHEUS_COUNTER,
                      "Runs of policy hooks that were timed: one in 64.");
    for (size_t i = 0; i < policies_count; i++) {
        uint64_t samples = sum(gateway, offsetof(struct worker_counts, policy_samples[i]));
        const struct prometheus_label label = {"policy", text_of(policies[i]->name)};
        if (samples > 0)
            prometheus_sample(writer, &label, 1, samples);
    }
}

/* --- connections to endpoints --- */

static void write_pools(struct prometheus *writer, const struct gateway *gateway)
{
    uint64_t open = 0, opened = 0, reused = 0;
    for (unsigned i = 0; i < gateway->workers_count; i++) {
        const struct upstream_worker *upstream = &gateway->workers[i].upstream;
        open += atomic_load_explicit(&upstream->open_count, memory_order_relaxed);
        opened += atomic_load_explicit(&upstream->opened, memory_order_relaxed);
        reused += atomic_load_explicit(&upstream->reused, memory_order_relaxed);
    }
    admin_write_gauge(writer, "turnpike_upstream_connections",
                      "Connections to endpoints open now, in use or idle.", open);
    admin_write_counter(writer, "turnpike_upstream_connections_opened_total",
                        "Connections to endpoints that were opened.", opened);
    admin_write_counter(writer, "turnpike_upstream_connections_reused_total",
                        "Attempts that found an open connection.", reused);
}

/* --- the page --- */

void admin_write_gauge(struct prometheus *writer, const char *name, const char *help, uint64_t value)
{
    prometheus_family(writer, name, PROMETHEUS_GAUGE, help);
    prometheus_sample(writer, NULL, 0, value);
}

void admin_write_counter(struct prometheus *writer, const char *name, const char *help, uint64_t value)
{
    prometheus_family(writer, name, PROMETHEUS_COUNTER, help);
    prometheus_sample(writer, NULL, 0, value);
}

static void write_all(struct prometheus *writer, const struct gateway *gateway)
{
    metrics_write(gateway->metrics, writer);
    write_connections(writer, gateway);
    write_limits(writer, gateway);
    write_errors(writer, gateway);
    write_verdicts(writer, gateway);
    write_policy_times(writer, gateway);
    admin_write_health(writer, gateway);
    admin_write_sources(writer, gateway);
    write_pools(writer, gateway);
    admin_write_tls(writer, gateway);
    admin_write_services(writer, gateway);
    admin_write_process(writer, gateway);
}

void admin_metrics(struct page *page)
{
    struct prometheus writer;
    struct text text;
    enum prometheus_format format =
        prometheus_choose(fields_get_known(&page->exchange->request.fields, NAME_ACCEPT));
    prometheus_init(&writer, format, METRICS_BYTES_MAX);
    write_all(&writer, page->gateway);
    if (prometheus_finish(&writer, &text))
        page_put(page, text);
    else
        page->failed = true;
    page->content_type = prometheus_content_type(format);
    prometheus_release(&writer);
}
