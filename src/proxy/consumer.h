/* Consumers: who calls. One immutable set per configuration; a million of them in under 250 bytes each, found as fast as one.
 *
 * Keys are kept as SHA-256 digests, passwords as their crypt(3) strings. The set is one object of the snapshot, shared by workers. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "config/field.h"

struct policy_builder;
struct policy_set;

enum {
    CONSUMER_GROUPS_MAX = 32, /* of one consumer */
    CONSUMER_NAME_MAX = 255,  /* bytes of names and usernames */
    CONSUMER_KEY_MAX = 4096,  /* bytes of a key: a longer one is never found */
};

/* Compact: what most consumers do not have is behind `more`. Texts and arrays live in the set. Consumers of a set are cache lines, most with
 * their name in it: what a request needs of one of a million is one wait for memory. */
enum { CONSUMER_NAME_SHORT = 32 };

struct consumer {
    struct text name;
    const struct consumer_kind *kind;     /* its groups and policies: consumers alike share one; never NULL */
    const struct consumer_more *more;     /* labels, password; NULL: none */
    char short_name[CONSUMER_NAME_SHORT]; /* what `name` points to where it fits; else unused */
};

/* All consumers with the same groups (and no policies of their own) are of one kind: one plan per route and kind. */
struct consumer_kind {
    uint32_t id;               /* dense from 0 within the set */
    const struct text *groups; /* as listed, those that `groups` does not declare included */
    size_t groups_count;
    const struct policy_set *const
        *sets; /* of its groups in the order listed, then the consumer's own; none of them is empty */
    size_t sets_count;
};

struct consumer_more {
    const struct text_pair *labels;
    size_t labels_count;
    struct text
        password; /* crypt(3) form for basic-auth ("$2b$...", "$y$...", "$6$...", "$5$..."), zero-terminated; .at NULL: none */
    struct text username; /* for basic-auth; the consumer's name where .at is NULL */
};

/* What a credential says beyond its consumer. */
struct credential {
    const struct consumer *consumer;
    int64_t expires_s; /* wall clock; 0: never */
};

struct consumer_set;

/* The consumer that a key belongs to: false, unknown or expired at `now_s`. Time does not depend on how much of a key was right. Does not
 * allocate, but for a thread's first call. */
bool consumer_set_find_key(const struct consumer_set *set, struct text key, int64_t now_s,
                           struct credential *ret_credential);
const struct consumer *consumer_set_find_name(const struct consumer_set *set,
                                              struct text name); /* NULL: none */

/* By the name that basic-auth asks for; finds only consumers with a password. NULL: none. */
const struct consumer *consumer_set_find_username(const struct consumer_set *set, struct text username);

/* A password hash that costs as much as those of the set (the first of them), to verify for a user that does not exist; .at NULL: no
 * consumer has a password. */
struct text consumer_set_decoy_password(const struct consumer_set *set);

size_t consumer_set_count(const struct consumer_set *set);
size_t consumer_set_keys_count(const struct consumer_set *set);
uint32_t consumer_set_kinds_count(const struct consumer_set *set); /* ids of kinds are below */
bool consumer_in_group(const struct consumer *consumer, struct text group);
struct text consumer_label(const struct consumer *consumer, struct text key); /* .at NULL: none */

/* Builds a set from the `consumers` and `groups` maps (either may be NULL) into `binder->arena`. Group and consumer policies are built with
 * `builder`. NULL: the binder's report says why (two consumers with the same key, an unknown password form, ...). */
const struct consumer_set *consumer_set_build(struct binder *binder, const struct policy_builder *builder,
                                              const struct node *consumers, const struct node *groups);
extern const struct field consumer_fields[], group_fields[]; /* for schema and manual */
