/* Arenas: alignment, limits, failure, the order of deferred work, what reset and release keep. */
#include "unit.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/memory.h"

static char order[8];
static size_t order_size;

static void note(void *argument)
{
    order[order_size++] = *(const char *)argument;
}

static void allocations_are_aligned_and_distinct(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 256, 0);
    char *before = NULL;
    for (size_t size = 0; size < 600; size++) {
        char *block = arena_alloc(&arena, size);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 16, 0);
        assert_true(size == 0 || block != before);
        memset(block, 0xa5, size);
        before = block;
    }
    assert_false(arena.failed);
    arena_release(&arena);
}

static void init_allocates_nothing(void **state)
{
    (void)state;
    struct arena arena;
    uint64_t calls = memory_calls();
    arena_init(&arena, 0, 0);
    arena_reset(&arena);
    arena_release(&arena);
    assert_int_equal(memory_calls(), calls);
}

static void nothing_can_be_allocated_from_a_fresh_arena(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0, 0);
    assert_non_null(arena_alloc(&arena, 0));
    assert_non_null(arena_array(&arena, 0, 8));
    assert_false(arena.failed);
    arena_release(&arena);
}

static void zeroed_memory_is_zero_after_reuse(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0, 0);
    memset(arena_alloc(&arena, 1000), 0xff, 1000);
    arena_reset(&arena);
    const char *block = arena_zero(&arena, 1000);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(block[i], 0);
    arena_release(&arena);
}

static void the_limit_refuses_and_is_remembered_until_reset(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1024, 4096);
    size_t allocated = 0;
    while (arena_alloc(&arena, 64))
        allocated += 64;
    assert_true(allocated >= 3 * 1024 && allocated <= 4096);
    assert_true(arena.used <= 4096);
    assert_true(arena.failed);
    arena_reset(&arena);
    assert_false(arena.failed);
    assert_non_null(arena_alloc(&arena, 64));
    arena_release(&arena);
}

static void a_limit_below_the_block_size_can_still_be_used(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 4096, 256);
    assert_non_null(arena_alloc(&arena, 128));
    assert_null(arena_alloc(&arena, 256));
    assert_true(arena.failed);
    arena_release(&arena);
}

static void huge_sizes_are_refused_not_wrapped(void **state)
{
    (void)state;
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 14, SIZE_MAX - 15, SIZE_MAX - 16, SIZE_MAX / 2 + 1};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct arena arena;
        arena_init(&arena, 0, 1 << 20);
        assert_non_null(arena_alloc(&arena, 8));
        assert_null(arena_alloc(&arena, sizes[i]));
        assert_true(arena.failed);
        arena_release(&arena);
    }
}

static void an_array_whose_size_overflows_is_refused(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0, 0);
    assert_null(arena_array(&arena, SIZE_MAX / 4, 8));
    assert_true(arena.failed);
    arena_release(&arena);
}

static void an_aligned_array_is_aligned_cleared_and_whole(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0, 0);
    for (size_t i = 0; i < 3; i++) {
        unsigned char *array = arena_aligned(&arena, 64, 3, 64);
        assert_non_null(array);
        assert_int_equal((uintptr_t)array % 64, 0);
        for (size_t at = 0; at < 192; at++)
            assert_int_equal(array[at], 0);
        memset(array, 'x', 192);
    }
    assert_non_null(arena_aligned(&arena, 64, 5 << 20, 1)); /* on huge pages */
    assert_false(arena.failed);
    assert_null(arena_aligned(&arena, 64, SIZE_MAX / 64, 64));
    assert_true(arena.failed);
    arena_release(&arena);
}

static void a_big_block_leaves_the_free_part_of_the_newest_in_use(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 4096, 0);
    char *first = arena_alloc(&arena, 16);
    assert_non_null(arena_alloc(&arena, 100000));
    char *second = arena_alloc(&arena, 16);
    assert_ptr_equal(second, first + 16);
    arena_release(&arena);
}

