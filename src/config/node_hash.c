/* Hashes of the content of nodes: what a reload compares to find what has changed.
 *
 * Made of SipHash with the key of the process, so that nobody can write two trees that look equal. The order of keys counts, because the
 * order of policies does. Plain and quoted text are the same unless the plain form means a number, a boolean or null. */
#include "base/hash.h"
#include "config/reading.h"

enum { SEED_TEXT = 0x51, SEED_TYPED, SEED_NULL, SEED_LIST, SEED_MAP };

bool scalar_is_null(struct text plain)
{
    return !plain.size || text_equal(plain, TEXT("~")) || text_equal(plain, TEXT("null"))
           || text_equal(plain, TEXT("Null")) || text_equal(plain, TEXT("NULL"));
}

bool scalar_is_typed(struct text plain)
{
    if (scalar_is_null(plain) || text_equal(plain, TEXT("true")) || text_equal(plain, TEXT("false")))
        return true;
    return char_is_digit(plain.at[0])
           || memchr("+-.", plain.at[0], 3); /* near enough: some text counts as a number here */
}

uint64_t node_hash_key(struct text key)
{
    return hash_mix(hash_text(key) + SEED_TEXT);
}

uint64_t node_hash_scalar(const struct node *scalar)
{
    if (scalar->kind == NODE_NULL)
        return hash_mix(SEED_NULL);
    if (!scalar->quoted && scalar_is_typed(scalar->text))
        return hash_mix(hash_text(scalar->text) + SEED_TYPED);
    uint64_t hash = node_hash_key(scalar->text);
    return scalar->items ? hash_mix(hash + scalar->items->hash) : hash;
}

uint64_t node_hash_children(const struct node *node)
{
    uint64_t hash = hash_mix((node->kind == NODE_MAP ? SEED_MAP : SEED_LIST) + ((uint64_t)node->count << 8));
    for (uint32_t i = 0; i < node->count; i++) {
        if (node->kind == NODE_MAP)
            hash = hash_mix(hash ^ node->keys[i].hash);
        hash = hash_mix((hash << 7 | hash >> 57) ^ node->items[i].hash);
    }
    return hash;
}
