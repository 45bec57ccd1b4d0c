/* The text formats of Prometheus (exposition format 0.0.4) and OpenMetrics 1.0. */
#include "telemetry/prometheus.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/time.h"

enum { CAPACITY_FIRST = 16 * 1024, NUMBER_SIZE = 32 };

enum prometheus_format prometheus_choose(struct text accept)
{
    for (struct text rest = accept; rest.at;) {
        struct text range = text_split(&rest, ',');
        struct text type = text_trim(text_split(&range, ';'));
        bool wanted = text_equal_nocase(type, TEXT("application/openmetrics-text"));
        while (wanted && range.at) {
            struct text parameter = text_trim(text_split(&range, ';'));
            double quality;
            if (text_starts_with_nocase(parameter, TEXT("q="))
                && (!text_to_double(text_slice(parameter, 2, parameter.size), &quality) || quality <= 0))
                wanted = false;
        }
        if (wanted)
            return PROMETHEUS_OPEN_METRICS;
    }
    return PROMETHEUS_TEXT;
}

struct text prometheus_content_type(enum prometheus_format format)
{
    return format == PROMETHEUS_OPEN_METRICS
               ? TEXT("application/openmetrics-text; version=1.0.0; charset=utf-8")
               : TEXT("text/plain; version=0.0.4; charset=utf-8");
}

void prometheus_init(struct prometheus *writer, enum prometheus_format format, size_t bytes_max)
{
    *writer = (struct prometheus){.format = format, .limit = bytes_max};
}

void prometheus_release(struct prometheus *writer)
{
    memory_free(writer->at);
    writer->at = NULL;
    writer->size = writer->capacity = 0;
}

/* Room for `size` more bytes; false: the export has failed. */
static bool grow(struct prometheus *writer, size_t size)
{
    if (writer->failed)
        return false;
    if (size <= writer->capacity - writer->size)
        return true;
    size_t wanted = MAX_OF(writer->capacity * 2, (size_t)CAPACITY_FIRST);
    wanted = MIN_OF(MAX_OF(wanted, writer->size + size), writer->limit);
    char *at = wanted - writer->size >= size ? memory_resize(writer->at, wanted) : NULL;
    if (!at) {
        writer->failed = true;
        return false;
    }
    writer->at = at;
    writer->capacity = wanted;
    return true;
}

static void add(struct prometheus *writer, struct text text)
{
    if (!text.size || !grow(writer, text.size))
        return;
    memcpy(writer->at + writer->size, text.at, text.size);
    writer->size += text.size;
}

/* Decimal digits at the end of `to`. */
static struct text decimal(uint64_t value, char to[NUMBER_SIZE])
{
    char *at = to + NUMBER_SIZE;
    do
        *--at = (char)('0' + value % 10);
    while (value /= 10);
    return (struct text){at, (size_t)(to + NUMBER_SIZE - at)};
}

static void add_number(struct prometheus *writer, uint64_t value)
{
    char number[NUMBER_SIZE];
    add(writer, decimal(value, number));
}

/* Seconds with the decimals that they need, at least `decimals_min`. */
static void add_seconds(struct prometheus *writer, uint64_t ns, int decimals_min)
{
    add_number(writer, ns / NS_PER_SECOND);
    char fraction[10] = ".";
    uint64_t rest = ns % NS_PER_SECOND;
    for (int i = 9; i > 0; i--, rest /= 10)
        fraction[i] = (char)('0' + rest % 10);
    size_t size = 10;
    while (size > (size_t)decimals_min + 1 && fraction[size - 1] == '0')
        size--;
    if (size > 1)
        add(writer, (struct text){fraction, size});
}

/* Bytes of the well-formed UTF-8 character at the front; 0: malformed. */
static size_t character_size(struct text text)
{
    for (size_t size = 1; size <= 4 && size <= text.size; size++)
        if (text_is_utf8(text_slice(text, 0, size)))
            return size;
    return 0;
}

/* Escapes backslash, newline and quote, and replaces what would make a scraper refuse everything: control
 * bytes, malformed UTF-8. */
static void add_escaped(struct prometheus *writer, struct text value)
{
    size_t plain = 0; /* bytes at the front that need nothing */
    while (value.size > plain) {
        unsigned char c = (unsigned char)value.at[plain];
        size_t size = c >= 0x80 ? character_size(text_slice(value, plain, value.size)) : 1;
        if (size > 0 && c >= 0x20 && c != 0x7f && c != '"' && c != '\\') {
            plain += size;
            continue;
        }
        add(writer, text_slice(value, 0, plain));
        if (c == '"')
            add(writer, TEXT("\\\""));
        else if (c == '\\')
            add(writer, TEXT("\\\\"));
        else
            add(writer, c == '\n' ? TEXT("\\n") : TEXT("\xef\xbf\xbd")); /* U+FFFD */
        value = text_slice(value, plain + 1, value.size);
        plain = 0;
    }
    add(writer, value);
}

