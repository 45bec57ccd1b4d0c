/* Conversions between types. */
#include <math.h>
#include <stdlib.h>

#include "base/time.h"
#include "expr/calendar.h"
#include "expr/function.h"
#include "expr/print.h"

static bool same(struct call *call, const struct value *arguments, struct value *ret_value)
{
    (void)call; /* cannot fail */
    *ret_value = arguments[0];
    return true;
}

static bool bool_from_string(struct call *call, const struct value *arguments, struct value *ret_value)
{
    static const struct text yes[] = {TEXT_INIT("true"), TEXT_INIT("TRUE"), TEXT_INIT("True"),
                                      TEXT_INIT("t"),    TEXT_INIT("T"),    TEXT_INIT("1")},
                             no[] = {TEXT_INIT("false"), TEXT_INIT("FALSE"), TEXT_INIT("False"),
                                     TEXT_INIT("f"),     TEXT_INIT("F"),     TEXT_INIT("0")};
    for (size_t i = 0; i < COUNT_OF(yes); i++) {
        bool is_yes = text_equal(arguments[0].text, yes[i]);
        if (is_yes || text_equal(arguments[0].text, no[i])) {
            *ret_value = value_bool(is_yes);
            return true;
        }
    }
    return fault_text(call->evaluation, "not a bool", arguments[0].text);
}

static bool int_from_uint(struct call *call, const struct value *arguments, struct value *ret_value)
{
    if (arguments[0].uinteger > INT64_MAX)
        return fault_set(call->evaluation, "out of the range of int");
    *ret_value = value_int((int64_t)arguments[0].uinteger);
    return true;
}

static bool int_from_double(struct call *call, const struct value *arguments, struct value *ret_value)
{
    double number = arguments[0].number;
    if (!(number > -0x1p63 && number < 0x1p63))
        return fault_set(call->evaluation, "out of the range of int");
    *ret_value = value_int((int64_t)number);
    return true;
}

/* A sign is allowed: "+1", "-1". */
static bool int_from_string(struct call *call, const struct value *arguments, struct value *ret_value)
{
    struct text t = arguments[0].text;
    bool plus = t.size > 1 && t.at[0] == '+' && t.at[1] != '-';
    *ret_value = value_int(0);
    return text_to_int64(text_slice(t, plus, t.size), &ret_value->integer)
           || fault_text(call->evaluation, "not an int, or out of its range", t);
}

static bool int_from_timestamp(struct call *call, const struct value *arguments, struct value *ret_value)
{
    (void)call; /* cannot fail */
    *ret_value = value_int(arguments[0].time.seconds);
    return true;
}

static bool uint_from_int(struct call *call, const struct value *arguments, struct value *ret_value)
{
    if (arguments[0].integer < 0)
        return fault_set(call->evaluation, "out of the range of uint");
    *ret_value = value_uint((uint64_t)arguments[0].integer);
    return true;
}

static bool uint_from_double(struct call *call, const struct value *arguments, struct value *ret_value)
{
    double number = arguments[0].number;
    if (!(number >= 0 && number < 0x1p64))
        return fault_set(call->evaluation, "out of the range of uint");
    *ret_value = value_uint((uint64_t)number);
    return true;
}

static bool uint_from_string(struct call *call, const struct value *arguments, struct value *ret_value)
{
    *ret_value = value_uint(0);
    return text_to_uint64(arguments[0].text, &ret_value->uinteger)
           || fault_text(call->evaluation, "not a uint, or out of its range", arguments[0].text);
}

static bool double_from_int(struct call *call, const struct value *arguments, struct value *ret_value)
{
    (void)call; /* cannot fail */
    *ret_value = value_double((double)arguments[0].integer);
    return true;
}

static bool double_from_uint(struct call *call, const struct value *arguments, struct value *ret_value)
{
    (void)call; /* cannot fail */
    *ret_value = value_double((double)arguments[0].uinteger);
    return true;
}

static bool double_from_string(struct call *call, const struct value *arguments, struct value *ret_value)
{
    struct text t = arguments[0].text;
    struct text name = text_slice(t, t.size && (t.at[0] == '-' || t.at[0] == '+'), t.size);
    double sign = t.size && t.at[0] == '-' ? -1.0 : 1.0;
    *ret_value = value_double(0);
    if (text_equal_nocase(name, TEXT("nan")))
        ret_value->number = (double)NAN;
    else if (text_equal_nocase(name, TEXT("inf")) || text_equal_nocase(name, TEXT("infinity")))
        ret_value->number = sign * (double)INFINITY;
    else
        return text_to_double(t, &ret_value->number)
               || fault_text(call->evaluation, "not a double, or out of its range", t);
    return true;
}

