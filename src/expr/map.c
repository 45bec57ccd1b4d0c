/* Maps made by expressions. */
#include "expr/map.h"

#include "base/check.h"
#include "base/hash.h"
#include "expr/compare.h"

enum { FEW = 8 }; /* up to so many entries are searched one by one */

/* A double or uint that is an int is hashed like it. */
static uint64_t key_hash(struct value key)
{
    if (key.kind == VALUE_STRING)
        return hash_text(key.text);
    if (key.kind == VALUE_BOOL)
        return key.boolean;
    if (key.kind == VALUE_UINT)
        return hash_mix(key.uinteger);
    if (key.kind != VALUE_DOUBLE)
        return hash_mix((uint64_t)key.integer);
    bool is_int = key.number >= -0x1p63 && key.number < 0x1p63;
    bool is_uint = key.number >= 0 && key.number < 0x1p64;
    return is_int ? hash_mix((uint64_t)(int64_t)key.number) : is_uint ? hash_mix((uint64_t)key.number) : 0;
}

static bool is_key(struct value key)
{
    return key.kind == VALUE_STRING || key.kind == VALUE_INT || key.kind == VALUE_UINT
           || key.kind == VALUE_BOOL || key.kind == VALUE_DOUBLE;
}

static struct map_entry *find_indexed(const struct map *map, struct value key)
{
    size_t mask = map->index_size - 1;
    for (size_t i = key_hash(key) & mask; map->index[i]; i = (i + 1) & mask) {
        struct map_entry *entry = &map->entries[map->index[i] - 1];
        if (value_same_key(&entry->key, &key))
            return entry;
    }
    return NULL;
}

static struct map_entry *find(const struct map *map, struct value key)
{
    if (!is_key(key))
        return NULL;
    if (map->index)
        return find_indexed(map, key);
    for (size_t i = 0; i < map->count; i++)
        if (value_same_key(&map->entries[i].key, &key))
            return &map->entries[i];
    return NULL;
}

static bool get(const struct value_map *value_map, struct value key, struct arena *arena,
                struct value *ret_value)
{
    (void)arena; /* nothing is made */
    const struct map_entry *entry = find((const struct map *)value_map, key);
    if (!entry)
        return false;
    *ret_value = entry->value;
    return true;
}

static bool next(const struct value_map *value_map, size_t *cursor, struct arena *arena,
                 struct value *ret_key, struct value *ret_value)
{
    (void)arena;
    const struct map *map = (const struct map *)value_map;
    if (*cursor >= map->count)
        return false;
    *ret_key = map->entries[*cursor].key;
    *ret_value = map->entries[*cursor].value;
    ++*cursor;
    return true;
}

static size_t size(const struct value_map *value_map)
{
    return ((const struct map *)value_map)->count;
}

struct map *map_new(struct arena *arena, size_t capacity)
{
    struct map *map = arena_alloc(arena, sizeof *map);
    size_t bytes;
    if (!map || __builtin_mul_overflow(capacity, sizeof(struct map_entry), &bytes))
        return NULL;
    *map = (struct map){.map = {get, next, size}, .capacity = capacity};
    map->entries = capacity ? arena_alloc(arena, bytes) : NULL;
    return capacity && !map->entries ? NULL : map;
}

static void index_put(struct map *map, size_t entry)
{
    size_t mask = map->index_size - 1, i = key_hash(map->entries[entry].key) & mask;
    while (map->index[i])
        i = (i + 1) & mask;
    map->index[i] = (uint32_t)entry + 1;
}

/* Room for one more entry, and an index of at most half load when they are many. */
static bool reserve(struct map *map, struct arena *arena)
{
    if (map->count == map->capacity) {
        size_t capacity = map->capacity ? 2 * map->capacity : 4;
        struct map_entry *entries = arena_array(arena, capacity, sizeof *entries);
        if (!entries)
            return false;
        if (map->count)
            memcpy(entries, map->entries, map->count * sizeof *entries);
        map->entries = entries;
        map->capacity = capacity;
    }
    if (map->count < FEW || 2 * (map->count + 1) <= map->index_size)
        return true;
    size_t index_size = map->index_size ? 2 * map->index_size : 4 * FEW;
    uint32_t *index = arena_array(arena, index_size, sizeof *index);
    if (!index || map->count >= UINT32_MAX / 2)
        return false;
    map->index = index;
    map->index_size = index_size;
    for (size_t i = 0; i < map->count; i++)
        index_put(map, i);
    return true;
}

enum map_put map_put(struct map *map, struct value key, struct value value, bool replace, struct arena *arena)
{
    if (!is_key(key) || key.kind == VALUE_DOUBLE)
        return MAP_BAD_KEY;
    struct map_entry *old = find(map, key);
    if (old && !replace)
        return MAP_REPEATED;
    if (old) {
        old->value = value;
        return MAP_PUT;
    }
    if (!reserve(map, arena))
        return MAP_NO_MEMORY;
    map->entries[map->count++] = (struct map_entry){key, value};
    if (map->index)
        index_put(map, map->count - 1);
    return MAP_PUT;
}

bool map_get(const struct value_map *map, struct value key, struct arena *arena, struct value *ret_value)
{
    return is_key(key) && map->get(map, key, arena, ret_value);
}