void prometheus_family(struct prometheus *writer, const char *name, enum prometheus_type type,
                       const char *help)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    writer->family = name;
    writer->type = type;
    struct text shown = text_of(name);
    if (writer->format == PROMETHEUS_OPEN_METRICS && type == PROMETHEUS_COUNTER
        && text_ends_with(shown, TEXT("_total")))
        shown.size -= 6; /* there the family is named without it, and its samples with it */
    add(writer, TEXT("# HELP "));
    add(writer, shown);
    add(writer, TEXT(" "));
    add(writer, text_of(help)); /* ours: without newlines and backslashes */
    add(writer, TEXT("\n# TYPE "));
    add(writer, shown);
    add(writer, TEXT(" "));
    add(writer, text_of(types[type]));
    add(writer, TEXT("\n"));
}

static void add_label(struct prometheus *writer, const char *name, struct text value)
{
    add(writer, text_of(name));
    add(writer, TEXT("=\""));
    add_escaped(writer, value);
    add(writer, TEXT("\""));
}

/* Name and labels of a sample, up to the space before the value; `bound_ns` 0: no "le", UINT64_MAX:
 * "+Inf". */
static void add_series(struct prometheus *writer, struct text suffix, const struct prometheus_label *labels,
                       size_t count, uint64_t bound_ns)
{
    add(writer, text_of(writer->family));
    add(writer, suffix);
    if (count > 0 || bound_ns)
        add(writer, TEXT("{"));
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            add(writer, TEXT(","));
        add_label(writer, labels[i].name, labels[i].value);
    }
    if (bound_ns) {
        add(writer, count > 0 ? TEXT(",le=\"") : TEXT("le=\""));
        if (bound_ns == UINT64_MAX)
            add(writer, TEXT("+Inf"));
        else
            add_seconds(writer, bound_ns, writer->format == PROMETHEUS_OPEN_METRICS);
        add(writer, TEXT("\""));
    }
    add(writer, count > 0 || bound_ns ? TEXT("} ") : TEXT(" "));
}

void prometheus_sample(struct prometheus *writer, const struct prometheus_label *labels, size_t labels_count,
                       uint64_t value)
{
    add_series(writer, TEXT(""), labels, labels_count, 0);
    add_number(writer, value);
    add(writer, TEXT("\n"));
}

static uint64_t add_sign(struct prometheus *writer, int64_t value)
{
    if (value >= 0)
        return (uint64_t)value;
    add(writer, TEXT("-"));
    return -(uint64_t)value;
}

void prometheus_sample_signed(struct prometheus *writer, const struct prometheus_label *labels,
                              size_t labels_count, int64_t value)
{
    add_series(writer, TEXT(""), labels, labels_count, 0);
    add_number(writer, add_sign(writer, value));
    add(writer, TEXT("\n"));
}

void prometheus_sample_seconds(struct prometheus *writer, const struct prometheus_label *labels,
                               size_t labels_count, int64_t ns)
{
    add_series(writer, TEXT(""), labels, labels_count, 0);
    add_seconds(writer, add_sign(writer, ns), 0);
    add(writer, TEXT("\n"));
}

void prometheus_sample_histogram(struct prometheus *writer, const struct prometheus_label *labels,
                                 size_t labels_count, const struct histogram_total *histogram)
{
    uint64_t count = 0; /* cumulative */
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
        count += histogram->buckets[i];
        add_series(writer, TEXT("_bucket"), labels, labels_count, histogram_bounds_ns[i]);
        add_number(writer, count);
        add(writer, TEXT("\n"));
    }
    add_series(writer, TEXT("_sum"), labels, labels_count, 0);
    add_seconds(writer, histogram->sum_ns, 0);
    add(writer, TEXT("\n"));
    add_series(writer, TEXT("_count"), labels, labels_count, 0);
    add_number(writer, count);
    add(writer, TEXT("\n"));
}

bool prometheus_finish(struct prometheus *writer, struct text *ret_text)
{
    if (writer->format == PROMETHEUS_OPEN_METRICS)
        add(writer, TEXT("# EOF\n"));
    if (writer->failed)
        return false;
    *ret_text = (struct text){writer->at, writer->size};
    return true;
}
