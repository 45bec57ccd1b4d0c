/* Keys from secrets and PEM, and signatures. */
#include "policies/jwt_key.h"

#include <openssl/core_names.h>
#include <openssl/decoder.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/check.h"

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 16384, KEYS_MAX = 256, DER_BYTES_MAX = 160 };

static const struct {
    enum jwt_hash hash;
    int kind;           /* EVP_PKEY_*, 0: HMAC */
    const char *curve;  /* ES* */
    size_t number_size; /* ES*: of r and of s */
} algorithms[] = {
    [JWT_HS256] = {JWT_SHA256, 0, NULL, 0},
    [JWT_HS384] = {JWT_SHA384, 0, NULL, 0},
    [JWT_HS512] = {JWT_SHA512, 0, NULL, 0},
    [JWT_RS256] = {JWT_SHA256, EVP_PKEY_RSA, NULL, 0},
    [JWT_RS384] = {JWT_SHA384, EVP_PKEY_RSA, NULL, 0},
    [JWT_RS512] = {JWT_SHA512, EVP_PKEY_RSA, NULL, 0},
    [JWT_PS256] = {JWT_SHA256, EVP_PKEY_RSA, NULL, 0},
    [JWT_PS384] = {JWT_SHA384, EVP_PKEY_RSA, NULL, 0},
    [JWT_PS512] = {JWT_SHA512, EVP_PKEY_RSA, NULL, 0},
    [JWT_ES256] = {JWT_SHA256, EVP_PKEY_EC, "prime256v1", 32},
    [JWT_ES384] = {JWT_SHA384, EVP_PKEY_EC, "secp384r1", 48},
    [JWT_ES512] = {JWT_SHA512, EVP_PKEY_EC, "secp521r1", 66},
    [JWT_EDDSA] = {JWT_SHA512, EVP_PKEY_ED25519, NULL, 0},
};

const char *const jwt_algorithm_names[] = {
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256",
    "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", NULL,
};
static_assert(COUNT_OF(algorithms) == JWT_ALGORITHMS_COUNT, "a row for each");
static_assert(COUNT_OF(jwt_algorithm_names) == JWT_ALGORITHMS_COUNT + 1, "a name for each");

enum jwt_algorithm jwt_algorithm_parse(struct text name)
{
    int i = 0;
    while (i < JWT_ALGORITHMS_COUNT && !text_equal(name, text_of(jwt_algorithm_names[i])))
        i++;
    return (enum jwt_algorithm)i;
}

bool jwt_algorithm_is_hmac(enum jwt_algorithm algorithm)
{
    return algorithms[algorithm].kind == 0;
}

size_t jwt_hash_size(enum jwt_algorithm algorithm)
{
    static const size_t sizes[] = {[JWT_SHA256] = 32, [JWT_SHA384] = 48, [JWT_SHA512] = 64};
    return sizes[algorithms[algorithm].hash];
}

static bool fail(struct error *error, const char *said)
{
    ERR_clear_error(); /* what OpenSSL left would be taken for an error of the next TLS operation */
    error_set(error, 0, "%s", said);
    return false;
}

void jwt_key_init_secret(struct jwt_key *key, enum jwt_algorithm algorithm, struct text secret)
{
    CHECK(jwt_algorithm_is_hmac(algorithm));
    key->algorithm = algorithm;
    jwt_hmac_init(&key->hmac, algorithms[algorithm].hash, secret);
}

static void free_public_key(void *public_key)
{
    EVP_PKEY_free(public_key);
}

static const char *misfit(enum jwt_algorithm algorithm, const EVP_PKEY *public_key)
{
    char curve[64];
    int kind = algorithms[algorithm].kind, has = EVP_PKEY_get_base_id(public_key);
    if (kind == EVP_PKEY_RSA && has == EVP_PKEY_RSA_PSS && algorithm >= JWT_PS256 && algorithm <= JWT_PS512)
        has = EVP_PKEY_RSA;
    if (has != kind)
        return "the key is of another kind than the algorithm wants";
    if (kind == EVP_PKEY_RSA && EVP_PKEY_get_bits(public_key) < RSA_BITS_MIN)
        return "an RSA key must have 2048 bits or more (RFC 7518 section 3.3)";
    if (kind == EVP_PKEY_RSA && EVP_PKEY_get_bits(public_key) > RSA_BITS_MAX)
        return "an RSA key must not have more than 16384 bits";
    if (kind == EVP_PKEY_EC
        && (EVP_PKEY_get_utf8_string_param(public_key, OSSL_PKEY_PARAM_GROUP_NAME, curve, sizeof curve, NULL)
                != 1
            || strcmp(curve, algorithms[algorithm].curve) != 0))
        return "the key is on another curve than the algorithm wants (RFC 7518 section 3.4)";
    return NULL;
}

bool jwt_key_adopt(struct jwt_key *key, enum jwt_algorithm algorithm, EVP_PKEY *public_key,
                   struct arena *arena, struct error *reterr_error)
{
    CHECK(!jwt_algorithm_is_hmac(algorithm));
    const char *problem = misfit(algorithm, public_key);
    if (!problem && !arena_defer(arena, free_public_key, public_key))
        problem = "out of memory";
    if (problem) {
        EVP_PKEY_free(public_key);
        return fail(reterr_error, problem);
    }
    key->algorithm = algorithm;
    key->public_key = public_key;
    return true;
}

