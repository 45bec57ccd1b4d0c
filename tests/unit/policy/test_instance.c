/* Policy lists as configured: entries, the fields that all policies have, and what is said about mistakes. */
#include "unit.h"

#include <stdio.h>

#include "base/check.h"
#include "base/memory.h"
#include "config/document.h"
#include "expr/expr.h"
#include "policy/instance.h"

struct stamp_config {
    int64_t number;
    bool prepared;
};

static const struct field stamp_fields[] = {
    FIELD_INTEGER(struct stamp_config, number, "number", "3", 0, 10, "A number."),
    FIELD_END,
};

static struct text prepared_as;
static int released;

static void release(void *argument)
{
    (void)argument;
    released++;
}

static bool prepare(struct prepare *prepare, void *config_)
{
    struct stamp_config *config = config_;
    prepared_as = arena_copy(prepare->binder->arena, prepare->instance);
    config->prepared = arena_defer(prepare->binder->arena, release, NULL);
    if (config->number == 9)
        return bind_error(prepare->binder, prepare->node, "number", "is never 9");
    return config->prepared;
}

static const struct policy stamp = {.name = "stamp",
                                    .summary = "Stamps.",
                                    .stage = STAGE_QUOTA,
                                    .fields = stamp_fields,
                                    .config_size = sizeof(struct stamp_config),
                                    .prepare = prepare};
static const struct policy second = {.name = "second",
                                     .summary = "Too.",
                                     .stage = STAGE_EDGE,
                                     .fields = stamp_fields,
                                     .config_size = sizeof(struct stamp_config)};
const struct policy *const policies[] = {&stamp, &second};
const size_t policies_count = COUNT_OF(policies);

struct fixture {
    struct arena tree, bound;
    struct report report;
    struct policy_set set;
};

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){.set = {0}};
    arena_init(&f.tree, 0, 0);
    arena_init(&f.bound, 0, 0);
    report_init(&f.report, &f.tree);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    arena_release(&f->bound);
    arena_release(&f->tree);
    return 0;
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static bool load(struct fixture *f, const char *yaml, bool written)
{
    static const struct expr_environment nothing;
    static const struct policy_builder builder = {.workers = 1};
    struct document document;
    struct binder binder = {.arena = &f->bound,
                            .report = &f->report,
                            .environment = &nothing,
                            .path = TEXT_INIT("routes.a.policies")};
    assert_true(document_parse(text_of(yaml), TEXT("t.yaml"), NULL, &f->tree, &f->report, &document));
    return policy_set_build(&binder, &builder, TEXT("routes.a"), node_get(&document.root, TEXT("policies")),
                            written, &f->set);
}

static void good(struct fixture *f, const char *yaml)
{
    bool fine = load(f, yaml, false);
    for (const struct finding *finding = f->report.first; !fine && finding; finding = finding->next)
        print_error("%.*s: %.*s\n", TEXT_ARGS(finding->path), TEXT_ARGS(finding->said));
    assert_true(fine && f->report.errors == 0);
}

/* One finding, at this line and with this path, says this. */
static void bad(struct fixture *f, const char *yaml, uint32_t line, const char *path, const char *said)
{
    assert_false(load(f, yaml, false));
    assert_int_equal(f->report.errors, 1);
    assert_int_equal(f->report.first->place.line, line);
    assert_text(f->report.first->path, path);
    if (text_find(f->report.first->said, text_of(said)) == TEXT_NONE)
        fail_msg("\"%.*s\" does not say \"%s\"", TEXT_ARGS(f->report.first->said), said);
}

static void test_no_list_is_an_empty_set(void **state)
{
    struct fixture *f = *state;
    good(f, "a: b");
    assert_int_equal(f->set.count, 0);
    good(f, "policies:");
    assert_int_equal(f->set.count, 0);
    good(f, "policies: []");
    assert_int_equal(f->set.count, 0);
}

