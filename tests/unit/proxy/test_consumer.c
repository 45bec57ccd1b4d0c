/* The consumer set: what is found, what is refused, and what a consumer costs. */
#include "unit.h"

#include "base/memory.h"
#include "config/document.h"
#include "policy/instance.h"
#include "proxy/consumer.h"
#include "proxy/many_consumers.h"

#define BCRYPT   "$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"
#define BCRYPT_Y "$2y$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"
#define YESCRYPT "$y$j75$turnpike$aohPq1JobP0qnp2SHKoX4MglEAlTbjysKzDnCOyc.t6"
#define SHA512                                                                                               \
    "$6$rounds=1000$turnpike$jl79RTQhKtOqICE4DDdOV2Asnt9kYTf2Xw9h9cqm73tTU7Ss02qYXzsNIAC.pk75nEdkuLrmRFJAkUmyrrTFz."
#define SHA256 "$5$rounds=1000$turnpike$8sA1MWvDk8IRrrXrH8yHqRkOZCv/NWI4PLLq3HU0X75"

/* The policy that lists may hold here. */
static const struct field mark_fields[] = {FIELD_END};
static const struct policy policy_mark = {
    .name = "mark", .summary = "Does nothing.", .stage = STAGE_ACCESS, .fields = mark_fields};
const struct policy *const policies[] = {&policy_mark};
const size_t policies_count = 1;

struct fixture {
    struct arena tree, bound;
    struct report report;
    const struct consumer_set *set;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){.set = NULL};
    arena_init(&fixture.tree, 0, 0);
    arena_init(&fixture.bound, 0, 0);
    report_init(&fixture.report, &fixture.tree);
    *state = &fixture;
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

static const struct consumer_set *build(struct fixture *f, const struct node *consumers,
                                        const struct node *groups)
{
    static const struct policy_builder builder = {.workers = 1};
    struct binder binder = {.arena = &f->bound, .report = &f->report};
    f->set = consumer_set_build(&binder, &builder, consumers, groups);
    return f->set;
}

static const struct consumer_set *load(struct fixture *f, const char *yaml)
{
    struct document document;
    assert_true(document_parse(text_of(yaml), TEXT("t.yaml"), NULL, &f->tree, &f->report, &document));
    return build(f, node_get(&document.root, TEXT("consumers")), node_get(&document.root, TEXT("groups")));
}

static void good(struct fixture *f, const char *yaml)
{
    bool built = load(f, yaml) != NULL;
    for (const struct finding *finding = f->report.first; !built && finding; finding = finding->next)
        print_error("%.*s: %.*s\n", TEXT_ARGS(finding->path), TEXT_ARGS(finding->said));
    assert_true(built);
}

/* The only error is at this place and says this. */
static void bad(struct fixture *f, const char *yaml, uint32_t line, uint32_t column, const char *path,
                const char *said)
{
    const struct finding *error = NULL;
    assert_null(load(f, yaml));
    assert_int_equal(f->report.errors, 1);
    for (const struct finding *finding = f->report.first; finding; finding = finding->next)
        if (finding->severity == SEVERITY_ERROR)
            error = finding;
    assert_non_null(error);
    if (text_find(error->said, text_of(said)) == TEXT_NONE)
        print_error("said \"%.*s\"\n", TEXT_ARGS(error->said));
    assert_true(text_find(error->said, text_of(said)) != TEXT_NONE);
    assert_text(error->path, path);
    assert_int_equal(error->place.line, line);
    assert_int_equal(error->place.column, column);
}

static const char *found(const struct fixture *f, const char *key, int64_t now_s)
{
    static char name[64];
    struct credential credential;
    if (!consumer_set_find_key(f->set, text_of(key), now_s, &credential))
        return NULL;
    (void)snprintf(name, sizeof name, "%.*s", TEXT_ARGS(credential.consumer->name));
    return name;
}

/* --- keys --- */

