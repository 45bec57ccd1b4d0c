/* The text formats, byte by byte. */
#include "telemetry_test.h"

#include <stdio.h>

#include "base/check.h"
#include "base/memory.h"
#include "telemetry/prometheus.h"

static void expect(struct prometheus *writer, const char *wanted)
{
    struct text text;
    assert_true(prometheus_finish(writer, &text));
    if (!text_equal(text, text_of(wanted)))
        fail_msg("%.*s", TEXT_ARGS(text));
    prometheus_release(writer);
}

static void counter_is_written_with_labels(void **state)
{
    (void)state;
    struct prometheus writer;
    prometheus_init(&writer, PROMETHEUS_TEXT, 1 << 20);
    prometheus_family(&writer, "a_total", PROMETHEUS_COUNTER, "Some as.");
    prometheus_sample(&writer, NULL, 0, 0);
    struct prometheus_label labels[] = {{"x", TEXT_INIT("1")}, {"y", TEXT_INIT("")}};
    prometheus_sample(&writer, labels, 1, 7);
    prometheus_sample(&writer, labels, 2, UINT64_MAX);
    expect(&writer, "# HELP a_total Some as.\n# TYPE a_total counter\n"
                    "a_total 0\na_total{x=\"1\"} 7\na_total{x=\"1\",y=\"\"} 18446744073709551615\n");
}

static void open_metrics_names_counters_without_total_and_ends_the_text(void **state)
{
    (void)state;
    struct prometheus writer;
    prometheus_init(&writer, PROMETHEUS_OPEN_METRICS, 1 << 20);
    prometheus_family(&writer, "a_total", PROMETHEUS_COUNTER, "Some as.");
    prometheus_sample(&writer, NULL, 0, 3);
    prometheus_family(&writer, "b", PROMETHEUS_GAUGE, "A b.");
    prometheus_sample_signed(&writer, NULL, 0, -3);
    expect(&writer, "# HELP a Some as.\n# TYPE a counter\na_total 3\n"
                    "# HELP b A b.\n# TYPE b gauge\nb -3\n# EOF\n");
}

