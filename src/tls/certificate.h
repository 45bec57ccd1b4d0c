/* A certificate with its chain and its private key: an object of the configuration, immutable, shared by workers.
 *
 * Keys are in OpenSSL's secure heap: locked where the system allows it, left out of core files, wiped when they are freed. */
#pragma once

#include <openssl/x509.h>

#include "config/field.h"

struct states;
struct ocsp_state;

struct certificate {
    struct text name; /* in the configuration */
    X509 *leaf;
    STACK_OF(X509) * chain; /* without the leaf */
    EVP_PKEY *key;
    int key_type;       /* EVP_PKEY_RSA, EVP_PKEY_EC, ... */
    struct text *names; /* DNS names that it is for, in lower case; `*.example.com` as it is */
    size_t names_count;
    int64_t expires_s, begins_s; /* since 1970 */
    uint64_t hash;               /* of its bytes */
    struct text staple;          /* OCSP answer of a file; .at NULL: none */
    int64_t staple_until_s;      /* since 1970 */
    struct ocsp_state *ocsp;     /* where a fetched one is; NULL: not wanted */
};

extern const struct field certificate_fields[];

/* Where the certificates of the snapshot that is being built are found. A known one that failed is NULL. */
struct tls_certificates {
    const struct certificate *(*find)(const void *argument, struct text name,
                                      bool *ret_known); /* NULL: there are none */
    const void *argument;
};

/* NULL: the report says why. Released with binder->arena. */
struct certificate *certificate_build(struct binder *binder, struct states *states, struct text name,
                                      const struct node *node);

/* Warned of when fewer days are left. */
enum { CERTIFICATE_WARN_DAYS = 14 };
