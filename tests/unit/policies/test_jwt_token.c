/* Tokens: base64url, JSON, HMAC by the vectors of RFC 4231, the example of RFC 7515, the cache, and memory that gives out. */
#include "unit.h"

#include "base/hash.h"
#include "base/memory.h"
#include "base/time.h"
#include "policies/jwt_cache.h"

/* RFC 7515 appendix A.1: signed by "joe", expires at 1300819380. */
#define RFC_TOKEN                                                                                            \
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"                                                               \
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"        \
    ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
#define RFC_KEY    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
#define RFC_EXPIRY (1300819380 * NS_PER_SECOND)

struct fixture {
    struct arena arena;
    struct jwt_rules rules;
    struct jwt_key key;
    struct jwt_verified verified;
};

static int set_up(void **state)
{
    static struct fixture f;
    char secret[128];
    size_t size;
    f = (struct fixture){.rules = {.require_expiry = true}};
    arena_init(&f.arena, 0, 0);
    if (!jwt_decode(TEXT(RFC_KEY), secret, &size))
        return -1;
    jwt_key_init_secret(&f.key, JWT_HS256, (struct text){secret, size});
    f.rules.keys = (struct jwt_keys){&f.key, 1};
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    arena_release(&f->arena);
    return 0;
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static enum jwt_problem verify_at(struct fixture *f, const char *token, int64_t now_ns)
{
    return jwt_verify(&f->rules, text_of(token), now_ns, &f->arena, &f->verified);
}

static void the_example_of_rfc_7515_is_verified(void **state)
{
    struct fixture *f = *state;
    struct value value;
    assert_int_equal(verify_at(f, RFC_TOKEN, RFC_EXPIRY - 1), JWT_GOOD);
    assert_int_equal(f->verified.until_ns, RFC_EXPIRY);
    assert_true(f->verified.claims->get(f->verified.claims, value_string(TEXT("iss")), &f->arena, &value));
    assert_text(value.text, "joe");
    assert_int_equal(verify_at(f, RFC_TOKEN, RFC_EXPIRY), JWT_EXPIRED);
    f->rules.leeway_ms = 1;
    assert_int_equal(verify_at(f, RFC_TOKEN, RFC_EXPIRY), JWT_GOOD);
    assert_int_equal(f->verified.until_ns, RFC_EXPIRY + NS_PER_MS);
}

static void every_character_of_a_token_counts(void **state)
{
    struct fixture *f = *state;
    char token[] = RFC_TOKEN;
    for (size_t i = 0; token[i]; i++) {
        char was = token[i];
        for (const char *other = "A9-_.=+/ \n\x80"; *other; other++) {
            token[i] = *other;
            assert_int_equal(verify_at(f, token, 0) == JWT_GOOD, *other == was);
        }
        token[i] = was;
        assert_int_not_equal(jwt_verify(&f->rules, (struct text){token, i}, 0, &f->arena, &f->verified),
                             JWT_GOOD);
    }
}

static void base64url_has_one_spelling(void **state)
{
    static const struct {
        const char *encoded, *decoded; /* NULL: refused */
    } cases[] = {
        {"", ""},         {"Zg", "f"},        {"Zm8", "fo"},
        {"Zm9v", "foo"},  {"Zm9vYg", "foob"}, {"-_-_", "\xfb\xff\xbf"},
        {"Z", NULL},      {"Zh", NULL},       {"Zm9", NULL},
        {"Zg==", NULL},   {"Zm9vY", NULL},    {"+/+/", NULL},
        {"Zm 9", NULL},   {"Zm9v\n", NULL},   {"\xc3\xa4Zg", NULL},
        {"Zm9v.g", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char to[16];
        size_t size;
        bool good = jwt_decode(text_of(cases[i].encoded), to, &size);
        assert_int_equal(good, cases[i].decoded != NULL);
        if (good)
            assert_text(((struct text){to, size}), cases[i].decoded);
    }
}

static void hmac_gives_what_rfc_4231_says(void **state)
{
    static const struct {
        enum jwt_hash hash;
        size_t key_size;
        const char *starts;
    } cases[] = {
        /* Test case 2 ("Jefe") and test case 6 (a key longer than a block). */
        {JWT_SHA256, 0, "5bdcc146bf60754e6a042426089575c7"},
        {JWT_SHA384, 0, "af45d2e376484031617f78d2b58a6b1b"},
        {JWT_SHA512, 0, "164b7a7bfcf819e2e395fbe73b56e0a3"},
        {JWT_SHA256, 131, "60e431591ee0b67f0d8a26aacbf5b77f"},
        {JWT_SHA384, 131, "4ece084485813e9088d2c63a041bc5b4"},
        {JWT_SHA512, 131, "80b24263c7c1a3ebb71493c1dd7be8b4"},
    };
    static const size_t sizes[] = {[JWT_SHA256] = 32, [JWT_SHA384] = 48, [JWT_SHA512] = 64};
    char key[131], hex[2 * JWT_HMAC_SIZE_MAX];
    (void)state;
    memset(key, 0xaa, sizeof key);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct jwt_hmac hmac;
        uint8_t made[JWT_HMAC_SIZE_MAX];
        bool is_long = cases[i].key_size > 0;
        jwt_hmac_init(&hmac, cases[i].hash, is_long ? (struct text){key, sizeof key} : TEXT("Jefe"));
        struct text message = is_long ? TEXT("Test Using Larger Than Block-Size Key - Hash Key First")
                                      : TEXT("what do ya want for nothing?");
        for (int again = 0; again < 2; again++)
            assert_int_equal(jwt_hmac_make(&hmac, message, made), sizes[cases[i].hash]);
        text_hex(made, sizeof made, hex);
        assert_text(((struct text){hex, 32}), cases[i].starts);
    }
}

static void a_verification_with_hmac_does_not_touch_the_heap(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(verify_at(f, RFC_TOKEN, 0), JWT_GOOD);
    arena_reset(&f->arena);
    uint64_t before = memory_calls();
    assert_int_equal(verify_at(f, RFC_TOKEN, 0), JWT_GOOD);
    assert_int_equal(memory_calls(), before);
}

static void memory_that_gives_out_refuses_the_token(void **state)
{
    struct fixture *f = *state;
    for (size_t limit = 0; limit < 4096; limit += 64) {
        arena_release(&f->arena);
        arena_init(&f->arena, 64, limit + 1);
        enum jwt_problem problem = verify_at(f, RFC_TOKEN, 0);
        assert_true(problem == JWT_GOOD || (problem == JWT_NO_MEMORY && f->arena.failed));
    }
    assert_int_equal(verify_at(f, RFC_TOKEN, 0), JWT_GOOD);
}

/* --- the cache --- */

static void the_cache_knows_exactly_what_was_put_and_only_in_its_time(void **state)
{
    struct jwt_cache cache;
    struct jwt_verified verified = {.from_ns = 100, .until_ns = 200};
    struct text name;
    (void)state;
    jwt_cache_init(&cache, 5);
    assert_int_equal(cache.tokens, 8);
    assert_false(jwt_cache_find(&cache, TEXT("token"), 150, &name));
    jwt_cache_put(&cache, TEXT("token"), &verified, TEXT("alice"));
    assert_true(jwt_cache_find(&cache, TEXT("token"), 100, &name));
    assert_text(name, "alice");
    assert_false(jwt_cache_find(&cache, TEXT("token"), 99, &name));
    assert_false(jwt_cache_find(&cache, TEXT("token"), 200, &name));
    assert_false(jwt_cache_find(&cache, TEXT("tokem"), 150, &name));
    assert_false(jwt_cache_find(&cache, TEXT("toke"), 150, &name));
    assert_false(jwt_cache_find(&cache, TEXT(""), 150, &name));
    jwt_cache_release(&cache);
}

static void the_cache_keeps_no_more_than_its_size(void **state)
{
    struct jwt_cache cache;
    struct jwt_verified verified = {.from_ns = 0, .until_ns = 200};
    struct text name;
    char token[32];
    unsigned known = 0;
    (void)state;
    jwt_cache_init(&cache, 4);
    for (int i = 0; i < 100; i++)
        jwt_cache_put(&cache, (struct text){token, (size_t)snprintf(token, sizeof token, "token-%d", i)},
                      &verified, TEXT(""));
    for (int i = 0; i < 100; i++)
        known += jwt_cache_find(
            &cache, (struct text){token, (size_t)snprintf(token, sizeof token, "token-%d", i)}, 1, &name);
    assert_true(known >= 1 && known <= 4);
    jwt_cache_release(&cache);
}

static void a_long_token_a_small_cache_and_no_memory_are_no_trouble(void **state)
{
    static char letters[4096];
    struct jwt_cache cache;
    struct jwt_verified verified = {.from_ns = 0, .until_ns = 200};
    struct text name;
    (void)state;
    memset(letters, 'x', sizeof letters);
    jwt_cache_init(&cache, 1);
    memory_fail_at(1);
    jwt_cache_put(&cache, TEXT("token"), &verified, TEXT(""));
    assert_false(jwt_cache_find(&cache, TEXT("token"), 1, &name));
    for (size_t size = 2000; size < 2060; size++) {
        struct text token = {letters, size};
        jwt_cache_put(&cache, token, &verified, TEXT("name"));
        assert_int_equal(jwt_cache_find(&cache, token, 1, &name), size + 4 <= 2016);
    }
    jwt_cache_release(&cache);
    jwt_cache_init(&cache, 0);
    jwt_cache_put(&cache, TEXT("token"), &verified, TEXT(""));
    assert_false(jwt_cache_find(&cache, TEXT("token"), 1, &name));
    jwt_cache_release(&cache);
}

static void claims_are_read_when_they_are_asked_for(void **state)
{
    struct fixture *f = *state;
    struct value key, value;
    size_t cursor = 0, count = 0;
    const struct value_map *claims = jwt_claims_later(TEXT(RFC_TOKEN), &f->arena);
    assert_non_null(claims);
    assert_true(claims->get(claims, value_string(TEXT("http://example.com/is_root")), &f->arena, &value));
    assert_true(value.kind == VALUE_BOOL && value.boolean);
    assert_false(claims->get(claims, value_string(TEXT("sub")), &f->arena, &value));
    assert_int_equal(claims->size(claims), 3);
    while (claims->next(claims, &cursor, &f->arena, &key, &value))
        count++;
    assert_int_equal(count, 3);
}

int main(void)
{
    hash_set_key(1, 2);
    const struct CMUnitTest tests[] = {
        CASE(the_example_of_rfc_7515_is_verified),
        CASE(every_character_of_a_token_counts),
        CASE(base64url_has_one_spelling),
        CASE(hmac_gives_what_rfc_4231_says),
        CASE(a_verification_with_hmac_does_not_touch_the_heap),
        CASE(memory_that_gives_out_refuses_the_token),
        CASE(the_cache_knows_exactly_what_was_put_and_only_in_its_time),
        CASE(the_cache_keeps_no_more_than_its_size),
        CASE(a_long_token_a_small_cache_and_no_memory_are_no_trouble),
        CASE(claims_are_read_when_they_are_asked_for),
    };
    return RUN_TESTS(tests);
}
