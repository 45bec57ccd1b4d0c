/* What happens in a handshake on our side: the name, its rules, its certificates. */
#include "tls/server.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/check.h"
#include "base/log.h"
#include "tls/ocsp.h"
#include "tls/tickets.h"

enum { NAME_MAX_BYTES = 255 };

static const struct tls_server *server_of(const SSL *ssl)
{
    return tls_layer_of(ssl)->context;
}

/* --- names --- */

const struct tls_name *tls_server_find(const struct tls_server *server, struct text host)
{
    const struct tls_name *name = table_get(&server->names, host);
    return name ? name : tls_server_wildcard(server, host);
}

struct tls_name *tls_server_wildcard(const struct tls_server *server, struct text host)
{
    size_t dot = text_find_char(host, '.');
    char wildcard[NAME_MAX_BYTES + 1] = "*";
    if (dot == TEXT_NONE || host.size - dot >= NAME_MAX_BYTES)
        return NULL;
    memcpy(wildcard + 1, host.at + dot, host.size - dot);
    return table_get(&server->names, (struct text){wildcard, host.size - dot + 1});
}

/* In a word that a context may keep: connections outlive the profile. */
static uint64_t rules_of(const struct tls_profile *profile)
{
    uint64_t rules;
    memcpy(&rules, profile->session, sizeof rules);
    return rules;
}

bool tls_server_covers(const struct tls_server *server, const struct tls_layer *tls, struct text host)
{
    const struct tls_name *name = server->profiles_count > 1 ? tls_server_find(server, host) : NULL;
    const struct tls_profile *wanted = name ? name->profile : server->fallback.profile;
    return rules_of(wanted) == (uint64_t)(uintptr_t)SSL_CTX_get_app_data(SSL_get_SSL_CTX(tls->ssl));
}

/* The name of a client hello's server_name extension (RFC 6066 section 3), in lower case; empty: none, or malformed, which OpenSSL refuses
 * later. */
static struct text hello_name(SSL *ssl, char room[NAME_MAX_BYTES])
{
    const unsigned char *at;
    size_t size;
    if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &at, &size) || size < 5 || at[2] != 0)
        return TEXT("");
    size_t name_size = (size_t)at[3] << 8 | at[4];
    if (name_size == 0 || name_size > size - 5 || name_size > NAME_MAX_BYTES)
        return TEXT("");
    for (size_t i = 0; i < name_size; i++)
        room[i] = char_lower((char)at[5 + i]);
    if (room[name_size - 1] == '.')
        name_size--;
    return (struct text){room, name_size};
}

static const struct tls_name *name_of(const struct tls_server *server, struct text host)
{
    const struct tls_name *name = host.size ? tls_server_find(server, host) : NULL;
    return name ? name : &server->fallback;
}

/* --- callbacks of OpenSSL --- */

static bool obey(SSL *ssl, const struct tls_profile *profile)
{
    if (SSL_get_SSL_CTX(ssl) == profile->context)
        return true;
    if (!SSL_set_SSL_CTX(ssl, profile->context))
        return false;
    SSL_set_verify(ssl, SSL_CTX_get_verify_mode(profile->context),
                   SSL_CTX_get_verify_callback(profile->context));
    SSL_set_verify_depth(ssl, SSL_CTX_get_verify_depth(profile->context));
    return SSL_set_session_id_context(ssl, profile->session, sizeof profile->session)
           && tls_settings_follow(&profile->settings, ssl);
}

static int on_hello(SSL *ssl, int *ret_alert, void *unused)
{
    const struct tls_server *server = server_of(ssl);
    char room[NAME_MAX_BYTES];
    struct text host = hello_name(ssl, room);
    (void)unused;
    if (server->refuse_unknown && (host.size == 0 || !tls_server_find(server, host))) {
        *ret_alert = SSL_AD_UNRECOGNIZED_NAME;
        tls_layer_fail(tls_layer_of(ssl), TLS_FAILURE_NAME,
                       host.size ? "the client names a server that is not here"
                                 : "the client names no server");
        return SSL_CLIENT_HELLO_ERROR;
    }
    if (obey(ssl, name_of(server, host)->profile))
        return SSL_CLIENT_HELLO_SUCCESS;
    *ret_alert = SSL_AD_INTERNAL_ERROR;
    tls_layer_fail(tls_layer_of(ssl), TLS_FAILURE_INTERNAL, "out of memory");
    return SSL_CLIENT_HELLO_ERROR;
}

/* Only so that OpenSSL keeps the name. */
static int on_name(SSL *ssl, int *alert, void *unused)
{
    (void)ssl;
    (void)alert;
    (void)unused;
    return SSL_TLSEXT_ERR_OK;
}