static void test_defaults(void **state)
{
    struct fixture *f = *state;
    good(f, "policies:\n  - stamp: {}\n  - second:\n");
    assert_int_equal(f->set.count, 2);
    const struct policy_instance *first = &f->set.items[0];
    assert_ptr_equal(first->policy, &stamp);
    assert_int_equal(((const struct stamp_config *)first->config)->number, 3);
    assert_null(first->when);
    assert_false(first->allow_on_error);
    assert_int_equal(first->stage, STAGE_QUOTA);
    assert_int_equal(first->index, 0);
    assert_text(first->id, "stamp");
    assert_text(first->scope, "routes.a");
    assert_int_equal(first->place.line, 2);
    assert_text(first->source, "t.yaml");
    assert_text(prepared_as, "routes.a.stamp");
    assert_ptr_equal(f->set.items[1].policy, &second);
    assert_int_equal(f->set.items[1].index, 1);
    assert_int_equal(((const struct stamp_config *)f->set.items[1].config)->number, 3);
}

static void test_what_all_policies_have(void **state)
{
    struct fixture *f = *state;
    good(
        f,
        "policies:\n  - stamp: { number: 7 }\n    when: 1 < 2\n    on_error: allow\n    stage: observe\n    id: mine\n");
    const struct policy_instance *instance = &f->set.items[0];
    assert_int_equal(((const struct stamp_config *)instance->config)->number, 7);
    assert_non_null(instance->when);
    assert_true(instance->allow_on_error);
    assert_int_equal(instance->stage, STAGE_OBSERVE);
    assert_text(instance->id, "mine");
    assert_text(prepared_as, "routes.a.mine");
}

static void test_every_stage_may_be_chosen(void **state)
{
    struct fixture *f = *state;
    for (int stage = 0; stage < STAGES_COUNT; stage++) {
        char yaml[128];
        snprintf(yaml, sizeof yaml, "policies:\n  - second: {}\n    stage: %s\n", policy_stage_names[stage]);
        good(f, yaml);
        assert_int_equal(f->set.items[0].stage, stage);
    }
}

