/* Configurations from anyone: what is parsed is bound by a table of every kind, reported with quoted lines, and never crashes or takes long.
 *
 * A refusal says why, the same text makes the same tree, and places within scalars lie in the file. */
#include "fuzz.h"

#include <stdio.h>

#include "base/check.h"
#include "config/document.h"
#include "config/report.h"

#include "../unit/config/sample.h"

enum { ARENA_BYTES_MAX = 256 << 20, NODES_WALKED_MAX = 30 };

static const struct document_limits limits = {.bytes_max = 1 << 20, .depth_max = 32, .nodes_max = 50000};

static void check_places(const struct node *node, unsigned *left)
{
    if (!*left)
        return;
    --*left;
    if (node->kind == NODE_SCALAR) {
        struct place end = node_place_within(node, 1, (uint32_t)node->text.size + 1),
                     second = node_place_within(node, 2, 1);
        CHECK(end.line >= node->place.line && end.column >= 1);
        CHECK(second.line >= node->place.line && second.column >= 1);
    }
    for (uint32_t i = 0; i < node->count; i++)
        check_places(&node->items[i], left);
}

static void check_report(const struct report *report)
{
    static char written[1 << 20];
    FILE *to = fmemopen(written, sizeof written, "w");
    CHECK(to);
    report_print_lines(report, true, to);
    report_print_json(report, to);
    fclose(to);
}

static void check_binding(const struct node *root, struct report *report)
{
    struct arena bound;
    struct sample into = {0};
    arena_init(&bound, 0, ARENA_BYTES_MAX);
    struct binder binder = {.arena = &bound, .report = report};
    uint32_t errors_before = report->errors;
    bool was_bound = field_bind(&binder, sample_fields, root, &into);
    CHECK(was_bound == (report->errors == errors_before));
    CHECK(binder.path.size == 0);
    arena_release(&bound);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text yaml = {(const char *)data, size};
    struct arena arena, notes;
    struct report report;
    struct document document, again;
    arena_init(&arena, 0, ARENA_BYTES_MAX);
    arena_init(&notes, 0, ARENA_BYTES_MAX);
    report_init(&report, &notes);
    if (document_parse(yaml, TEXT("fuzz.yaml"), &limits, &arena, &report, &document)) {
        unsigned left = NODES_WALKED_MAX;
        CHECK(!report.errors && document.root.kind == NODE_MAP);
        check_places(&document.root, &left);
        check_binding(&document.root, &report);
        CHECK(document_parse(yaml, TEXT("again"), &limits, &arena, &report, &again));
        CHECK(again.root.hash == document.root.hash);
    } else {
        CHECK(report.errors);
    }
    check_report(&report);
    arena_release(&arena);
    arena_release(&notes);
    return 0;
}