static bool string_from_scalar(struct call *call, const struct value *arguments, struct value *ret_value)
{
    struct writer writer = {.arena = call->evaluation->arena};
    if (!value_write_scalar(&arguments[0], &writer))
        return fault_set(call->evaluation, "not valid UTF-8");
    ret_value->kind = VALUE_STRING;
    return writer_text(&writer, &ret_value->text) || fault_memory(call->evaluation);
}

static bool bytes_from_string(struct call *call, const struct value *arguments, struct value *ret_value)
{
    (void)call; /* cannot fail */
    *ret_value = value_bytes(arguments[0].text);
    return true;
}

static bool timestamp_from_string(struct call *call, const struct value *arguments, struct value *ret_value)
{
    ret_value->kind = VALUE_TIMESTAMP;
    return timestamp_parse(arguments[0].text, &ret_value->time)
           || fault_text(call->evaluation, "not a timestamp, or out of range", arguments[0].text);
}

static bool timestamp_from_int(struct call *call, const struct value *arguments, struct value *ret_value)
{
    *ret_value = (struct value){.kind = VALUE_TIMESTAMP, .time = {arguments[0].integer, 0}};
    return timestamp_in_range(ret_value->time) || fault_set(call->evaluation, "timestamp out of range");
}

static bool duration_from_string(struct call *call, const struct value *arguments, struct value *ret_value)
{
    ret_value->kind = VALUE_DURATION;
    return duration_parse(arguments[0].text, &ret_value->time)
           || fault_text(call->evaluation, "not a duration, or out of range", arguments[0].text);
}

