/* See the header: open addressing by whole cache lines, linear probing. */
#include "proxy/consumer_keys.h"

#include "base/check.h"
#include "base/hash.h"

enum {
    LINE_BYTES = 64,
    LARGE_BYTES = 2 << 20, /* a table beyond it is not in a core's own cache */
};

static_assert(sizeof(struct consumer_key) * CONSUMER_KEY_LINE == LINE_BYTES, "a million of them");

bool consumer_keys_init(struct consumer_keys *keys, struct arena *arena, size_t count)
{
    size_t lines = count + 1; /* half of the places are free: a look-up ends there */
    *keys = (struct consumer_keys){
        .places = arena_aligned(arena, LINE_BYTES, lines, LINE_BYTES),
        .lines = lines,
        .is_large = lines > LARGE_BYTES / LINE_BYTES,
    };
    return keys->places != NULL;
}

/* In a time that does not depend on where they differ. */
static bool is_same(const struct consumer_key *key, const struct sha256 *digest)
{
    uint64_t differing = key->digest_rest ^ (uint32_t)digest->words[3];
    for (size_t i = 0; i < COUNT_OF(key->digest); i++)
        differing |= key->digest[i] ^ digest->words[i];
    return differing == 0;
}

static struct consumer_key *line_of(const struct consumer_keys *keys, uint64_t hash)
{
    return keys->places + CONSUMER_KEY_LINE * (uint64_t)((unsigned __int128)hash * keys->lines >> 64);
}

static struct consumer_key *search(const struct consumer_keys *keys, struct text key,
                                   struct sha256 *ret_digest)
{
    struct consumer_key *at = keys->places, *end = keys->places + CONSUMER_KEY_LINE * keys->lines;
    if (keys->is_large) {
        at = line_of(keys, hash_text(key));
        __builtin_prefetch(at);
        __builtin_prefetch(at + CONSUMER_KEY_LINE); /* past the end does no harm */
    }
    if (!sha256_make(key, ret_digest))
        return NULL;
    if (!keys->is_large)
        at = line_of(keys, ret_digest->words[0]);
    while (at->owner != 0 && !is_same(at, ret_digest))
        at = at + 1 == end ? keys->places : at + 1;
    return at;
}

const struct consumer_key *consumer_keys_find(const struct consumer_keys *keys, struct text key)
{
    struct sha256 digest;
    return search(keys, key, &digest);
}

struct consumer_key *consumer_keys_place(struct consumer_keys *keys, struct text key)
{
    struct sha256 digest;
    struct consumer_key *place = search(keys, key, &digest);
    if (!place || place->owner)
        return place;
    memcpy(place->digest, digest.words, sizeof place->digest);
    place->digest_rest = (uint32_t)digest.words[3];
    return place;
}
