/* Encodings of bytes and strings: base64, hexadecimal, JSON. */
#include "expr/base64.h"
#include "expr/function.h"
#include "expr/json.h"
#include "expr/print.h"

static bool encode(struct call *call, struct text from, enum base64_alphabet alphabet,
                   struct value *ret_value)
{
    if (!evaluation_charge_bytes(call->evaluation, from.size))
        return false;
    char *to = arena_alloc(call->evaluation->arena, base64_size(from.size));
    if (!to)
        return fault_memory(call->evaluation);
    *ret_value = value_string((struct text){to, base64_write(from, alphabet, to)});
    return true;
}

static bool decode(struct call *call, struct text from, enum base64_alphabet alphabet,
                   struct value *ret_value)
{
    if (!evaluation_charge_bytes(call->evaluation, from.size))
        return false;
    char *to = arena_alloc(call->evaluation->arena, from.size);
    if (!to)
        return fault_memory(call->evaluation);
    *ret_value = value_bytes((struct text){to, 0});
    return base64_read(from, alphabet, to, &ret_value->text.size)
           || fault_set(call->evaluation, "malformed base64");
}

static bool base64_encode(struct call *call, const struct value *arguments, struct value *ret_value)
{
    return encode(call, arguments[0].text, BASE64_STANDARD, ret_value);
}

static bool base64_decode(struct call *call, const struct value *arguments, struct value *ret_value)
{
    return decode(call, arguments[0].text, BASE64_STANDARD, ret_value);
}

static bool base64url_encode(struct call *call, const struct value *arguments, struct value *ret_value)
{
    return encode(call, arguments[0].text, BASE64_URL, ret_value);
}

static bool base64url_decode(struct call *call, const struct value *arguments, struct value *ret_value)
{
    return decode(call, arguments[0].text, BASE64_URL, ret_value);
}

static bool hex_encode(struct call *call, const struct value *arguments, struct value *ret_value)
{
    struct text from = arguments[0].text;
    if (!evaluation_charge_bytes(call->evaluation, from.size))
        return false;
    char *to = arena_alloc(call->evaluation->arena, 2 * from.size);
    if (!to)
        return fault_memory(call->evaluation);
    text_hex(from.at, from.size, to);
    *ret_value = value_string((struct text){to, 2 * from.size});
    return true;
}

static bool hex_decode(struct call *call, const struct value *arguments, struct value *ret_value)
{
    struct text from = arguments[0].text;
    if (!evaluation_charge_bytes(call->evaluation, from.size))
        return false;
    char *to = arena_alloc(call->evaluation->arena, from.size / 2);
    if (!to)
        return fault_memory(call->evaluation);
    for (size_t i = 0; i < from.size / 2; i++) {
        int high = char_hex(from.at[2 * i]), low = char_hex(from.at[2 * i + 1]);
        if (high < 0 || low < 0)
            return fault_set(call->evaluation, "malformed hexadecimal");
        to[i] = (char)(high << 4 | low);
    }
    *ret_value = value_bytes((struct text){to, from.size / 2});
    return from.size % 2 == 0 || fault_set(call->evaluation, "malformed hexadecimal");
}

static bool json_decode(struct call *call, const struct value *arguments, struct value *ret_value)
{
    size_t at;
    if (!evaluation_charge(call->evaluation, arguments[0].text.size / 16))
        return false;
    const char *said = json_parse(arguments[0].text, call->evaluation->arena, ret_value, &at);
    if (said && !strcmp(said, "out of memory"))
        return fault_memory(call->evaluation);
    return !said || fault_text(call->evaluation, "malformed JSON", text_of(said));
}

static bool json_encode(struct call *call, const struct value *arguments, struct value *ret_value)
{
    struct writer writer = {.arena = call->evaluation->arena};
    value_write_json(&arguments[0], &writer);
    ret_value->kind = VALUE_STRING;
    if (!writer_text(&writer, &ret_value->text))
        return fault_memory(call->evaluation);
    return evaluation_charge(call->evaluation, writer.size / 16);
}

static const struct function rows[] = {
    {"base64.encode",
     FUNCTION_GLOBAL,
     {SIG_BYTES},
     SIG_STRING,
     base64_encode,
     "In base64, with padding.",
     2,
     .example = "base64.encode(b'\\xff\\xef') => \"/+8=\""},
    {"base64.encode",
     FUNCTION_GLOBAL,
     {SIG_STRING},
     SIG_STRING,
     base64_encode,
     "The string's UTF-8 in base64, with padding.",
     2,
     .example = "base64.encode('hello') => \"aGVsbG8=\""},
    {"base64.decode",
     FUNCTION_GLOBAL,
     {SIG_STRING},
     SIG_BYTES,
     base64_decode,
     "From base64; the padding may be missing.",
     2,
     .example = "base64.decode('aGVsbG8=') => b\"hello\""},
    {"base64url.encode",
     FUNCTION_GLOBAL,
     {SIG_BYTES},
     SIG_STRING,
     base64url_encode,
     "In base64 for URLs, without padding.",
     2,
     .example = "base64url.encode(b'\\xff\\xef') => \"_-8\""},
    {"base64url.encode",
     FUNCTION_GLOBAL,
     {SIG_STRING},
     SIG_STRING,
     base64url_encode,
     "The string's UTF-8 in base64 for URLs, without padding.",
     2},
    {"base64url.decode",
     FUNCTION_GLOBAL,
     {SIG_STRING},
     SIG_BYTES,
     base64url_decode,
     "From base64 for URLs; the padding may be missing.",
     2,
     .example = "base64url.decode('_-8') => b\"\\xff\\xef\""},
    {"hex.encode",
     FUNCTION_GLOBAL,
     {SIG_BYTES},
     SIG_STRING,
     hex_encode,
     "In lower-case hexadecimal.",
     2,
     .example = "hex.encode(b'\\x01\\xff') => \"01ff\""},
    {"hex.decode",
     FUNCTION_GLOBAL,
     {SIG_STRING},
     SIG_BYTES,
     hex_decode,
     "From hexadecimal.",
     2,
     .example = "hex.decode('6869') => b\"hi\""},
    {"json.decode",
     FUNCTION_GLOBAL,
     {SIG_STRING},
     SIG_DYN,
     json_decode,
     "From JSON: objects become maps; numbers without fraction become int, others double.",
     20,
     .example = "json.decode('{\"a\": [1, 2.5]}').a[1] => 2.5",
     .usual = BYTES_PER_STEP / 16},
    {"json.decode",
     FUNCTION_GLOBAL,
     {SIG_BYTES},
     SIG_DYN,
     json_decode,
     "The same.",
     20,
     .usual = BYTES_PER_STEP / 16},
    {"json.encode",
     FUNCTION_GLOBAL,
     {SIG_DYN},
     SIG_STRING,
     json_encode,
     "As JSON: bytes in base64, times as strings.",
     20,
     .example = "json.encode({'a': [1, null]}) => \"{\\\"a\\\":[1,null]}\"",
     .usual = BYTES_PER_STEP / 16},
};

const struct function_group functions_encode = FUNCTION_GROUP("Encodings", rows);
