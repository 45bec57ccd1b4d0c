/* What the tests of snapshots share: the tables that they are built with, and documents from YAML. */
#pragma once

#include "unit.h"

#include <stdio.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/states.h"
#include "proxy/snapshot.h"
#include "telemetry/metrics.h"
#include "upstream/endpoint.h"

/* The policy that lists may hold here. */
struct mark_config {
    int64_t number;
};
static const struct field mark_fields[] = {
    FIELD_INTEGER(struct mark_config, number, "number", "0", 0, 100, "A number."),
    FIELD_END,
};
static const struct policy policy_mark = {.name = "mark",
                                          .summary = "Does nothing.",
                                          .stage = STAGE_ACCESS,
                                          .fields = mark_fields,
                                          .config_size = sizeof(struct mark_config)};
const struct policy *const policies[] = {&policy_mark};
const size_t policies_count = 1;

struct fixture {
    struct loop loop;
    struct endpoints *endpoints;
    struct discovery *discovery;
    struct snapshot_builder builder;
    struct arena tree;
    struct report report;
};

static inline int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){.endpoints = NULL};
    if (loop_init(&f.loop))
        return -1;
    f.endpoints = endpoints_new(&f.loop, NULL, 0);
    f.discovery = discovery_new(&f.loop, NULL, &discovery_defaults);
    f.builder.policies.states = states_new();
    f.builder.services = (struct service_builder){
        .endpoints = f.endpoints, .discovery = f.discovery, .states = f.builder.policies.states};
    f.builder.policies = (struct policy_builder){f.builder.policies.states, &f.builder.services, 1};
    f.builder.metrics = metrics_new(1, 0, NULL);
    route_book_init(&f.builder.routes);
    arena_init(&f.tree, 0, 0);
    report_init(&f.report, &f.tree);
    *state = &f;
    return f.endpoints && f.builder.metrics && f.builder.policies.states ? 0 : -1;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    endpoints_free(f->endpoints);
    discovery_free(f->discovery);
    states_free(f->builder.policies.states);
    metrics_free(f->builder.metrics);
    loop_release(&f->loop);
    arena_release(&f->tree);
    return 0;
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static inline struct document document_of(struct fixture *f, const char *yaml)
{
    struct document document;
    report_init(&f->report, &f->tree);
    assert_true(document_parse(text_of(yaml), TEXT("t.yaml"), NULL, &f->tree, &f->report, &document));
    return document;
}

/* NULL: refused, the report says why. */
static inline struct snapshot *build(struct fixture *f, const char *yaml, struct snapshot *previous)
{
    struct document document = document_of(f, yaml);
    return snapshot_build(&f->builder, &document, previous, &f->report);
}

static inline struct snapshot *good(struct fixture *f, const char *yaml, struct snapshot *previous)
{
    struct snapshot *snapshot = build(f, yaml, previous);
    for (const struct finding *finding = f->report.first; !snapshot && finding; finding = finding->next)
        print_error("%u: %.*s: %.*s\n", finding->place.line, TEXT_ARGS(finding->path),
                    TEXT_ARGS(finding->said));
    assert_non_null(snapshot);
    snapshot_commit(snapshot);
    return snapshot;
}

static inline void refused(struct fixture *f, const char *yaml, const char *said)
{
    assert_null(build(f, yaml, NULL));
    for (const struct finding *finding = f->report.first; finding; finding = finding->next)
        if (text_find(finding->said, text_of(said)) != TEXT_NONE)
            return;
    fail_msg("nothing says \"%s\"", said);
}
