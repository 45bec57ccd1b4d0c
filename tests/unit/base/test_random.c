/* Random numbers: repeatable when seeded, apart per thread, without bias. */
#include "unit.h"

#include <pthread.h>

#include "base/check.h"
#include "base/random.h"

static void a_seed_makes_the_sequence_repeatable(void **state)
{
    (void)state;
    uint64_t first[32];
    random_seed(42);
    for (size_t i = 0; i < COUNT_OF(first); i++)
        first[i] = random_uint64();
    random_seed(42);
    for (size_t i = 0; i < COUNT_OF(first); i++)
        assert_true(random_uint64() == first[i]);
    random_seed(43);
    assert_true(random_uint64() != first[0]);
}

static void numbers_stay_below_the_bound(void **state)
{
    (void)state;
    static const uint64_t bounds[] = {1, 2, 3, 10, 1000, 1ull << 32, (1ull << 63) + 1, UINT64_MAX};
    random_seed(1);
    for (size_t i = 0; i < COUNT_OF(bounds); i++)
        for (int round = 0; round < 1000; round++)
            assert_true(random_below(bounds[i]) < bounds[i]);
    assert_int_equal(random_below(0), 0);
    assert_int_equal(random_below(1), 0);
}

static void every_number_below_the_bound_is_as_likely(void **state)
{
    (void)state;
    unsigned seen[6] = {0};
    random_seed(7);
    for (int i = 0; i < 60000; i++)
        seen[random_below(COUNT_OF(seen))]++;
    for (size_t i = 0; i < COUNT_OF(seen); i++)
        assert_in_range(seen[i], 9500, 10500);
}

static void *draw(void *to)
{
    *(uint64_t *)to = random_uint64();
    return NULL;
}

static void each_thread_has_a_sequence_of_its_own(void **state)
{
    (void)state;
    uint64_t drawn[4];
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, draw, &drawn[i]), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < i; k++)
            assert_true(drawn[i] != drawn[k]);
}

static void secrets_fill_all_bytes_asked_for_and_no_more(void **state)
{
    (void)state;
    unsigned char bytes[600] = {0}, seen = 0;
    random_secret(bytes, 0);
    assert_int_equal(bytes[0], 0);
    for (int round = 0; round < 16; round++) {
        random_secret(bytes, sizeof bytes - 1);
        seen |= bytes[sizeof bytes - 2];
    }
    assert_int_not_equal(seen, 0);
    assert_int_equal(bytes[sizeof bytes - 1], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_makes_the_sequence_repeatable),
        cmocka_unit_test(numbers_stay_below_the_bound),
        cmocka_unit_test(every_number_below_the_bound_is_as_likely),
        cmocka_unit_test(each_thread_has_a_sequence_of_its_own),
        cmocka_unit_test(secrets_fill_all_bytes_asked_for_and_no_more),
    };
    return RUN_TESTS(tests);
}
