/* Every allocation fails once: the result is a clean error, never half a document, and nothing is lost. */
#include "fixture.h"

#include "base/memory.h"
#include "sample.h"

static const char yaml[] =
    "base: &base { connect: 1s }\n"
    "title: \"${env:TURNPIKE_TEST} $${x}\"\n"
    "greeting: \"hello ${1}\"\n"
    "hosts: [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r]\n"
    "headers: { a: b, c: d, e: f, g: h, i: j, k: l, m: n, o: p, q: r, s: t, u: v, w: x, y: z, aa: b,\n"
    "  bb: c, dd: e, ff: g, hh: i }\n"
    "services:\n"
    "  one: { endpoints: [x, { url: y }], timeouts: { <<: *base, idle: 2s }, limit: 5 }\n"
    "  two: z\n"
    "users: { u: { password: p, keys: [k] } }\n";

static const struct field fields[] = {
    {.name = "base",
     .kind = FIELD_KIND_NODE,
     .offset = offsetof(struct sample, anything),
     .size = 8,
     .default_value = OPTIONAL},
    FIELD_TEXT(struct sample, title, "title", OPTIONAL, "A text."),
    FIELD_TEMPLATE(struct sample, greeting, "greeting", OPTIONAL, "A template."),
    FIELD_LIST(struct sample, hosts, "hosts", OPTIONAL, &field_item_text, FIELD_UNIQUE, "Names."),
    FIELD_LIST(struct sample, retry_on, "retry_on", "[connect-failure, \"503\"]", &sample_item_retry, 0,
               "When."),
    FIELD_MAP(struct sample, headers, "headers", "{}", &field_item_template_pair, 0, "Headers to set."),
    FIELD_MAP(struct sample, services, "services", OPTIONAL, &sample_item_service,
              offsetof(struct sample_service, name), "Origins."),
    FIELD_MAP(struct sample, users, "users", OPTIONAL, &sample_item_user, offsetof(struct sample_user, name),
              "Who calls."),
    FIELD_MAP(struct sample, labels, "labels", "{tier: \"1\"}", &field_item_text_pair, 0, "Anything."),
    FIELD_END,
};

static bool load(struct fixture *f)
{
    struct sample into = {0};
    return parse(f, yaml) && field_bind(&f->binder, fields, &f->document.root, &into);
}

static void any_allocation_may_fail_while_a_document_is_loaded(void **state)
{
    setenv("TURNPIKE_TEST", "a${b}", 1);
    uint64_t before = memory_calls();
    assert_true(load(*state));
    uint64_t calls = memory_calls() - before;
    assert_true(calls > 10);
    for (uint64_t nth = 1; nth <= calls; nth++) {
        tear_down(state);
        set_up(state);
        struct fixture *f = *state;
        memory_fail_at(nth);
        bool was_loaded = load(f);
        memory_fail_at(0);
        assert_false(was_loaded);
        assert_true(f->report.errors > 0);
    }
}

static void any_allocation_may_fail_while_files_are_read(void **state)
{
    char folder[] = "/tmp/turnpike-memory_XXXXXX", main[128], included[128];
    assert_non_null(mkdtemp(folder));
    snprintf(main, sizeof main, "%s/main.yaml", folder);
    snprintf(included, sizeof included, "%s/a.yaml", folder);
    FILE *file = fopen(main, "w");
    fprintf(file, "include: [a.yaml]\nroutes: { x: \"${file:a.yaml}\" }\n");
    fclose(file);
    file = fopen(included, "w");
    fprintf(file, "routes: { y: 1 }\n");
    fclose(file);
    for (uint64_t nth = 1; nth < 1000; nth++) {
        tear_down(state);
        set_up(state);
        struct fixture *f = *state;
        memory_fail_at(nth);
        bool was_read = document_read(main, NULL, &f->arena, &f->report, &f->document);
        bool was_reached = f->report.errors > 0;
        memory_fail_at(0);
        assert_int_equal(was_read, !was_reached);
        if (was_read)
            break;
    }
    struct fixture *f = *state;
    unlink(main);
    unlink(included);
    rmdir(folder);
    assert_int_equal(value_of(f, "routes")->count, 2);
}

static void a_full_arena_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct sample into = {0};
    assert_true(parse(f, "title: abcdefghijklmnopqrstuvwxyz\n"));
    arena_init(&f->bound, 16, 40);
    assert_false(field_bind(&f->binder, fields, &f->document.root, &into));
    assert_reported(f, "out of memory, or the limit for this object is reached");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(any_allocation_may_fail_while_a_document_is_loaded),
        CASE(any_allocation_may_fail_while_files_are_read),
        CASE(a_full_arena_is_an_error),
    };
    return RUN_TESTS(tests);
}
