/* Which endpoint a request wants. */
#include "proxy/affinity.h"

#include "base/check.h"
#include "base/hash.h"
#include "expr/base64.h"
#include "expr/digest.h"
#include "http/uri.h"
#include "proxy/snapshot.h"

enum { HASH_BYTES = 8, SIGNATURE_BYTES = 16, MESSAGE_BYTES_MAX = 512 };
static_assert((HASH_BYTES + SIGNATURE_BYTES) * 4 / 3 == AFFINITY_TOKEN_SIZE, "24 bytes in base64");

/* --- tokens --- */

static bool sign(struct text secret, struct text service, const char hash[HASH_BYTES],
                 char to[SIGNATURE_BYTES])
{
    char message[MESSAGE_BYTES_MAX];
    unsigned char digest[DIGEST_BYTES_MAX];
    size_t size, name_size = MIN_OF(service.size, sizeof message - HASH_BYTES);
    memcpy(message, hash, HASH_BYTES);
    memcpy(message + HASH_BYTES, service.at, name_size);
    if (!digest_hmac(DIGEST_SHA256, secret, (struct text){message, HASH_BYTES + name_size}, digest, &size))
        return false;
    memcpy(to, digest, SIGNATURE_BYTES);
    return true;
}

bool affinity_write_token(struct text secret, struct text service, uint64_t endpoint,
                          char to[AFFINITY_TOKEN_SIZE])
{
    char raw[HASH_BYTES + SIGNATURE_BYTES];
    memcpy(raw, &endpoint, HASH_BYTES);
    if (!sign(secret, service, raw, raw + HASH_BYTES))
        return false;
    base64_write((struct text){raw, sizeof raw}, BASE64_URL, to);
    return true;
}

uint64_t affinity_read_token(const struct sticky_rules *rules, struct text service, struct text token)
{
    char raw[HASH_BYTES + SIGNATURE_BYTES], wanted[SIGNATURE_BYTES];
    size_t size;
    uint64_t endpoint;
    if (token.size != AFFINITY_TOKEN_SIZE || !base64_read(token, BASE64_URL, raw, &size)
        || size != sizeof raw)
        return 0;
    memcpy(&endpoint, raw, HASH_BYTES);
    for (size_t i = 0; i < rules->secrets_count; i++)
        if (sign(rules->secrets[i], service, raw, wanted)
            && text_equal_constant_time((struct text){wanted, sizeof wanted},
                                        (struct text){raw + HASH_BYTES, SIGNATURE_BYTES}))
            return endpoint;
    return 0;
}

static struct text token_of(const struct exchange *ex, const struct sticky_rules *rules)
{
    const struct fields *fields = &ex->request.fields;
    if (rules->header.size)
        return fields_get(fields, rules->header);
    FIELDS_EACH (line, fields) {
        struct text value = line->id == NAME_COOKIE ? cookie_get(line->value, rules->cookie) : TEXT("");
        if (value.size)
            return value;
    }
    return TEXT("");
}

/* --- labels --- */

static struct text route_label(const struct route *route, struct text name)
{
    const struct text_pair *labels = route->subset ? route->subset->items : NULL;
    for (size_t i = 0; labels && i < route->subset->count; i++)
        if (text_equal(labels[i].key, name))
            return labels[i].value;
    return TEXT("");
}

static void set_subset(struct exchange *ex, const struct balance_rules *rules, struct pick *pick)
{
    for (uint32_t i = 0; i < rules->subset_count; i++) {
        pick->subset[i] = route_label(ex->route, rules->subset_labels[i]);
        if (!pick->subset[i].size && rules->subset_values[i])
            (void)exchange_try_text(ex, rules->subset_values[i], &pick->subset[i]); /* stays open */
    }
}

/* --- both sides --- */

void affinity_prepare(struct exchange *ex)
{
    const struct balance_rules *rules = &ex->service->balance;
    struct pick *pick = &ex->attempt.pick;
    struct text key;
    if (rules->key && exchange_try_text(ex, rules->key, &key) && key.size > 0) {
        pick->has_key = true;
        pick->key = hash_stable(key, 0);
    }
    set_subset(ex, rules, pick);
    if (rules->sticky.secrets_count) {
        struct text token = token_of(ex, &rules->sticky);
        pick->wanted = token.size ? affinity_read_token(&rules->sticky, ex->service->name, token) : 0;
    }
}

static struct text cookie_line(struct exchange *ex, const struct sticky_rules *rules, struct text token)
{
    static const char *const same_site[] = {"Lax", "Strict", "None"};
    bool secure = rules->secure == SECURE_ALWAYS
                  || (rules->secure == SECURE_AUTO && text_equal(ex->request.scheme, TEXT("https")))
                  || rules->same_site == SAME_SITE_NONE;
    struct text age =
        rules->ttl_s ? arena_format(&ex->arena, "; Max-Age=%lld", (long long)rules->ttl_s) : TEXT("");
    return arena_format(&ex->arena, "%.*s=%.*s; Path=%.*s%.*s; HttpOnly%s; SameSite=%s",
                        TEXT_ARGS(rules->cookie), TEXT_ARGS(token), TEXT_ARGS(rules->path), TEXT_ARGS(age),
                        secure ? "; Secure" : "", same_site[rules->same_site]);
}

bool affinity_answer(struct exchange *ex)
{
    const struct sticky_rules *rules = &ex->service->balance.sticky;
    struct attempt *attempt = &ex->attempt;
    if (rules->secrets_count == 0 || attempt->pick.wanted == attempt->endpoint_hash)
        return true;
    char *at = arena_alloc(&ex->arena, AFFINITY_TOKEN_SIZE);
    if (!at)
        return false;
    if (!affinity_write_token(rules->secrets[0], ex->service->name, attempt->endpoint_hash, at))
        return true; /* without a token the client is not kept, but it is served */
    struct text token = {at, AFFINITY_TOKEN_SIZE};
    if (rules->header.size)
        return fields_set(&ex->response.fields, rules->header, token);
    return fields_add_known(&ex->response.fields, NAME_SET_COOKIE, cookie_line(ex, rules, token));
}
