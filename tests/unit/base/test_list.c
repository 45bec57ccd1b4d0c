/* The intrusive ring. */
#include "unit.h"

#include "base/check.h"
#include "base/list.h"

struct item {
    char name;
    struct list link;
};

/* The names in order, walked forwards; the way back must agree. */
static struct text names(struct list *list, char to[16])
{
    size_t size = 0;
    LIST_EACH (link, list)
        to[size++] = CONTAINER_OF(link, struct item, link)->name;
    size_t left = size;
    for (struct list *link = list->previous; link != list; link = link->previous)
        assert_int_equal(CONTAINER_OF(link, struct item, link)->name, to[--left]);
    assert_int_equal(left, 0);
    return (struct text){to, size};
}

static void members_are_walked_in_order(void **state)
{
    (void)state;
    struct list list;
    struct item a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'};
    char to[16];
    list_init(&list);
    assert_true(list_is_empty(&list));
    list_push_back(&list, &b.link);
    list_push_back(&list, &c.link);
    list_push_front(&list, &a.link);
    assert_false(list_is_empty(&list));
    assert_text(names(&list, to), "abc");
}

static void removal_is_harmless_twice(void **state)
{
    (void)state;
    struct list list;
    struct item a = {.name = 'a'}, b = {.name = 'b'};
    char to[16];
    list_init(&list);
    list_push_back(&list, &a.link);
    list_push_back(&list, &b.link);
    list_remove(&a.link);
    list_remove(&a.link);
    assert_text(names(&list, to), "b");
    list_push_back(&list, &a.link);
    assert_text(names(&list, to), "ba");
}

static void pop_takes_from_the_front_until_empty(void **state)
{
    (void)state;
    struct list list;
    struct item a = {.name = 'a'}, b = {.name = 'b'};
    list_init(&list);
    list_push_back(&list, &a.link);
    list_push_back(&list, &b.link);
    assert_ptr_equal(list_pop_front(&list), &a.link);
    assert_ptr_equal(list_pop_front(&list), &b.link);
    assert_null(list_pop_front(&list));
    assert_true(list_is_empty(&list));
}

static void the_safe_walk_allows_removal_of_the_current(void **state)
{
    (void)state;
    struct list list;
    struct item items[6];
    char to[16];
    list_init(&list);
    for (size_t i = 0; i < COUNT_OF(items); i++) {
        items[i].name = (char)('a' + i);
        list_push_back(&list, &items[i].link);
    }
    LIST_EACH_SAFE (link, &list) {
        if (CONTAINER_OF(link, struct item, link)->name % 2)
            list_remove(link);
    }
    assert_text(names(&list, to), "bdf");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_walked_in_order),
        cmocka_unit_test(removal_is_harmless_twice),
        cmocka_unit_test(pop_takes_from_the_front_until_empty),
        cmocka_unit_test(the_safe_walk_allows_removal_of_the_current),
    };
    return RUN_TESTS(tests);
}