static const struct function rows[] = {
    {"bool", FUNCTION_GLOBAL, {SIG_BOOL}, SIG_BOOL, same, "The value itself.", 1},
    {"bool",
     FUNCTION_GLOBAL,
     {SIG_STRING},
     SIG_BOOL,
     bool_from_string,
     "From true, True, TRUE, t, T, 1 or false, False, FALSE, f, F, 0.",
     1,
     .example = "bool('true') => true"},
    {"int", FUNCTION_GLOBAL, {SIG_INT}, SIG_INT, same, "The value itself.", 1},
    {"int",
     FUNCTION_GLOBAL,
     {SIG_UINT},
     SIG_INT,
     int_from_uint,
     "The same number; an error above the range of int.",
     1,
     .example = "int(7u) => 7"},
    {"int",
     FUNCTION_GLOBAL,
     {SIG_DOUBLE},
     SIG_INT,
     int_from_double,
     "Without the fraction; an error outside of the range of int.",
     1,
     .example = "int(-1.9) => -1"},
    {"int",
     FUNCTION_GLOBAL,
     {SIG_STRING},
     SIG_INT,
     int_from_string,
     "From decimal digits with a sign.",
     2,
     .example = "int('-42') => -42"},
    {"int",
     FUNCTION_GLOBAL,
     {SIG_TIMESTAMP},
     SIG_INT,
     int_from_timestamp,
     "Seconds since 1970 in UTC.",
     1,
     .example = "int(timestamp('1970-01-01T00:01:00Z')) => 60"},
    {"uint", FUNCTION_GLOBAL, {SIG_UINT}, SIG_UINT, same, "The value itself.", 1},
    {"uint",
     FUNCTION_GLOBAL,
     {SIG_INT},
     SIG_UINT,
     uint_from_int,
     "The same number; an error for a negative one.",
     1,
     .example = "uint(7) => 7u"},
    {"uint",
     FUNCTION_GLOBAL,
     {SIG_DOUBLE},
     SIG_UINT,
     uint_from_double,
     "Without the fraction; an error outside of the range of uint.",
     1,
     .example = "uint(1.9) => 1u"},
    {"uint",
     FUNCTION_GLOBAL,
     {SIG_STRING},
     SIG_UINT,
     uint_from_string,
     "From decimal digits.",
     2,
     .example = "uint('42') => 42u"},
    {"double", FUNCTION_GLOBAL, {SIG_DOUBLE}, SIG_DOUBLE, same, "The value itself.", 1},
    {"double",
     FUNCTION_GLOBAL,
     {SIG_INT},
     SIG_DOUBLE,
     double_from_int,
     "The nearest double.",
     1,
     .example = "double(7) => 7.0"},
    {"double", FUNCTION_GLOBAL, {SIG_UINT}, SIG_DOUBLE, double_from_uint, "The nearest double.", 1},
    {"double",
     FUNCTION_GLOBAL,
     {SIG_STRING},
     SIG_DOUBLE,
     double_from_string,
     "From decimal notation, NaN or Infinity.",
     3,
     .example = "double('1.5e3') => 1500.0"},
    {"string", FUNCTION_GLOBAL, {SIG_STRING}, SIG_STRING, same, "The value itself.", 1},
    {"string",
     FUNCTION_GLOBAL,
     {SIG_BOOL},
     SIG_STRING,
     string_from_scalar,
     "true or false.",
     2,
     .example = "string(true) => \"true\""},
    {"string",
     FUNCTION_GLOBAL,
     {SIG_INT},
     SIG_STRING,
     string_from_scalar,
     "Decimal digits.",
     2,
     .example = "string(-42) => \"-42\""},
    {"string", FUNCTION_GLOBAL, {SIG_UINT}, SIG_STRING, string_from_scalar, "Decimal digits.", 2},
    {"string",
     FUNCTION_GLOBAL,
     {SIG_DOUBLE},
     SIG_STRING,
     string_from_scalar,
     "The shortest digits that read back as the same number.",
     4,
     .example = "string(0.25) => \"0.25\""},
    {"string",
     FUNCTION_GLOBAL,
     {SIG_BYTES},
     SIG_STRING,
     string_from_scalar,
     "The bytes as UTF-8; an error if they are not.",
     2,
     .example = "string(b'abc') => \"abc\""},
    {"string",
     FUNCTION_GLOBAL,
     {SIG_TIMESTAMP},
     SIG_STRING,
     string_from_scalar,
     "RFC 3339 in UTC.",
     3,
     .example = "string(timestamp(0)) => \"1970-01-01T00:00:00Z\""},
    {"string",
     FUNCTION_GLOBAL,
     {SIG_DURATION},
     SIG_STRING,
     string_from_scalar,
     "Seconds with an s: 1.5s.",
     3,
     .example = "string(duration('1m30s')) => \"90s\""},
    {"string",
     FUNCTION_GLOBAL,
     {SIG_IP},
     SIG_STRING,
     string_from_scalar,
     "The address in its canonical form.",
     3,
     .example = "string(ip('2001:DB8::1')) => \"2001:db8::1\""},
    {"string",
     FUNCTION_GLOBAL,
     {SIG_CIDR},
     SIG_STRING,
     string_from_scalar,
     "The network as address/prefix.",
     3,
     .example = "string(cidr('10.0.0.0/8')) => \"10.0.0.0/8\""},
    {"bytes", FUNCTION_GLOBAL, {SIG_BYTES}, SIG_BYTES, same, "The value itself.", 1},
    {"bytes",
     FUNCTION_GLOBAL,
     {SIG_STRING},
     SIG_BYTES,
     bytes_from_string,
     "The string in UTF-8.",
     1,
     .example = "bytes('é') => b\"\\xc3\\xa9\""},
    {"timestamp", FUNCTION_GLOBAL, {SIG_TIMESTAMP}, SIG_TIMESTAMP, same, "The value itself.", 1},
    {"timestamp",
     FUNCTION_GLOBAL,
     {SIG_STRING},
     SIG_TIMESTAMP,
     timestamp_from_string,
     "From RFC 3339: 2026-01-31T12:00:00Z.",
     3,
     .example = "timestamp('2026-01-31T13:00:00+01:00') => timestamp(\"2026-01-31T12:00:00Z\")"},
    {"timestamp",
     FUNCTION_GLOBAL,
     {SIG_INT},
     SIG_TIMESTAMP,
     timestamp_from_int,
     "From seconds since 1970 in UTC.",
     1,
     .example = "timestamp(60) => timestamp(\"1970-01-01T00:01:00Z\")"},
    {"duration", FUNCTION_GLOBAL, {SIG_DURATION}, SIG_DURATION, same, "The value itself.", 1},
    {"duration",
     FUNCTION_GLOBAL,
     {SIG_STRING},
     SIG_DURATION,
     duration_from_string,
     "From numbers with h, m, s, ms, us or ns: 1h30m, -0.5s.",
     3,
     .example = "duration('1h30m') => duration(\"5400s\")"},
};

const struct function_group functions_convert = FUNCTION_GROUP("Conversions", rows);