static struct text lower_name(const SSL *ssl, char room[NAME_MAX_BYTES])
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    size_t size = name ? strnlen(name, NAME_MAX_BYTES) : 0;
    for (size_t i = 0; i < size; i++)
        room[i] = char_lower(name[i]);
    if (size && room[size - 1] == '.')
        size--;
    return (struct text){room, size};
}

/* Called only where a certificate is to be shown: resumed sessions need none. */
static int on_certificate(SSL *ssl, void *unused)
{
    char room[NAME_MAX_BYTES];
    const struct tls_name *name = name_of(server_of(ssl), lower_name(ssl, room));
    (void)unused;
    for (unsigned i = 0; i < name->certificates_count; i++) {
        const struct certificate *one = name->certificates[i];
        if (!SSL_use_cert_and_key(ssl, one->leaf, one->key, one->chain, 1)) {
            tls_layer_fail(tls_layer_of(ssl), TLS_FAILURE_INTERNAL, "a certificate cannot be used");
            return 0;
        }
    }
    return 1;
}

static int on_status(SSL *ssl, void *unused)
{
    char room[NAME_MAX_BYTES];
    const struct tls_name *name = name_of(server_of(ssl), lower_name(ssl, room));
    const X509 *shown = SSL_get_certificate(ssl);
    unsigned char *answer = NULL;
    size_t size = 0;
    (void)unused;
    for (unsigned i = 0; i < name->certificates_count; i++) {
        const struct certificate *one = name->certificates[i];
        if (one->leaf != shown)
            continue;
        if (one->ocsp)
            answer = ocsp_copy(one->ocsp, (int64_t)time(NULL), &size);
        else if (one->staple.size)
            answer = one->staple_until_s > time(NULL)
                         ? OPENSSL_memdup(one->staple.at, size = one->staple.size)
                         : NULL;
    }
    if (!answer)
        return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, answer, (long)size);
    return SSL_TLSEXT_ERR_OK;
}

/* Our order decides. A client that offers none of ours is refused (RFC 7301 section 3.2). */
static int on_protocols(SSL *ssl, const unsigned char **ret_at, unsigned char *ret_size,
                        const unsigned char *offers, unsigned offers_size, void *unused)
{
    const struct tls_server *server = server_of(ssl);
    (void)unused;
    for (size_t i = 0; i < server->protocols_count; i++) {
        for (unsigned at = 0; at < offers_size && offers_size - at > offers[at]; at += 1u + offers[at]) {
            struct text offer = {(const char *)offers + at + 1, offers[at]};
            if (!text_equal(offer, server->protocols[i]))
                continue;
            *ret_at = offers + at + 1;
            *ret_size = offers[at];
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int seal)
{
    const struct tls_server *server = server_of(ssl);
    return server && server->tickets ? tls_tickets_use(server->tickets, name, iv, cipher, mac, seal) : 0;
}

/* For debugging only, and warned of: the one place where a worker writes to a disk. */
static void on_key_log(const SSL *ssl, const char *line)
{
    const struct tls_server *server = server_of(ssl);
    char text[512];
    int size = server && server->key_log >= 0 ? snprintf(text, sizeof text, "%s\n", line) : 0;
    if (size > 0 && (size_t)size < sizeof text)
        (void)!write(server->key_log, text, (size_t)size); /* a line that is missed hinders nobody */
}

/* The client's certificate is asked for, but routes decide: what is wrong with it is known by SSL_get_verify_result(). */
static int let_pass(int verified, X509_STORE_CTX *store)
{
    (void)verified;
    (void)store;
    return 1;
}

void tls_server_install(SSL_CTX *context, const struct tls_profile *profile)
{
    SSL_CTX_set_app_data(context, (void *)(uintptr_t)rules_of(profile));
    SSL_CTX_set_client_hello_cb(context, on_hello, NULL);
    SSL_CTX_set_tlsext_servername_callback(context, on_name);
    SSL_CTX_set_cert_cb(context, on_certificate, NULL);
    SSL_CTX_set_tlsext_status_cb(context, on_status);
    SSL_CTX_set_alpn_select_cb(context, on_protocols, NULL);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket);
    SSL_CTX_set_session_id_context(context, profile->session, sizeof profile->session);
    if (profile->verify == CLIENT_VERIFY_REQUEST)
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, let_pass);
    else if (profile->verify == CLIENT_VERIFY_REQUIRE)
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_verify_depth(context, profile->depth);
    SSL_CTX_set_keylog_callback(context, on_key_log);
}

struct tls_layer *tls_server_accept(const struct tls_server *server, struct socket_layer *socket)
{
    SSL *ssl = SSL_new(server->fallback.profile->context);
    struct tls_layer *tls = tls_layer_new(socket, ssl);
    if (!tls)
        return NULL;
    tls->context = server;
    SSL_set_accept_state(ssl);
    return tls;
}
