/* key-auth: who calls is told by a key in a header, a query parameter, a cookie or a bearer token. */
#include "base/time.h"
#include "policies/credential_places.h"
#include "policies/identity.h"
#include "proxy/exchange.h"

struct key_auth_config {
    struct credential_places places;
    bool hide;
    struct text anonymous, realm;
    struct text challenge;
};

static const struct field key_auth_fields[] = {
    FIELD_LIST(struct key_auth_config, places.headers, "header", "X-API-Key", &field_item_text,
               FIELD_ONE_OR_MORE | FIELD_UNIQUE,
               "Header fields that may hold the key. `[]` turns headers off."),
    FIELD_LIST(struct key_auth_config, places.queries, "query", OPTIONAL, &field_item_text,
               FIELD_ONE_OR_MORE | FIELD_UNIQUE,
               "Query parameters that may hold the key. Their values never reach the access log."),
    FIELD_LIST(struct key_auth_config, places.cookies, "cookie", OPTIONAL, &field_item_text,
               FIELD_ONE_OR_MORE | FIELD_UNIQUE, "Cookies that may hold the key."),
    FIELD_BOOL(struct key_auth_config, places.bearer, "bearer", "false",
               "Takes the key from `Authorization: Bearer` too."),
    FIELD_BOOL(struct key_auth_config, hide, "hide", "true",
               "Removes the key from what goes to the service."),
    FIELD_TEXT(struct key_auth_config, anonymous, "anonymous", OPTIONAL,
               "Consumer that a request without a key belongs to. Without it such a request is refused."),
    FIELD_TEXT(struct key_auth_config, realm, "realm", "api",
               "The realm in `WWW-Authenticate` of a refusal."),
    FIELD_END,
};

static bool key_auth_prepare(struct prepare *prepare, void *config_)
{
    struct key_auth_config *config = config_;
    struct arena *arena = prepare->binder->arena;
    if (!credential_places_prepare(&config->places, prepare, "key", "`header`, `query`, `cookie` or `bearer`")
        || !identity_check_realm(prepare, config->realm))
        return false;
    config->challenge = arena_format(arena, "ApiKey realm=\"%.*s\"", TEXT_ARGS(config->realm));
    if (config->places.bearer)
        config->challenge = arena_format(arena, "%.*s, Bearer realm=\"%.*s\"", TEXT_ARGS(config->challenge),
                                         TEXT_ARGS(config->realm));
    return true;
}

static enum verdict key_auth_request(struct exchange *ex, const void *config_, void *state)
{
    (void)state;
    const struct key_auth_config *config = config_;
    struct credential_found found = {.several = false};
    struct credential credential;
    credential_places_find(&config->places, ex, &found);
    credential_places_guard(&config->places, ex, &found, config->hide);
    if (found.several)
        return identity_refuse(ex, config->challenge, TEXT("The request holds several different API keys."));
    if (!found.value.at)
        return identity_missing(ex, config->anonymous, config->challenge,
                                TEXT("The request holds no API key."));
    if (!consumer_set_find_key(exchange_consumers(ex), found.value, exchange_wall_ns(ex) / NS_PER_SECOND,
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
