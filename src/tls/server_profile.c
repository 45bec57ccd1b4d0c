/* The rules of TLS on a listener, or of one of its names, as a context of OpenSSL: versions, ciphers, whose client certificates. */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "base/check.h"
#include "tls/pem.h"
#include "tls/server_private.h"

static void free_context(void *context)
{
    SSL_CTX_free(context);
}

static bool add_authorities(struct binder *binder, const struct node *at, SSL_CTX *context, struct text pem)
{
    const char *why;
    STACK_OF(X509) *all = pem_certificates(pem, &why);
    if (!all)
        return bind_error(binder, at, "ca", "%s", why);
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    bool fine = true;
    for (int i = 0; fine && i < sk_X509_num(all); i++)
        fine = X509_STORE_add_cert(store, sk_X509_value(all, i))
               && SSL_CTX_add_client_CA(context, sk_X509_value(all, i));
    X509_STORE_set_flags(
        store, X509_V_FLAG_PARTIAL_CHAIN); /* an intermediate authority may be the one that is trusted */
    sk_X509_pop_free(all, X509_free);
    return fine || bind_error(binder, at, "ca", "out of memory");
}

static bool add_revoked(struct binder *binder, const struct node *at, SSL_CTX *context, struct text pem)
{
    BIO *bio = BIO_new_mem_buf(pem.at, (int)pem.size);
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    X509_CRL *crl;
    int count = 0;
    while (bio && (crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL))) {
        count += X509_STORE_add_crl(store, crl);
        X509_CRL_free(crl);
    }
    BIO_free(bio);
    ERR_clear_error();
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return count > 0 || bind_error(binder, at, "crl", "there is no revocation list in PEM in it");
}

/* SHA-256: the same on all nodes that share the keys of tickets. */
static bool digest(const struct text *parts, size_t count, unsigned char to[32])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool fine = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL);
    for (size_t i = 0; fine && i < count; i++)
        fine = EVP_DigestUpdate(context, parts[i].at, parts[i].size);
    fine = fine && EVP_DigestFinal_ex(context, to, NULL);
    EVP_MD_CTX_free(context);
    return fine;
}

uint64_t tls_server_scope(struct text name)
{
    unsigned char bytes[32];
    uint64_t scope = 0;
    if (digest(&name, 1, bytes))
        memcpy(&scope, bytes, sizeof scope);
    return scope | 1;
}

/* Tickets hold what was verified: they are worth nothing where other rules hold. */
static bool set_session(struct tls_profile *profile, struct text listener, struct text ca, struct text crl)
{
    uint64_t numbers[] = {profile->scope, (uint64_t)profile->verify, (uint64_t)profile->depth, ca.size,
                          crl.size};
    const struct text parts[] = {{(const char *)numbers, sizeof numbers}, ca, crl, listener};
    return digest(parts, COUNT_OF(parts), profile->session);
}

static bool set_client(struct building *building, struct tls_profile *profile,
                       const struct client_config *config, const struct node *node)
{
    struct binder *binder = building->binder;
    const struct node *at = node_get(node, TEXT("client"));
    struct pem ca = {.owned = NULL}, crl = {.owned = NULL};
    profile->verify = config->verify >= 2 ? (enum client_verify)(config->verify - 1) : CLIENT_VERIFY_OFF;
    profile->depth = (int)config->depth;
    struct text path = bind_enter(binder, TEXT("client"));
    bool fine = !at || (pem_read(binder, at, "ca", &ca) && pem_read(binder, at, "crl", &crl));
    if (fine && profile->verify != CLIENT_VERIFY_OFF && !ca.text.size)
        fine = bind_error(binder, at ? at : node, "ca", "is needed: who vouches for clients' certificates?");
    if (fine && profile->verify == CLIENT_VERIFY_OFF && ca.text.size)
        fine =
            bind_error(binder, at, "verify", "has to be `request` or `require` for `ca` to mean something");
    if (fine && ca.text.size)
        fine = add_authorities(binder, at, profile->context, ca.text);
    if (fine && crl.text.size)
        fine = add_revoked(binder, at, profile->context, crl.text);
    if (fine && !set_session(profile, building->server->listener, ca.text, crl.text))
        fine = bind_error(binder, node, NULL, "out of memory");
    pem_release(&ca);
    pem_release(&crl);
    bind_leave(binder, path);
    return fine;
}

struct tls_profile *tls_server_make_profile(struct building *building, const struct tls_settings *settings,
                                            const struct client_config *client, uint64_t scope,
                                            const struct node *node, const struct node *client_node)
{
    struct binder *binder = building->binder;
    const struct server_config *config = building->config;
    struct tls_profile *profile = ARENA_NEW(binder->arena, struct tls_profile);
    SSL_CTX *context = profile ? SSL_CTX_new(TLS_server_method()) : NULL;
    if (!context || !arena_defer(binder->arena, free_context, context)) {
        SSL_CTX_free(context);
        bind_error(binder, node, NULL, "out of memory");
        return NULL;
    }
    profile->settings = *settings;
    profile->scope = scope;
    profile->context = context;
    if (!tls_settings_apply(binder, node, settings, context)
        || !set_client(building, profile, client, client_node))
        return NULL;
    if (!config->tickets.enabled)
        SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, config->tickets.enabled ? (size_t)config->tickets.count : 0);
    SSL_CTX_set_timeout(context, (long)(2 * config->tickets.rotate_ms / 1000));
    tls_server_install(context, profile);
    building->server->profiles_count++;
    return profile;
}
