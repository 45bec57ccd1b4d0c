/* The hash table against a plain array that does the same, and when there is no memory. */
#include "unit.h"

#include <stdio.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/table.h"

enum { KEYS = 300 };

static char key_bytes[KEYS][8];
static struct text keys[KEYS];
static int values[KEYS];

static int set_up(void **state)
{
    (void)state;
    for (int i = 0; i < KEYS; i++)
        keys[i] = (struct text){key_bytes[i], (size_t)snprintf(key_bytes[i], sizeof key_bytes[i], "k%d", i)};
    return 0;
}

static void an_empty_table_answers_and_allocates_nothing(void **state)
{
    (void)state;
    struct table table;
    size_t cursor = 0;
    uint64_t calls = memory_calls();
    table_init(&table);
    assert_null(table_get(&table, TEXT("x")));
    assert_null(table_remove(&table, TEXT("x")));
    assert_null(table_next(&table, &cursor));
    table_release(&table);
    assert_int_equal(memory_calls(), calls);
}

static void keys_are_any_bytes_the_empty_one_too(void **state)
{
    (void)state;
    struct table table;
    int a, b, c;
    table_init(&table);
    assert_true(table_put(&table, TEXT(""), &a));
    assert_true(table_put(&table, TEXT("x\0y"), &b));
    assert_true(table_put(&table, TEXT("x"), &c));
    assert_ptr_equal(table_get(&table, (struct text){NULL, 0}), &a);
    assert_ptr_equal(table_get(&table, TEXT("x\0y")), &b);
    assert_ptr_equal(table_get(&table, TEXT("x")), &c);
    assert_null(table_get(&table, TEXT("x\0")));
    table_release(&table);
}

static void putting_again_replaces(void **state)
{
    (void)state;
    struct table table;
    int a, b;
    table_init(&table);
    assert_true(table_put(&table, TEXT("k"), &a));
    assert_true(table_put(&table, TEXT("k"), &b));
    assert_int_equal(table.count, 1);
    assert_ptr_equal(table_get(&table, TEXT("k")), &b);
    assert_ptr_equal(table_remove(&table, TEXT("k")), &b);
    assert_null(table_remove(&table, TEXT("k")));
    assert_int_equal(table.count, 0);
    table_release(&table);
}

static void check_same(const struct table *table, int *const model[KEYS])
{
    size_t count = 0, cursor = 0, walked = 0;
    for (int i = 0; i < KEYS; i++) {
        assert_ptr_equal(table_get(table, keys[i]), model[i]);
        count += model[i] != NULL;
    }
    assert_int_equal(table->count, count);
    for (const struct table_slot *slot; (slot = table_next(table, &cursor)); walked++)
        assert_ptr_equal(table_get(table, slot->key), slot->value);
    assert_int_equal(walked, count);
}

static void random_changes_agree_with_a_plain_array(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct table table;
        int *model[KEYS] = {0};
        table_init(&table);
        random_seed(seed);
        hash_set_key(seed, 0);
        for (int round = 0; round < 4000; round++) {
            size_t k = random_below(KEYS);
            if (random_below(2)) {
                model[k] = &values[random_below(KEYS)];
                assert_true(table_put(&table, keys[k], model[k]));
            } else {
                assert_ptr_equal(table_remove(&table, keys[k]), model[k]);
                model[k] = NULL;
            }
            if (round % 250 == 0)
                check_same(&table, model);
        }
        check_same(&table, model);
        table_release(&table);
    }
}

static void without_memory_the_table_is_unchanged(void **state)
{
    (void)state;
    struct table table;
    int *model[KEYS] = {0};
    unsigned refused = 0;
    table_init(&table);
    for (int i = 0; i < KEYS; i++) {
        memory_fail_at(1);
        if (!table_put(&table, keys[i], &values[i])) {
            refused++;
            check_same(&table, model);
            memory_fail_at(0);
            assert_true(table_put(&table, keys[i], &values[i]));
        }
        memory_fail_at(0);
        model[i] = &values[i];
    }
    assert_in_range(refused, 5, 10);
    check_same(&table, model);
    table_release(&table);
}

static void put_nothing(void)
{
    struct table table;
    table_init(&table);
    table_put(&table, TEXT("k"), NULL);
}

static void null_is_not_a_value(void **state)
{
    (void)state;
    assert_true(aborts(put_nothing));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_table_answers_and_allocates_nothing),
        cmocka_unit_test(keys_are_any_bytes_the_empty_one_too),
        cmocka_unit_test(putting_again_replaces),
        cmocka_unit_test(random_changes_agree_with_a_plain_array),
        cmocka_unit_test(without_memory_the_table_is_unchanged),
        cmocka_unit_test(null_is_not_a_value),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
