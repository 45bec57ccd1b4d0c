/* Functions of numbers. */
#include <math.h>

#include "expr/compare.h"
#include "expr/function.h"

static bool itself(struct call *call, const struct value *arguments, struct value *ret_value)
{
    (void)call; /* cannot fail */
    *ret_value = arguments[0];
    return true;
}

/* The number of a list that stands at the end of the order; `side` says which. */
static bool extreme(struct call *call, const struct value_list *list, enum order side,
                    struct value *ret_value)
{
    if (list->count == 0)
        return fault_set(call->evaluation, "the list is empty");
    if (!evaluation_charge(call->evaluation, list->count / 4))
        return false;
    *ret_value = list->items[0];
    for (size_t i = 0; i < list->count; i++) {
        if (!value_is_number(&list->items[i]))
            return fault_overload(call->evaluation, "math", &list->items[i], 1);
        if (value_order(&list->items[i], ret_value) == side)
            *ret_value = list->items[i];
    }
    return true;
}

static bool greatest(struct call *call, const struct value *arguments, struct value *ret_value)
{
    return extreme(call, arguments[0].list, ORDER_GREATER, ret_value);
}

static bool least(struct call *call, const struct value *arguments, struct value *ret_value)
{
    return extreme(call, arguments[0].list, ORDER_LESS, ret_value);
}

#define DOUBLE_FUNCTION(name, expression)                                                                    \
    static bool name(struct call *call, const struct value *arguments, struct value *ret_value)              \
    {                                                                                                        \
        double x = arguments[0].number;                                                                      \
        (void)call; /* cannot fail */                                                                        \
        *ret_value = (expression);                                                                           \
        return true;                                                                                         \
    }

DOUBLE_FUNCTION(round_up, value_double(ceil(x)))
DOUBLE_FUNCTION(round_down, value_double(floor(x)))
DOUBLE_FUNCTION(round_nearest, value_double(round(x)))
DOUBLE_FUNCTION(truncate_double, value_double(trunc(x)))
DOUBLE_FUNCTION(abs_double, value_double(fabs(x)))
DOUBLE_FUNCTION(sign_double, value_double(isnan(x) ? x : (x > 0) - (x < 0)))
DOUBLE_FUNCTION(is_nan, value_bool(isnan(x)))
DOUBLE_FUNCTION(is_inf, value_bool(isinf(x)))
DOUBLE_FUNCTION(is_finite, value_bool(isfinite(x)))
DOUBLE_FUNCTION(root_double, value_double(sqrt(x)))

static bool root_int(struct call *call, const struct value *arguments, struct value *ret_value)
{
    (void)call; /* cannot fail */
    *ret_value = value_double(sqrt((double)arguments[0].integer));
    return true;
}

static bool root_uint(struct call *call, const struct value *arguments, struct value *ret_value)
{
    (void)call; /* cannot fail */
    *ret_value = value_double(sqrt((double)arguments[0].uinteger));
    return true;
}

static bool abs_int(struct call *call, const struct value *arguments, struct value *ret_value)
{
    int64_t i = arguments[0].integer;
    if (i == INT64_MIN)
        return fault_set(call->evaluation, "integer overflow");
    *ret_value = value_int(i < 0 ? -i : i);
    return true;
}

static bool sign_int(struct call *call, const struct value *arguments, struct value *ret_value)
{
    (void)call; /* cannot fail */
    *ret_value = value_int((arguments[0].integer > 0) - (arguments[0].integer < 0));
    return true;
}

static bool sign_uint(struct call *call, const struct value *arguments, struct value *ret_value)
{
    (void)call; /* cannot fail */
    *ret_value = value_uint(arguments[0].uinteger > 0);
    return true;
}

/* The bits of int and uint are the same member in two readings; the result keeps the kind. */
#define BIT_FUNCTION(name, expression)                                                                       \
    static bool name(struct call *call, const struct value *arguments, struct value *ret_value)              \
    {                                                                                                        \
        uint64_t a = arguments[0].uinteger, b = arguments[1].uinteger;                                       \
        (void)call; /* cannot fail */                                                                        \
        *ret_value = (struct value){.kind = arguments[0].kind, .uinteger = (expression)};                    \
        return true;                                                                                         \
    }

