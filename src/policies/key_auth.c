/* key-auth: who calls is told by a key in a header, a query parameter, a cookie or a bearer token. */
#include "base/time.h"
#include "http/uri.h"
#include "policies/identity.h"
#include "policies/places.h"
#include "proxy/exchange.h"

struct key_auth_config {
    struct array headers, queries, cookies; /* struct text */
    bool bearer, hide;
    struct text anonymous, realm;
    enum field_name *header_ids;
    struct text challenge;
};

static const struct field key_auth_fields[] = {
    FIELD_LIST(struct key_auth_config, headers, "header", "X-API-Key", &field_item_text,
               FIELD_ONE_OR_MORE | FIELD_UNIQUE,
               "Header fields that may hold the key. `[]` turns headers off."),
    FIELD_LIST(struct key_auth_config, queries, "query", OPTIONAL, &field_item_text,
               FIELD_ONE_OR_MORE | FIELD_UNIQUE,
               "Query parameters that may hold the key. Their values never reach the access log."),
    FIELD_LIST(struct key_auth_config, cookies, "cookie", OPTIONAL, &field_item_text,
               FIELD_ONE_OR_MORE | FIELD_UNIQUE, "Cookies that may hold the key."),
    FIELD_BOOL(struct key_auth_config, bearer, "bearer", "false",
               "Takes the key from `Authorization: Bearer` too."),
    FIELD_BOOL(struct key_auth_config, hide, "hide", "true",
               "Removes the key from what goes to the service."),
    FIELD_TEXT(struct key_auth_config, anonymous, "anonymous", OPTIONAL,
               "Consumer that a request without a key belongs to. Without it such a request is refused."),
    FIELD_TEXT(struct key_auth_config, realm, "realm", "api",
               "The realm in `WWW-Authenticate` of a refusal."),
    FIELD_END,
};

static bool check_names(struct prepare *prepare, const char *field, const struct array *names)
{
    const struct text *items = names->items;
    for (size_t i = 0; i < names->count; i++)
        if (!http_is_token(items[i]))
            return bind_error(prepare->binder, item_place(prepare, field, i), field,
                              "`%.*s` is not a name that HTTP allows here", TEXT_ARGS(items[i]));
    return true;
}

static bool check_queries(struct prepare *prepare, const struct array *names)
{
    const struct text *items = names->items;
    for (size_t i = 0; i < names->count; i++)
        if (items[i].size == 0)
            return bind_error(prepare->binder, item_place(prepare, "query", i), "query",
                              "a parameter's name must not be empty");
    return true;
}

static bool key_auth_prepare(struct prepare *prepare, void *config_)
{
    struct key_auth_config *config = config_;
    struct arena *arena = prepare->binder->arena;
    const struct text *headers = config->headers.items;
    if (config->headers.count + config->queries.count + config->cookies.count == 0 && !config->bearer)
        return bind_error(
            prepare->binder, prepare->node, NULL,
            "there is no place left where a key could be: set `header`, `query`, `cookie` or `bearer`");
    if (!check_names(prepare, "header", &config->headers) || !check_names(prepare, "cookie", &config->cookies)
        || !check_queries(prepare, &config->queries) || !identity_check_realm(prepare, config->realm))
        return false;
    config->header_ids = arena_array(arena, config->headers.count, sizeof *config->header_ids);
    if (!config->header_ids)
        return bind_error(prepare->binder, prepare->node, NULL, "out of memory");
    for (size_t i = 0; i < config->headers.count; i++)
        config->header_ids[i] = field_name_parse(headers[i]);
    config->challenge = arena_format(arena, "ApiKey realm=\"%.*s\"", TEXT_ARGS(config->realm));
    if (config->bearer)
        config->challenge = arena_format(arena, "%.*s, Bearer realm=\"%.*s\"", TEXT_ARGS(config->challenge),
                                         TEXT_ARGS(config->realm));
    return true;
}

/* --- where keys are --- */

struct found {
    struct text key; /* .at NULL: none yet */
    bool several;    /* that differ */
    bool in_query;
};

static void take(struct found *found, struct text key)
{
    if (key.size == 0)
        return; /* an empty value is no key */
    if (!found->key.at)
        found->key = key;
    else if (!text_equal(found->key, key))
        found->several = true;
}

static bool is_one_of(struct text name, const struct array *names)
{
    const struct text *items = names->items;
    for (size_t i = 0; i < names->count; i++)
        if (text_equal(name, items[i]))
            return true;
    return false;
}

/* The token of "Bearer TOKEN" (RFC 6750 section 2.1), .at NULL: another scheme. */
static struct text bearer_token(struct text value)
{
    if (!text_starts_with_nocase(value, TEXT("Bearer ")))
        return (struct text){NULL, 0};
    return text_trim(text_slice(value, 7, value.size));
}

