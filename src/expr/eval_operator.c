/* Equality, order and arithmetic, with the overflow rules of the language. */
#include <math.h>

#include "expr/calendar.h"
#include "expr/compare.h"
#include "expr/node.h"

static inline bool run_both(const struct node *node, struct evaluation *evaluation, struct value both[2])
{
    return node_run(node->items[0], evaluation, &both[0]) && node_run(node->items[1], evaluation, &both[1]);
}

static bool no_overload(const struct node *node, struct evaluation *evaluation, const struct value both[2])
{
    fault_overload(evaluation, node->sign, both, 2);
    return fault_here(evaluation, node);
}

static inline bool equality(const struct node *node, struct evaluation *evaluation, struct value *ret_value,
                            bool wanted)
{
    struct value both[2];
    if (!run_both(node, evaluation, both))
        return false;
    bool same = value_same(&both[0], &both[1], evaluation->arena, &evaluation->steps);
    if (UNLIKELY(evaluation->steps == 0)) {
        fault_steps(evaluation);
        return fault_here(evaluation, node);
    }
    *ret_value = value_bool(same == wanted);
    return true;
}

bool eval_equal(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    return equality(node, evaluation, ret_value, true);
}

bool eval_unequal(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    return equality(node, evaluation, ret_value, false);
}

/* With a constant string on the right: the most frequent condition of all. */
bool eval_equal_text(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    struct value left;
    if (!node_run(node->items[0], evaluation, &left))
        return false;
    *ret_value =
        value_bool(left.kind == VALUE_STRING && text_equal(left.text, node->items[1]->constant.text));
    return true;
}

bool eval_unequal_text(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    if (!eval_equal_text(node, evaluation, ret_value))
        return false;
    ret_value->boolean = !ret_value->boolean;
    return true;
}

bool eval_compare(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    struct value both[2];
    if (!run_both(node, evaluation, both))
        return false;
    enum order order = value_order(&both[0], &both[1]);
    if (order == ORDER_UNDEFINED) {
        fault_overload(evaluation, node->comparison.sign, both, 2);
        return fault_here(evaluation, node);
    }
    *ret_value = value_bool(order != ORDER_NONE && node->comparison.holds((int)order));
    return true;
}

static bool overflow(struct evaluation *evaluation, const char *said)
{
    return fault_set(evaluation, said);
}

static bool concat_lists(struct evaluation *evaluation, const struct value_list *a,
                         const struct value_list *b, struct value *ret_value)
{
    size_t count = a->count + b->count;
    if (!evaluation_charge(evaluation, count / 4))
        return false;
    struct value_list *list = arena_alloc(evaluation->arena, sizeof *list);
    struct value *items = arena_alloc(evaluation->arena, count * sizeof *items);
    if (!list || !items)
        return fault_memory(evaluation);
    if (a->count)
        memcpy(items, a->items, a->count * sizeof *items);
    if (b->count)
        memcpy(items + a->count, b->items, b->count * sizeof *items);
    *list = (struct value_list){count, items};
    *ret_value = value_of_list(list);
    return true;
}

static bool concat_texts(struct evaluation *evaluation, const struct value *a, const struct value *b,
                         struct value *ret_value)
{
    struct text parts[] = {a->text, b->text};
    if (!evaluation_charge_bytes(evaluation, a->text.size + b->text.size))
        return false;
    struct text joined = arena_join(evaluation->arena, parts, 2);
    if (joined.size != a->text.size + b->text.size)
        return fault_memory(evaluation);
    *ret_value = (struct value){.kind = a->kind, .text = joined};
    return true;
}

/* Sums and differences of times: `kind` is the kind of the result. */
static bool time_result(struct evaluation *evaluation, bool fits, enum value_kind kind,
                        struct value_time time, struct value *ret_value)
{
    if (!fits || !(kind == VALUE_TIMESTAMP ? timestamp_in_range(time) : duration_in_range(time)))
        return overflow(evaluation,
                        kind == VALUE_TIMESTAMP ? "timestamp out of range" : "duration out of range");
    *ret_value = (struct value){.kind = kind, .time = time};
    return true;
}