BIT_FUNCTION(bit_and, a &b)
BIT_FUNCTION(bit_or, a | b)
BIT_FUNCTION(bit_xor, a ^ b)

static bool bit_not(struct call *call, const struct value *arguments, struct value *ret_value)
{
    (void)call; /* cannot fail */
    *ret_value = (struct value){.kind = arguments[0].kind, .uinteger = ~arguments[0].uinteger};
    return true;
}

static bool shift(struct call *call, const struct value *arguments, bool left, struct value *ret_value)
{
    uint64_t bits = arguments[0].uinteger;
    int64_t count = arguments[1].integer;
    if (count < 0)
        return fault_set(call->evaluation, "a negative shift");
    bits = count > 63 ? 0 : left ? bits << count : bits >> count;
    *ret_value = (struct value){.kind = arguments[0].kind, .uinteger = bits};
    return true;
}

static bool shift_left(struct call *call, const struct value *arguments, struct value *ret_value)
{
    return shift(call, arguments, true, ret_value);
}

static bool shift_right(struct call *call, const struct value *arguments, struct value *ret_value)
{
    return shift(call, arguments, false, ret_value);
}

static const struct function rows[] = {
    {"math.greatest",
     FUNCTION_GLOBAL,
     {SIG_LIST},
     SIG_A,
     greatest,
     "The greatest of some numbers, given one by one or as a list.",
     2,
     .variadic = true,
     .example = "math.greatest(1, 2.5, 2u) => 2.5",
     .usual = ITEMS_USUAL / 4},
    {"math.greatest",
     FUNCTION_GLOBAL,
     {SIG_NUMBER},
     SIG_NUMBER,
     itself,
     "The number itself.",
     1,
     .usual = ITEMS_USUAL / 4},
    {"math.least",
     FUNCTION_GLOBAL,
     {SIG_LIST},
     SIG_A,
     least,
     "The least of some numbers, given one by one or as a list.",
     2,
     .variadic = true,
     .example = "math.least([3, 1, 2]) => 1",
     .usual = ITEMS_USUAL / 4},
    {"math.least",
     FUNCTION_GLOBAL,
     {SIG_NUMBER},
     SIG_NUMBER,
     itself,
     "The number itself.",
     1,
     .usual = ITEMS_USUAL / 4},
    {"math.ceil",
     FUNCTION_GLOBAL,
     {SIG_DOUBLE},
     SIG_DOUBLE,
     round_up,
     "Rounded up to a whole number.",
     1,
     .example = "math.ceil(1.2) => 2.0"},
    {"math.floor",
     FUNCTION_GLOBAL,
     {SIG_DOUBLE},
     SIG_DOUBLE,
     round_down,
     "Rounded down to a whole number.",
     1,
     .example = "math.floor(-1.2) => -2.0"},
    {"math.round",
     FUNCTION_GLOBAL,
     {SIG_DOUBLE},
     SIG_DOUBLE,
     round_nearest,
     "Rounded to the nearest whole number, halves away from zero.",
     1,
     .example = "math.round(2.5) => 3.0"},
    {"math.trunc",
     FUNCTION_GLOBAL,
     {SIG_DOUBLE},
     SIG_DOUBLE,
     truncate_double,
     "Without its fraction.",
     1,
     .example = "math.trunc(-1.9) => -1.0"},
    {"math.abs",
     FUNCTION_GLOBAL,
     {SIG_INT},
     SIG_INT,
     abs_int,
     "Without its sign; an error for the least int.",
     1,
     .example = "math.abs(-5) => 5"},
    {"math.abs", FUNCTION_GLOBAL, {SIG_UINT}, SIG_UINT, itself, "The number itself.", 1},
    {"math.abs",
     FUNCTION_GLOBAL,
     {SIG_DOUBLE},
     SIG_DOUBLE,
     abs_double,
     "Without its sign.",
     1,
     .example = "math.abs(-1.5) => 1.5"},
    {"math.sign",
     FUNCTION_GLOBAL,
     {SIG_INT},
     SIG_INT,
     sign_int,
     "-1, 0 or 1.",
     1,
     .example = "math.sign(-5) => -1"},
    {"math.sign", FUNCTION_GLOBAL, {SIG_UINT}, SIG_UINT, sign_uint, "0 or 1.", 1},
    {"math.sign", FUNCTION_GLOBAL, {SIG_DOUBLE}, SIG_DOUBLE, sign_double, "-1.0, 0.0, 1.0 or NaN.", 1},
    {"math.isNaN",
     FUNCTION_GLOBAL,
     {SIG_DOUBLE},
     SIG_BOOL,
     is_nan,
     "Whether it is not a number.",
     1,
     .example = "math.isNaN(0.0 / 0.0) => true"},
    {"math.isInf",
     FUNCTION_GLOBAL,
     {SIG_DOUBLE},
     SIG_BOOL,
     is_inf,
     "Whether it is infinite, of either sign.",
     1,
     .example = "math.isInf(1.0 / 0.0) => true"},
    {"math.isFinite",
     FUNCTION_GLOBAL,
     {SIG_DOUBLE},
     SIG_BOOL,
     is_finite,
     "Whether it is a number and not infinite.",
     1,
     .example = "math.isFinite(1.5) => true"},
    {"math.sqrt",
     FUNCTION_GLOBAL,
     {SIG_DOUBLE},
     SIG_DOUBLE,
     root_double,
     "The square root; NaN of a negative number.",
     1,
     .example = "math.sqrt(2.25) => 1.5"},
    {"math.sqrt",
     FUNCTION_GLOBAL,
     {SIG_INT},
     SIG_DOUBLE,
     root_int,
     "The square root; NaN of a negative number.",
     1,
     .example = "math.sqrt(81) => 9.0"},
    {"math.sqrt", FUNCTION_GLOBAL, {SIG_UINT}, SIG_DOUBLE, root_uint, "The square root.", 1},
    {"math.bitAnd",
     FUNCTION_GLOBAL,
     {SIG_INT, SIG_INT},
     SIG_INT,
     bit_and,
     "Bits set in both.",
     1,
     .example = "math.bitAnd(12, 10) => 8"},
    {"math.bitAnd", FUNCTION_GLOBAL, {SIG_UINT, SIG_UINT}, SIG_UINT, bit_and, "Bits set in both.", 1},
    {"math.bitOr",
     FUNCTION_GLOBAL,
     {SIG_INT, SIG_INT},
     SIG_INT,
     bit_or,
     "Bits set in either.",
     1,
     .example = "math.bitOr(12, 10) => 14"},
    {"math.bitOr", FUNCTION_GLOBAL, {SIG_UINT, SIG_UINT}, SIG_UINT, bit_or, "Bits set in either.", 1},
    {"math.bitXor",
     FUNCTION_GLOBAL,
     {SIG_INT, SIG_INT},
     SIG_INT,
     bit_xor,
     "Bits set in one of them.",
     1,
     .example = "math.bitXor(12, 10) => 6"},
    {"math.bitXor", FUNCTION_GLOBAL, {SIG_UINT, SIG_UINT}, SIG_UINT, bit_xor, "Bits set in one of them.", 1},
    {"math.bitNot",
     FUNCTION_GLOBAL,
     {SIG_INT},
     SIG_INT,
     bit_not,
     "All bits turned over.",
     1,
     .example = "math.bitNot(1) => -2"},
    {"math.bitNot", FUNCTION_GLOBAL, {SIG_UINT}, SIG_UINT, bit_not, "All bits turned over.", 1},
    {"math.bitShiftLeft",
     FUNCTION_GLOBAL,
     {SIG_INT, SIG_INT},
     SIG_INT,
     shift_left,
     "Bits moved to the left; an error for a negative count.",
     1,
     .example = "math.bitShiftLeft(1, 4) => 16"},
    {"math.bitShiftLeft",
     FUNCTION_GLOBAL,
     {SIG_UINT, SIG_INT},
     SIG_UINT,
     shift_left,
     "Bits moved to the left; an error for a negative count.",
     1},
    {"math.bitShiftRight",
     FUNCTION_GLOBAL,
     {SIG_INT, SIG_INT},
     SIG_INT,
     shift_right,
     "Bits moved to the right, zeros moved in; an error for a negative count.",
     1,
     .example = "math.bitShiftRight(256, 4) => 16"},
    {"math.bitShiftRight",
     FUNCTION_GLOBAL,
     {SIG_UINT, SIG_INT},
     SIG_UINT,
     shift_right,
     "Bits moved to the right; an error for a negative count.",
     1},
};

const struct function_group functions_math = FUNCTION_GROUP("Numbers", rows);
