/* Tokens that were verified: the next time, one look replaces the signature. One cache for each worker and instance of the policy, as long
 * as its configuration lives: another configuration starts with an empty one. Direct-mapped; a new token takes the place of an old one. */
#pragma once

#include "base/arena.h"
#include "policies/jwt_token.h"

struct jwt_cache {
    size_t tokens;          /* a power of two; 0: off */
    struct jwt_slot *slots; /* NULL until the first token; the worker's own */
};

/* Rounds `tokens` up. Allocates nothing yet. */
void jwt_cache_init(struct jwt_cache *cache, size_t tokens);
void jwt_cache_release(struct jwt_cache *cache);

/* Knows exactly this token, within the times that it was verified for? `*ret_name` is what was put with it, good until the next put. */
bool jwt_cache_find(const struct jwt_cache *cache, struct text token, int64_t now_ns, struct text *ret_name);

/* Copies; a token that is too long for a slot is not kept. */
void jwt_cache_put(struct jwt_cache *cache, struct text token, const struct jwt_verified *verified,
                   struct text name);

/* The claims of a token that was verified before, which are read only when someone asks for one. `token` must live as long as `arena`.
 * NULL: no memory. */
const struct value_map *jwt_claims_later(struct text token, struct arena *arena);
