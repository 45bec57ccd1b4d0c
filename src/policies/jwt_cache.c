/* Verified tokens, and their claims when they are asked for. */
#include "policies/jwt_cache.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/memory.h"

enum { SLOT_BYTES = 2048, HEAD_BYTES = 32 };

struct jwt_slot {
    uint64_t hash;
    int64_t from_ns, until_ns;
    uint32_t token_size, name_size;      /* both 0: free */
    char bytes[SLOT_BYTES - HEAD_BYTES]; /* the token, then the name */
};
static_assert(sizeof(struct jwt_slot) == SLOT_BYTES, "two slots to a page");

void jwt_cache_init(struct jwt_cache *cache, size_t tokens)
{
    *cache = (struct jwt_cache){.tokens = tokens ? 1 : 0};
    while (cache->tokens < tokens)
        cache->tokens *= 2;
}

void jwt_cache_release(struct jwt_cache *cache)
{
    for (size_t i = 0; cache->slots && i < cache->tokens; i++)
        if (cache->slots[i].token_size)
            memory_wipe(cache->slots[i].bytes, cache->slots[i].token_size);
    memory_free(cache->slots);
    cache->slots = NULL;
}

static struct jwt_slot *slot_of(const struct jwt_cache *cache, uint64_t hash)
{
    return &cache->slots[hash & (cache->tokens - 1)];
}

bool jwt_cache_find(const struct jwt_cache *cache, struct text token, int64_t now_ns, struct text *ret_name)
{
    if (!cache->slots)
        return false;
    uint64_t hash =
        hash_text(token); /* its key is secret: how long the comparison below takes tells nothing */
    const struct jwt_slot *slot = slot_of(cache, hash);
    if (slot->hash != hash || slot->token_size != token.size || token.size == 0 || now_ns < slot->from_ns
        || now_ns >= slot->until_ns || memcmp(slot->bytes, token.at, token.size) != 0)
        return false;
    *ret_name = (struct text){slot->bytes + slot->token_size, slot->name_size};
    return true;
}

void jwt_cache_put(struct jwt_cache *cache, struct text token, const struct jwt_verified *verified,
                   struct text name)
{
    if (cache->tokens == 0 || token.size == 0 || token.size + name.size > SLOT_BYTES - HEAD_BYTES)
        return;
    if (!cache->slots && !(cache->slots = memory_zero(cache->tokens * sizeof *cache->slots)))
        return; /* it works without, only slower */
    uint64_t hash = hash_text(token);
    struct jwt_slot *slot = slot_of(cache, hash);
    slot->hash = hash;
    slot->from_ns = verified->from_ns;
    slot->until_ns = verified->until_ns;
    slot->token_size = (uint32_t)token.size;
    slot->name_size = (uint32_t)name.size;
    memcpy(slot->bytes, token.at, token.size);
    if (name.size)
        memcpy(slot->bytes + token.size, name.at, name.size);
}

/* --- claims --- */

struct later {
    struct value_map map;
    struct text payload;
    struct arena *arena;
    const struct value_map *claims; /* NULL: nobody asked yet */
};

static const struct value_map *claims_of(const struct value_map *map)
{
    struct later *later = (struct later *)(uintptr_t)map; /* its first member; made by jwt_claims_later() */
    if (!later->claims)
        (void)jwt_object(later->payload, later->arena,
                         &later->claims); /* it was well-formed: only memory may be short, and
                                                                           then the driver refuses the exchange */
    return later->claims;
}

static bool later_get(const struct value_map *map, struct value key, struct arena *arena,
                      struct value *ret_value)
{
    const struct value_map *claims = claims_of(map);
    return claims && claims->get(claims, key, arena, ret_value);
}

static bool later_next(const struct value_map *map, size_t *cursor, struct arena *arena,
                       struct value *ret_key, struct value *ret_value)
{
    const struct value_map *claims = claims_of(map);
    return claims && claims->next(claims, cursor, arena, ret_key, ret_value);
}

static size_t later_size(const struct value_map *map)
{
    const struct value_map *claims = claims_of(map);
    return claims ? claims->size(claims) : 0;
}

const struct value_map *jwt_claims_later(struct text token, struct arena *arena)
{
    struct jwt_parts parts;
    struct later *later = ARENA_NEW(arena, struct later);
    if (!later || !jwt_split(token, &parts))
        return NULL;
    *later = (struct later){{later_get, later_next, later_size}, parts.payload, arena, NULL};
    return &later->map;
}
