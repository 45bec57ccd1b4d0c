/* Functions of lists. */
#include "expr/compare.h"
#include "expr/function.h"
#include "expr/sort.h"

/* A list with room for `capacity` items, which is its count. */
static struct value *list_new(struct evaluation *evaluation, size_t count, struct value *ret_value)
{
    struct value_list *list = arena_alloc(evaluation->arena, sizeof *list);
    struct value *items = arena_array(evaluation->arena, count, sizeof *items);
    if (!list || !items) {
        fault_memory(evaluation);
        return NULL;
    }
    *list = (struct value_list){count, items};
    *ret_value = value_of_list(list);
    return items;
}

static bool slice(struct call *call, const struct value *arguments, struct value *ret_value)
{
    const struct value_list *list = arguments[0].list;
    int64_t from = arguments[1].integer, to = arguments[2].integer;
    if (from < 0 || to < from || (uint64_t)to > list->count)
        return fault_set(call->evaluation, "index out of range");
    struct value_list *part = arena_alloc(call->evaluation->arena, sizeof *part);
    if (!part)
        return fault_memory(call->evaluation);
    *part = (struct value_list){(size_t)(to - from), list->items + from};
    *ret_value = value_of_list(part);
    return true;
}

/* Counts, and copies if `to` is not NULL, the items with lists opened up to a depth. False: too many steps. */
static bool flatten_into(struct evaluation *evaluation, const struct value_list *list, int64_t depth,
                         struct value *to, size_t *count)
{
    enum {
        DEEPEST = 100
    }; /* lists of lists cannot be deeper than their source, but sources may share parts */
    for (size_t i = 0; i < list->count; i++) {
        const struct value *item = &list->items[i];
        if (!evaluation_charge(evaluation, 1))
            return false;
        if (item->kind == VALUE_LIST && depth > 0) {
            if (!flatten_into(evaluation, item->list, MIN_OF(depth, DEEPEST) - 1, to, count))
                return false;
            continue;
        }
        if (to)
            to[*count] = *item;
        ++*count;
    }
    return true;
}

static bool flatten_to(struct call *call, const struct value *arguments, int64_t depth,
                       struct value *ret_value)
{
    size_t count = 0;
    if (depth < 0)
        return fault_set(call->evaluation, "a negative depth");
    if (!flatten_into(call->evaluation, arguments[0].list, depth, NULL, &count))
        return false;
    struct value *items = list_new(call->evaluation, count, ret_value);
    count = 0;
    return items && flatten_into(call->evaluation, arguments[0].list, depth, items, &count);
}

static bool flatten(struct call *call, const struct value *arguments, struct value *ret_value)
{
    return flatten_to(call, arguments, 1, ret_value);
}

static bool flatten_deep(struct call *call, const struct value *arguments, struct value *ret_value)
{
    return flatten_to(call, arguments, arguments[1].integer, ret_value);
}

static bool sort(struct call *call, const struct value *arguments, struct value *ret_value)
{
    return sort_by_keys(call->evaluation, arguments[0].list, arguments[0].list->items, ret_value);
}

static bool distinct(struct call *call, const struct value *arguments, struct value *ret_value)
{
    struct evaluation *evaluation = call->evaluation;
    const struct value_list *list = arguments[0].list;
    struct value *items = list_new(evaluation, list->count, ret_value);
    size_t count = 0;
    for (size_t i = 0; items && i < list->count; i++) {
        bool known = false;
        for (size_t k = 0; k < count && !known; k++)
            known = value_same(&items[k], &list->items[i], evaluation->arena, &evaluation->steps);
        if (evaluation->steps == 0)
            return fault_steps(evaluation);
        if (!known)
            items[count++] = list->items[i];
    }
    if (!items)
        return false;
    ((struct value_list *)ret_value->list)->count = count;
    return true;
}

static bool reverse(struct call *call, const struct value *arguments, struct value *ret_value)
{
    const struct value_list *list = arguments[0].list;
    struct value *items = evaluation_charge(call->evaluation, list->count / 4)
                              ? list_new(call->evaluation, list->count, ret_value)
                              : NULL;
    for (size_t i = 0; items && i < list->count; i++)
        items[i] = list->items[list->count - 1 - i];
    return items;
}

