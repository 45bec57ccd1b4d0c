/* The fields of `balance`. */
#include "upstream/balance_config.h"

#include "base/check.h"
#include "base/time.h"

enum { TABLE_MIN = 251, TABLE_MAX = 1000003, SECRET_BYTES_MIN = 16, SECRETS_MAX = 8 };

struct subset_value {
    struct text label;
    const struct expr *value;
};

static const struct balance_type *const types[] = {&balance_round_robin,    &balance_random,
                                                   &balance_least_requests, &balance_peak_ewma,
                                                   &balance_maglev,         &balance_ring};

/* In the order of `types`. */
static const char *const type_choices[] = {"round-robin", "random", "least-requests", "peak-ewma", "maglev",
                                           "ring",        NULL};
static_assert(COUNT_OF(types) == COUNT_OF(type_choices) - 1, "a name for each type");

static const char *const zones_choices[] = {"ignore", "prefer-own", NULL};
static const char *const fallback_choices[] = {"any", "none", NULL};
static const char *const same_site_choices[] = {"lax", "strict", "none", NULL};
static const char *const secure_choices[] = {"auto", "always", "never", NULL};

static const struct field subset_value_item = {.kind = FIELD_KIND_EXPRESSION,
                                               .type = EXPR_STRING,
                                               .offset = offsetof(struct subset_value, value),
                                               .size = sizeof(struct subset_value)};

static const struct field subset_fields[] = {
    {FIELD_MEMBER_(struct subset_config, by, "by", FIELD_KIND_LIST, REQUIRED,
                   "Names of labels by which endpoints are divided, at most three."),
     .item = &field_item_text, .flags = FIELD_SHORTHAND | FIELD_ONE_OR_MORE | FIELD_UNIQUE, .min = 1,
     .max = SUBSET_LABELS_MAX, .example = "[version]"},
    FIELD_MAP(
        struct subset_config, from, "from", OPTIONAL, &subset_value_item,
        offsetof(struct subset_value, label),
        "Expressions that give the value of a label for a request. One that gives an empty text, or fails, leaves "
        "the label open. What a route says under `labels` comes first."),
    FIELD_CHOICE(struct subset_config, fallback, "fallback", "any", fallback_choices,
                 "Where no endpoint has the labels: `any` endpoint, or `none`, which is a 503."),
    FIELD_END,
};

static const struct field sticky_fields[] = {
    FIELD_TEXT(struct sticky_config, cookie, "cookie", OPTIONAL,
               "Name of a cookie that the gateway gives to clients. Either this or `header`."),
    FIELD_TEXT(struct sticky_config, header, "header", OPTIONAL,
               "Name of a header field of answers that clients send back with their requests."),
    FIELD_LIST(
        struct sticky_config, secrets, "secrets", REQUIRED, &field_item_secret,
        FIELD_ONE_OR_MORE | FIELD_NOT_EMPTY,
        "Keys for the signature, of 16 bytes or more: the first one signs, all of them verify. The same on all nodes."),
    FIELD_DURATION(struct sticky_config, ttl_ms, "ttl", "0", 0, INT64_C(31536000000),
                   "How long a browser keeps the cookie; 0: until it is closed."),
    FIELD_TEXT(struct sticky_config, path, "path", "/", "Path of the cookie."),
    FIELD_CHOICE(struct sticky_config, same_site, "same_site", "lax", same_site_choices,
                 "SameSite of the cookie."),
    FIELD_CHOICE(struct sticky_config, secure, "secure", "auto", secure_choices,
                 "Secure of the cookie: `auto` where the client came by https."),
    FIELD_END,
};

