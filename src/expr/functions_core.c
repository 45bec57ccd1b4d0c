/* Functions of every value: size, type, dyn. */
#include "expr/function.h"
#include "expr/utf8.h"

static bool size_of_string(struct call *call, const struct value *arguments, struct value *ret_value)
{
    if (!evaluation_charge_bytes(call->evaluation, arguments[0].text.size))
        return false;
    *ret_value = value_int((int64_t)utf8_count(arguments[0].text));
    return true;
}

static bool size_of_bytes(struct call *call, const struct value *arguments, struct value *ret_value)
{
    (void)call; /* cannot fail */
    *ret_value = value_int((int64_t)arguments[0].text.size);
    return true;
}

static bool size_of_list(struct call *call, const struct value *arguments, struct value *ret_value)
{
    (void)call; /* cannot fail */
    *ret_value = value_int((int64_t)arguments[0].list->count);
    return true;
}

static bool size_of_map(struct call *call, const struct value *arguments, struct value *ret_value)
{
    (void)call; /* cannot fail */
    *ret_value = value_int((int64_t)arguments[0].map->size(arguments[0].map));
    return true;
}

static bool type_of_value(struct call *call, const struct value *arguments, struct value *ret_value)
{
    (void)call; /* cannot fail */
    *ret_value = (struct value){.kind = VALUE_TYPE, .text = text_of(value_kind_name(arguments[0]))};
    return true;
}

static bool as_dyn(struct call *call, const struct value *arguments, struct value *ret_value)
{
    (void)call; /* cannot fail */
    *ret_value = arguments[0];
    return true;
}

static const struct function rows[] = {
    {"size",
     FUNCTION_EITHER,
     {SIG_STRING},
     SIG_INT,
     size_of_string,
     "Characters of a string.",
     1,
     .example = "size('naïve') => 5"},
    {"size",
     FUNCTION_EITHER,
     {SIG_BYTES},
     SIG_INT,
     size_of_bytes,
     "Bytes.",
     1,
     .example = "b'\\xc3\\xaf'.size() => 2"},
    {"size",
     FUNCTION_EITHER,
     {SIG_LIST},
     SIG_INT,
     size_of_list,
     "Elements of a list.",
     1,
     .example = "[1, 2, 3].size() => 3"},
    {"size",
     FUNCTION_EITHER,
     {SIG_MAP},
     SIG_INT,
     size_of_map,
     "Entries of a map.",
     1,
     .example = "size({'a': 1}) => 1"},
    {"type",
     FUNCTION_GLOBAL,
     {SIG_A},
     SIG_TYPE,
     type_of_value,
     "The type of a value, as a value: type(1) == int.",
     1,
     .example = "type(1.5) => double"},
    {"dyn",
     FUNCTION_GLOBAL,
     {SIG_A},
     SIG_DYN,
     as_dyn,
     "The value itself, with its type checked only when it is used.",
     1,
     .example = "dyn(1) == 'a' => false"},
};

const struct function_group functions_core = FUNCTION_GROUP("Values", rows);