static void label_values_are_escaped(void **state)
{
    (void)state;
    static const struct {
        struct text value;
        const char *escaped;
    } cases[] = {
        {TEXT_INIT("plain"), "plain"},
        {TEXT_INIT("a\"b\\c\nd"), "a\\\"b\\\\c\\nd"},
        {TEXT_INIT("\"\n"), "\\\"\\n"},
        {TEXT_INIT("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f"},
        {TEXT_INIT("\xf0\x9f\x9a\xa6"), "\xf0\x9f\x9a\xa6"},
        {TEXT_INIT("a\xff"
                   "b\xc3"),
         "a\xef\xbf\xbd"
         "b\xef\xbf\xbd"},
        {TEXT_INIT("\xc0\x80"), "\xef\xbf\xbd\xef\xbf\xbd"},
        {TEXT_INIT("a\0b\r\t\x7f"), "a\xef\xbf\xbd"
                                    "b\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {TEXT_INIT("\"} 1\nforged{x=\""), "\\\"} 1\\nforged{x=\\\""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct prometheus writer;
        char wanted[256];
        prometheus_init(&writer, PROMETHEUS_TEXT, 1 << 20);
        writer.family = "a";
        struct prometheus_label label = {"x", cases[i].value};
        prometheus_sample(&writer, &label, 1, 1);
        snprintf(wanted, sizeof wanted, "a{x=\"%s\"} 1\n", cases[i].escaped);
        expect(&writer, wanted);
    }
}

static void numbers_and_seconds_are_exact(void **state)
{
    (void)state;
    static const struct {
        int64_t value;
        const char *whole, *seconds;
    } cases[] = {
        {0, "0", "0"},
        {1, "1", "0.000000001"},
        {-1, "-1", "-0.000000001"},
        {1500000000, "1500000000", "1.5"},
        {-60000000000, "-60000000000", "-60"},
        {INT64_MAX, "9223372036854775807", "9223372036.854775807"},
        {INT64_MIN, "-9223372036854775808", "-9223372036.854775808"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct prometheus writer;
        char wanted[128];
        prometheus_init(&writer, PROMETHEUS_TEXT, 1 << 20);
        writer.family = "a";
        prometheus_sample_signed(&writer, NULL, 0, cases[i].value);
        prometheus_sample_seconds(&writer, NULL, 0, cases[i].value);
        snprintf(wanted, sizeof wanted, "a %s\na %s\n", cases[i].whole, cases[i].seconds);
        expect(&writer, wanted);
    }
}

static void write_histogram(struct prometheus *writer, enum prometheus_format format,
                            const struct prometheus_label *label)
{
    struct histogram_total total = {.buckets = {[0] = 2, [7] = 1, [HISTOGRAM_BOUNDS] = 4},
                                    .sum_ns = 250000000000};
    prometheus_init(writer, format, 1 << 20);
    prometheus_family(writer, "d_seconds", PROMETHEUS_HISTOGRAM, "D.");
    prometheus_sample_histogram(writer, label, label ? 1 : 0, &total);
}

static void histogram_is_cumulative_in_seconds(void **state)
{
    (void)state;
    struct prometheus writer;
    struct prometheus_label label = {"r", TEXT_INIT("x")};
    write_histogram(&writer, PROMETHEUS_TEXT, &label);
    expect(
        &writer,
        "# HELP d_seconds D.\n# TYPE d_seconds histogram\n"
        "d_seconds_bucket{r=\"x\",le=\"0.000005\"} 2\nd_seconds_bucket{r=\"x\",le=\"0.00001\"} 2\n"
        "d_seconds_bucket{r=\"x\",le=\"0.000025\"} 2\nd_seconds_bucket{r=\"x\",le=\"0.00005\"} 2\n"
        "d_seconds_bucket{r=\"x\",le=\"0.0001\"} 2\nd_seconds_bucket{r=\"x\",le=\"0.00025\"} 2\n"
        "d_seconds_bucket{r=\"x\",le=\"0.0005\"} 2\nd_seconds_bucket{r=\"x\",le=\"0.001\"} 3\n"
        "d_seconds_bucket{r=\"x\",le=\"0.0025\"} 3\nd_seconds_bucket{r=\"x\",le=\"0.005\"} 3\n"
        "d_seconds_bucket{r=\"x\",le=\"0.01\"} 3\nd_seconds_bucket{r=\"x\",le=\"0.025\"} 3\n"
        "d_seconds_bucket{r=\"x\",le=\"0.05\"} 3\nd_seconds_bucket{r=\"x\",le=\"0.1\"} 3\n"
        "d_seconds_bucket{r=\"x\",le=\"0.25\"} 3\nd_seconds_bucket{r=\"x\",le=\"0.5\"} 3\n"
        "d_seconds_bucket{r=\"x\",le=\"1\"} 3\nd_seconds_bucket{r=\"x\",le=\"2.5\"} 3\n"
        "d_seconds_bucket{r=\"x\",le=\"5\"} 3\nd_seconds_bucket{r=\"x\",le=\"10\"} 3\n"
        "d_seconds_bucket{r=\"x\",le=\"30\"} 3\nd_seconds_bucket{r=\"x\",le=\"60\"} 3\n"
        "d_seconds_bucket{r=\"x\",le=\"+Inf\"} 7\nd_seconds_sum{r=\"x\"} 250\nd_seconds_count{r=\"x\"} 7\n");
}

static void bounds_of_open_metrics_are_floats(void **state)
{
    (void)state;
    struct prometheus writer;
    struct text text;
    write_histogram(&writer, PROMETHEUS_OPEN_METRICS, NULL);
    assert_true(prometheus_finish(&writer, &text));
    assert_int_not_equal(text_find(text, TEXT("d_seconds_bucket{le=\"1.0\"} 3\n")), TEXT_NONE);
    assert_int_not_equal(text_find(text, TEXT("d_seconds_bucket{le=\"0.0001\"} 2\n")), TEXT_NONE);
    assert_int_not_equal(text_find(text, TEXT("d_seconds_count 7\n# EOF\n")), TEXT_NONE);
    prometheus_release(&writer);
}

static void accept_field_chooses_the_format(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        enum prometheus_format format;
    } cases[] = {
        {"", PROMETHEUS_TEXT},
        {"*/*", PROMETHEUS_TEXT},
        {"text/plain;version=0.0.4", PROMETHEUS_TEXT},
        {"application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
         PROMETHEUS_OPEN_METRICS},
        {"text/plain, Application/OpenMetrics-Text ; version=1.0.0", PROMETHEUS_OPEN_METRICS},
        {"application/openmetrics-text; q=0", PROMETHEUS_TEXT},
        {"application/openmetrics-text; q=zero", PROMETHEUS_TEXT},
        {"application/openmetrics-text; q=0.000, */*", PROMETHEUS_TEXT},
        {"application/openmetrics-textual", PROMETHEUS_TEXT},
        {",;,;=,", PROMETHEUS_TEXT},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(prometheus_choose(text_of(cases[i].accept)), cases[i].format);
    assert_true(
        text_starts_with(prometheus_content_type(PROMETHEUS_TEXT), TEXT("text/plain; version=0.0.4")));
    assert_true(text_starts_with(prometheus_content_type(PROMETHEUS_OPEN_METRICS),
                                 TEXT("application/openmetrics-text;")));
}

static void limit_fails_the_whole_export(void **state)
{
    (void)state;
    for (size_t limit = 0; limit < 3; limit++) {
        struct prometheus writer;
        struct text text;
        prometheus_init(&writer, PROMETHEUS_TEXT, limit);
        writer.family = "a";
        prometheus_sample(&writer, NULL, 0, 1); /* four bytes */
        assert_false(prometheus_finish(&writer, &text));
        prometheus_release(&writer);
    }
    struct prometheus writer;
    prometheus_init(&writer, PROMETHEUS_TEXT, 4);
    writer.family = "a";
    prometheus_sample(&writer, NULL, 0, 1);
    expect(&writer, "a 1\n");
}

static void growing_keeps_what_was_written_and_fails_without_memory(void **state)
{
    (void)state;
    struct prometheus writer;
    struct text text;
    prometheus_init(&writer, PROMETHEUS_TEXT, 1 << 20);
    writer.family = "abcdefghijklm";
    for (int i = 0; i < 10000; i++)
        prometheus_sample(&writer, NULL, 0, 1);
    assert_true(prometheus_finish(&writer, &text));
    assert_int_equal(text.size, 160000);
    for (size_t i = 0; i < text.size; i += 16)
        assert_memory_equal(text.at + i, "abcdefghijklm 1\n", 16);
    prometheus_release(&writer);
    prometheus_init(&writer, PROMETHEUS_TEXT, 1 << 20);
    writer.family = "a";
    memory_fail_at(1);
    prometheus_sample(&writer, NULL, 0, 1);
    memory_fail_at(0);
    assert_false(prometheus_finish(&writer, &text));
    prometheus_release(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counter_is_written_with_labels),
        cmocka_unit_test(open_metrics_names_counters_without_total_and_ends_the_text),
        cmocka_unit_test(label_values_are_escaped),
        cmocka_unit_test(numbers_and_seconds_are_exact),
        cmocka_unit_test(histogram_is_cumulative_in_seconds),
        cmocka_unit_test(bounds_of_open_metrics_are_floats),
        cmocka_unit_test(accept_field_chooses_the_format),
        cmocka_unit_test(limit_fails_the_whole_export),
        cmocka_unit_test(growing_keeps_what_was_written_and_fails_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
