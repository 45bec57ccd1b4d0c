/* SipHash-1-3: vectors from another implementation (CPython's hash of bytes, whose key is 0 under PYTHONHASHSEED=0). */
#include "unit.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/random.h"

static void values_agree_with_another_implementation(void **state)
{
    (void)state;
    static const struct {
        size_t size; /* of the message 0, 1, 2, ... */
        uint64_t hash;
    } vectors[] = {
        {1, 0x68a914128e01e473},  {7, 0x2f098ab0c751325a},   {8, 0xead411e67ebe2eea},
        {9, 0x75927f9d95124362},  {15, 0xf30eb725bb91c9ea},  {16, 0x8972188433a5c5b7},
        {63, 0x385d3e39e5f37359}, {200, 0x7176378efd9e8a23},
    };
    unsigned char message[200];
    for (size_t i = 0; i < sizeof message; i++)
        message[i] = (unsigned char)i;
    hash_set_key(0, 0);
    for (size_t i = 0; i < COUNT_OF(vectors); i++)
        assert_true(hash_bytes(message, vectors[i].size) == vectors[i].hash);
}

static void alignment_does_not_matter(void **state)
{
    (void)state;
    char room[64 + 8] = {0};
    uint64_t wanted = hash_bytes("a text of more than one word", 28);
    for (size_t shift = 0; shift < 8; shift++) {
        memcpy(room + shift, "a text of more than one word", 28);
        assert_true(hash_bytes(room + shift, 28) == wanted);
    }
}

static void trailing_zero_bytes_count(void **state)
{
    (void)state;
    static const char zeros[24];
    for (size_t a = 0; a < sizeof zeros; a++)
        for (size_t b = 0; b < a; b++)
            assert_true(hash_bytes(zeros, a) != hash_bytes(zeros, b));
}

static void the_key_decides(void **state)
{
    (void)state;
    hash_set_key(1, 2);
    uint64_t first = hash_text(TEXT("orders"));
    hash_set_key(1, 3);
    assert_true(hash_text(TEXT("orders")) != first);
    hash_set_key(2, 2);
    assert_true(hash_text(TEXT("orders")) != first);
    hash_set_key(1, 2);
    assert_true(hash_text(TEXT("orders")) == first);
    random_init();
    assert_true(hash_text(TEXT("orders")) != first);
}

static void no_data_is_allowed(void **state)
{
    (void)state;
    hash_set_key(0, 0);
    assert_true(hash_bytes(NULL, 0) == hash_bytes("x", 0));
}

static void mixing_keeps_numbers_apart_and_spreads_them(void **state)
{
    (void)state;
    unsigned buckets[16] = {0};
    for (uint64_t i = 0; i < 16000; i++)
        buckets[hash_mix(i) & 15]++;
    for (size_t i = 0; i < COUNT_OF(buckets); i++)
        assert_in_range(buckets[i], 800, 1200);
    assert_true(hash_mix(1) != hash_mix(2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_agree_with_another_implementation),
        cmocka_unit_test(alignment_does_not_matter),
        cmocka_unit_test(trailing_zero_bytes_count),
        cmocka_unit_test(the_key_decides),
        cmocka_unit_test(no_data_is_allowed),
        cmocka_unit_test(mixing_keeps_numbers_apart_and_spreads_them),
    };
    return RUN_TESTS(tests);
}
