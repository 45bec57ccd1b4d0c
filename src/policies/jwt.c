/* jwt: who calls is told by a signed token (RFC 7519) that someone else has issued. */
#include "policies/identity.h"
#include "policies/jwt_cache.h"
#include "policies/jwt_keys.h"
#include "policies/credential_places.h"
#include "policies/places.h"
#include "proxy/exchange.h"

struct jwt_config {
    struct credential_places places;
    struct array keys; /* struct jwt_key_config */
    struct text jwks, consumer_claim, anonymous, realm;
    struct jwt_rules rules;
    const struct expr *require;
    bool consumer_optional, hide;
    int64_t cache;
    /* Prepared: */
    struct text challenge, scope; /* "Bearer realm=...", and `scopes` in one text */
    struct jwt_cache *caches;     /* one for each worker */
    unsigned workers;
};

static const struct field jwt_fields[] = {
    FIELD_LIST(struct jwt_config, keys, "keys", OPTIONAL, &jwt_key_item, FIELD_ONE_OR_MORE,
               "Keys that tokens may be signed with."),
    FIELD_TEXT(struct jwt_config, jwks, "jwks", OPTIONAL,
               "A JSON Web Key Set (RFC 7517) with more keys: the path of a file, or the set itself."),
    FIELD_LIST(struct jwt_config, rules.issuers, "issuer", OPTIONAL, &field_item_text,
               FIELD_ONE_OR_MORE | FIELD_UNIQUE,
               "Issuers (`iss`) that are accepted. Without it any is, as long as it has the key."),
    FIELD_LIST(struct jwt_config, rules.audiences, "audience", OPTIONAL, &field_item_text,
               FIELD_ONE_OR_MORE | FIELD_UNIQUE, "Audiences (`aud`), of which a token must name one."),
    FIELD_LIST(struct jwt_config, rules.scopes, "scopes", OPTIONAL, &field_item_text,
               FIELD_ONE_OR_MORE | FIELD_UNIQUE,
               "Scopes that a token must have, all of them: words in `scope` or `scp`, or lists there."),
    FIELD_EXPRESSION(struct jwt_config, require, "require", OPTIONAL, EXPR_BOOL,
                     "What else must hold, such as `auth.claims.tenant == request.params.tenant`."),
    FIELD_BOOL(struct jwt_config, rules.require_expiry, "require_expiry", "true",
               "Refuses tokens that never expire."),
    FIELD_DURATION(struct jwt_config, rules.leeway_ms, "leeway", "0", 0, 3600000,
                   "How far the issuer's clock may be off, for `exp`, `nbf` and `iat`."),
    FIELD_DURATION(struct jwt_config, rules.max_age_ms, "max_age", OPTIONAL, 1, 31622400000ll,
                   "How long after `iat` a token is accepted at most; it must have `iat` then."),
    FIELD_LIST(
        struct jwt_config, places.headers, "header", "Authorization", &field_item_text,
        FIELD_ONE_OR_MORE | FIELD_UNIQUE,
        "Header fields that may hold the token; `Authorization` with the scheme `Bearer`. `[]` turns headers off."),
    FIELD_LIST(struct jwt_config, places.queries, "query", OPTIONAL, &field_item_text,
               FIELD_ONE_OR_MORE | FIELD_UNIQUE,
               "Query parameters that may hold the token. Their values never reach the access log."),
    FIELD_LIST(struct jwt_config, places.cookies, "cookie", OPTIONAL, &field_item_text,
               FIELD_ONE_OR_MORE | FIELD_UNIQUE, "Cookies that may hold the token."),
    FIELD_TEXT(struct jwt_config, consumer_claim, "consumer_claim", OPTIONAL,
               "Claim with the name of the consumer that calls. Without it a valid token is enough."),
    FIELD_BOOL(struct jwt_config, consumer_optional, "consumer_optional", "false",
               "Lets a valid token pass whose `consumer_claim` names no consumer."),
    FIELD_BOOL(struct jwt_config, hide, "hide", "false", "Removes the token from what goes to the service."),
    FIELD_TEXT(struct jwt_config, anonymous, "anonymous", OPTIONAL,
               "Consumer that a request without a token belongs to. Without it such a request is refused."),
    FIELD_TEXT(struct jwt_config, realm, "realm", "api", "The realm in `WWW-Authenticate` of a refusal."),
    FIELD_INTEGER(
        struct jwt_config, cache, "cache", "1024", 0, 1048576,
        "How many verified tokens each worker remembers until they expire, in 2 KiB each; 0 turns that off."),
    FIELD_END,
};

