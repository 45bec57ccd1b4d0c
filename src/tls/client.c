/* TLS towards endpoints: whom to trust, whom to ask for, what to show. */
#include "tls/client.h"

#include <sys/stat.h>

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/check.h"
#include "base/hash.h"
#include "tls/peer.h"
#include "tls/library.h"
#include "tls/pem.h"

enum { HOST_MAX_BYTES = 255, NAMES_BYTES_MAX = 64 << 10, SESSION_S = 7200 };

struct client_config {
    bool verify, resume;
    const struct node *ca;
    struct text server_name, certificate;
    struct array sans;
    struct tls_settings settings;
};

const struct field tls_client_fields[] = {
    FIELD_BOOL(
        struct client_config, verify, "verify", "true",
        "Check that a trusted authority vouches for the endpoint's certificate, and that it is for the endpoint's name. Without it anyone on the way can read and change everything."),
    FIELD_NODE(
        struct client_config, ca, "ca", OPTIONAL, "{\"type\":\"string\"}",
        "Certificates of the authorities to trust, in PEM: a path or the text; the system's unless given. Read anew on reload."),
    FIELD_TEXT(
        struct client_config, server_name, "server_name", OPTIONAL,
        "Name to ask for (SNI) and to find in the certificate; the host of the endpoint's URL unless given."),
    FIELD_LIST(
        struct client_config, sans, "sans", "[]", &field_item_text, FIELD_ONE_OR_MORE | FIELD_UNIQUE,
        "One of these alternative names has to be in the certificate, instead of the server name: `DNS:a.example`, `URI:spiffe://a/b`, `IP:10.0.0.1` or `email:a@b`."),
    FIELD_TEXT(
        struct client_config, certificate, "certificate", OPTIONAL,
        "Certificate to show to endpoints that ask for one: a name of the top level's `certificates`."),
    FIELD_BOOL(struct client_config, resume, "resume", "true",
               "Resume sessions, which saves most of a handshake."),
    TLS_SETTINGS_FIELDS(struct client_config, settings),
    FIELD_END,
};

/* --- sessions --- */

void tls_sessions_release(struct tls_sessions *sessions)
{
    SSL_SESSION_free(sessions->newest);
    sessions->newest = NULL;
}

/* 1: it is ours now. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    const struct tls_layer *tls = tls_layer_of(ssl);
    struct tls_sessions *sessions = tls->sessions;
    if (!sessions || tls->identity != sessions->identity || !SSL_SESSION_is_resumable(session))
        return 0;
    SSL_SESSION_free(sessions->newest);
    sessions->newest = session;
    return 1;
}

/* --- verification --- */

static bool is_pinned(const struct tls_client *client, const X509 *certificate)
{
    struct arena arena;
    struct text names[PEER_NAMES_MAX];
    bool found = false;
    arena_init(&arena, 0, NAMES_BYTES_MAX);
    size_t count = tls_certificate_names(certificate, &arena, names, COUNT_OF(names));
    for (size_t i = 0; i < count && !found; i++)
        for (size_t k = 0; k < client->sans_count && !found; k++)
            found = text_equal(names[i], client->sans[k]);
    arena_release(&arena);
    return found;
}

static int on_verify(int verified, X509_STORE_CTX *store)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    const struct tls_client *client = ssl ? tls_layer_of(ssl)->context : NULL;
    if (!verified || X509_STORE_CTX_get_error_depth(store) > 0)
        return verified;
    if (client && (client->sans_count == 0 || is_pinned(client, X509_STORE_CTX_get_current_cert(store))))
        return 1;
    X509_STORE_CTX_set_error(store, X509_V_ERR_HOSTNAME_MISMATCH);
    return 0;
}

/* --- connecting --- */