static void find_in_fields(struct exchange *ex, const struct key_auth_config *config, struct found *found)
{
    const struct text *headers = config->headers.items;
    for (size_t i = 0; i < config->headers.count; i++) {
        enum field_name id = config->header_ids[i];
        if (id != NAME_OTHER && !fields_may_hold(&ex->request.fields, id))
            continue;
        FIELDS_EACH (line, &ex->request.fields)
            if (line->id == id && (id != NAME_OTHER || text_equal_nocase(line->name, headers[i])))
                take(found, line->value);
    }
    if (!config->bearer || !fields_may_hold(&ex->request.fields, NAME_AUTHORIZATION))
        return;
    FIELDS_EACH (line, &ex->request.fields)
        if (line->id == NAME_AUTHORIZATION)
            take(found, bearer_token(line->value));
}

/* Takes "name=value" off a Cookie field (RFC 6265 section 4.2). False at the end. */
static bool next_cookie(struct text *rest, struct text *ret_pair, struct text *ret_name,
                        struct text *ret_value)
{
    if (!rest->at)
        return false;
    *ret_pair = text_trim(text_split(rest, ';'));
    *ret_value = *ret_pair;
    *ret_name = text_split(ret_value, '=');
    return true;
}

static void find_in_cookies(struct exchange *ex, const struct key_auth_config *config, struct found *found)
{
    if (config->cookies.count == 0 || !fields_may_hold(&ex->request.fields, NAME_COOKIE))
        return;
    FIELDS_EACH (line, &ex->request.fields) {
        struct text rest = line->value, pair, name, value;
        while (line->id == NAME_COOKIE && next_cookie(&rest, &pair, &name, &value))
            if (is_one_of(name, &config->cookies))
                take(found, value);
    }
}

static void find_in_query(struct exchange *ex, const struct key_auth_config *config, struct found *found)
{
    struct text rest = ex->request.query, name, value;
    while (config->queries.count && uri_query_next(&rest, &name, &value)) {
        if (!is_one_of(uri_decode(name, true, &ex->arena), &config->queries))
            continue;
        found->in_query = true;
        take(found, uri_decode(value, true, &ex->arena));
    }
}

/* --- taking them away --- */

/* The query with the values of keys replaced by `instead`, or without those parameters where `instead`.at is NULL. */
static struct text query_without(struct exchange *ex, const struct key_auth_config *config, struct text query,
                                 struct text instead)
{
    struct text rest = query, name, value;
    size_t room = query.size + 1;
    while (uri_query_next(&rest, &name, &value))
        room += 1 + instead.size;
    char *bytes = query.at ? arena_alloc(&ex->arena, room) : NULL, *to = bytes;
    if (!bytes)
        return (struct text){NULL, 0};
    for (rest = query; uri_query_next(&rest, &name, &value);) {
        bool is_key = is_one_of(uri_decode(name, true, &ex->arena), &config->queries);
        if (is_key && !instead.at)
            continue;
        if (to > bytes)
            *to++ = '&';
        memcpy(to, name.at, name.size);
        to += name.size;
        bool has_value = is_key || value.at == name.at + name.size + 1; /* as written: "a" or "a=" */
        value = is_key ? instead : value;
        if (has_value) {
            *to++ = '=';
            memcpy(to, value.at, value.size);
            to += value.size;
        }
    }
    return (struct text){to > bytes ? bytes : NULL, (size_t)(to - bytes)};
}

/* The target as received is logged too. */
static struct text target_without(struct exchange *ex, struct text target, struct text query)
{
    struct text before = text_slice(target, 0, text_find_char(target, '?'));
    struct text parts[] = {before, TEXT("?"), query};
    return arena_join(&ex->arena, parts, query.at ? 3 : 1);
}

static void guard_query(struct exchange *ex, const struct key_auth_config *config)
{
    struct text nothing = {NULL, 0}, full = ex->request.query;
    if (config->hide && ex->forward_path.at) {
        ex->forward_query = query_without(ex, config, ex->forward_query, nothing);
    } else if (!config->hide && !ex->forward_path.at) {
        ex->forward_path = ex->request.path;
        ex->forward_query = full;
    }
    ex->request.query = query_without(ex, config, full, config->hide ? nothing : TEXT("redacted"));
    ex->request.target = target_without(ex, ex->request.target, ex->request.query);
}

static void hide_cookies(struct exchange *ex, const struct key_auth_config *config, struct field_line *line)
{
    struct text rest = line->value, pair, name, value;
    char *bytes = arena_alloc(&ex->arena, line->value.size + 2), *to = bytes;
    if (!bytes)
        return; /* the driver refuses an exchange whose arena is full */
    while (next_cookie(&rest, &pair, &name, &value)) {
        if (is_one_of(name, &config->cookies) || pair.size == 0)
            continue;
        if (to > bytes) {
            *to++ = ';';
            *to++ = ' ';
        }
        memcpy(to, pair.at, pair.size);
        to += pair.size;
    }
    line->value = (struct text){bytes, (size_t)(to - bytes)};
    line->removed = to == bytes;
}

