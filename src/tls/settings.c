/* Versions, ciphers and groups, with defaults that need no thought. */
#include "tls/settings.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/check.h"

/* Forward secrecy and authenticated encryption only: what Mozilla calls "intermediate", without the finite-field groups. */
static const struct tls_settings defaults = {
    .min_version = TLS1_2_VERSION,
    .max_version = TLS1_3_VERSION,
    .ciphers = TEXT_INIT("ECDHE+AESGCM:ECDHE+CHACHA20"),
    .ciphersuites = TEXT_INIT("TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"),
    .groups = TEXT_INIT("X25519:P-256:P-384"),
};

bool tls_bind_version(struct binder *binder, const struct field *field, const struct node *node, void *at)
{
    (void)field;
    if (node->kind == NODE_SCALAR && text_equal(node->text, TEXT("1.2")))
        *(int *)at = TLS1_2_VERSION;
    else if (node->kind == NODE_SCALAR && text_equal(node->text, TEXT("1.3")))
        *(int *)at = TLS1_3_VERSION;
    else
        return bind_error(binder, node, NULL,
                          "wants \"1.2\" or \"1.3\": older versions are broken and not offered");
    return true;
}

struct tls_settings tls_settings_merge(const struct tls_settings *over, const struct tls_settings *under)
{
    return (struct tls_settings){
        .min_version = over->min_version ? over->min_version : under->min_version,
        .max_version = over->max_version ? over->max_version : under->max_version,
        .ciphers = over->ciphers.at ? over->ciphers : under->ciphers,
        .ciphersuites = over->ciphersuites.at ? over->ciphersuites : under->ciphersuites,
        .groups = over->groups.at ? over->groups : under->groups,
    };
}

static bool refuse(struct binder *binder, const struct node *node, const char *field, struct text value)
{
    const struct node *at = node_get(node, text_of(field));
    ERR_clear_error();
    return bind_error(binder, at ? at : node, field, "OpenSSL does not take `%.*s`", TEXT_ARGS(value));
}

bool tls_settings_apply(struct binder *binder, const struct node *node, const struct tls_settings *settings,
                        SSL_CTX *context)
{
    struct tls_settings all = tls_settings_merge(settings, &defaults);
    if (all.min_version > all.max_version)
        return bind_error(binder, node, "min_version", "is above `max_version`");
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION
                                     | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE
                                  | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_early_data(context, 0);
    SSL_CTX_set_recv_max_early_data(context, 0);
    if (!SSL_CTX_set_min_proto_version(context, all.min_version)
        || !SSL_CTX_set_max_proto_version(context, all.max_version))
        return bind_error(binder, node, "min_version", "OpenSSL was built without this version");
    struct text ciphers = arena_copy(binder->arena, all.ciphers),
                suites = arena_copy(binder->arena, all.ciphersuites),
                groups = arena_copy(binder->arena, all.groups);
    if (!ciphers.at || !suites.at || !groups.at)
        return bind_error(binder, node, NULL, "out of memory");
    if (!SSL_CTX_set_cipher_list(context, ciphers.at))
        return refuse(binder, node, "ciphers", ciphers);
    if (!SSL_CTX_set_ciphersuites(context, suites.at))
        return refuse(binder, node, "ciphersuites", suites);
    return SSL_CTX_set1_groups_list(context, groups.at) ? true : refuse(binder, node, "groups", groups);
}

bool tls_settings_follow(const struct tls_settings *settings, SSL *ssl)
{
    struct tls_settings all = tls_settings_merge(settings, &defaults);
    char groups[256];
    if (all.groups.size >= sizeof groups)
        return false;
    memcpy(groups, all.groups.at, all.groups.size);
    groups[all.groups.size] = 0;
    return SSL_set_min_proto_version(ssl, all.min_version) && SSL_set_max_proto_version(ssl, all.max_version)
           && SSL_set1_groups_list(ssl, groups);
}
