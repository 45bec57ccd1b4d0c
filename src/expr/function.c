/* The registry of functions: all rows by name, and what signatures mean. */
#include "expr/function.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static const struct function_group *const groups[] = {
    &functions_core,   &functions_convert, &functions_string, &functions_format, &functions_regex,
    &functions_math,   &functions_time,    &functions_list,   &functions_set,    &functions_optional,
    &functions_encode, &functions_hash,    &functions_web,    &functions_ip,     &functions_random,
};

enum { ROWS_MAX = 512 };

static const struct function
    *sorted[ROWS_MAX]; /* by name, in the order of the tables among equals; written once */
static size_t sorted_count;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int by_name(const void *a, const void *b)
{
    const struct function *left = *(const struct function *const *)a,
                          *right = *(const struct function *const *)b;
    int order = strcmp(left->name, right->name);
    return order ? order : (left > right) - (left < right);
}

static void sort_rows(void)
{
    for (size_t g = 0; g < COUNT_OF(groups); g++)
        for (size_t i = 0; i < groups[g]->count; i++) {
            CHECK(sorted_count < ROWS_MAX);
            sorted[sorted_count++] = &groups[g]->rows[i];
        }
    qsort(sorted, sorted_count, sizeof(sorted[0]), by_name);
}

/* The first row whose name is not before `name`. */
static size_t lower_bound(struct text name)
{
    pthread_once(&once, sort_rows);
    size_t from = 0, to = sorted_count;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if (text_compare(text_of(sorted[middle]->name), name) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

size_t function_find(struct text name, const struct function *const **ret_rows)
{
    size_t first = lower_bound(name), end = first;
    while (end < sorted_count && text_equal(text_of(sorted[end]->name), name))
        end++;
    *ret_rows = sorted + first;
    return end - first;
}

bool function_is_namespace(struct text name)
{
    size_t at = lower_bound(name);
    for (; at < sorted_count && text_starts_with(text_of(sorted[at]->name), name); at++)
        if (sorted[at]->name[name.size] == '.')
            return true;
    return false;
}

const char *function_nearest(struct text name, enum function_style style)
{
    const char *nearest = NULL;
    unsigned best = name.size < 6 ? 2 : 4;
    (void)lower_bound(name); /* sorts the rows on first use */
    for (size_t i = 0; i < sorted_count; i++) {
        if (sorted[i]->style != style && sorted[i]->style != FUNCTION_EITHER)
            continue;
        unsigned distance = text_distance(name, text_of(sorted[i]->name), best);
        if (distance < best) {
            best = distance;
            nearest = sorted[i]->name;
        }
    }
    return nearest;
}

size_t function_arity(const struct function *function)
{
    size_t arity = 0;
    while (arity < ARGUMENTS_MAX && function->takes[arity] != SIG_NONE)
        arity++;
    return arity;
}

/* What each signature accepts: a kind with what its parts must be. -1: variable A, -2: variable B. */
enum { PART_NONE, PART_A, PART_B, PART_STRING, PART_INT, PART_OPTIONAL_A, PART_DYN };
static const struct {
    const char *name;
    uint32_t bits;
    uint8_t kind, key, item;
} signatures[SIGNATURES] = {
    [SIG_NONE] = {"", 0, EXPR_DYN, 0, 0},
    [SIG_DYN] = {"any", (uint32_t)BITS_ANY, EXPR_DYN, 0, 0},
    [SIG_NULL] = {"null", 1u << VALUE_NULL, EXPR_NULL, 0, 0},
    [SIG_BOOL] = {"bool", 1u << VALUE_BOOL, EXPR_BOOL, 0, 0},
    [SIG_INT] = {"int", 1u << VALUE_INT, EXPR_INT, 0, 0},
    [SIG_UINT] = {"uint", 1u << VALUE_UINT, EXPR_UINT, 0, 0},
    [SIG_DOUBLE] = {"double", 1u << VALUE_DOUBLE, EXPR_DOUBLE, 0, 0},
    [SIG_NUMBER] = {"number", BITS_NUMBER, EXPR_DYN, 0, 0},
    [SIG_STRING] = {"string", 1u << VALUE_STRING, EXPR_STRING, 0, 0},
    [SIG_BYTES] = {"bytes", 1u << VALUE_BYTES, EXPR_BYTES, 0, 0},
    [SIG_LIST] = {"list(A)", 1u << VALUE_LIST, EXPR_LIST, 0, PART_A},
    [SIG_LIST_DYN] = {"list", 1u << VALUE_LIST, EXPR_LIST, 0, PART_DYN},
    [SIG_LIST_STRING] = {"list(string)", 1u << VALUE_LIST, EXPR_LIST, 0, PART_STRING},
    [SIG_LIST_INT] = {"list(int)", 1u << VALUE_LIST, EXPR_LIST, 0, PART_INT},
    [SIG_LIST_OPTIONAL] = {"list(optional(A))", 1u << VALUE_LIST, EXPR_LIST, 0, PART_OPTIONAL_A},
    [SIG_MAP] = {"map(A, B)", 1u << VALUE_MAP, EXPR_MAP, PART_A, PART_B},
    [SIG_MAP_STRING] = {"map(string, string)", 1u << VALUE_MAP, EXPR_MAP, PART_STRING, PART_STRING},
    [SIG_MAP_DYN] = {"map(string, any)", 1u << VALUE_MAP, EXPR_MAP, PART_STRING, PART_DYN},
    [SIG_TIMESTAMP] = {"timestamp", 1u << VALUE_TIMESTAMP, EXPR_TIMESTAMP, 0, 0},
    [SIG_DURATION] = {"duration", 1u << VALUE_DURATION, EXPR_DURATION, 0, 0},
    [SIG_TYPE] = {"type", 1u << VALUE_TYPE, EXPR_TYPE, 0, 0},
    [SIG_OPTIONAL] = {"optional(A)", 1u << VALUE_OPTIONAL, EXPR_OPTIONAL, 0, PART_A},
    [SIG_OPTIONAL_STRING] = {"optional(string)", 1u << VALUE_OPTIONAL, EXPR_OPTIONAL, 0, PART_STRING},
    [SIG_IP] = {"ip", BIT_IP, EXPR_IP, 0, 0},
    [SIG_CIDR] = {"cidr", BIT_CIDR, EXPR_CIDR, 0, 0},
    [SIG_A] = {"A", (uint32_t)BITS_ANY, EXPR_DYN, 0, PART_A},
};

uint32_t signature_bits(enum signature signature)
{
    return signatures[signature].bits;
}

/* Binds a variable, which covers all that it is bound to. */
static void bind(const struct type **variable, const struct type *type)
{
    *variable = *variable ? type_join(*variable, type) : type;
}

static bool part_accepts(uint8_t part, const struct type *type, const struct type *variables[2])
{
    if (part == PART_A || part == PART_B)
        bind(&variables[part - PART_A], type);
    if (part == PART_OPTIONAL_A)
        bind(&variables[0], type->kind == EXPR_OPTIONAL ? type->item : type_of(EXPR_DYN));
    if (part == PART_OPTIONAL_A)
        return type_may_be(type, type_of(EXPR_OPTIONAL));
    return (part != PART_STRING || type_may_be(type, type_of(EXPR_STRING)))
           && (part != PART_INT || type_may_be(type, type_of(EXPR_INT)));
}

bool signature_accepts(enum signature signature, const struct type *type, const struct type *variables[2])
{
    if (signature == SIG_A)
        return part_accepts(PART_A, type, variables);
    if (signature == SIG_NUMBER)
        return type_bits(type->kind) & BITS_NUMBER;
    if (type->kind == EXPR_DYN || signatures[signature].kind == EXPR_DYN)
        return true;
    if (type->kind != signatures[signature].kind)
        return false;
    return (!type->key || part_accepts(signatures[signature].key, type->key, variables))
           && (!type->item || part_accepts(signatures[signature].item, type->item, variables));
}

static const struct type *part_type(uint8_t part, const struct type *const variables[2])
{
    if (part == PART_A || part == PART_B)
        return variables[part - PART_A] ? variables[part - PART_A] : type_of(EXPR_DYN);
    return type_of(part == PART_STRING ? EXPR_STRING : part == PART_INT ? EXPR_INT : EXPR_DYN);
}

const struct type *signature_type(enum signature signature, const struct type *const variables[2],
                                  struct arena *arena)
{
    enum expr_type kind = signatures[signature].kind;
    const struct type *item = part_type(signatures[signature].item, variables);
    if (signature == SIG_A)
        return item;
    if (kind == EXPR_LIST)
        return type_list(arena, item);
    if (kind == EXPR_MAP)
        return type_map(arena, part_type(signatures[signature].key, variables), item);
    return kind == EXPR_OPTIONAL ? type_optional(arena, item) : type_of(kind);
}

/* "name(arguments)" or "receiver.name(arguments)" behind what is there; returns the new size, which may be beyond the room. */
static size_t write_call(const struct function *function, bool receiver, char *to, size_t size, size_t room)
{
    if (receiver && size < room)
        size += (size_t)snprintf(to + size, room - size, "%s.", signatures[function->takes[0]].name);
    if (size < room)
        size += (size_t)snprintf(to + size, room - size, "%s(", function->name);
    for (size_t i = receiver; i < function_arity(function) && size < room; i++)
        size += (size_t)snprintf(to + size, room - size, "%s%s", i > receiver ? ", " : "",
                                 signatures[function->takes[i]].name);
    if (size < room)
        size += (size_t)snprintf(to + size, room - size, "%s)", function->variadic ? "..." : "");
    return size;
}

void function_write(const struct function *function, char *to, size_t room)
{
    size_t size = write_call(function, function->style == FUNCTION_RECEIVER, to, 0, room);
    if (function->style == FUNCTION_EITHER && size < room) {
        size += (size_t)snprintf(to + size, room - size, " or ");
        size = write_call(function, true, to, size, room);
    }
    if (size < room)
        snprintf(to + size, room - size, " -> %s", signatures[function->gives].name);
}

void expr_functions_each(expr_function_row *row, void *context)
{
    char signature[160];
    macros_each(row, context);
    for (size_t g = 0; g < COUNT_OF(groups); g++)
        for (size_t i = 0; i < groups[g]->count; i++) {
            const struct function *function = &groups[g]->rows[i];
            function_write(function, signature, sizeof signature);
            row(context, &(struct expr_function){groups[g]->name, function->name, text_of(signature),
                                                 function->style == FUNCTION_RECEIVER, function->about,
                                                 function->example});
        }
}