static void a_key_finds_its_consumer(void **state)
{
    struct fixture *f = *state;
    good(f, "consumers:\n"
            "  alice: { keys: [the-first-key-of-alice, the-second-key-of-alice] }\n"
            "  bob: { keys: the-only-key-of-bob }\n"
            "  carol: {}\n");
    assert_string_equal(found(f, "the-first-key-of-alice", 0), "alice");
    assert_string_equal(found(f, "the-second-key-of-alice", 0), "alice");
    assert_string_equal(found(f, "the-only-key-of-bob", 0), "bob");
    assert_int_equal(consumer_set_count(f->set), 3);
    assert_int_equal(consumer_set_keys_count(f->set), 3);
}

static void another_key_finds_nobody(void **state)
{
    struct fixture *f = *state;
    static char longer[CONSUMER_KEY_MAX + 1];
    struct credential credential;
    good(f, "consumers: { alice: { keys: [the-key-of-alice] } }\n");
    assert_null(found(f, "the-key-of-alicf", 0));
    assert_null(found(f, "the-key-of-alic", 0));
    assert_null(found(f, "the-key-of-alice ", 0));
    assert_null(found(f, "", 0));
    memset(longer, 'a', sizeof longer);
    assert_false(consumer_set_find_key(f->set, (struct text){longer, sizeof longer}, 0, &credential));
}

static void without_consumers_nobody_is_found(void **state)
{
    struct fixture *f = *state;
    assert_non_null(build(f, NULL, NULL));
    assert_null(found(f, "a-key", 0));
    assert_null(consumer_set_find_name(f->set, TEXT("alice")));
    assert_null(consumer_set_find_username(f->set, TEXT("alice")));
    assert_null(consumer_set_decoy_password(f->set).at);
    assert_int_equal(consumer_set_count(f->set), 0);
}

static void an_expired_key_finds_nobody(void **state)
{
    struct fixture *f = *state;
    struct credential credential;
    good(
        f,
        "consumers:\n"
        "  alice: { keys: [{ key: the-key-of-alice, expires: 2027-01-01T00:00:00Z }, the-other-key-of-alice] }\n");
    assert_string_equal(found(f, "the-key-of-alice", 1798761599), "alice");
    assert_null(found(f, "the-key-of-alice", 1798761600));
    assert_string_equal(found(f, "the-other-key-of-alice", 1798761600), "alice");
    assert_true(consumer_set_find_key(f->set, TEXT("the-key-of-alice"), 0, &credential));
    assert_int_equal(credential.expires_s, 1798761600);
    assert_true(consumer_set_find_key(f->set, TEXT("the-other-key-of-alice"), 0, &credential));
    assert_int_equal(credential.expires_s, 0);
}

static void a_bad_expiry_is_refused(void **state)
{
    bad(*state, "consumers:\n  alice:\n    keys:\n      - { key: the-key-of-alice, expires: soon }\n", 4, 43,
        "consumers.alice.keys[0].expires", "RFC 3339");
}

static void two_consumers_with_one_key_are_refused_by_name(void **state)
{
    bad(*state,
        "consumers:\n  alice: { keys: [the-key-of-both-of-them] }\n  bob: { keys: [another-key-of-bob, the-key-of-both-of-them] }\n",
        3, 37, "consumers.bob.keys[1]", "`bob` and `alice` (t.yaml:2:3) have the same key");
}

static void a_key_twice_is_refused(void **state)
{
    bad(*state, "consumers:\n  alice: { keys: [the-key-of-alice, the-key-of-alice] }\n", 2, 37,
        "consumers.alice.keys[1]", "`alice` has this key twice");
}

static void a_key_that_no_header_could_carry_is_refused(void **state)
{
    bad(*state, "consumers:\n  alice: { keys: [\"the-key-of-alice\\n\"] }\n", 2, 19,
        "consumers.alice.keys[0]", "no header could carry it");
}

static void a_short_key_is_a_warning(void **state)
{
    struct fixture *f = *state;
    good(f, "consumers: { alice: { keys: [secret] } }\n");
    assert_string_equal(found(f, "secret", 0), "alice");
    bool warned = false;
    for (const struct finding *finding = f->report.first; finding; finding = finding->next)
        warned |= text_find(finding->said, TEXT("fewer than 16 bytes")) != TEXT_NONE;
    assert_true(warned);
}

static void no_finding_shows_a_key(void **state)
{
    struct fixture *f = *state;
    assert_null(
        load(f, "consumers: { alice: { keys: [hush-hush, hush-hush] }, bob: { keys: [hush-hush] } }\n"));
    for (const struct finding *finding = f->report.first; finding; finding = finding->next)
        assert_true(text_find(finding->said, TEXT("hush")) == TEXT_NONE);
}