static bool range(struct call *call, const struct value *arguments, struct value *ret_value)
{
    int64_t count = MAX_OF(arguments[0].integer, 0);
    struct value *items = evaluation_charge(call->evaluation, (uint64_t)count)
                              ? list_new(call->evaluation, (size_t)count, ret_value)
                              : NULL;
    for (int64_t i = 0; items && i < count; i++)
        items[i] = value_int(i);
    return items;
}

static bool element(struct call *call, const struct value_list *list, bool last, struct value *ret_value)
{
    (void)call; /* cannot fail: it points into the list */
    const struct value *item = list->count == 0 ? NULL : &list->items[last ? list->count - 1 : 0];
    *ret_value = (struct value){.kind = VALUE_OPTIONAL, .optional = item};
    return true;
}

static bool first_element(struct call *call, const struct value *arguments, struct value *ret_value)
{
    return element(call, arguments[0].list, false, ret_value);
}

static bool last_element(struct call *call, const struct value *arguments, struct value *ret_value)
{
    return element(call, arguments[0].list, true, ret_value);
}

static const struct function rows[] = {
    {"slice",
     FUNCTION_RECEIVER,
     {SIG_LIST, SIG_INT, SIG_INT},
     SIG_LIST,
     slice,
     "The elements from a position up to, and without, another.",
     1,
     .example = "['a', 'b', 'c'].slice(1, 3) => [\"b\", \"c\"]"},
    {"flatten",
     FUNCTION_RECEIVER,
     {SIG_LIST_DYN},
     SIG_LIST_DYN,
     flatten,
     "With the elements of lists in place of those lists.",
     3,
     .example = "[1, [2, [3]]].flatten() => [1, 2, [3]]",
     .usual = 4 * ITEMS_USUAL},
    {"flatten",
     FUNCTION_RECEIVER,
     {SIG_LIST_DYN, SIG_INT},
     SIG_LIST_DYN,
     flatten_deep,
     "The same to a depth.",
     3,
     .example = "[1, [2, [3]]].flatten(2) => [1, 2, 3]",
     .usual = 4 * ITEMS_USUAL},
    {"sort",
     FUNCTION_RECEIVER,
     {SIG_LIST},
     SIG_LIST,
     sort,
     "In ascending order.",
     5,
     .example = "[3, 1, 2].sort() => [1, 2, 3]",
     .usual = 2 * ITEMS_USUAL},
    {"distinct",
     FUNCTION_RECEIVER,
     {SIG_LIST},
     SIG_LIST,
     distinct,
     "Without repeated elements.",
     5,
     .example = "['b', 'a', 'b'].distinct() => [\"b\", \"a\"]",
     .usual = ITEMS_USUAL * ITEMS_USUAL / 2},
    {"reverse",
     FUNCTION_RECEIVER,
     {SIG_LIST},
     SIG_LIST,
     reverse,
     "In reverse order.",
     2,
     .example = "[1, 2, 3].reverse() => [3, 2, 1]",
     .usual = ITEMS_USUAL / 4},
    {"lists.range",
     FUNCTION_GLOBAL,
     {SIG_INT},
     SIG_LIST_INT,
     range,
     "The numbers from 0 up to, and without, this one.",
     2,
     .example = "lists.range(3) => [0, 1, 2]",
     .usual = ITEMS_USUAL},
    {"first",
     FUNCTION_RECEIVER,
     {SIG_LIST},
     SIG_OPTIONAL,
     first_element,
     "The first element, none of an empty list.",
     1,
     .example = "[1, 2].first() => optional.of(1)"},
    {"last",
     FUNCTION_RECEIVER,
     {SIG_LIST},
     SIG_OPTIONAL,
     last_element,
     "The last element, none of an empty list.",
     1,
     .example = "[].last() => optional.none()"},
};

const struct function_group functions_list = FUNCTION_GROUP("Lists", rows);