static void hide_key(struct exchange *ex, const struct key_auth_config *config)
{
    const struct text *headers = config->headers.items;
    for (size_t i = 0; i < config->headers.count; i++) {
        if (config->header_ids[i] == NAME_OTHER)
            (void)fields_remove(&ex->request.fields, headers[i]);
        else
            (void)fields_remove_known(&ex->request.fields, config->header_ids[i]);
    }
    if (!config->bearer && config->cookies.count == 0)
        return;
    FIELDS_EACH (line, &ex->request.fields) {
        if (config->bearer && line->id == NAME_AUTHORIZATION && bearer_token(line->value).at)
            line->removed = true;
        else if (config->cookies.count && line->id == NAME_COOKIE)
            hide_cookies(ex, config, line);
    }
}

/* --- the policy --- */

static enum verdict key_auth_request(struct exchange *ex, const void *config_, void *state)
{
    (void)state;
    const struct key_auth_config *config = config_;
    struct found found = {.several = false};
    struct credential credential;
    find_in_fields(ex, config, &found);
    find_in_cookies(ex, config, &found);
    find_in_query(ex, config, &found);
    if (found.in_query)
        guard_query(ex, config);
    if (config->hide)
        hide_key(ex, config);
    if (found.several)
        return identity_refuse(ex, config->challenge, TEXT("The request holds several different API keys."));
    if (!found.key.at)
        return identity_missing(ex, config->anonymous, config->challenge,
                                TEXT("The request holds no API key."));
    if (!consumer_set_find_key(exchange_consumers(ex), found.key, exchange_wall_ns(ex) / NS_PER_SECOND,
                               &credential))
        return identity_refuse(ex, config->challenge, TEXT("The API key is not valid."));
    exchange_identify(ex, credential.consumer, TEXT("key-auth"));
    return VERDICT_NEXT;
}

static const char key_auth_manual[] =
    "Tells who calls by a key that the caller sends with each request. A key is one of the `keys` of a consumer. Use it for programs\n"
    "whose owners you know and to whom you can hand a secret; use `jwt` where the caller has a token from someone else.\n"
    "\n"
    "```yaml\n"
    "listeners:\n"
    "  main: { address: \"127.0.0.1:8080\" }\n"
    "services:\n"
    "  orders: { endpoints: [\"http://127.0.0.1:7001\"] }\n"
    "routes:\n"
    "  orders:\n"
    "    match: { path: \"/orders/*\" }\n"
    "    service: orders\n"
    "    policies:\n"
    "      - key-auth: { query: api_key }\n"
    "consumers:\n"
    "  alice:\n"
    "    keys:\n"
    "      - \"${env:ALICE_KEY:-a-key-to-try-it-out-with}\"\n"
    "      - { key: \"${env:ALICE_OLD_KEY:-the-key-that-was-used-before}\", expires: \"2030-01-01T00:00:00Z\" }\n"
    "```\n"
    "\n"
    "The key is looked for in every place that is configured. The same key in two places is fine; different keys in one request are\n"
    "refused. A request without a key, with an unknown or an expired one gets 401 with `WWW-Authenticate` and a problem document.\n"
    "\n"
    "With `anonymous` a request without a key goes on as that consumer, whose groups and policies then apply. If another policy has\n"
    "identified the caller before, that stays: so several identity policies, each with `anonymous`, mean that one of them is enough. A wrong\n"
    "key is refused all the same.\n"
    "\n"
    "To change a key without a gap, add the new one beside the old one, give the old one an `expires`, and remove it later.\n"
    "\n"
    "**Security.** The policy trusts nothing in the request but the key. Keys are kept as SHA-256 digests and compared in constant time, so\n"
    "they should be random, of 16 bytes or more. Prefer a header: a key in a query parameter is seen by proxies and browser histories before it\n"
    "comes here. This policy takes it out of the access log and, with `hide`, out of what the service sees; a request that no\n"
    "route or a policy of an earlier stage answers is logged as it came. A key in a cookie is sent by browsers on requests that\n"
    "other sites cause.\n";

const struct policy policy_key_auth = {
    .name = "key-auth",
    .summary = "Identifies the consumer by an API key.",
    .manual = key_auth_manual,
    .stage = STAGE_IDENTITY,
    .status = POLICY_STABLE,
    .fields = key_auth_fields,
    .config_size = sizeof(struct key_auth_config),
    .prepare = key_auth_prepare,
    .on_request = key_auth_request,
};
