/* Look-ups in a consumer set. */
#include "proxy/consumer.h"

#include "base/hash.h"
#include "proxy/consumer_set.h"

bool consumer_set_find_key(const struct consumer_set *set, struct text key, int64_t now_s,
                           struct credential *ret_credential)
{
    int64_t expires_s;
    if (key.size == 0 || key.size > CONSUMER_KEY_MAX)
        return false;
    const struct consumer_key *found = consumer_keys_find(&set->keys, key);
    if (!found || found->owner == 0)
        return false;
    const struct consumer *consumer = &set->consumers[consumer_key_owner(set, found, &expires_s)];
    __builtin_prefetch(consumer);
    if (expires_s != 0 && now_s >= expires_s)
        return false;
    *ret_credential = (struct credential){.consumer = consumer, .expires_s = expires_s};
    return true;
}

const struct consumer *consumer_set_find_name(const struct consumer_set *set, struct text name)
{
    struct consumer_walk walk = consumer_index_first(&set->by_name, hash_text(name));
    for (uint32_t at; (at = consumer_index_next(&set->by_name, &walk)) != UINT32_MAX;)
        if (text_equal(set->consumers[at].name, name))
            return &set->consumers[at];
    return NULL;
}

const struct consumer *consumer_set_find_username(const struct consumer_set *set, struct text username)
{
    struct consumer_walk walk = consumer_index_first(&set->by_username, hash_text(username));
    for (uint32_t at; (at = consumer_index_next(&set->by_username, &walk)) != UINT32_MAX;)
        if (text_equal(consumer_username(&set->consumers[at]), username))
            return &set->consumers[at];
    return NULL;
}

struct text consumer_set_decoy_password(const struct consumer_set *set)
{
    return set->decoy_password;
}

size_t consumer_set_count(const struct consumer_set *set)
{
    return set->count;
}

size_t consumer_set_keys_count(const struct consumer_set *set)
{
    return set->keys.count;
}

uint32_t consumer_set_kinds_count(const struct consumer_set *set)
{
    return set->kinds_count;
}

bool consumer_in_group(const struct consumer *consumer, struct text group)
{
    for (size_t i = 0; i < consumer->kind->groups_count; i++)
        if (text_equal(consumer->kind->groups[i], group))
            return true;
    return false;
}

struct text consumer_label(const struct consumer *consumer, struct text key)
{
    for (size_t i = 0; consumer->more && i < consumer->more->labels_count; i++)
        if (text_equal(consumer->more->labels[i].key, key))
            return consumer->more->labels[i].value;
    return (struct text){NULL, 0};
}
