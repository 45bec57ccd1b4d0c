/* Values of the expression language (CEL, the Common Expression Language; github.com/google/cel-spec). Immutable; everything they
 * point to lives in the arena of the evaluation, in the compiled expression, or in the context that was asked. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

struct arena;

enum value_kind {
    VALUE_NULL,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_UINT,
    VALUE_DOUBLE,
    VALUE_STRING, /* UTF-8 by contract; what came from a client may hold any bytes: each stray one counts as a character */
    VALUE_BYTES,
    VALUE_LIST,
    VALUE_MAP,
    VALUE_TYPE,
    VALUE_TIMESTAMP,
    VALUE_DURATION,
    VALUE_OPTIONAL,
    VALUE_HOST, /* a type of the gateway's functions (an IP address, a network) */
};

struct value_list;      /* items in order */
struct value_map;       /* look up by key; may be lazy: the fields of a request are never copied into one */
struct value_host_type; /* what the language needs to know of a host type */

/* An instant since 1970 in UTC, or a span. `nanos` is 0 to 999,999,999, so -0.5 s is {-1, 500000000}. */
struct value_time {
    int64_t seconds;
    int32_t nanos;
};

struct value {
    enum value_kind kind;
    union {
        bool boolean;
        int64_t integer;
        uint64_t uinteger;
        double number;
        struct text text;       /* string, bytes; the name of a type */
        struct value_time time; /* timestamp, duration */
        const struct value_list *list;
        const struct value_map *map;
        const struct value *optional; /* NULL: none */
        struct {
            const struct value_host_type *type;
            const void *data;
        } host;
    };
};

static inline struct value value_null(void)
{
    return (struct value){.kind = VALUE_NULL};
}

static inline struct value value_bool(bool b)
{
    return (struct value){.kind = VALUE_BOOL, .boolean = b};
}

static inline struct value value_int(int64_t i)
{
    return (struct value){.kind = VALUE_INT, .integer = i};
}

static inline struct value value_uint(uint64_t u)
{
    return (struct value){.kind = VALUE_UINT, .uinteger = u};
}

static inline struct value value_double(double d)
{
    return (struct value){.kind = VALUE_DOUBLE, .number = d};
}

static inline struct value value_string(struct text t)
{
    return (struct value){.kind = VALUE_STRING, .text = t};
}

static inline struct value value_bytes(struct text t)
{
    return (struct value){.kind = VALUE_BYTES, .text = t};
}

static inline struct value value_of_map(const struct value_map *map)
{
    return (struct value){.kind = VALUE_MAP, .map = map};
}

static inline struct value value_of_list(const struct value_list *list)
{
    return (struct value){.kind = VALUE_LIST, .list = list};
}

/* From nanoseconds: since 1970, or of a span. */
struct value value_timestamp(int64_t wall_ns);
struct value value_duration(int64_t ns);

/* A duration (or a timestamp) in nanoseconds, clamped to the range of an int64_t. */
int64_t value_ns(struct value value);

/* A map that answers look-ups itself. `get` is asked for keys of any kind: false, absent. `next` walks: false at the end, *cursor
 * starts at 0. Both may use `arena`. Hosts embed this as the first member of a struct of theirs. */
struct value_map {
    bool (*get)(const struct value_map *map, struct value key, struct arena *arena, struct value *ret_value);
    bool (*next)(const struct value_map *map, size_t *cursor, struct arena *arena, struct value *ret_key,
                 struct value *ret_value);
    size_t (*size)(const struct value_map *map);
};

struct value_list {
    size_t count;
    const struct value *items;
};

struct value_host_type {
    const char *name;        /* what type() says: "net.IP" */
    const char *constructor; /* "ip": a literal is ip("...") */
    uint32_t signature;      /* its bit for overload resolution (function.h) */
    bool (*equal)(const void *a, const void *b);
    struct text (*write)(const void *data, struct arena *arena); /* what string() gives */
};
