/* Lists taken as sets. */
#include "expr/compare.h"
#include "expr/function.h"

static bool has(struct evaluation *evaluation, const struct value_list *list, const struct value *item)
{
    for (size_t i = 0; i < list->count; i++)
        if (value_same(&list->items[i], item, evaluation->arena, &evaluation->steps))
            return true;
    return false;
}

/* Whether all elements of `part` are in `whole`. */
static bool has_all(struct evaluation *evaluation, const struct value_list *whole,
                    const struct value_list *part)
{
    for (size_t i = 0; i < part->count; i++)
        if (!has(evaluation, whole, &part->items[i]))
            return false;
    return true;
}

static bool give(struct call *call, bool result, struct value *ret_value)
{
    *ret_value = value_bool(result);
    return call->evaluation->steps > 0 || fault_steps(call->evaluation);
}

static bool contains(struct call *call, const struct value *arguments, struct value *ret_value)
{
    return give(call, has_all(call->evaluation, arguments[0].list, arguments[1].list), ret_value);
}

static bool equivalent(struct call *call, const struct value *arguments, struct value *ret_value)
{
    const struct value_list *a = arguments[0].list, *b = arguments[1].list;
    return give(call, has_all(call->evaluation, a, b) && has_all(call->evaluation, b, a), ret_value);
}

static bool intersects(struct call *call, const struct value *arguments, struct value *ret_value)
{
    bool found = false;
    for (size_t i = 0; i < arguments[0].list->count && !found; i++)
        found = has(call->evaluation, arguments[1].list, &arguments[0].list->items[i]);
    return give(call, found, ret_value);
}

static const struct function rows[] = {
    {"sets.contains",
     FUNCTION_GLOBAL,
     {SIG_LIST, SIG_LIST},
     SIG_BOOL,
     contains,
     "Whether the first list has all elements of the second.",
     5,
     .example = "sets.contains([1, 2, 3], [3, 1]) => true",
     .usual = ITEMS_USUAL * ITEMS_USUAL},
    {"sets.equivalent",
     FUNCTION_GLOBAL,
     {SIG_LIST, SIG_LIST},
     SIG_BOOL,
     equivalent,
     "Whether each list has all elements of the other.",
     10,
     .example = "sets.equivalent([1, 2], [2, 1, 1]) => true",
     .usual = 2 * ITEMS_USUAL * ITEMS_USUAL},
    {"sets.intersects",
     FUNCTION_GLOBAL,
     {SIG_LIST, SIG_LIST},
     SIG_BOOL,
     intersects,
     "Whether the lists have an element in common.",
     5,
     .example = "sets.intersects(['a', 'b'], ['b', 'c']) => true",
     .usual = ITEMS_USUAL * ITEMS_USUAL},
};

const struct function_group functions_set = FUNCTION_GROUP("Sets", rows);
