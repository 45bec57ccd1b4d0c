/* A merge sort of positions by their keys: stable, n log n for any input, and without a callback that could not fail. */
#include "expr/sort.h"

#include "expr/compare.h"

static bool keys_are_sortable(struct evaluation *evaluation, const struct value *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (value_order(&keys[0], &keys[i]) == ORDER_UNDEFINED) {
            struct value both[] = {keys[0], keys[i]};
            return fault_overload(evaluation, "sort", both, 2);
        }
    }
    return true;
}

/* Merges the sorted runs [from, middle) and [middle, to) of `a` into `b`. */
static void merge(const size_t *a, size_t *b, size_t from, size_t middle, size_t to, const struct value *keys)
{
    size_t left = from, right = middle;
    for (size_t i = from; i < to; i++) {
        bool take_left =
            right == to || (left < middle && value_order(&keys[a[left]], &keys[a[right]]) != ORDER_GREATER);
        b[i] = take_left ? a[left++] : a[right++];
    }
}

bool sort_by_keys(struct evaluation *evaluation, const struct value_list *items, const struct value *keys,
                  struct value *ret_value)
{
    size_t count = items->count;
    if (!evaluation_charge(evaluation, 2 * count) || !keys_are_sortable(evaluation, keys, count))
        return false;
    size_t *a = arena_alloc(evaluation->arena, count * sizeof *a),
           *b = arena_alloc(evaluation->arena, count * sizeof *b);
    struct value *sorted = arena_alloc(evaluation->arena, count * sizeof *sorted);
    struct value_list *list = arena_alloc(evaluation->arena, sizeof *list);
    if (!a || !b || !sorted || !list)
        return fault_memory(evaluation);
    for (size_t i = 0; i < count; i++)
        a[i] = i;
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t from = 0; from < count; from += 2 * width)
            merge(a, b, from, MIN_OF(from + width, count), MIN_OF(from + 2 * width, count), keys);
        size_t *merged = b;
        b = a;
        a = merged;
    }
    for (size_t i = 0; i < count; i++)
        sorted[i] = items->items[a[i]];
    *list = (struct value_list){count, sorted};
    *ret_value = value_of_list(list);
    return true;
}
