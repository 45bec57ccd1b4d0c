/* JSON Web Key Sets (RFC 7517): RSA, elliptic curves, Ed25519 (RFC 8037) and secrets. */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>

#include "base/check.h"
#include "base/memory.h"
#include "expr/expr.h"
#include "policies/jwt_key.h"
#include "policies/jwt_token.h"

enum { POINT_BYTES_MAX = 1 + 2 * 66 };

/* One key of the set and where it goes. */
struct jwk {
    const struct value_map *map;
    struct arena *arena;
    enum jwt_algorithm rsa_default;
};

/* A member that is text; .at NULL: it is not there or no text. */
static struct text member(const struct jwk *jwk, struct text name)
{
    struct value value;
    if (!jwk->map->get(jwk->map, value_string(name), jwk->arena, &value) || value.kind != VALUE_STRING)
        return (struct text){NULL, 0};
    return value.text;
}

/* A base64url member, decoded; .at NULL: there is none, or it is malformed. */
static struct text bytes_of(const struct jwk *jwk, struct text name)
{
    struct text encoded = member(jwk, name);
    char *bytes = encoded.size ? arena_alloc(jwk->arena, encoded.size) : NULL;
    size_t size;
    if (!bytes || !jwt_decode(encoded, bytes, &size) || size == 0)
        return (struct text){NULL, 0};
    return (struct text){bytes, size};
}

static EVP_PKEY *from_parameters(const char *kind, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY *public_key = NULL;
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
    if (!parameters || !context || EVP_PKEY_fromdata_init(context) != 1
        || EVP_PKEY_fromdata(context, &public_key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
        public_key = NULL;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(parameters);
    return public_key;
}

static EVP_PKEY *make_rsa(const struct jwk *jwk)
{
    struct text n = bytes_of(jwk, TEXT("n")), e = bytes_of(jwk, TEXT("e"));
    if (!n.at || !e.at)
        return NULL;
    EVP_PKEY *public_key = NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *modulus = BN_bin2bn((const uint8_t *)n.at, (int)n.size, NULL);
    BIGNUM *exponent = BN_bin2bn((const uint8_t *)e.at, (int)e.size, NULL);
    if (builder && modulus && exponent && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) == 1
        && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
        public_key = from_parameters("RSA", builder);
    OSSL_PARAM_BLD_free(builder);
    BN_free(modulus);
    BN_free(exponent);
    return public_key;
}

static EVP_PKEY *make_ec(const struct jwk *jwk, const char *curve, size_t size)
{
    struct text x = bytes_of(jwk, TEXT("x")), y = bytes_of(jwk, TEXT("y"));
    uint8_t point[POINT_BYTES_MAX] = {4 /* not compressed */};
    if (x.size != size || y.size != size)
        return NULL;
    memcpy(point + 1, x.at, size);
    memcpy(point + 1 + size, y.at, size);
    EVP_PKEY *public_key = NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (builder && OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, curve, 0) == 1
        && OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * size) == 1)
        public_key = from_parameters("EC", builder);
    OSSL_PARAM_BLD_free(builder);
    return public_key;
}

static EVP_PKEY *make_ed25519(const struct jwk *jwk)
{
    struct text x = bytes_of(jwk, TEXT("x"));
    return x.at ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const uint8_t *)x.at, x.size) : NULL;
}

/* What a key without `alg` is for; JWT_ALGORITHMS_COUNT: nothing that is known here. */
static enum jwt_algorithm algorithm_of(const struct jwk *jwk, struct text curve)
{
    struct text named = member(jwk, TEXT("alg")), kind = member(jwk, TEXT("kty"));
    if (named.at)
        return jwt_algorithm_parse(named);
    if (text_equal(kind, TEXT("RSA")))
        return jwk->rsa_default;
    return text_equal(curve, TEXT("P-256"))     ? JWT_ES256
           : text_equal(curve, TEXT("P-384"))   ? JWT_ES384
           : text_equal(curve, TEXT("P-521"))   ? JWT_ES512
           : text_equal(curve, TEXT("Ed25519")) ? JWT_EDDSA
                                                : JWT_ALGORITHMS_COUNT;
}

