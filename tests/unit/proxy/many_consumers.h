/* A tree of many consumers with a key each, made without a parser: for tests and benchmarks of the consumer set. */
#pragma once

#include <stdio.h>

#include "base/arena.h"
#include "base/check.h"
#include "config/node.h"

enum { MANY_TEXT_MAX = 64 };

/* "consumer-000042" and a key of 32 bytes; to buffers of MANY_TEXT_MAX. */
static inline struct text many_name(size_t i, char *to)
{
    return (struct text){to, (size_t)snprintf(to, MANY_TEXT_MAX, "consumer-%06zu", i)};
}

static inline struct text many_key(size_t i, char *to)
{
    return (struct text){to, (size_t)snprintf(to, MANY_TEXT_MAX, "key-%06zu-0123456789abcdef01234", i)};
}

static inline struct node many_scalar(struct text text)
{
    return (struct node){.kind = NODE_SCALAR, .text = text, .secret = true};
}

/* NAME: {keys: [KEY], groups: [gold]}, `count` of them. */
static inline struct node many_consumers(struct arena *arena, size_t count)
{
    struct node map = {.kind = NODE_MAP, .count = (uint32_t)count};
    map.keys = arena_array(arena, count, sizeof *map.keys);
    map.items = arena_array(arena, count, sizeof *map.items);
    struct node *fields = arena_array(arena, 2, sizeof *fields), *groups = ARENA_NEW(arena, struct node);
    CHECK(map.keys && map.items && fields && groups);
    fields[0] = many_scalar(TEXT("keys"));
    fields[1] = many_scalar(TEXT("groups"));
    *groups = many_scalar(TEXT("gold"));
    for (size_t i = 0; i < count; i++) {
        char name[MANY_TEXT_MAX], key[MANY_TEXT_MAX];
        struct node *values = arena_array(arena, 3, sizeof *values);
        CHECK(values);
        values[0] = (struct node){.kind = NODE_LIST, .count = 1, .items = &values[2]};
        values[1] = (struct node){.kind = NODE_LIST, .count = 1, .items = groups};
        values[2] = many_scalar(arena_copy(arena, many_key(i, key)));
        map.keys[i] = many_scalar(arena_copy(arena, many_name(i, name)));
        map.items[i] = (struct node){.kind = NODE_MAP, .count = 2, .keys = fields, .items = values};
    }
    return map;
}