static EVP_PKEY *read_certificate(BIO *bio)
{
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    EVP_PKEY *public_key = certificate ? X509_get_pubkey(certificate) : NULL;
    X509_free(certificate);
    return public_key;
}

/* PKCS#1 ("RSA PUBLIC KEY") as well as SubjectPublicKeyInfo ("PUBLIC KEY"). */
static EVP_PKEY *read_public_key(BIO *bio)
{
    EVP_PKEY *public_key = NULL;
    OSSL_DECODER_CTX *decoder =
        OSSL_DECODER_CTX_new_for_pkey(&public_key, "PEM", NULL, NULL, EVP_PKEY_PUBLIC_KEY, NULL, NULL);
    if (decoder && OSSL_DECODER_from_bio(decoder, bio) != 1) {
        EVP_PKEY_free(public_key);
        public_key = NULL;
    }
    OSSL_DECODER_CTX_free(decoder);
    return public_key;
}

bool jwt_key_init_pem(struct jwt_key *key, enum jwt_algorithm algorithm, struct text pem, struct arena *arena,
                      struct error *reterr_error)
{
    if (text_find(pem, TEXT(" PRIVATE KEY-----")) != TEXT_NONE
        || text_find(pem, TEXT("-----BEGIN PRIVATE")) != TEXT_NONE)
        return fail(reterr_error,
                    "this is a private key; the gateway needs, and should have, only the public one");
    BIO *bio = pem.size <= INT32_MAX ? BIO_new_mem_buf(pem.at, (int)pem.size) : NULL;
    if (!bio)
        return fail(reterr_error, "out of memory");
    bool is_certificate = text_find(pem, TEXT("-----BEGIN CERTIFICATE")) != TEXT_NONE;
    EVP_PKEY *public_key = is_certificate ? read_certificate(bio) : read_public_key(bio);
    BIO_free(bio);
    if (!public_key)
        return fail(reterr_error, "this is neither a public key nor a certificate in PEM");
    return jwt_key_adopt(key, algorithm, public_key, arena, reterr_error);
}

struct jwt_key *jwt_keys_add(struct jwt_keys *keys, struct arena *arena)
{
    if (keys->count == KEYS_MAX)
        return NULL;
    if (keys->count % 8 == 0) { /* grows by eight; what it had before stays behind in the arena */
        struct jwt_key *larger = arena_array(arena, keys->count + 8, sizeof *larger);
        if (!larger)
            return NULL;
        if (keys->count)
            memcpy(larger, keys->items, keys->count * sizeof *larger);
        keys->items = larger;
    }
    return &keys->items[keys->count++];
}

/* --- signatures --- */

static const EVP_MD *digest_of(enum jwt_algorithm algorithm)
{
    if (algorithm == JWT_EDDSA)
        return NULL;
    switch (algorithms[algorithm].hash) {
    case JWT_SHA256: return EVP_sha256();
    case JWT_SHA384: return EVP_sha384();
    case JWT_SHA512: return EVP_sha512();
    }
    UNREACHABLE();
}

/* JOSE writes r and s in fixed size side by side (RFC 7518 section 3.4), OpenSSL wants the DER form. 0: malformed. */
static size_t der_signature(enum jwt_algorithm algorithm, struct text raw, uint8_t der[DER_BYTES_MAX])
{
    size_t size = algorithms[algorithm].number_size;
    if (raw.size != 2 * size)
        return 0;
    const uint8_t *at = (const uint8_t *)raw.at;
    ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(at, (int)size, NULL), *s = BN_bin2bn(at + size, (int)size, NULL);
    if (!signature || !r || !s || ECDSA_SIG_set0(signature, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(signature);
        return 0;
    }
    int written = i2d_ECDSA_SIG(signature, NULL);
    if (written > 0 && written <= DER_BYTES_MAX)
        written = i2d_ECDSA_SIG(signature, &der);
    ECDSA_SIG_free(signature);
    return written > 0 && written <= DER_BYTES_MAX ? (size_t)written : 0;
}

static bool start(EVP_MD_CTX *context, const struct jwt_key *key)
{
    EVP_PKEY_CTX *options;
    if (EVP_DigestVerifyInit(context, &options, digest_of(key->algorithm), NULL, key->public_key) != 1)
        return false;
    if (key->algorithm < JWT_PS256 || key->algorithm > JWT_PS512)
        return true;
    return EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1
           && EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static bool verify_public(const struct jwt_key *key, struct text message, struct text signature)
{
    uint8_t der[DER_BYTES_MAX];
    if (algorithms[key->algorithm].kind == EVP_PKEY_EC)
        signature = (struct text){(const char *)der, der_signature(key->algorithm, signature, der)};
    EVP_MD_CTX *context = signature.size ? EVP_MD_CTX_new() : NULL;
    bool good = context && start(context, key)
                && EVP_DigestVerify(context, (const uint8_t *)signature.at, signature.size,
                                    (const uint8_t *)message.at, message.size)
                       == 1;
    EVP_MD_CTX_free(context);
    if (!good)
        ERR_clear_error(); /* a TLS operation on this thread would take it for its own */
    return good;
}

bool jwt_key_verify(const struct jwt_key *key, struct text message, struct text signature)
{
    uint8_t wanted[JWT_HMAC_SIZE_MAX];
    if (!jwt_algorithm_is_hmac(key->algorithm))
        return verify_public(key, message, signature);
    size_t size = jwt_hmac_make(&key->hmac, message, wanted);
    return text_equal_constant_time((struct text){(const char *)wanted, size}, signature);
}
