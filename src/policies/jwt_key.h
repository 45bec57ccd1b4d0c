/* Keys that tokens are verified with (RFC 7517, RFC 7518, RFC 8037). Each has one algorithm: what a token says of its own algorithm only
 * decides which keys are tried. Made while a configuration is prepared, immutable afterwards, shared by threads. */
#pragma once

#include <openssl/evp.h>

#include "base/arena.h"
#include "base/error.h"
#include "policies/jwt_hmac.h"

enum jwt_algorithm {
    JWT_HS256,
    JWT_HS384,
    JWT_HS512,
    JWT_RS256,
    JWT_RS384,
    JWT_RS512,
    JWT_PS256,
    JWT_PS384,
    JWT_PS512,
    JWT_ES256,
    JWT_ES384,
    JWT_ES512,
    JWT_EDDSA,
    JWT_ALGORITHMS_COUNT
};
extern const char *const jwt_algorithm_names[]; /* "HS256", ..., "EdDSA", NULL */

/* JWT_ALGORITHMS_COUNT: unknown, "none" included. */
enum jwt_algorithm jwt_algorithm_parse(struct text name);

struct jwt_key {
    enum jwt_algorithm algorithm;
    struct text kid;      /* .at NULL: none, it is tried for tokens of any `kid` */
    struct jwt_hmac hmac; /* HS* */
    EVP_PKEY *public_key; /* others; freed with the arena */
};

bool jwt_algorithm_is_hmac(enum jwt_algorithm algorithm);
size_t jwt_hash_size(
    enum jwt_algorithm algorithm); /* bytes; the least size of an HS* secret (RFC 7518 section 3.2) */

/* `secret` is not kept. */
void jwt_key_init_secret(struct jwt_key *key, enum jwt_algorithm algorithm, struct text secret);

/* From PEM: a public key or a certificate. False: *reterr_error says why; never with the key's text. */
bool jwt_key_init_pem(struct jwt_key *key, enum jwt_algorithm algorithm, struct text pem, struct arena *arena,
                      struct error *reterr_error);

/* Takes `public_key` over if it fits the algorithm (kind, curve, RSA of 2048 bits or more); else frees it. */
bool jwt_key_adopt(struct jwt_key *key, enum jwt_algorithm algorithm, EVP_PKEY *public_key,
                   struct arena *arena, struct error *reterr_error);

struct jwt_keys {
    struct jwt_key *items;
    size_t count;
};

/* Appends the keys of a JSON Web Key Set that are for signatures and of a known kind. RSA keys that do not name an algorithm get
 * `rsa_default`. False: malformed, or none could be used. */
bool jwt_keys_add_set(struct jwt_keys *keys, struct text json, enum jwt_algorithm rsa_default,
                      struct arena *arena, struct error *reterr_error);
struct jwt_key *jwt_keys_add(struct jwt_keys *keys, struct arena *arena); /* zeroed; NULL: no memory */

/* Does `signature` (RFC 7515: as decoded from the token) belong to `message`? */
bool jwt_key_verify(const struct jwt_key *key, struct text message, struct text signature);