static bool is_ip(const char *host)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* Whom to ask for, and whose certificate it has to be. Addresses are not asked for (RFC 6066 section 3). */
static bool set_host(const struct tls_client *client, SSL *ssl, struct text endpoint)
{
    struct text host = client->server_name.at ? client->server_name : endpoint;
    if (text_starts_with(host, TEXT("[")) && text_ends_with(host, TEXT("]")))
        host = text_slice(host, 1, host.size - 1);
    char name[HOST_MAX_BYTES + 1];
    if (host.size == 0 || host.size > HOST_MAX_BYTES)
        return false;
    memcpy(name, host.at, host.size);
    name[host.size] = 0;
    bool address = is_ip(name);
    if (!address && !SSL_set_tlsext_host_name(ssl, name))
        return false;
    if (!client->verify || client->sans_count > 0)
        return true;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) : SSL_set1_host(ssl, name);
}

struct tls_layer *tls_client_connect(const struct tls_client *client, struct socket_layer *socket,
                                     struct text host, struct tls_sessions *sessions)
{
    SSL *ssl = SSL_new(client->context);
    struct tls_layer *tls = tls_layer_new(socket, ssl);
    if (!tls)
        return NULL;
    tls->context = client;
    tls->identity = client->identity;
    tls->sessions = client->resume ? sessions : NULL;
    if (sessions->identity != client->identity)
        tls_sessions_release(sessions);
    sessions->identity = client->identity;
    bool fine = set_host(client, ssl, host);
    if (fine && client->resume && sessions->newest)
        fine = SSL_set_session(ssl, sessions->newest);
    SSL_set_connect_state(ssl);
    if (fine)
        return tls;
    ERR_clear_error();
    tls_layer_free(tls);
    return NULL;
}

/* --- building --- */

/* The system's authorities: read once, and again when the file has changed; shared by all services. Control thread. */
static X509_STORE *system_store(uint64_t *ret_hash)
{
    static X509_STORE *store;
    static struct timespec read_at;
    struct stat status = {0};
    const char *path = getenv(X509_get_default_cert_file_env());
    (void)stat(path ? path : X509_get_default_cert_file(), &status); /* a missing one is no change */
    bool same = status.st_mtim.tv_sec == read_at.tv_sec && status.st_mtim.tv_nsec == read_at.tv_nsec;
    if (!store || !same) {
        X509_STORE *fresh = X509_STORE_new();
        if (fresh && X509_STORE_set_default_paths(fresh)) {
            X509_STORE_free(store);
            store = fresh;
            read_at = status.st_mtim;
        } else {
            X509_STORE_free(fresh);
        }
        ERR_clear_error();
    }
    *ret_hash = hash_mix((uint64_t)read_at.tv_sec ^ hash_mix((uint64_t)read_at.tv_nsec));
    return store;
}

static bool set_authorities(struct binder *binder, const struct node *node, struct tls_client *client)
{
    struct pem pem;
    uint64_t hash = 0;
    const char *why = NULL;
    if (!pem_read(binder, node, "ca", &pem))
        return false;
    if (!pem.text.size) {
        X509_STORE *store = system_store(&hash);
        client->identity = hash_mix(client->identity ^ hash);
        if (store)
            SSL_CTX_set1_cert_store(client->context, store);
        return store || bind_error(binder, node, "ca", "the system's authorities cannot be read; give `ca`");
    }
    client->identity = hash_mix(client->identity ^ hash_bytes(pem.text.at, pem.text.size));
    STACK_OF(X509) *all = pem_certificates(pem.text, &why);
    X509_STORE *store = SSL_CTX_get_cert_store(client->context);
    bool fine = all != NULL;
    for (int i = 0; fine && i < sk_X509_num(all); i++)
        fine = X509_STORE_add_cert(store, sk_X509_value(all, i));
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    sk_X509_pop_free(all, X509_free);
    pem_release(&pem);
    return fine || bind_error(binder, node_get(node, TEXT("ca")), "ca", "%s", why ? why : "out of memory");
}

