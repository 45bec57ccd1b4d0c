/* Maps that the language itself makes: from literals, macros, JSON. Entries in the order of their making, an index when there are
 * many. Keys are equal across the number types: 1, 1u and 1.0 are one key. Internal to the room. */
#pragma once

#include "base/arena.h"
#include "expr/value.h"

struct map_entry {
    struct value key, value;
};

struct map {
    struct value_map map; /* first */
    size_t count, capacity;
    struct map_entry *entries;
    uint32_t *index;   /* of entries, +1; NULL while there are few */
    size_t index_size; /* a power of two */
};

/* An empty map with room for `capacity` entries; NULL: no memory. */
struct map *map_new(struct arena *arena, size_t capacity);

enum map_put { MAP_PUT, MAP_REPEATED, MAP_BAD_KEY, MAP_NO_MEMORY };

/* Adds an entry, if its key is new and a bool, int, uint or string. `replace`: a repeated key takes the new value. */
enum map_put map_put(struct map *map, struct value key, struct value value, bool replace,
                     struct arena *arena);

/* A look-up that also knows keys which no map may have: false. */
bool map_get(const struct value_map *map, struct value key, struct arena *arena, struct value *ret_value);