static void reset_keeps_one_block_so_that_steady_state_does_not_allocate(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 4096, 0);
    for (int i = 0; i < 40; i++)
        assert_non_null(arena_alloc(&arena, 1000));
    arena_reset(&arena);
    assert_int_equal(arena.used, 4096);
    uint64_t calls = memory_calls();
    for (int round = 0; round < 100; round++) {
        assert_non_null(arena_alloc(&arena, 3000));
        arena_reset(&arena);
    }
    assert_int_equal(memory_calls(), calls);
    arena_release(&arena);
    assert_int_equal(arena.used, 0);
}

static void the_heap_refusing_is_a_failure_not_a_crash(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0, 0);
    memory_fail_at(1);
    assert_null(arena_alloc(&arena, 1));
    assert_true(arena.failed);
    memory_fail_at(1);
    assert_text(arena_copy(&arena, TEXT("abc")), "");
    memory_fail_at(1);
    assert_text(arena_format(&arena, "%d", 7), "");
    memory_fail_at(1);
    assert_false(arena_defer(&arena, note, NULL));
    memory_fail_at(0);
    assert_text(arena_copy(&arena, TEXT("abc")), "abc");
    arena_release(&arena);
}

static void deferred_work_runs_last_first_and_once(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0, 0);
    order_size = 0;
    assert_true(arena_defer(&arena, note, (char[]){"a"}));
    assert_true(arena_defer(&arena, note, (char[]){"b"}));
    arena_reset(&arena);
    assert_text(((struct text){order, order_size}), "ba");
    assert_true(arena_defer(&arena, note, (char[]){"c"}));
    arena_release(&arena);
    arena_release(&arena);
    assert_text(((struct text){order, order_size}), "bac");
}

static void copies_are_zero_terminated_and_their_own(void **state)
{
    (void)state;
    struct arena arena;
    char from[] = "shop";
    arena_init(&arena, 0, 0);
    struct text copy = arena_copy(&arena, text_of(from));
    from[0] = 'X';
    assert_text(copy, "shop");
    assert_int_equal(copy.at[copy.size], 0);
    assert_text(arena_copy(&arena, (struct text){NULL, 0}), "");
    arena_release(&arena);
}

static void join_and_format_build_texts(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 32, 0);
    struct text parts[] = {TEXT_INIT("a"), {NULL, 0}, TEXT_INIT("bc"), TEXT_INIT("")};
    assert_text(arena_join(&arena, parts, COUNT_OF(parts)), "abc");
    assert_text(arena_join(&arena, NULL, 0), "");
    struct text padded = arena_format(&arena, "%0100d|%.*s", 7, TEXT_ARGS(TEXT("xyz")));
    assert_int_equal(padded.size, 104);
    assert_int_equal(padded.at[104], 0);
    assert_true(text_ends_with(padded, TEXT("7|xyz")));
    arena_release(&arena);
}

static void a_join_whose_size_overflows_is_refused(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0, 0);
    struct text parts[] = {{"", SIZE_MAX / 2}, {"", SIZE_MAX / 2 + 2}};
    assert_text(arena_join(&arena, parts, COUNT_OF(parts)), "");
    assert_true(arena.failed);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_aligned_and_distinct),
        cmocka_unit_test(init_allocates_nothing),
        cmocka_unit_test(nothing_can_be_allocated_from_a_fresh_arena),
        cmocka_unit_test(zeroed_memory_is_zero_after_reuse),
        cmocka_unit_test(the_limit_refuses_and_is_remembered_until_reset),
        cmocka_unit_test(a_limit_below_the_block_size_can_still_be_used),
        cmocka_unit_test(huge_sizes_are_refused_not_wrapped),
        cmocka_unit_test(an_array_whose_size_overflows_is_refused),
        cmocka_unit_test(an_aligned_array_is_aligned_cleared_and_whole),
        cmocka_unit_test(a_big_block_leaves_the_free_part_of_the_newest_in_use),
        cmocka_unit_test(reset_keeps_one_block_so_that_steady_state_does_not_allocate),
        cmocka_unit_test(the_heap_refusing_is_a_failure_not_a_crash),
        cmocka_unit_test(deferred_work_runs_last_first_and_once),
        cmocka_unit_test(copies_are_zero_terminated_and_their_own),
        cmocka_unit_test(join_and_format_build_texts),
        cmocka_unit_test(a_join_whose_size_overflows_is_refused),
    };
    return RUN_TESTS(tests);
}