static void test_the_order_as_written_is_that_of_the_first(void **state)
{
    struct fixture *f = *state;
    assert_true(load(
        f, "policies:\n  - stamp: {}\n  - second: {}\n  - stamp: {}\n    id: again\n    stage: observe\n",
        true));
    assert_int_equal(f->set.count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(f->set.items[i].stage, STAGE_QUOTA);
}

static void test_a_disabled_one_is_left_out_but_checked(void **state)
{
    struct fixture *f = *state;
    good(f, "policies:\n  - stamp: {}\n    enabled: false\n  - second: {}\n");
    assert_int_equal(f->set.count, 1);
    assert_ptr_equal(f->set.items[0].policy, &second);
    bad(f, "policies:\n  - stamp: { number: 11 }\n    enabled: false\n", 2,
        "routes.a.policies[0].stamp.number", "10");
}

static void test_disabled_ones_may_share_an_id(void **state)
{
    struct fixture *f = *state;
    good(f, "policies:\n  - stamp: {}\n    enabled: false\n  - stamp: {}\n");
    assert_int_equal(f->set.count, 1);
}

static void test_an_id_comes_once_in_a_list(void **state)
{
    bad(*state, "policies:\n  - stamp: {}\n  - second: {}\n  - stamp: {}\n", 4, "routes.a.policies[2]",
        "twice");
}

static void test_two_of_a_kind_with_ids_of_their_own(void **state)
{
    struct fixture *f = *state;
    good(f, "policies:\n  - stamp: { number: 1 }\n  - stamp: { number: 2 }\n    id: other\n");
    assert_int_equal(f->set.count, 2);
}

static void test_no_such_policy(void **state)
{
    bad(*state, "policies:\n  - stmp: {}\n", 2, "routes.a.policies[0]", "did you mean `stamp`?");
}

static void test_nothing_like_any_policy(void **state)
{
    bad(*state, "policies:\n  - zzzzzzzzzz: {}\n", 2, "routes.a.policies[0]",
        "`turnpike policies` lists them");
}

static void test_a_common_field_that_is_misspelt(void **state)
{
    bad(*state, "policies:\n  - stamp: {}\n    enabld: true\n", 3, "routes.a.policies[0]",
        "did you mean `enabled`?");
}

static void test_two_policies_in_one_entry(void **state)
{
    bad(*state, "policies:\n  - stamp: {}\n    second: {}\n", 3, "routes.a.policies[0]", "a dash of its own");
}

static void test_an_entry_without_a_policy(void **state)
{
    bad(*state, "policies:\n  - { id: a }\n", 2, "routes.a.policies[0]", "names no policy");
}

static void test_an_entry_that_is_no_map(void **state)
{
    bad(*state, "policies:\n  - stamp\n", 2, "routes.a.policies[0]", "`- request-id: {}`");
}

static void test_a_list_that_is_none(void **state)
{
    bad(*state, "policies: { stamp: {} }\n", 1, "routes.a.policies", "a list of policies");
}

static void test_a_field_of_the_policy_that_is_wrong(void **state)
{
    bad(*state, "policies:\n  - stamp:\n      number: many\n", 3, "routes.a.policies[0].stamp.number",
        "whole number");
}

static void test_what_prepare_finds(void **state)
{
    bad(*state, "policies:\n  - stamp:\n      number: 9\n", 3, "routes.a.policies[0].stamp.number",
        "is never 9");
}

static void test_a_condition_that_is_no_condition(void **state)
{
    bad(*state, "policies:\n  - stamp: {}\n    when: 1 + 2\n", 3, "routes.a.policies[0].when", "");
}

static void test_all_mistakes_are_found_at_once(void **state)
{
    struct fixture *f = *state;
    assert_false(load(
        f,
        "policies:\n  - stamp: { number: 11 }\n    stage: never\n  - nothing-known: {}\n  - second: { nmber: 1 }\n",
        false));
    assert_int_equal(f->report.errors, 4);
}

static void test_each_failing_allocation_is_survived(void **state)
{
    struct fixture *f = *state;
    bool built = false;
    for (uint64_t nth = 1; !built && nth < 100; nth++) {
        static const struct expr_environment nothing;
        static const struct policy_builder builder = {.workers = 1};
        struct document document;
        struct report report;
        struct arena notes;
        arena_init(&notes, 0, 0);
        report_init(&report, &notes);
        assert_true(
            document_parse(TEXT("policies:\n  - stamp: { number: 1 }\n    when: 1 < 2\n  - second: {}\n"),
                           TEXT("t.yaml"), NULL, &f->tree, &report, &document));
        struct arena bound;
        arena_init(&bound, 64, 0); /* small blocks: an allocation of the heap for nearly each of ours */
        struct binder binder = {
            .arena = &bound, .report = &report, .environment = &nothing, .path = TEXT_INIT("policies")};
        memory_fail_at(nth);
        bool fine = policy_set_build(&binder, &builder, TEXT("gateway"),
                                     node_get(&document.root, TEXT("policies")), false, &f->set);
        memory_fail_at(0);
        built = fine && f->set.count == 2 && nth > 8 && !bound.failed;
        arena_release(&bound);
        arena_release(&notes);
    }
    assert_true(built);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_no_list_is_an_empty_set),
        CASE(test_defaults),
        CASE(test_what_all_policies_have),
        CASE(test_every_stage_may_be_chosen),
        CASE(test_the_order_as_written_is_that_of_the_first),
        CASE(test_a_disabled_one_is_left_out_but_checked),
        CASE(test_disabled_ones_may_share_an_id),
        CASE(test_an_id_comes_once_in_a_list),
        CASE(test_two_of_a_kind_with_ids_of_their_own),
        CASE(test_no_such_policy),
        CASE(test_nothing_like_any_policy),
        CASE(test_a_common_field_that_is_misspelt),
        CASE(test_two_policies_in_one_entry),
        CASE(test_an_entry_without_a_policy),
        CASE(test_an_entry_that_is_no_map),
        CASE(test_a_list_that_is_none),
        CASE(test_a_field_of_the_policy_that_is_wrong),
        CASE(test_what_prepare_finds),
        CASE(test_a_condition_that_is_no_condition),
        CASE(test_all_mistakes_are_found_at_once),
        CASE(test_each_failing_allocation_is_survived),
    };
    return RUN_TESTS(tests);
}
