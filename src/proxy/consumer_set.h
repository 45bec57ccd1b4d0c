/* The inside of a consumer set (room-private): shared by look-ups (consumer.c) and building (consumer_fields.c, consumer_build.c). */
#pragma once

#include "base/check.h"
#include "proxy/consumer.h"
#include "proxy/consumer_index.h"
#include "proxy/consumer_keys.h"

/* What few keys have. */
struct consumer_key_extra {
    uint32_t owner; /* as in struct consumer_key */
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

static_assert(sizeof(struct consumer) == 64, "a cache line; a million of them");

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

/* Whose key it is, as a number; `*ret_expires_s` is 0 for never. The place is not free. */
static inline uint32_t consumer_key_owner(const struct consumer_set *set, const struct consumer_key *key,
                                          int64_t *ret_expires_s)
{
    bool has_extra = key->owner & CONSUMER_KEY_EXTRA;
    const struct consumer_key_extra *extra =
        has_extra ? &set->extras[(key->owner & ~CONSUMER_KEY_EXTRA) - 1] : NULL;
    *ret_expires_s = extra ? extra->expires_s : 0;
    return (extra ? extra->owner : key->owner) - 1;
}

/* The name that basic-auth asks for. */
static inline struct text consumer_username(const struct consumer *consumer)
{
    return consumer->more && consumer->more->username.at ? consumer->more->username : consumer->name;
}