/* --- preparing --- */

/* scope-token of RFC 6749 section 3.3. */
static bool is_scope(struct text scope)
{
    for (size_t i = 0; i < scope.size; i++)
        if (scope.at[i] <= 0x20 || scope.at[i] >= 0x7f || scope.at[i] == '"' || scope.at[i] == '\\')
            return false;
    return scope.size > 0;
}

static bool prepare_scopes(struct prepare *prepare, struct jwt_config *config)
{
    const struct text *scopes = config->rules.scopes.items;
    for (size_t i = 0; i < config->rules.scopes.count; i++) {
        if (!is_scope(scopes[i]))
            return bind_error(
                prepare->binder, item_place(prepare, "scopes", i), "scopes",
                "`%.*s` is not one scope: no spaces, quotes, backslashes or other characters than ASCII",
                TEXT_ARGS(scopes[i]));
        config->scope = arena_format(prepare->binder->arena, "%.*s%s%.*s", TEXT_ARGS(config->scope),
                                     i ? " " : "", TEXT_ARGS(scopes[i]));
    }
    return true;
}

static void release_caches(void *config_)
{
    struct jwt_config *config = config_;
    for (unsigned i = 0; i < config->workers; i++)
        jwt_cache_release(&config->caches[i]);
}

static bool prepare_caches(struct prepare *prepare, struct jwt_config *config)
{
    config->caches = arena_array(prepare->binder->arena, prepare->workers, sizeof *config->caches);
    if (!config->caches || !arena_defer(prepare->binder->arena, release_caches, config))
        return bind_error(prepare->binder, prepare->node, NULL, "out of memory");
    config->workers = prepare->workers;
    for (unsigned i = 0; i < config->workers; i++)
        jwt_cache_init(&config->caches[i], (size_t)config->cache);
    return true;
}

static bool jwt_prepare(struct prepare *prepare, void *config_)
{
    struct jwt_config *config = config_;
    config->places.schemes = true;
    if (!jwt_keys_prepare(prepare, &config->keys, config->jwks, &config->rules.keys)
        || !credential_places_prepare(&config->places, prepare, "token", "`header`, `query` or `cookie`")
        || !identity_check_realm(prepare, config->realm) || !prepare_scopes(prepare, config))
        return false;
    if (config->consumer_optional && !config->consumer_claim.at)
        return bind_error(prepare->binder, field_place(prepare, "consumer_optional"), "consumer_optional",
                          "means nothing without `consumer_claim`");
    config->challenge =
        arena_format(prepare->binder->arena, "Bearer realm=\"%.*s\"", TEXT_ARGS(config->realm));
    return prepare_caches(prepare, config);
}

/* --- refusals --- */

/* RFC 6750 section 3.1. `said` is a sentence without its full stop. */
static enum verdict refuse(struct exchange *ex, const struct jwt_config *config, unsigned status,
                           const char *error, struct text said)
{
    ex->claims = value_null();
    struct text detail = arena_format(&ex->arena, "%.*s.", TEXT_ARGS(said));
    bool names_scope = status == 403 && config->scope.size;
    struct text challenge = arena_format(
        &ex->arena, "%.*s, error=\"%s\", error_description=\"%.*s\"%s%.*s%s", TEXT_ARGS(config->challenge),
        error, TEXT_ARGS(said), names_scope ? ", scope=\"" : "", names_scope ? (int)config->scope.size : 0,
        config->scope.size ? config->scope.at : "", names_scope ? "\"" : "");
    enum verdict verdict = exchange_respond_problem(ex, status, detail);
    (void)fields_add_known(&ex->response.fields, NAME_WWW_AUTHENTICATE,
                           challenge); /* without memory the arena says so */
    return verdict;
}