/* --- kinds --- */

static const struct consumer *named(const struct fixture *f, const char *name)
{
    const struct consumer *consumer = consumer_set_find_name(f->set, text_of(name));
    assert_non_null(consumer);
    return consumer;
}

static void consumers_with_the_same_groups_are_of_one_kind(void **state)
{
    struct fixture *f = *state;
    good(f, "consumers:\n"
            "  a: { groups: [gold, staff] }\n  b: { groups: [gold, staff] }\n"
            "  c: { groups: [staff, gold] }\n  d: { groups: goldstaff }\n  e: {}\n  f: {}\n");
    assert_ptr_equal(named(f, "a")->kind, named(f, "b")->kind);
    assert_ptr_not_equal(named(f, "a")->kind, named(f, "c")->kind);
    assert_ptr_not_equal(named(f, "a")->kind, named(f, "d")->kind);
    assert_ptr_equal(named(f, "e")->kind, named(f, "f")->kind);
    assert_int_equal(consumer_set_kinds_count(f->set), 4);
    assert_true(consumer_in_group(named(f, "a"), TEXT("staff")));
    assert_false(consumer_in_group(named(f, "d"), TEXT("gold")));
    assert_false(consumer_in_group(named(f, "e"), TEXT("gold")));
}

static void a_kind_has_the_policies_of_its_groups_then_its_own(void **state)
{
    struct fixture *f = *state;
    good(
        f,
        "groups:\n"
        "  gold: { policies: [mark: {}] }\n  empty: {}\n  staff: { policies: [mark: {}, { mark: {}, id: other }] }\n"
        "consumers:\n"
        "  alice: { groups: [staff, unknown, empty, gold], policies: [{ mark: {}, id: own }] }\n"
        "  bob: { groups: [staff, unknown, empty, gold], policies: [{ mark: {}, id: own }] }\n");
    const struct consumer_kind *kind = named(f, "alice")->kind;
    assert_ptr_not_equal(kind, named(f, "bob")->kind);
    assert_int_equal(kind->groups_count, 4);
    assert_text(kind->groups[1], "unknown");
    assert_int_equal(kind->sets_count, 3);
    assert_int_equal(kind->sets[0]->count, 2);
    assert_text(kind->sets[0]->items[0].scope, "groups.staff");
    assert_text(kind->sets[1]->items[0].scope, "groups.gold");
    assert_text(kind->sets[2]->items[0].id, "own");
    assert_text(kind->sets[2]->items[0].scope, "consumers.alice");
}

static void a_bad_policy_of_a_consumer_is_reported_at_its_place(void **state)
{
    bad(*state, "consumers:\n  alice:\n    policies:\n      - marc: {}\n", 4, 9,
        "consumers.alice.policies[0]", "did you mean `mark`?");
}

static void a_bad_policy_of_a_group_is_reported_at_its_place(void **state)
{
    bad(*state, "groups:\n  gold:\n    policies:\n      - marc: {}\n", 4, 9, "groups.gold.policies[0]",
        "did you mean `mark`?");
}

/* --- names, labels, passwords --- */

static void labels_are_texts_by_name(void **state)
{
    struct fixture *f = *state;
    good(f, "consumers: { alice: { labels: { team: x, none: \"\" } }, bob: {} }\n");
    assert_text(consumer_label(named(f, "alice"), TEXT("team")), "x");
    assert_non_null(consumer_label(named(f, "alice"), TEXT("none")).at);
    assert_null(consumer_label(named(f, "alice"), TEXT("other")).at);
    assert_null(consumer_label(named(f, "bob"), TEXT("team")).at);
}

static void a_user_name_finds_only_consumers_with_a_password(void **state)
{
    struct fixture *f = *state;
    good(f, "consumers:\n"
            "  alice: { password: " BCRYPT " }\n  bob: { username: robert, password: " SHA512
            " }\n  carol: {}\n");
    assert_ptr_equal(consumer_set_find_username(f->set, TEXT("alice")), named(f, "alice"));
    assert_ptr_equal(consumer_set_find_username(f->set, TEXT("robert")), named(f, "bob"));
    assert_null(consumer_set_find_username(f->set, TEXT("bob")));
    assert_null(consumer_set_find_username(f->set, TEXT("carol")));
    assert_text(consumer_set_decoy_password(f->set), BCRYPT);
}

