/* Which metric families there are for a scraper: the fixed ones of metrics.def, then those of the series. */
#include "telemetry/metrics.h"
#include "telemetry/prometheus.h"

static void write_fixed(const struct metrics *metrics, struct prometheus *writer, enum metric_id id)
{
    const struct metric_about *about = &metric_abouts[id];
    uint64_t total = metric_total(metrics, id);
    switch (about->kind) {
    case METRIC_KIND_COUNTER:
        prometheus_family(writer, about->name, PROMETHEUS_COUNTER, about->help);
        prometheus_sample(writer, NULL, 0, total);
        break;
    case METRIC_KIND_GAUGE:
        prometheus_family(writer, about->name, PROMETHEUS_GAUGE, about->help);
        prometheus_sample_signed(writer, NULL, 0, (int64_t)total);
        break;
    }
}

enum { LABEL_ROUTE, LABEL_SERVICE, LABEL_STATUS, LABELS_COUNT, NAME_LABELS_COUNT = LABEL_STATUS };

static void write_requests(struct prometheus *writer, struct prometheus_label labels[LABELS_COUNT],
                           const struct series_total *total)
{
    static const char *const classes[SERIES_STATUSES] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    for (int i = 0; i < SERIES_STATUSES; i++) {
        if (!total->requests[i])
            continue;
        labels[LABEL_STATUS] = (struct prometheus_label){"status", text_of(classes[i])};
        prometheus_sample(writer, labels, LABELS_COUNT, total->requests[i]);
    }
}

static void write_bytes_in(struct prometheus *writer, struct prometheus_label labels[LABELS_COUNT],
                           const struct series_total *total)
{
    prometheus_sample(writer, labels, NAME_LABELS_COUNT, total->bytes_in);
}

static void write_bytes_out(struct prometheus *writer, struct prometheus_label labels[LABELS_COUNT],
                            const struct series_total *total)
{
    prometheus_sample(writer, labels, NAME_LABELS_COUNT, total->bytes_out);
}

/* Of routes that have used their service. */
static void write_attempts(struct prometheus *writer, struct prometheus_label labels[LABELS_COUNT],
                           const struct series_total *total)
{
    if (total->attempts)
        prometheus_sample(writer, labels, NAME_LABELS_COUNT, total->attempts);
}

static void write_failures(struct prometheus *writer, struct prometheus_label labels[LABELS_COUNT],
                           const struct series_total *total)
{
    if (total->attempts)
        prometheus_sample(writer, labels, NAME_LABELS_COUNT, total->failures);
}

static void write_retries(struct prometheus *writer, struct prometheus_label labels[LABELS_COUNT],
                          const struct series_total *total)
{
    if (total->attempts)
        prometheus_sample(writer, labels, NAME_LABELS_COUNT, total->retries);
}

static void write_duration(struct prometheus *writer, struct prometheus_label labels[LABELS_COUNT],
                           const struct series_total *total)
{
    prometheus_sample_histogram(writer, labels, NAME_LABELS_COUNT, &total->total);
}

static void write_upstream_duration(struct prometheus *writer, struct prometheus_label labels[LABELS_COUNT],
                                    const struct series_total *total)
{
    if (total->upstream.count)
        prometheus_sample_histogram(writer, labels, NAME_LABELS_COUNT, &total->upstream);
}

static void write_own_duration(struct prometheus *writer, struct prometheus_label labels[LABELS_COUNT],
                               const struct series_total *total)
{
    prometheus_sample_histogram(writer, labels, NAME_LABELS_COUNT, &total->own);
}

static void write_queue_duration(struct prometheus *writer, struct prometheus_label labels[LABELS_COUNT],
                                 const struct series_total *total)
{
    prometheus_sample_histogram(writer, labels, NAME_LABELS_COUNT, &total->queued);
}

/* Of routes with policies that have waited. */
static void write_wait_duration(struct prometheus *writer, struct prometheus_label labels[LABELS_COUNT],
                                const struct series_total *total)
{
    if (total->waited.count)
        prometheus_sample_histogram(writer, labels, NAME_LABELS_COUNT, &total->waited);
}

static const struct family {
    const char *name, *help;
    enum prometheus_type type;
    void (*write)(struct prometheus *writer, struct prometheus_label labels[LABELS_COUNT],
                  const struct series_total *total);
} families[] = {
    {"turnpike_requests_total",
     "Exchanges that ended, by class of the response's status; `none`: without one.", PROMETHEUS_COUNTER,
     write_requests},
    {"turnpike_request_bytes_total", "Bytes of request bodies read from clients.", PROMETHEUS_COUNTER,
     write_bytes_in},
    {"turnpike_response_bytes_total", "Bytes of response bodies sent to clients.", PROMETHEUS_COUNTER,
     write_bytes_out},
    {"turnpike_request_duration_seconds",
     "From the complete head of a request to the last byte of its response.", PROMETHEUS_HISTOGRAM,
     write_duration},
    {"turnpike_upstream_duration_seconds", "From the choice of an endpoint to the head of its answer.",
     PROMETHEUS_HISTOGRAM, write_upstream_duration},
    {"turnpike_gateway_duration_seconds",
     "The gateway's own share: its work for an exchange, and the exchange's waiting for its turn.",
     PROMETHEUS_HISTOGRAM, write_own_duration},
    {"turnpike_queue_duration_seconds", "The part of the gateway's own share that was waiting for a turn.",
     PROMETHEUS_HISTOGRAM, write_queue_duration},
    {"turnpike_policy_wait_seconds", "What policies of an exchange waited for others, where one did.",
     PROMETHEUS_HISTOGRAM, write_wait_duration},
    {"turnpike_upstream_requests_total", "Attempts of exchanges at endpoints, retries included.",
     PROMETHEUS_COUNTER, write_attempts},
    {"turnpike_upstream_failures_total", "Attempts of exchanges at endpoints that failed.",
     PROMETHEUS_COUNTER, write_failures},
    {"turnpike_upstream_retries_total", "Attempts after the first of an exchange.", PROMETHEUS_COUNTER,
     write_retries},
};

/* Samples of a family must stand together, so each family walks all series. */
static void write_family(const struct metrics *metrics, struct prometheus *writer,
                         const struct family *family)
{
    prometheus_family(writer, family->name, family->type, family->help);
    uint32_t cursor = 0;
    for (const struct metric_series *series; (series = series_next(metrics, &cursor));) {
        struct series_total total;
        series_sum(metrics, series, &total);
        if (!total.total.count)
            continue;
        struct prometheus_label labels[LABELS_COUNT] = {
            [LABEL_ROUTE] = {"route", series->route},
            [LABEL_SERVICE] = {"service", series->service},
        };
        family->write(writer, labels, &total);
    }
}

void metrics_write(const struct metrics *metrics, struct prometheus *writer)
{
    for (int id = 0; id < METRIC_IDS_COUNT; id++)
        write_fixed(metrics, writer, (enum metric_id)id);
    for (size_t i = 0; i < COUNT_OF(families); i++)
        write_family(metrics, writer, &families[i]);
}