const struct field balance_fields[] = {
    {FIELD_MEMBER_(
         struct balance_config, type, "type", FIELD_KIND_CHOICE, "round-robin",
         "`round-robin` takes turns by weight, smoothly; `random` draws by weight; `least-requests` prefers who has the "
         "fewest in flight; `peak-ewma` who answers soonest; `maglev` and `ring` keep a key at its endpoint."),
     .choices = type_choices, .flags = FIELD_SHORTHAND},
    FIELD_EXPRESSION(
        struct balance_config, key, "key", OPTIONAL, EXPR_STRING,
        "For `maglev` and `ring`, which need it: requests with the same key go to the same endpoint. One without a key "
        "(an empty text, or a failed expression) goes anywhere."),
    FIELD_NUMBER(
        struct balance_config, load_factor, "load_factor", "0", 0, 1000,
        "For `maglev` and `ring`: an endpoint has at most so many times its share of the requests in flight, at least "
        "1; what is more goes to the next ones. 0: no bound."),
    FIELD_INTEGER(
        struct balance_config, table, "table", "16381", TABLE_MIN, TABLE_MAX,
        "For `maglev`: places of the table, rounded up to a prime; take a hundred for each endpoint."),
    FIELD_INTEGER(
        struct balance_config, points, "points", "160", 1, 4096,
        "For `ring`: points for each unit of weight, and at most 4,096 for an endpoint. More make shares more even."),
    FIELD_DURATION(struct balance_config, decay_ms, "decay", "10s", 100, 600000,
                   "For `peak-ewma`: how long a slow answer is remembered."),
    FIELD_PERCENT(
        struct balance_config, overflow, "overflow", "70%",
        "When less than this part of a priority's weight is usable, requests overflow to the next priority, in proportion "
        "to what is missing. 0%: only when nobody is usable."),
    FIELD_DURATION(
        struct balance_config, slow_start_ms, "slow_start", "0", 0, 3600000,
        "The weight of an endpoint that appears, or is usable again, grows from a sixteenth to all of it in this time."),
    FIELD_CHOICE(
        struct balance_config, zones, "zones", "ignore", zones_choices,
        "`prefer-own` keeps requests in the node's `zone` as far as its endpoints have the capacity."),
    FIELD_PERCENT(
        struct balance_config, own_share, "own_share", OPTIONAL,
        "The part of all requests that enters through nodes of this zone; the same for all zones unless given."),
    FIELD_STRUCT(struct balance_config, subset, "subset", OPTIONAL, subset_fields,
                 "Only endpoints with certain labels, by request or route."),
    FIELD_STRUCT(struct balance_config, sticky, "sticky", OPTIONAL, sticky_fields,
                 "Keeps a client at its endpoint by a signed token."),
    FIELD_END,
};

static const struct node *place_of(const struct node *node, const char *field)
{
    const struct node *value = node_get(node, text_of(field));
    return value ? value : node;
}

/* --- hashing --- */

static uint32_t next_prime(uint32_t from)
{
    for (uint32_t number = from | 1;; number += 2) {
        bool prime = true;
        for (uint32_t divisor = 3; prime && divisor * divisor <= number; divisor += 2)
            prime = number % divisor != 0;
        if (prime)
            return number;
    }
}

static bool set_hashing(struct binder *binder, const struct balance_config *config, const struct node *node,
                        struct balance_rules *rules)
{
    const char *name = rules->type->name;
    if (rules->type->needs_key && !config->key)
        return bind_error(binder, node, "key",
                          "`%s` needs an expression for the key, such as `source.address`", name);
    if (!rules->type->needs_key && config->key)
        return bind_error(binder, place_of(node, "key"), "key",
                          "only `maglev` and `ring` have a key, not `%s`", name);
    if (config->load_factor > 0 && config->load_factor < 1)
        return bind_error(binder, place_of(node, "load_factor"), "load_factor",
                          "wants 0 or a number from 1: below 1 not all requests would find a place");
    rules->key = config->key;
    rules->load_factor = rules->type->needs_key ? config->load_factor : 0;
    rules->table_size = next_prime((uint32_t)config->table);
    rules->points = (uint32_t)config->points;
    return true;
}

/* --- subset --- */

static bool set_subset_value(struct binder *binder, const struct subset_value *value, const struct node *node,
                             struct balance_rules *rules)
{
    for (uint32_t i = 0; i < rules->subset_count; i++) {
        if (text_equal(rules->subset_labels[i], value->label)) {
            rules->subset_values[i] = value->value;
            return true;
        }
    }
    return bind_error(binder, place_of(node, "from"), "from", "the label `%.*s` is not under `by`",
                      TEXT_ARGS(value->label));
}