static bool add_times(struct evaluation *evaluation, const struct value *a, const struct value *b,
                      struct value *ret_value)
{
    struct value_time sum = {0, 0};
    bool fits = time_add(a->time, b->time, &sum);
    bool is_instant = a->kind == VALUE_TIMESTAMP || b->kind == VALUE_TIMESTAMP;
    return time_result(evaluation, fits, is_instant ? VALUE_TIMESTAMP : VALUE_DURATION, sum, ret_value);
}

static bool add(const struct node *node, struct evaluation *evaluation, const struct value both[2],
                struct value *ret_value)
{
    const struct value *a = &both[0], *b = &both[1];
    if (a->kind != b->kind) {
        if ((a->kind == VALUE_TIMESTAMP && b->kind == VALUE_DURATION)
            || (a->kind == VALUE_DURATION && b->kind == VALUE_TIMESTAMP))
            return add_times(evaluation, a, b, ret_value);
        return no_overload(node, evaluation, both);
    }
    ret_value->kind = a->kind;
    if (a->kind == VALUE_INT)
        return !__builtin_add_overflow(a->integer, b->integer, &ret_value->integer)
               || overflow(evaluation, "integer overflow");
    if (a->kind == VALUE_UINT)
        return !__builtin_add_overflow(a->uinteger, b->uinteger, &ret_value->uinteger)
               || overflow(evaluation, "unsigned integer overflow");
    if (a->kind == VALUE_DOUBLE) {
        ret_value->number = a->number + b->number;
        return true;
    }
    if (a->kind == VALUE_STRING || a->kind == VALUE_BYTES)
        return concat_texts(evaluation, a, b, ret_value);
    if (a->kind == VALUE_LIST)
        return concat_lists(evaluation, a->list, b->list, ret_value);
    return a->kind == VALUE_DURATION ? add_times(evaluation, a, b, ret_value)
                                     : no_overload(node, evaluation, both);
}

bool eval_add(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    struct value both[2];
    if (!node_run(node->items[0], evaluation, &both[0]))
        return false;
    for (uint32_t i = 1; i < node->count; i++) {
        struct value sum;
        if (!node_run(node->items[i], evaluation, &both[1]))
            return false;
        if (!add(node, evaluation, both, &sum))
            return fault_here(evaluation, node);
        both[0] = sum;
    }
    *ret_value = both[0];
    return true;
}

/* A chain of + in which something is known to be a string: all must be, and one copy makes the result. */
bool eval_concat(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    enum { FEW = 8 };
    struct text few[FEW], *parts = few;
    if (node->count > FEW && !(parts = arena_alloc(evaluation->arena, node->count * sizeof *parts)))
        return fault_memory(evaluation);
    size_t size = 0;
    for (uint32_t i = 0; i < node->count; i++) {
        struct value part;
        if (!node_run(node->items[i], evaluation, &part))
            return false;
        if (UNLIKELY(part.kind != VALUE_STRING)) {
            struct value both[] = {value_string(TEXT("")), part};
            return no_overload(node, evaluation, both);
        }
        parts[i] = part.text;
        size += part.text.size;
    }
    if (!evaluation_charge_bytes(evaluation, size))
        return fault_here(evaluation, node);
    char *to = arena_alloc(evaluation->arena, size);
    if (UNLIKELY(!to))
        return fault_memory(evaluation);
    *ret_value = value_string((struct text){to, size});
    for (uint32_t i = 0; i < node->count; i++)
        if (parts[i].size)
            to = (char *)memcpy(to, parts[i].at, parts[i].size) + parts[i].size;
    return true;
}

