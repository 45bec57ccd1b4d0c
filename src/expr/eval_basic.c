/* Constants, variables, attributes, and the operators that do not evaluate all of their operands. */
#include "expr/node.h"

bool eval_constant(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    (void)evaluation; /* it needs nothing of the run */
    *ret_value = node->constant;
    return true;
}

bool eval_slot(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    *ret_value = evaluation->slots[node->slot];
    return true;
}

bool eval_now(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    (void)node; /* every `now` of a run is the same */
    *ret_value = value_timestamp(evaluation->run->now_ns);
    return true;
}

/* An unchecked expression with something that no value can have: fails when it is reached. */
bool eval_unknown(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    (void)ret_value; /* there is none */
    fault_set(evaluation, node->name.at);
    return fault_here(evaluation, node);
}

bool eval_attribute(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    const struct expr_run *run = evaluation->run;
    if (LIKELY(run->lookup && run->lookup(run->context, node->attribute.id, evaluation->arena, ret_value))) {
        if (LIKELY(value_bit(ret_value) & node->attribute.bits))
            return true;
        fault_text(evaluation, "an attribute has a value of another type than declared",
                   node->attribute.name);
    } else if (evaluation->arena->failed) {
        fault_memory(evaluation);
    } else {
        fault_text(evaluation, "no value here for", node->attribute.name);
    }
    return fault_here(evaluation, node);
}

bool eval_has_attribute(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    const struct expr_run *run = evaluation->run;
    struct value value;
    *ret_value =
        value_bool(run->lookup && run->lookup(run->context, node->attribute.id, evaluation->arena, &value));
    return true;
}

static bool want_bool(const struct node *node, struct evaluation *evaluation, const struct value *value)
{
    if (LIKELY(value->kind == VALUE_BOOL))
        return true;
    fault_overload(evaluation, node->sign, value, 1);
    return fault_here(evaluation, node);
}

bool eval_conditional(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    struct value condition;
    if (!node_run(node->items[0], evaluation, &condition) || !want_bool(node, evaluation, &condition))
        return false;
    return node_run(node->items[condition.boolean ? 1 : 2], evaluation, ret_value);
}

bool eval_not(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    struct value operand;
    if (!node_run(node->items[0], evaluation, &operand) || !want_bool(node, evaluation, &operand))
        return false;
    *ret_value = value_bool(!operand.boolean);
    return true;
}

/* && and ||: an operand that is `decisive` decides, whatever fails beside it; otherwise the first failure counts. */
static inline bool logic(const struct node *node, struct evaluation *evaluation, struct value *ret_value,
                         bool decisive)
{
    struct fault first;
    bool failed = false;
    for (uint32_t i = 0; i < node->count; i++) {
        struct value operand;
        if (LIKELY(node_run(node->items[i], evaluation, &operand) && want_bool(node, evaluation, &operand))) {
            if (operand.boolean != decisive)
                continue;
            *ret_value = value_bool(decisive);
            return true;
        }
        if (evaluation->fault.fatal)
            return false;
        if (!failed)
            first = evaluation->fault;
        failed = true;
    }
    if (failed)
        evaluation->fault = first;
    *ret_value = value_bool(!decisive);
    return !failed;
}

bool eval_and(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    return logic(node, evaluation, ret_value, false);
}

bool eval_or(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    return logic(node, evaluation, ret_value, true);
}