static enum verdict refuse_token(struct exchange *ex, const struct jwt_config *config,
                                 enum jwt_problem problem)
{
    if (problem == JWT_NO_MEMORY)
        return exchange_fault(ex, "no memory to read a token");
    if (problem == JWT_SCOPE)
        return refuse(ex, config, 403, "insufficient_scope", jwt_problem_text(problem));
    return refuse(ex, config, 401, "invalid_token", jwt_problem_text(problem));
}

/* --- the token --- */

/* What `consumer_claim` says; empty where there is no such text. */
static struct text consumer_name(struct exchange *ex, const struct jwt_config *config,
                                 const struct value_map *claims)
{
    struct value value;
    if (!config->consumer_claim.at
        || !claims->get(claims, value_string(config->consumer_claim), &ex->arena, &value)
        || value.kind != VALUE_STRING)
        return TEXT("");
    return value.text;
}

/* Sets ex->claims; `*ret_name` is what `consumer_claim` says. */
static enum jwt_problem check_token(struct exchange *ex, const struct jwt_config *config, struct text token,
                                    struct text *ret_name)
{
    struct jwt_cache *cache = &config->caches[exchange_worker(ex)];
    struct jwt_verified verified;
    int64_t now_ns = exchange_wall_ns(ex);
    if (jwt_cache_find(cache, token, now_ns, ret_name)) {
        verified.claims = jwt_claims_later(token, &ex->arena);
        if (!verified.claims)
            return JWT_NO_MEMORY;
    } else {
        enum jwt_problem problem = jwt_verify(&config->rules, token, now_ns, &ex->arena, &verified);
        if (problem)
            return problem;
        *ret_name = consumer_name(ex, config, verified.claims);
        jwt_cache_put(cache, token, &verified, *ret_name);
    }
    ex->claims = value_of_map(verified.claims);
    return JWT_GOOD;
}

static enum verdict identify(struct exchange *ex, const struct jwt_config *config, struct text name)
{
    const struct consumer *consumer = name.size ? consumer_set_find_name(exchange_consumers(ex), name) : NULL;
    if (consumer)
        exchange_identify(ex, consumer, TEXT("jwt"));
    else if (config->consumer_claim.at && !config->consumer_optional)
        return refuse(ex, config, 401, "invalid_token", TEXT("The token belongs to no known consumer"));
    else
        ex->credential = TEXT("jwt");
    return VERDICT_NEXT;
}

static enum verdict jwt_request(struct exchange *ex, const void *config_, void *state)
{
    (void)state;
    const struct jwt_config *config = config_;
    struct credential_found found = {.several = false};
    struct text name;
    bool holds;
    credential_places_find(&config->places, ex, &found);
    if (found.in_query || (config->hide && found.value.at))
        credential_places_guard(&config->places, ex, &found, config->hide);
    if (found.several)
        return refuse(ex, config, 400, "invalid_request", TEXT("The request holds several different tokens"));
    if (!found.value.at)
        return identity_missing(ex, config->anonymous, config->challenge,
                                TEXT("The request holds no token."));
    enum jwt_problem problem = check_token(ex, config, found.value, &name);
    if (problem)
        return refuse_token(ex, config, problem);
    /* A condition that cannot be evaluated, such as for want of a claim, does not hold; `on_error` must not open this door. */
    if (config->require && (!exchange_eval_bool(ex, config->require, &holds) || !holds))
        return refuse(ex, config, 403, "insufficient_scope", TEXT("The token does not allow this"));
    return identify(ex, config, name);
}