static bool subtract(const struct node *node, struct evaluation *evaluation, const struct value both[2],
                     struct value *ret_value)
{
    const struct value *a = &both[0], *b = &both[1];
    struct value_time difference = {0, 0};
    bool is_time = (a->kind == VALUE_TIMESTAMP && (b->kind == VALUE_TIMESTAMP || b->kind == VALUE_DURATION))
                   || (a->kind == VALUE_DURATION && b->kind == VALUE_DURATION);
    if (is_time) {
        bool fits = time_subtract(a->time, b->time, &difference);
        bool is_instant = a->kind == VALUE_TIMESTAMP && b->kind == VALUE_DURATION;
        return time_result(evaluation, fits, is_instant ? VALUE_TIMESTAMP : VALUE_DURATION, difference,
                           ret_value);
    }
    ret_value->kind = a->kind;
    if (a->kind == VALUE_INT && b->kind == VALUE_INT)
        return !__builtin_sub_overflow(a->integer, b->integer, &ret_value->integer)
               || overflow(evaluation, "integer overflow");
    if (a->kind == VALUE_UINT && b->kind == VALUE_UINT)
        return !__builtin_sub_overflow(a->uinteger, b->uinteger, &ret_value->uinteger)
               || overflow(evaluation, "unsigned integer overflow");
    if (a->kind != VALUE_DOUBLE || b->kind != VALUE_DOUBLE)
        return no_overload(node, evaluation, both);
    ret_value->number = a->number - b->number;
    return true;
}

bool eval_subtract(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    struct value both[2];
    if (!run_both(node, evaluation, both))
        return false;
    return subtract(node, evaluation, both, ret_value) || fault_here(evaluation, node);
}

bool eval_multiply(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    struct value both[2];
    if (!run_both(node, evaluation, both))
        return false;
    ret_value->kind = both[0].kind;
    bool fits = true;
    if (both[0].kind == VALUE_INT && both[1].kind == VALUE_INT)
        fits = !__builtin_mul_overflow(both[0].integer, both[1].integer, &ret_value->integer);
    else if (both[0].kind == VALUE_UINT && both[1].kind == VALUE_UINT)
        fits = !__builtin_mul_overflow(both[0].uinteger, both[1].uinteger, &ret_value->uinteger);
    else if (both[0].kind == VALUE_DOUBLE && both[1].kind == VALUE_DOUBLE)
        ret_value->number = both[0].number * both[1].number;
    else
        return no_overload(node, evaluation, both);
    return fits
           || (overflow(evaluation,
                        both[0].kind == VALUE_INT ? "integer overflow" : "unsigned integer overflow"),
               fault_here(evaluation, node));
}

/* Division and modulus of integers share their failures. */
static bool divide(const struct node *node, struct evaluation *evaluation, bool modulo,
                   struct value *ret_value)
{
    struct value both[2];
    if (!run_both(node, evaluation, both))
        return false;
    ret_value->kind = both[0].kind;
    if (both[0].kind == VALUE_DOUBLE && both[1].kind == VALUE_DOUBLE && !modulo) {
        ret_value->number = both[0].number / both[1].number;
        return true;
    }
    bool is_int = both[0].kind == VALUE_INT && both[1].kind == VALUE_INT;
    if (!is_int && (both[0].kind != VALUE_UINT || both[1].kind != VALUE_UINT))
        return no_overload(node, evaluation, both);
    if (both[1].uinteger == 0) {
        fault_set(evaluation, modulo ? "modulus by zero" : "division by zero");
        return fault_here(evaluation, node);
    }
    if (is_int && both[0].integer == INT64_MIN && both[1].integer == -1) {
        overflow(evaluation, "integer overflow");
        return fault_here(evaluation, node);
    }
    if (is_int)
        ret_value->integer = modulo ? both[0].integer % both[1].integer : both[0].integer / both[1].integer;
    else
        ret_value->uinteger =
            modulo ? both[0].uinteger % both[1].uinteger : both[0].uinteger / both[1].uinteger;
    return true;
}

bool eval_divide(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    return divide(node, evaluation, false, ret_value);
}

bool eval_modulo(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    return divide(node, evaluation, true, ret_value);
}

bool eval_negate(const struct node *node, struct evaluation *evaluation, struct value *ret_value)
{
    struct value operand;
    if (!node_run(node->items[0], evaluation, &operand))
        return false;
    ret_value->kind = operand.kind;
    if (operand.kind == VALUE_DOUBLE) {
        ret_value->number = -operand.number;
        return true;
    }
    if (operand.kind == VALUE_INT && !__builtin_sub_overflow(0, operand.integer, &ret_value->integer))
        return true;
    if (operand.kind == VALUE_INT)
        overflow(evaluation, "integer overflow");
    else
        fault_overload(evaluation, node->sign, &operand, 1);
    return fault_here(evaluation, node);
}