static EVP_PKEY *make_public(const struct jwk *jwk, struct text curve)
{
    struct text kind = member(jwk, TEXT("kty"));
    if (text_equal(kind, TEXT("RSA")))
        return make_rsa(jwk);
    if (text_equal(kind, TEXT("OKP")) && text_equal(curve, TEXT("Ed25519")))
        return make_ed25519(jwk);
    if (!text_equal(kind, TEXT("EC")))
        return NULL;
    return text_equal(curve, TEXT("P-256"))   ? make_ec(jwk, "prime256v1", 32)
           : text_equal(curve, TEXT("P-384")) ? make_ec(jwk, "secp384r1", 48)
           : text_equal(curve, TEXT("P-521")) ? make_ec(jwk, "secp521r1", 66)
                                              : NULL;
}

/* What is not for signatures or of an unknown kind is passed over (RFC 7517 section 5). False: a key is broken. */
static bool add_key(const struct jwk *jwk, struct jwt_keys *keys, struct error *error)
{
    struct text curve = member(jwk, TEXT("crv")), use = member(jwk, TEXT("use")),
                kid = member(jwk, TEXT("kid"));
    enum jwt_algorithm algorithm = algorithm_of(jwk, curve);
    if ((use.at && !text_equal(use, TEXT("sig"))) || algorithm == JWT_ALGORITHMS_COUNT)
        return true;
    struct jwt_key made = {.kid = arena_copy(jwk->arena, kid)};
    if (!kid.at)
        made.kid.at = NULL;
    if (text_equal(member(jwk, TEXT("kty")), TEXT("oct")) != jwt_algorithm_is_hmac(algorithm))
        return error_set(error, 0, "the set holds a key whose `kty` and `alg` do not belong together"), false;
    if (jwt_algorithm_is_hmac(algorithm)) {
        struct text secret = bytes_of(jwk, TEXT("k"));
        if (!secret.at)
            return error_set(error, 0, "the set holds a malformed secret"), false;
        jwt_key_init_secret(&made, algorithm, secret);
        memory_wipe((void *)(uintptr_t)secret.at, secret.size);
    } else {
        EVP_PKEY *public_key = make_public(jwk, curve);
        if (!public_key) {
            ERR_clear_error();
            return error_set(error, 0, "the set holds a malformed key"), false;
        }
        if (!jwt_key_adopt(&made, algorithm, public_key, jwk->arena, error))
            return false;
    }
    struct jwt_key *key = jwt_keys_add(keys, jwk->arena);
    if (!key)
        return error_set(error, 0, "too many keys"), false;
    *key = made;
    return true;
}

bool jwt_keys_add_set(struct jwt_keys *keys, struct text json, enum jwt_algorithm rsa_default,
                      struct arena *arena, struct error *reterr_error)
{
    struct value set, list;
    size_t before = keys->count;
    if (!value_from_json(json, arena, &set, reterr_error))
        return false;
    if (set.kind != VALUE_MAP || !set.map->get(set.map, value_string(TEXT("keys")), arena, &list)
        || list.kind != VALUE_LIST)
        return error_set(reterr_error, 0, "this is not a JSON Web Key Set: an object with a list `keys`"),
               false;
    for (size_t i = 0; i < list.list->count; i++) {
        const struct value *item = &list.list->items[i];
        if (item->kind != VALUE_MAP)
            return error_set(reterr_error, 0, "the set holds something that is no key"), false;
        struct jwk jwk = {.map = item->map, .arena = arena, .rsa_default = rsa_default};
        if (!add_key(&jwk, keys, reterr_error))
            return false;
    }
    return keys->count > before || (error_set(reterr_error, 0, "the set holds no key for signatures"), false);
}
