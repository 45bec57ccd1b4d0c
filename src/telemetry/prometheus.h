/* Writes metrics as text for Prometheus: the text format 0.0.4, or OpenMetrics 1.0 when the scraper asks for
 * it.
 *
 * Order of calls: init, then for each family prometheus_family() and its samples, then finish, then release.
 * What does not fit the limit fails the whole export (a cut one would be read as series that vanished). Names
 * come from us; label values may hold any bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "telemetry/histogram.h"

enum prometheus_format { PROMETHEUS_TEXT, PROMETHEUS_OPEN_METRICS };
enum prometheus_type { PROMETHEUS_COUNTER, PROMETHEUS_GAUGE, PROMETHEUS_HISTOGRAM };

struct prometheus_label {
    const char *name;
    struct text value;
};

struct prometheus {
    enum prometheus_format format;
    char *at; /* heap */
    size_t size, capacity, limit;
    bool failed;        /* no memory, or over the limit */
    const char *family; /* the name that samples get */
    enum prometheus_type type;
};

/* By the request's Accept field: OpenMetrics if it names application/openmetrics-text. */
enum prometheus_format prometheus_choose(struct text accept);
struct text prometheus_content_type(enum prometheus_format format);

void prometheus_init(struct prometheus *writer, enum prometheus_format format, size_t bytes_max);
void prometheus_release(struct prometheus *writer);

/* `name` (which must outlive the samples) is the full one: a counter's ends in _total. */
void prometheus_family(struct prometheus *writer, const char *name, enum prometheus_type type,
                       const char *help);

void prometheus_sample(struct prometheus *writer, const struct prometheus_label *labels, size_t labels_count,
                       uint64_t value);
/* Gauges that may be below zero, and times: written in seconds with as many decimals as needed. */
void prometheus_sample_signed(struct prometheus *writer, const struct prometheus_label *labels,
                              size_t labels_count, int64_t value);
void prometheus_sample_seconds(struct prometheus *writer, const struct prometheus_label *labels,
                               size_t labels_count, int64_t ns);
/* Buckets, sum (in seconds) and count of a histogram family. */
void prometheus_sample_histogram(struct prometheus *writer, const struct prometheus_label *labels,
                                 size_t labels_count, const struct histogram_total *histogram);

/* Ends the text. False: it failed. The text is the writer's until its release. */
bool prometheus_finish(struct prometheus *writer, struct text *ret_text);
