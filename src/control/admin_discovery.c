/* Where endpoints come from, on the status page and among the metrics. */
#include "base/check.h"
#include "base/time.h"
#include "control/admin.h"
#include "telemetry/prometheus.h"
#include "upstream/discover.h"

/* --- the status page --- */

/* How long ago the source last gave a good answer. */
void admin_put_age(struct page *page, const struct source *source)
{
    if (source && source->answered_ms)
        page_format(page, ",\"age_ms\":%lld",
                    (long long)MAX_OF(page->gateway->control.loop.now_ms - source->answered_ms, 0));
}

static void put_source(struct page *page, const struct source *source, const char *before)
{
    int64_t now_ms = page->gateway->control.loop.now_ms;
    page_put(page, text_of(before));
    page_put(page, TEXT("{\"source\":"));
    page_string(page, source->key);
    page_format(page, ",\"state\":\"%s\",\"endpoints\":%u",
                !source->settled            ? "waiting"
                : source->failures_in_a_row ? source->answered_ms ? "stale" : "failed"
                                            : "fresh",
                source->found_count + source->specs_count);
    admin_put_age(page, source);
    if (source->next_ms)
        page_format(page, ",\"next_ms\":%lld", (long long)MAX_OF(source->next_ms - now_ms, 0));
    page_format(page, ",\"answers\":%llu,\"failures\":%llu,\"changes\":%llu,\"reason\":",
                (unsigned long long)source->answers, (unsigned long long)source->failures,
                (unsigned long long)source->changes);
    page_string(page, text_of(source->reason));
    page_put(page, TEXT("}"));
}

void admin_put_sources(struct page *page)
{
    const char *before = "";
    page_put(page, TEXT(",\"sources\":["));
    for (const struct source *at = NULL; (at = discovery_next(page->gateway->discovery, at)); before = ",")
        put_source(page, at, before);
    page_put(page, TEXT("]"));
}

/* --- metrics --- */

static uint64_t known_of(const struct source *at, int64_t now_ms)
{
    (void)now_ms;
    return at->found_count + at->specs_count;
}

static uint64_t answers_of(const struct source *at, int64_t now_ms)
{
    (void)now_ms;
    return at->answers;
}

static uint64_t source_failures_of(const struct source *at, int64_t now_ms)
{
    (void)now_ms;
    return at->failures;
}

static uint64_t changes_of(const struct source *at, int64_t now_ms)
{
    (void)now_ms;
    return at->changes;
}

static uint64_t age_of(const struct source *at, int64_t now_ms)
{
    return at->answered_ms ? (uint64_t)MAX_OF(now_ms - at->answered_ms, 0) / MS_PER_SECOND : 0;
}

void admin_write_sources(struct prometheus *writer, const struct gateway *gateway)
{
    static const struct {
        const char *name, *help;
        enum prometheus_type type;
        uint64_t (*value)(const struct source *at, int64_t now_ms);
    } families[] = {
        {"turnpike_discovery_endpoints", "Endpoints that a name or file stands for.", PROMETHEUS_GAUGE,
         known_of},
        {"turnpike_discovery_age_seconds", "Time since a name or file last gave a good answer; 0: never.",
         PROMETHEUS_GAUGE, age_of},
        {"turnpike_discovery_answers_total", "Good answers of a name or file.", PROMETHEUS_COUNTER,
         answers_of},
        {"turnpike_discovery_failures_total", "Failures to ask for a name or to read a file.",
         PROMETHEUS_COUNTER, source_failures_of},
        {"turnpike_discovery_changes_total", "Times that a name or file gave other endpoints than before.",
         PROMETHEUS_COUNTER, changes_of},
    };
    static const struct prometheus_label overflow = {"source", TEXT_INIT("_overflow")};
    int64_t now_ms = gateway->control.loop.now_ms, series_max = gateway->snapshot->settings.series_max;
    for (unsigned i = 0; i < COUNT_OF(families); i++) {
        int64_t series = 0;
        uint64_t rest = 0;
        prometheus_family(writer, families[i].name, families[i].type, families[i].help);
        for (const struct source *at = NULL; (at = discovery_next(gateway->discovery, at)); series++) {
            const struct prometheus_label label = {"source", at->key};
            if (series < series_max)
                prometheus_sample(writer, &label, 1, families[i].value(at, now_ms));
            else
                rest += families[i].value(at, now_ms);
        }
        if (series > series_max)
            prometheus_sample(writer, &overflow, 1, rest);
    }
}
