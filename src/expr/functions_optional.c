/* Optional values. */
#include "expr/function.h"

static bool wrap(struct call *call, const struct value *value, struct value *ret_value)
{
    struct value *copy = arena_alloc(call->evaluation->arena, sizeof *copy);
    if (!copy)
        return fault_memory(call->evaluation);
    *copy = *value;
    *ret_value = (struct value){.kind = VALUE_OPTIONAL, .optional = copy};
    return true;
}

static bool of(struct call *call, const struct value *arguments, struct value *ret_value)
{
    return wrap(call, &arguments[0], ret_value);
}

static bool none(struct call *call, const struct value *arguments, struct value *ret_value)
{
    (void)call, (void)arguments; /* there are none, and it cannot fail */
    *ret_value = (struct value){.kind = VALUE_OPTIONAL, .optional = NULL};
    return true;
}

static bool is_zero(const struct value *value)
{
    switch (value->kind) {
    case VALUE_NULL: return true;
    case VALUE_BOOL: return !value->boolean;
    case VALUE_INT: return value->integer == 0;
    case VALUE_UINT: return value->uinteger == 0;
    case VALUE_DOUBLE: return value->number == 0;
    case VALUE_STRING:
    case VALUE_BYTES: return value->text.size == 0;
    case VALUE_LIST: return value->list->count == 0;
    case VALUE_MAP: return value->map->size(value->map) == 0;
    case VALUE_TIMESTAMP:
    case VALUE_DURATION: return value->time.seconds == 0 && value->time.nanos == 0;
    case VALUE_OPTIONAL: return !value->optional;
    case VALUE_TYPE:
    case VALUE_HOST: return false;
    }
    UNREACHABLE();
}

static bool of_non_zero(struct call *call, const struct value *arguments, struct value *ret_value)
{
    return is_zero(&arguments[0]) ? none(call, arguments, ret_value) : wrap(call, &arguments[0], ret_value);
}

static bool has_value(struct call *call, const struct value *arguments, struct value *ret_value)
{
    (void)call; /* cannot fail */
    *ret_value = value_bool(arguments[0].optional);
    return true;
}

static bool value_of(struct call *call, const struct value *arguments, struct value *ret_value)
{
    if (!arguments[0].optional)
        return fault_set(call->evaluation, "the value of optional.none()");
    *ret_value = *arguments[0].optional;
    return true;
}

static bool or_value(struct call *call, const struct value *arguments, struct value *ret_value)
{
    (void)call; /* cannot fail */
    *ret_value = arguments[0].optional ? *arguments[0].optional : arguments[1];
    return true;
}

static bool or_optional(struct call *call, const struct value *arguments, struct value *ret_value)
{
    (void)call; /* cannot fail */
    *ret_value = arguments[arguments[0].optional ? 0 : 1];
    return true;
}

static bool unwrap(struct call *call, const struct value *arguments, struct value *ret_value)
{
    const struct value_list *from = arguments[0].list;
    struct value_list *list = arena_alloc(call->evaluation->arena, sizeof *list);
    struct value *items = arena_array(call->evaluation->arena, from->count, sizeof *items);
    if (!list || !items)
        return fault_memory(call->evaluation);
    size_t count = 0;
    for (size_t i = 0; i < from->count; i++) {
        if (from->items[i].kind != VALUE_OPTIONAL)
            return fault_overload(call->evaluation, "unwrap", &from->items[i], 1);
        if (from->items[i].optional)
            items[count++] = *from->items[i].optional;
    }
    *list = (struct value_list){count, items};
    *ret_value = value_of_list(list);
    return evaluation_charge(call->evaluation, from->count / 4);
}

static const struct function rows[] = {
    {"optional.of",
     FUNCTION_GLOBAL,
     {SIG_A},
     SIG_OPTIONAL,
     of,
     "An optional with this value.",
     1,
     .example = "optional.of(1) => optional.of(1)"},
    {"optional.none",
     FUNCTION_GLOBAL,
     {SIG_NONE},
     SIG_OPTIONAL,
     none,
     "An optional without a value.",
     1,
     .example = "optional.none().hasValue() => false"},
    {"optional.ofNonZeroValue",
     FUNCTION_GLOBAL,
     {SIG_A},
     SIG_OPTIONAL,
     of_non_zero,
     "An optional with this value, unless it is empty, zero, false or null.",
     1,
     .example = "optional.ofNonZeroValue('') => optional.none()"},
    {"optional.unwrap",
     FUNCTION_GLOBAL,
     {SIG_LIST_OPTIONAL},
     SIG_LIST,
     unwrap,
     "The values of a list of optionals, without those that have none.",
     2,
     .example = "optional.unwrap([optional.of(1), optional.none()]) => [1]",
     .usual = ITEMS_USUAL / 4},
    {"unwrapOpt",
     FUNCTION_RECEIVER,
     {SIG_LIST_OPTIONAL},
     SIG_LIST,
     unwrap,
     "The same.",
     2,
     .example = "[{'a': 1}.?a, {}.?a].unwrapOpt() => [1]",
     .usual = ITEMS_USUAL / 4},
    {"hasValue",
     FUNCTION_RECEIVER,
     {SIG_OPTIONAL},
     SIG_BOOL,
     has_value,
     "Whether it has a value.",
     1,
     .example = "{'a': 1}.?b.hasValue() => false"},
    {"value",
     FUNCTION_RECEIVER,
     {SIG_OPTIONAL},
     SIG_A,
     value_of,
     "The value; an error if there is none.",
     1,
     .example = "optional.of(1).value() => 1"},
    {"orValue",
     FUNCTION_RECEIVER,
     {SIG_OPTIONAL, SIG_A},
     SIG_A,
     or_value,
     "The value, or this one if there is none.",
     1,
     .example = "{'a': 1}[?'b'].orValue(0) => 0"},
    {"or",
     FUNCTION_RECEIVER,
     {SIG_OPTIONAL, SIG_OPTIONAL},
     SIG_OPTIONAL,
     or_optional,
     "The optional, or this one if it has no value.",
     1,
     .example = "{}.?a.or(optional.of(2)) => optional.of(2)"},
};

const struct function_group functions_optional = FUNCTION_GROUP("Optional values", rows);