static const char jwt_manual[] =
    "Lets requests through that carry a valid JSON Web Token, and offers its claims to expressions as `auth.claims`. Use it where callers get\n"
    "their tokens from an identity provider or from a service of yours; use `key-auth` where you hand out the secrets yourself.\n"
    "\n"
    "```yaml\n"
    "listeners:\n"
    "  main: { address: \"127.0.0.1:8080\" }\n"
    "services:\n"
    "  orders: { endpoints: [\"http://127.0.0.1:7001\"] }\n"
    "routes:\n"
    "  orders:\n"
    "    match: { path: \"/tenants/{tenant}/orders\" }\n"
    "    service: orders\n"
    "    policies:\n"
    "      - jwt:\n"
    "          keys:\n"
    "            - alg: ES256\n"
    "              kid: \"2030-01\"\n"
    "              key: |\n"
    "                -----BEGIN PUBLIC KEY-----\n"
    "                MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEFO/Bkz+/ESnO7JhuMHswE50NsDTi\n"
    "                l+dfRm3e+EOekQL/3hOwa70D40e/o3uRmLfwPYSzZQh7XmfRKNR15/rAKw==\n"
    "                -----END PUBLIC KEY-----\n"
    "            - { alg: HS256, secret: \"${env:JWT_SECRET:-at-least-32-bytes-from-a-safe-place}\" }\n"
    "          issuer: https://login.example\n"
    "          audience: orders\n"
    "          scopes: orders:read\n"
    "          require: auth.claims.tenant == request.params.tenant\n"
    "          leeway: 5s\n"
    "      - rate-limit: { limit: 100, window: 1m, key: auth.claims.sub }\n"
    "```\n"
    "\n"
    "A key has one algorithm: `HS256`, `HS384`, `HS512` with a `secret`; `RS*`, `PS*`, `ES*` (256, 384, 512) and `EdDSA` (Ed25519) with a public\n"
    "`key`. The token's own `alg` and `kid` only choose among the keys; `none` is never accepted. Of a key set (`jwks`), keys for signatures are\n"
    "used; an RSA key that names no algorithm is taken for RS256. A key or set by `${file:PATH}` is read again with every reload; by a plain\n"
    "path it is read when the policy is built.\n"
    "\n"
    "A request without a token, or with one that is not good, gets 401 with `WWW-Authenticate: Bearer` and the reason (RFC 6750). A good token\n"
    "that lacks one of the `scopes`, or for which `require` does not hold, gets 403. Several different tokens in one request get 400. Tokens\n"
    "longer than 8 KiB, with repeated names in their JSON, or with critical extensions (`crit`) are refused.\n"
    "\n"
    "With `consumer_claim` the named claim must be the name of a consumer, whose groups and policies then apply. With `anonymous` a request\n"
    "without a token goes on as that consumer; a bad token is refused all the same.\n"
    "\n"
    "Each worker remembers the tokens that it has verified (`cache`), until they expire or the configuration of the policy changes. A token that\n"
    "it knows costs a tenth of a microsecond of the worker's time, a new one with HS256 about one, with a public key 20 to 120. Tokens of more\n"
    "than about 2,000 bytes are verified each time, and so are bad ones: where strangers may send many, a `rate-limit` by address in the stage\n"
    "`edge` keeps that cheap.\n"
    "\n"
    "**Security.** Tokens are good until they expire: keep their lives short, since one that was stolen cannot be called back here. Set `issuer`\n"
    "and `audience`, or a token for another service with the same keys opens this one. A secret of `HS256` lets everyone who can verify also\n"
    "issue, so prefer public keys where they are not one party; secrets should be random and of 32 bytes or more. A token in a query parameter\n"
    "is seen by proxies and browser histories before it comes here; this policy keeps it out of the access log. A token in a cookie is sent by\n"
    "browsers on requests that other sites cause.\n";

const struct policy policy_jwt = {
    .name = "jwt",
    .summary = "Lets requests with a valid JSON Web Token through.",
    .manual = jwt_manual,
    .stage = STAGE_IDENTITY,
    .status = POLICY_STABLE,
    .fields = jwt_fields,
    .config_size = sizeof(struct jwt_config),
    .prepare = jwt_prepare,
    .on_request = jwt_request,
};
