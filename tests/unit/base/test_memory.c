/* The door to the heap: counting, failing on request, sizes of zero and too large. */
#include "unit.h"

#include "base/memory.h"

static void the_nth_allocation_fails_once(void **state)
{
    (void)state;
    memory_fail_at(2);
    void *first = memory_alloc(8), *second = memory_zero(8), *third = memory_alloc(8);
    assert_non_null(first);
    assert_null(second);
    assert_non_null(third);
    memory_free(first);
    memory_free(third);
}

static void every_kind_of_allocation_can_fail_and_counts(void **state)
{
    (void)state;
    uint64_t calls = memory_calls();
    void *block = memory_alloc(4);
    assert_non_null(block);
    memory_fail_at(1);
    assert_null(memory_zero(4));
    memory_fail_at(1);
    assert_null(memory_aligned(64, 64));
    memory_fail_at(1);
    assert_null(memory_array(2, 4));
    memory_fail_at(1);
    assert_null(memory_resize(block, 8)); /* the old block is untouched: freed below */
    memory_fail_at(1);
    memory_fail_at(0);
    void *more = memory_alloc(4);
    assert_non_null(more);
    assert_int_equal(memory_calls() - calls, 6);
    memory_free(block);
    memory_free(more);
}

static void sizes_of_zero_give_a_pointer_to_free(void **state)
{
    (void)state;
    void *blocks[] = {memory_alloc(0), memory_zero(0), memory_array(0, 8), memory_array(8, 0),
                      memory_resize(NULL, 0)};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        assert_non_null(blocks[i]);
        memory_free(blocks[i]);
    }
    memory_free(NULL);
}

static void an_array_whose_size_overflows_is_refused(void **state)
{
    (void)state;
    assert_null(memory_array(SIZE_MAX / 2, 3));
    assert_null(memory_array(3, SIZE_MAX / 2));
}

static void memory_is_zeroed_aligned_and_wiped(void **state)
{
    (void)state;
    static const char zeros[256];
    char *cleared = memory_zero(256), *array = memory_array(16, 16), *aligned = memory_aligned(64, 256);
    assert_memory_equal(cleared, zeros, 256);
    assert_memory_equal(array, zeros, 256);
    assert_int_equal((uintptr_t)aligned % 64, 0);
    memset(aligned, 's', 256);
    memory_wipe(aligned, 256);
    assert_memory_equal(aligned, zeros, 256);
    memory_free(cleared);
    memory_free(array);
    memory_free(aligned);
}

static void large_memory_begins_at_a_huge_page_and_can_fail(void **state)
{
    (void)state;
    enum { HUGE_PAGE = 2 << 20 };
    char *large = memory_large(2 * HUGE_PAGE + 1);
    assert_non_null(large);
    assert_int_equal((uintptr_t)large % HUGE_PAGE, 0);
    large[0] = large[2 * HUGE_PAGE] = 'x';
    memory_free(large);
    memory_fail_at(1);
    assert_null(memory_large(HUGE_PAGE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nth_allocation_fails_once),
        cmocka_unit_test(every_kind_of_allocation_can_fail_and_counts),
        cmocka_unit_test(sizes_of_zero_give_a_pointer_to_free),
        cmocka_unit_test(an_array_whose_size_overflows_is_refused),
        cmocka_unit_test(memory_is_zeroed_aligned_and_wiped),
        cmocka_unit_test(large_memory_begins_at_a_huge_page_and_can_fail),
    };
    return RUN_TESTS(tests);
}
