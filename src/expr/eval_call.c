/* Calls of functions. The checker has narrowed the overloads; which of them is meant shows when the arguments are there. */
#include "expr/function.h"

static inline bool takes(const struct function *function, const struct value *arguments, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (UNLIKELY(!(value_bit(&arguments[i]) & signature_bits(function->takes[i]))))
            return false;
    return true;
}

static inline bool dispatch(const struct node *node, struct evaluation *evaluation,
                            const struct value *arguments, struct value *ret_value)
{
    for (uint32_t i = 0; i < node->call.candidates_count; i++) {
        const struct function *function = node->call.candidates[i];
        if (!takes(function, arguments, node->count))
            continue;
        struct call call = {evaluation, node->call.prepared};
        if (LIKELY(evaluation_charge(evaluation, function->cost)
                   && function->run(&call, arguments, ret_value)))
            return true;
        return fault_here(evaluation, node);
    }
    fault_overload(evaluation, node->call.name, arguments, node->count);
    return fault_here(evaluation, node);
}

bool eval_call(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    struct value arguments[ARGUMENTS_MAX];
    for (uint32_t i = 0; i < node->count; i++)
        if (!node_run(node->items[i], evaluation, &arguments[i]))
            return false;
    return dispatch(node, evaluation, arguments, ret_value);
}

/* or() and orValue(): the second is evaluated only where the first has no value. */
bool eval_or_else(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    struct value arguments[2];
    if (!node_run(node->items[0], evaluation, &arguments[0]))
        return false;
    if (arguments[0].kind == VALUE_OPTIONAL && arguments[0].optional)
        arguments[1] =
            (struct value){.kind = VALUE_OPTIONAL, .optional = NULL}; /* of a type that both take; not used */
    else if (!node_run(node->items[1], evaluation, &arguments[1]))
        return false;
    return dispatch(node, evaluation, arguments, ret_value);
}

/* startsWith and endsWith with a constant. */
static inline bool run_texts(const struct node *node, struct evaluation *evaluation, struct value *ret_left)
{
    if (!node_run(node->items[0], evaluation, ret_left))
        return false;
    if (LIKELY(ret_left->kind == VALUE_STRING))
        return true;
    fault_overload(evaluation, node->call.name, ret_left, 1);
    return fault_here(evaluation, node);
}

bool eval_starts_with(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    struct value left;
    if (!run_texts(node, evaluation, &left))
        return false;
    *ret_value = value_bool(text_starts_with(left.text, node->items[1]->constant.text));
    return true;
}

bool eval_ends_with(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    struct value left;
    if (!run_texts(node, evaluation, &left))
        return false;
    *ret_value = value_bool(text_ends_with(left.text, node->items[1]->constant.text));
    return true;
}
