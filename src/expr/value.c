/* Values: their kinds and times. */
#include "expr/value.h"

#include "base/check.h"
#include "base/time.h"
#include "expr/expr.h"

const char *value_kind_name(struct value value)
{
    static const char *const names[] = {
        [VALUE_NULL] = "null_type",
        [VALUE_BOOL] = "bool",
        [VALUE_INT] = "int",
        [VALUE_UINT] = "uint",
        [VALUE_DOUBLE] = "double",
        [VALUE_STRING] = "string",
        [VALUE_BYTES] = "bytes",
        [VALUE_LIST] = "list",
        [VALUE_MAP] = "map",
        [VALUE_TYPE] = "type",
        [VALUE_TIMESTAMP] = "google.protobuf.Timestamp",
        [VALUE_DURATION] = "google.protobuf.Duration",
        [VALUE_OPTIONAL] = "optional_type",
    };
    return value.kind == VALUE_HOST ? value.host.type->name : names[value.kind];
}

static struct value_time time_of(int64_t ns)
{
    int64_t seconds = ns / NS_PER_SECOND, nanos = ns % NS_PER_SECOND;
    return nanos < 0 ? (struct value_time){seconds - 1, (int32_t)(nanos + NS_PER_SECOND)}
                     : (struct value_time){seconds, (int32_t)nanos};
}

struct value value_timestamp(int64_t wall_ns)
{
    return (struct value){.kind = VALUE_TIMESTAMP, .time = time_of(wall_ns)};
}

struct value value_duration(int64_t ns)
{
    return (struct value){.kind = VALUE_DURATION, .time = time_of(ns)};
}

int64_t value_ns(struct value value)
{
    int64_t ns;
    if (__builtin_mul_overflow(value.time.seconds, NS_PER_SECOND, &ns)
        || __builtin_add_overflow(ns, value.time.nanos, &ns))
        return value.time.seconds < 0 ? INT64_MIN : INT64_MAX;
    return ns;
}