static void every_form_of_password_that_crypt_knows_is_taken(void **state)
{
    good(*state,
         "consumers:\n"
         "  a: { password: " BCRYPT " }\n  b: { password: " BCRYPT_Y " }\n  c: { password: " YESCRYPT " }\n"
         "  d: { password: " SHA512 " }\n  e: { password: " SHA256 " }\n");
}

static void a_plain_password_is_refused_with_the_way_to_hash_it(void **state)
{
    bad(*state, "consumers:\n  alice: { password: correct horse }\n", 2, 22, "consumers.alice.password",
        "`openssl passwd -6`");
}

static void argon2_is_refused_by_name(void **state)
{
    bad(*state, "consumers:\n  alice: { password: \"$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA\" }\n", 2,
        22, "consumers.alice.password", "argon2 is not supported");
}

static void a_cut_hash_is_refused(void **state)
{
    bad(*state, "consumers:\n  alice: { password: $2b$04$abcdefghijklmnopqrstuujydOTSfIH }\n", 2, 22,
        "consumers.alice.password", "not a whole hash");
}

static void two_consumers_with_one_user_name_are_refused(void **state)
{
    bad(*state,
        "consumers:\n  alice: { password: " BCRYPT " }\n  bob: { username: alice, password: " BCRYPT " }\n",
        3, 20, "consumers.bob.username", "`bob` and `alice` have the same name for basic-auth");
}

static void a_user_name_with_a_colon_is_refused(void **state)
{
    bad(*state, "consumers:\n  alice: { username: \"a:b\", password: " BCRYPT " }\n", 2, 22,
        "consumers.alice.username", "colon");
}

static void a_user_name_without_a_password_is_refused(void **state)
{
    bad(*state, "consumers:\n  alice: { username: al }\n", 2, 22, "consumers.alice.username",
        "there is no `password`");
}

static void an_unknown_field_is_refused(void **state)
{
    bad(*state, "consumers:\n  alice: { group: gold }\n", 2, 12, "consumers.alice", "did you mean `groups`?");
}

/* --- many --- */

enum { MANY = 200000, BYTES_MAX = 250 };

static void many_consumers_are_found_and_are_small(void **state)
{
    struct fixture *f = *state;
    char name[MANY_TEXT_MAX], key[MANY_TEXT_MAX];
    struct credential credential;
    struct node consumers = many_consumers(&f->tree, MANY);
    assert_non_null(build(f, &consumers, NULL));
    assert_int_equal(consumer_set_kinds_count(f->set), 1);
    assert_in_range(f->bound.used / MANY, 1, BYTES_MAX - 1);
    for (size_t i = 0; i < MANY; i++) {
        assert_true(consumer_set_find_key(f->set, many_key(i, key), 0, &credential));
        assert_true(text_equal(credential.consumer->name, many_name(i, name)));
        assert_ptr_equal(consumer_set_find_name(f->set, many_name(i, name)), credential.consumer);
        key[0] = 'K';
        assert_false(consumer_set_find_key(f->set, text_of(key), 0, &credential));
    }
}

static void a_consumer_is_one_cache_line_with_a_short_name_in_it(void **state)
{
    struct fixture *f = *state;
    good(f, "consumers:\n  a-name-of-exactly-32-bytes------: { keys: [the-key-of-the-32-bytes] }\n"
            "  a-name-of-exactly-33-bytes-------: { keys: [the-key-of-the-33-bytes] }\n");
    const struct consumer *fits = consumer_set_find_name(f->set, TEXT("a-name-of-exactly-32-bytes------"));
    const struct consumer *longer = consumer_set_find_name(f->set, TEXT("a-name-of-exactly-33-bytes-------"));
    assert_true(fits && longer);
    assert_int_equal((uintptr_t)fits % 64, 0);
    assert_int_equal(sizeof *fits, 64);
    assert_ptr_equal(fits->name.at, fits->short_name);
    assert_ptr_not_equal(longer->name.at, longer->short_name);
    assert_string_equal(found(f, "the-key-of-the-33-bytes", 0), "a-name-of-exactly-33-bytes-------");
}