static bool set_subset(struct binder *binder, const struct subset_config *config, const struct node *node,
                       struct balance_rules *rules)
{
    const struct text *labels = config->by.items;
    const struct subset_value *values = config->from.items;
    bool fine = true;
    for (size_t i = 0; i < config->by.count; i++)
        rules->subset_labels[rules->subset_count++] = labels[i];
    for (size_t i = 0; i < config->from.count; i++)
        fine &= set_subset_value(binder, &values[i], place_of(node, "subset"), rules);
    rules->subset_any = config->fallback == 0;
    return fine;
}

/* --- sticky --- */

static bool is_token(struct text name)
{
    for (size_t i = 0; i < name.size; i++)
        if (name.at[i] <= ' ' || name.at[i] >= 0x7f || strchr("()<>@,;:\\\"/[]?={}", name.at[i]))
            return false;
    return name.size > 0;
}

static bool is_path(struct text path)
{
    for (size_t i = 0; i < path.size; i++)
        if (path.at[i] < ' ' || path.at[i] >= 0x7f || path.at[i] == ';')
            return false;
    return text_starts_with(path, TEXT("/"));
}

static bool check_sticky(struct binder *binder, const struct sticky_config *config, const struct node *node)
{
    const struct text *secrets = config->secrets.items;
    bool by_cookie = config->cookie.size > 0, by_header = config->header.size > 0;
    if (by_cookie == by_header)
        return bind_error(binder, node, "sticky", "wants either `cookie` or `header`");
    if (!is_token(by_cookie ? config->cookie : config->header))
        return bind_error(binder, place_of(node, by_cookie ? "cookie" : "header"),
                          by_cookie ? "sticky.cookie" : "sticky.header", "not a name that HTTP allows");
    if (!is_path(config->path))
        return bind_error(binder, place_of(node, "path"), "sticky.path", "not a path of a cookie");
    if (config->same_site == SAME_SITE_NONE && config->secure == SECURE_NEVER)
        return bind_error(binder, place_of(node, "secure"), "sticky.secure",
                          "browsers refuse a cookie with `same_site: none` that is not secure");
    if (config->secrets.count > SECRETS_MAX)
        return bind_error(binder, place_of(node, "secrets"), "sticky.secrets", "at most %d", SECRETS_MAX);
    for (size_t i = 0; i < config->secrets.count; i++)
        if (secrets[i].size < SECRET_BYTES_MIN)
            return bind_error(binder, place_of(node, "secrets"), "sticky.secrets",
                              "a secret has at least %d bytes", SECRET_BYTES_MIN);
    return true;
}

static bool set_sticky(struct binder *binder, const struct sticky_config *config, const struct node *node,
                       struct balance_rules *rules)
{
    if (config->secrets.count == 0)
        return true; /* there is no `sticky` */
    if (!check_sticky(binder, config, place_of(node, "sticky")))
        return false;
    rules->sticky = (struct sticky_rules){
        .cookie = config->cookie,
        .header = config->header,
        .secrets = config->secrets.items,
        .secrets_count = config->secrets.count,
        .ttl_s = (config->ttl_ms + MS_PER_SECOND - 1) / MS_PER_SECOND,
        .path = config->path,
        .same_site = (enum sticky_same_site)config->same_site,
        .secure = (enum sticky_secure)config->secure,
    };
    return true;
}

/* --- all --- */

void balance_rules_default(struct balance_rules *ret_rules)
{
    *ret_rules = (struct balance_rules){.type = &balance_round_robin, .overflow = 0.7};
}

bool balance_rules_make(struct binder *binder, const struct balance_config *config, const struct node *node,
                        struct text own_zone, struct balance_rules *ret_rules)
{
    struct balance_rules *rules = ret_rules;
    *rules = (struct balance_rules){
        .type = types[config->type],
        .decay_ms = config->decay_ms,
        .overflow = config->overflow,
        .slow_start_ms = config->slow_start_ms,
        .zones = config->zones == 1,
        .own_zone = own_zone,
        .own_share = config->own_share,
    };
    if (rules->zones && own_zone.size == 0)
        return bind_error(
            binder, place_of(node, "zones"), "zones",
            "`prefer-own` needs to know the node's own zone: set `zone` at the top of the file");
    bool fine = set_hashing(binder, config, node, rules);
    fine &= set_subset(binder, &config->subset, node, rules);
    fine &= set_sticky(binder, &config->sticky, node, rules);
    rules->asks_request = rules->key || rules->subset_count || rules->sticky.secrets_count;
    return fine;
}
