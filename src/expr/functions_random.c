/* What is different at each call. */
#include "base/random.h"
#include "expr/function.h"

static bool uuid(struct call *call, const struct value *arguments, struct value *ret_value)
{
    enum { SIZE = 36 };
    (void)arguments; /* there are none */
    unsigned char bytes[16];
    char digits[32], *to = arena_alloc(call->evaluation->arena, SIZE);
    if (!to)
        return fault_memory(call->evaluation);
    random_secret(bytes, sizeof bytes);
    bytes[6] = (bytes[6] & 0x0f) | 0x40; /* RFC 9562: version 4, variant 10 */
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    text_hex(bytes, sizeof bytes, digits);
    for (size_t i = 0, from = 0; i < SIZE; i++)
        to[i] = i == 8 || i == 13 || i == 18 || i == 23 ? '-' : digits[from++];
    *ret_value = value_string((struct text){to, SIZE});
    return true;
}

static bool fraction(struct call *call, const struct value *arguments, struct value *ret_value)
{
    (void)call, (void)arguments; /* there are none, and it cannot fail */
    *ret_value = value_double((double)(random_uint64() >> 11) * 0x1p-53);
    return true;
}

static bool below(struct call *call, const struct value *arguments, struct value *ret_value)
{
    if (arguments[0].integer <= 0)
        return fault_set(call->evaluation, "random() below a number that is not positive");
    *ret_value = value_int((int64_t)random_below((uint64_t)arguments[0].integer));
    return true;
}

static const struct function rows[] = {
    {"uuid",
     FUNCTION_GLOBAL,
     {SIG_NONE},
     SIG_STRING,
     uuid,
     "A random UUID (version 4).",
     10,
     .impure = true,
     .example = "uuid().size() => 36"},
    {"random",
     FUNCTION_GLOBAL,
     {SIG_NONE},
     SIG_DOUBLE,
     fraction,
     "A random number from 0.0 up to, and without, 1.0; not for secrets.",
     1,
     .impure = true,
     .example = "random() < 1.0 => true"},
    {"random",
     FUNCTION_GLOBAL,
     {SIG_INT},
     SIG_INT,
     below,
     "A random number from 0 up to, and without, this one; not for secrets.",
     1,
     .impure = true,
     .example = "random(1) => 0"},
};

const struct function_group functions_random = FUNCTION_GROUP("Random values", rows);
