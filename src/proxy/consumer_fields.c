/* What the configuration of consumers and groups may hold. */
#include <crypt.h>

#include "base/check.h"
#include "expr/calendar.h"
#include "policy/instance.h"
#include "proxy/consumer_set.h"

enum { LABELS_MAX = 64 }; /* of one consumer */

static bool bind_expiry(struct binder *binder, const struct field *field, const struct node *node, void *at)
{
    (void)field;
    struct value_time time;
    if (node->kind != NODE_SCALAR || !timestamp_parse(node->text, &time))
        return bind_error(binder, node, NULL, "wants a time such as `2027-01-01T00:00:00Z` (RFC 3339)");
    if (time.seconds <= 0)
        return bind_error(binder, node, NULL, "wants a time after 1970");
    *(int64_t *)at = time.seconds;
    return true;
}

/* How what crypt(3) makes begins, and how long the hash behind the last '$' is. */
static const struct password_form {
    const char *prefix;
    uint8_t hash_size;
} password_forms[] = {{"$2a$", 53}, {"$2b$", 53}, {"$2y$", 53}, {"$y$", 43}, {"$5$", 43}, {"$6$", 86}};

static const struct password_form *password_form(struct text password)
{
    for (size_t i = 0; i < COUNT_OF(password_forms); i++)
        if (text_starts_with(password, text_of(password_forms[i].prefix)))
            return &password_forms[i];
    return NULL;
}

/* `password` is followed by a zero byte. */
static bool is_whole(struct text password, const struct password_form *form)
{
    if (memchr(password.at, '\0', password.size) || password.size >= CRYPT_OUTPUT_SIZE
        || password.size - text_find_last_char(password, '$') - 1 != form->hash_size)
        return false;
    int salt = crypt_checksalt(password.at);
    return salt == CRYPT_SALT_OK
           || salt == CRYPT_SALT_METHOD_LEGACY; /* which $5$ is: not the newest, not weak */
}

static bool bind_password(struct binder *binder, const struct field *field, const struct node *node, void *at)
{
    (void)field;
    report_hide_line(binder->report, node->place); /* a password may stand there in plain text */
    struct text password = node->kind == NODE_SCALAR ? arena_copy(binder->arena, node->text) : TEXT("");
    const struct password_form *form = password_form(password);
    if (text_starts_with(password, TEXT("$argon2")))
        return bind_error(
            binder, node, NULL,
            "argon2 is not supported yet: give a bcrypt ($2b$), yescrypt ($y$) or SHA-crypt ($6$) hash");
    if (!form)
        return bind_error(
            binder, node, NULL,
            "wants a hash that begins with $2b$, $y$, $6$ or $5$, not the password itself: make one with "
            "`openssl passwd -6` or `mkpasswd`");
    if (!is_whole(password, form))
        return bind_error(binder, node, NULL,
                          "is not a whole hash: make it again with `openssl passwd -6` or `mkpasswd`");
    *(struct text *)at = password;
    return true;
}

static const struct field key_fields[] = {
    {FIELD_MEMBER_(
         struct key_config, key, "key", FIELD_KIND_SECRET, REQUIRED,
         "The key, best as a reference such as `${env:ALICE_KEY}`. Only its SHA-256 digest is kept."),
     .flags = FIELD_SHORTHAND, .min = 1, .max = CONSUMER_KEY_MAX},
    FIELD_CUSTOM(struct key_config, expires_s, "expires", OPTIONAL, bind_expiry,
                 "{\"type\":\"string\",\"format\":\"date-time\"}",
                 "From this time on the key is refused (RFC 3339)."),
    FIELD_END,
};
static const struct field key_item = ITEM_STRUCT(struct key_config, key_fields);

const struct field consumer_fields[] = {
    FIELD_LIST(
        struct consumer_config, keys, "keys", OPTIONAL, &key_item, FIELD_ONE_OR_MORE,
        "Keys for `key-auth`: texts, or `{key: ..., expires: ...}`. Several are good for changing keys without a gap."),
    {FIELD_MEMBER_(
         struct consumer_config, groups, "groups", FIELD_KIND_LIST, OPTIONAL,
         "Groups that the consumer is in. Their policies apply in this order; a group without policies need not be declared."),
     .item = &field_item_text, .flags = FIELD_ONE_OR_MORE | FIELD_UNIQUE, .max = CONSUMER_GROUPS_MAX},
    {FIELD_MEMBER_(
         struct consumer_config, labels, "labels", FIELD_KIND_MAP, OPTIONAL,
         "Texts that say more about the consumer, for `acl` and for expressions (`consumer.labels.team`)."),
     .item = &field_item_text_pair, .max = LABELS_MAX},
    {FIELD_MEMBER_(struct consumer_config, username, "username", FIELD_KIND_TEXT, OPTIONAL,
                   "Name for `basic-auth`, where it is not the consumer's own name."),
     .min = 1, .max = CONSUMER_NAME_MAX},
    FIELD_CUSTOM(
        struct consumer_config, password, "password", OPTIONAL, bind_password, "{\"type\":\"string\"}",
        "Password for `basic-auth` as a crypt(3) hash: bcrypt (`$2b$`), yescrypt (`$y$`) or SHA-crypt (`$6$`, `$5$`), as "
        "`mkpasswd` and `openssl passwd -6` make them."),
    FIELD_NODE(
        struct consumer_config, policies, "policies", OPTIONAL, "{\"$ref\":\"#/$defs/policies\"}",
        "Policies for this consumer's requests, once it is identified. They replace those of the same id at wider scopes."),
    FIELD_CHOICE(struct consumer_config, order, "order", "stages", order_choices,
                 "`written` runs `policies` in the order of the list instead of by stages."),
    FIELD_END,
};

const struct field group_fields[] = {
    FIELD_NODE(struct group_config, policies, "policies", OPTIONAL, "{\"$ref\":\"#/$defs/policies\"}",
               "Policies for the requests of every consumer in the group."),
    FIELD_CHOICE(struct group_config, order, "order", "stages", order_choices,
                 "`written` runs `policies` in the order of the list instead of by stages."),
    FIELD_END,
};
