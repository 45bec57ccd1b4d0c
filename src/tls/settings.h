/* What both sides of TLS let be set: versions, ciphers, groups. */
#pragma once

#include <openssl/types.h>

#include "config/field.h"

/* Zeroed members are "not given". */
struct tls_settings {
    int min_version, max_version; /* TLS1_2_VERSION, TLS1_3_VERSION */
    struct text ciphers, ciphersuites, groups;
};

/* Members of a field table for a struct `type_` that has a struct tls_settings as its `member_`. */
#define TLS_SETTINGS_FIELDS(type_, member_)                                                                  \
    FIELD_CUSTOM(type_, member_.min_version, "min_version", OPTIONAL, tls_bind_version, TLS_VERSION_SCHEMA,  \
                 "Oldest version of the protocol, `1.2` or `1.3`; `1.2` unless given."),                     \
        FIELD_CUSTOM(type_, member_.max_version, "max_version", OPTIONAL, tls_bind_version,                  \
                     TLS_VERSION_SCHEMA, "Newest version; `1.3` unless given."),                             \
        FIELD_TEXT(type_, member_.ciphers, "ciphers", OPTIONAL,                                              \
                   "For TLS 1.2, as OpenSSL writes lists; `ECDHE+AESGCM:ECDHE+CHACHA20` unless given."),     \
        FIELD_TEXT(type_, member_.ciphersuites, "ciphersuites", OPTIONAL,                                    \
                   "For TLS 1.3, such as `TLS_AES_128_GCM_SHA256`, several with colons between them; "       \
                   "OpenSSL's three unless given."),                                                         \
        FIELD_TEXT(type_, member_.groups, "groups", OPTIONAL,                                                \
                   "Groups for the key exchange, preferred first; `X25519:P-256:P-384` unless given.")

#define TLS_VERSION_SCHEMA "{\"enum\":[\"1.2\",\"1.3\",1.2,1.3]}"

bool tls_bind_version(struct binder *binder, const struct field *field, const struct node *node, void *at);

/* `over` where it says something, else `under`. */
struct tls_settings tls_settings_merge(const struct tls_settings *over, const struct tls_settings *under);

/* Sets a context up with these and the defaults for the rest, and with what is never open to choice: no renegotiation, no
 * compression, no early data, no session cache, buffers given back while idle. False: reported at `node`. */
bool tls_settings_apply(struct binder *binder, const struct node *node, const struct tls_settings *settings,
                        SSL_CTX *context);

/* The versions and groups of a connection follow a context that was put in after it had been made. False: no memory. */
bool tls_settings_follow(const struct tls_settings *settings, SSL *ssl);