static bool set_certificate(struct binder *binder, const struct node *node,
                            const struct tls_certificates *certificates, struct text name,
                            struct tls_client *client)
{
    bool known = false;
    const struct node *at = node_get(node, TEXT("certificate"));
    if (!name.size)
        return true;
    const struct certificate *one =
        certificates->find ? certificates->find(certificates->argument, name, &known) : NULL;
    if (!known)
        return bind_error(binder, at, "certificate", "there is no certificate `%.*s` at the top level",
                          TEXT_ARGS(name));
    if (!one)
        return false; /* what is wrong with it is reported there */
    client->identity = hash_mix(client->identity ^ one->hash);
    return SSL_CTX_use_cert_and_key(client->context, one->leaf, one->key, one->chain, 1)
           || bind_error(binder, at, "certificate", "OpenSSL does not take it");
}

static bool check_sans(struct binder *binder, const struct node *node, const struct client_config *config)
{
    static const struct text kinds[] = {TEXT_INIT("DNS:"), TEXT_INIT("URI:"), TEXT_INIT("IP:"),
                                        TEXT_INIT("email:")};
    const struct text *sans = config->sans.items;
    if (config->sans.count && !config->verify)
        return bind_error(binder, node, "sans", "means nothing without `verify`");
    for (size_t i = 0; i < config->sans.count; i++) {
        bool known = false;
        for (size_t k = 0; k < COUNT_OF(kinds); k++)
            known |= text_starts_with(sans[i], kinds[k]);
        if (!known)
            return bind_error(binder, node_get(node, TEXT("sans")), "sans",
                              "wants `DNS:`, `URI:`, `IP:` or `email:` and a name, got `%.*s`",
                              TEXT_ARGS(sans[i]));
    }
    return true;
}

static void free_context(void *context)
{
    SSL_CTX_free(context);
}

static bool fill(struct binder *binder, const struct tls_certificates *certificates, const struct node *node,
                 const struct client_config *config, struct tls_client *client)
{
    client->verify = config->verify;
    client->resume = config->resume;
    client->server_name = config->server_name.size ? config->server_name : (struct text){NULL, 0};
    client->sans = config->sans.items;
    client->sans_count = config->sans.count;
    client->identity = hash_mix(node ? node->hash : 1);
    if (!check_sans(binder, node, config)
        || !tls_settings_apply(binder, node, &config->settings, client->context))
        return false;
    SSL_CTX_set_session_cache_mode(client->context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(client->context, on_session);
    SSL_CTX_set_timeout(client->context, SESSION_S);
    if (!client->verify) {
        report_warning(
            binder->report, node->place, binder->path,
            "verify: false: whoever is on the way to the endpoints can read and change everything");
        SSL_CTX_set_verify(client->context, SSL_VERIFY_NONE, NULL);
    } else {
        SSL_CTX_set_verify(client->context, SSL_VERIFY_PEER, on_verify);
        if (!set_authorities(binder, node, client))
            return false;
    }
    return set_certificate(binder, node, certificates, config->certificate, client);
}

struct tls_client *tls_client_build(struct binder *binder, const struct tls_certificates *certificates,
                                    const struct node *node)
{
    static const struct node nothing = {.kind = NODE_MAP};
    struct client_config config = {0};
    struct tls_client *client = ARENA_NEW(binder->arena, struct tls_client);
    SSL_CTX *context = client && tls_library_ready() ? SSL_CTX_new(TLS_client_method()) : NULL;
    if (!context || !arena_defer(binder->arena, free_context, context)) {
        SSL_CTX_free(context);
        bind_error(binder, node, "tls", "out of memory");
        return NULL;
    }
    client->context = context;
    struct text path = bind_enter(binder, TEXT("tls"));
    bool fine = field_bind(binder, tls_client_fields, node ? node : &nothing, &config)
                && fill(binder, certificates, node, &config, client);
    bind_leave(binder, path);
    return fine ? client : NULL;
}
