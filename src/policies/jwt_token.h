/* Signed JSON Web Tokens (RFC 7519) in the compact form (RFC 7515): reading, verifying, checking their registered claims. No I/O; nothing of a
 * token is believed before its signature is verified. */
#pragma once

#include "base/arena.h"
#include "config/field.h"
#include "expr/value.h"
#include "policies/jwt_key.h"

enum { JWT_BYTES_MAX = 8192 };

/* Why a token is refused: for the client in RFC 6750's error_description, without saying more than the client knows. */
enum jwt_problem {
    JWT_GOOD,
    JWT_NO_MEMORY,
    JWT_TOO_LONG,
    JWT_MALFORMED,
    JWT_CRITICAL, /* `crit` names extensions, and none are known here */
    JWT_NO_KEY,   /* no key for its `alg` and `kid` */
    JWT_SIGNATURE,
    JWT_DATES, /* a date is no number */
    JWT_NO_EXPIRY,
    JWT_EXPIRED,
    JWT_NOT_YET,
    JWT_ISSUED_LATER,
    JWT_NOT_ISSUED, /* max_age is set, and there is no `iat` */
    JWT_TOO_OLD,
    JWT_ISSUER,
    JWT_AUDIENCE,
    JWT_SCOPE,
    JWT_PROBLEMS_COUNT
};
struct text jwt_problem_text(enum jwt_problem problem); /* a sentence without its full stop */

/* What a token must be. Immutable. */
struct jwt_rules {
    struct jwt_keys keys;
    struct array issuers, audiences; /* struct text; one of them; none: any */
    struct array scopes;             /* struct text; all of them */
    int64_t leeway_ms, max_age_ms;   /* max_age 0: any age */
    bool require_expiry;
};

struct jwt_verified {
    const struct value_map *claims;
    int64_t from_ns, until_ns; /* wall clock: when what was checked holds; the end is not included */
};

/* Decodes base64url without padding (RFC 7515 section 2), strictly: one text has one spelling. `to` has room for encoded.size. */
bool jwt_decode(struct text encoded, char *to, size_t *ret_size);

struct jwt_parts {
    struct text header, payload, signature; /* encoded */
    struct text message;                    /* what was signed */
};
bool jwt_split(struct text token, struct jwt_parts *ret_parts);

/* An encoded part that is a JSON object without repeated names. Lives in `arena`. */
enum jwt_problem jwt_object(struct text encoded, struct arena *arena, const struct value_map **ret_map);

/* Verifies and checks everything; `*ret_verified` is set only for JWT_GOOD. */
enum jwt_problem jwt_verify(const struct jwt_rules *rules, struct text token, int64_t now_ns,
                            struct arena *arena, struct jwt_verified *ret_verified);
