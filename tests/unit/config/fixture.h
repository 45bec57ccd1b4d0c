/* What the tests of src/config share: a document from a string, and assertions on its report. */
#pragma once

#include "unit.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/check.h"
#include "config/document.h"
#include "config/field.h"
#include "config/report.h"

struct fixture {
    struct arena arena; /* the tree */
    struct arena bound; /* what is bound from it */
    struct arena notes; /* the report */
    struct report report;
    struct document document;
    struct binder binder;
};

static inline int set_up(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){0};
    arena_init(&fixture.arena, 0, 0);
    arena_init(&fixture.bound, 0, 0);
    arena_init(&fixture.notes, 0, 0);
    report_init(&fixture.report, &fixture.notes);
    fixture.binder = (struct binder){.arena = &fixture.bound, .report = &fixture.report};
    *state = &fixture;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    arena_release(&f->arena);
    arena_release(&f->bound);
    arena_release(&f->notes);
    return 0;
}

/* A test with a fixture of its own. */
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static inline bool parse_text(struct fixture *f, struct text yaml)
{
    return document_parse(yaml, TEXT("t.yaml"), NULL, &f->arena, &f->report, &f->document);
}

static inline bool parse(struct fixture *f, const char *yaml)
{
    return parse_text(f, text_of(yaml));
}

/* The value of a top-level key. */
static inline const struct node *value_of(struct fixture *f, const char *key)
{
    const struct node *value = node_get(&f->document.root, text_of(key));
    assert_non_null(value);
    return value;
}

/* The findings as report_print_lines() writes them; valid until the next call. */
static inline const char *printed(struct fixture *f, bool quote_lines)
{
    static char text[65536];
    FILE *to = fmemopen(text, sizeof text, "w");
    report_print_lines(&f->report, quote_lines, to);
    fclose(to);
    return text;
}

#define assert_report(f, wanted)   assert_string_equal(printed((f), false), (wanted))
#define assert_reported(f, wanted) assert_reported_at((f), (wanted), __FILE__, __LINE__)

/* The report holds `wanted` somewhere. */
static inline void assert_reported_at(struct fixture *f, const char *wanted, const char *file, int line)
{
    const char *report = printed(f, false);
    if (!strstr(report, wanted)) {
        print_error("the report lacks \"%s\":\n%s", wanted, report);
        _fail(file, line);
    }
}

/* Binds the document by a table. */
static inline bool bind(struct fixture *f, const struct field *fields, const char *yaml, void *into)
{
    assert_true(parse(f, yaml));
    return field_bind(&f->binder, fields, &f->document.root, into);
}