static void the_owner_of_a_key_that_expires_is_named_when_another_has_it(void **state)
{
    bad(*state,
        "consumers:\n  alice: { keys: [first-key-of-alice, { key: the-same-key-twice, expires: "
        "\"2030-01-01T00:00:00Z\" }] }\n  bob: { keys: [the-same-key-twice] }\n",
        3, 17, "consumers.bob.keys[0]", "`bob` and `alice`");
}

static void looking_up_does_not_allocate(void **state)
{
    struct fixture *f = *state;
    good(f, "consumers: { alice: { keys: [the-key-of-alice], password: " BCRYPT " } }\n");
    (void)found(f, "the-key-of-alice", 0);
    uint64_t calls = memory_calls();
    assert_string_equal(found(f, "the-key-of-alice", 0), "alice");
    assert_null(found(f, "another", 0));
    assert_non_null(consumer_set_find_name(f->set, TEXT("alice")));
    assert_non_null(consumer_set_find_username(f->set, TEXT("alice")));
    assert_int_equal(memory_calls(), calls);
}

static void without_memory_there_is_no_set_and_no_leak(void **state)
{
    struct fixture *f = *state;
    struct document document;
    const char *yaml =
        "groups: { gold: { policies: [mark: {}] } }\n"
        "consumers:\n"
        "  alice: { keys: [the-key-of-alice], groups: [gold], labels: { a: b }, policies: [{ mark: {}, id: x }] }\n"
        "  bob: { keys: [{ key: the-key-of-bob, expires: 2027-01-01T00:00:00Z }], password: " BCRYPT " }\n";
    assert_true(document_parse(text_of(yaml), TEXT("t.yaml"), NULL, &f->tree, &f->report, &document));
    const struct node *consumers = node_get(&document.root, TEXT("consumers")),
                      *groups = node_get(&document.root, TEXT("groups"));
    unsigned refused = 0;
    for (uint64_t nth = 1; !f->set; nth++) {
        arena_release(&f->bound);
        memory_fail_at(nth);
        (void)build(f, consumers, groups);
        memory_fail_at(0);
        refused += !f->set;
    }
    assert_in_range(refused, 3, 100);
    assert_string_equal(found(f, "the-key-of-bob", 0), "bob");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_key_finds_its_consumer),
        CASE(another_key_finds_nobody),
        CASE(without_consumers_nobody_is_found),
        CASE(an_expired_key_finds_nobody),
        CASE(a_bad_expiry_is_refused),
        CASE(two_consumers_with_one_key_are_refused_by_name),
        CASE(a_key_twice_is_refused),
        CASE(a_key_that_no_header_could_carry_is_refused),
        CASE(a_short_key_is_a_warning),
        CASE(no_finding_shows_a_key),
        CASE(consumers_with_the_same_groups_are_of_one_kind),
        CASE(a_kind_has_the_policies_of_its_groups_then_its_own),
        CASE(a_bad_policy_of_a_consumer_is_reported_at_its_place),
        CASE(a_bad_policy_of_a_group_is_reported_at_its_place),
        CASE(labels_are_texts_by_name),
        CASE(a_user_name_finds_only_consumers_with_a_password),
        CASE(every_form_of_password_that_crypt_knows_is_taken),
        CASE(a_plain_password_is_refused_with_the_way_to_hash_it),
        CASE(argon2_is_refused_by_name),
        CASE(a_cut_hash_is_refused),
        CASE(two_consumers_with_one_user_name_are_refused),
        CASE(a_user_name_with_a_colon_is_refused),
        CASE(a_user_name_without_a_password_is_refused),
        CASE(an_unknown_field_is_refused),
        CASE(many_consumers_are_found_and_are_small),
        CASE(a_consumer_is_one_cache_line_with_a_short_name_in_it),
        CASE(the_owner_of_a_key_that_expires_is_named_when_another_has_it),
        CASE(looking_up_does_not_allocate),
        CASE(without_memory_there_is_no_set_and_no_leak),
    };
    return RUN_TESTS(tests);
}
