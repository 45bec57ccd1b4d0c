/* The inside of a consumer set (room-private): shared by look-ups (consumer.c) and building (consumer_fields.c, consumer_build.c). */
#pragma once

#include "base/check.h"
#include "proxy/consumer.h"
#include "proxy/consumer_index.h"
#include "proxy/digest.h"

/* A place of the key table. What few keys have is in `extras`. */
struct consumer_key {
    struct sha256 digest;
    uint32_t owner; /* number of the consumer + 1; 0: nothing is here */
    uint32_t extra; /* number of its consumer_key_extra + 1; 0: none */
};

/* Open addressing with the keys themselves in the table, so that a look-up among a million waits for memory once: places in the order of the
 * digests, linear probing, at most two thirds full. */
struct consumer_keys {
    struct consumer_key *places;
    uint64_t capacity;
    size_t count;
};

struct consumer_key_extra {
    int64_t expires_s;
};

struct consumer_set {
    struct consumer *consumers;
    struct consumer_keys keys;
    struct consumer_key_extra *extras;
    size_t count, extras_count;
    uint32_t kinds_count;
    struct consumer_index by_name;     /* to consumers */
    struct consumer_index by_username; /* to consumers with a password */
    struct text decoy_password;
};

static_assert(sizeof(struct consumer) == 32 && sizeof(struct consumer_key) == 40, "a million of them");

/* As the field tables bind them (consumer_fields.c); `order` 1 is `written`. */
struct key_config {
    struct text key;
    int64_t expires_s;
};

struct consumer_config {
    struct array keys, groups, labels;
    struct text username, password;
    const struct node *policies;
    int order;
};

struct group_config {
    const struct node *policies;
    int order;
};

/* The place of a key, or the free one where it would be. The table has places and is not full. */
static inline struct consumer_key *consumer_keys_place(const struct consumer_keys *keys,
                                                       const struct sha256 *digest)
{
    uint64_t at = (uint64_t)((unsigned __int128)digest->words[0] * keys->capacity >> 64);
    while (keys->places[at].owner != 0 && !sha256_equal(&keys->places[at].digest, digest))
        at = at + 1 == keys->capacity ? 0 : at + 1;
    return &keys->places[at];
}

/* The name that basic-auth asks for. */
static inline struct text consumer_username(const struct consumer *consumer)
{
    return consumer->more && consumer->more->username.at ? consumer->more->username : consumer->name;
}
