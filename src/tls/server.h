/* The server side of TLS on one listener: which certificate a name gets, under which rules. Immutable part of a snapshot.
 *
 * Rules are contexts of OpenSSL: one for the listener, one for each name with rules of its own. Certificates are not in them but are
 * attached to a connection in its handshake, so that ten thousand certificates need one context. */
#pragma once

#include "base/table.h"
#include "config/field.h"
#include "net/tls_layer.h"
#include "tls/certificate.h"
#include "tls/settings.h"

struct states;
struct tls_tickets;

enum client_verify { CLIENT_VERIFY_OFF, CLIENT_VERIFY_REQUEST, CLIENT_VERIFY_REQUIRE };

struct rules;

/* Rules; `scope` tells those of different names apart. */
struct tls_profile {
    struct tls_settings settings;
    enum client_verify verify;
    int depth;
    uint64_t scope; /* hash of the name in `names`; 0: the listener's own */
    unsigned char
        session[32]; /* tickets of one profile are not opened by another, nor after its client CA changed */
    SSL_CTX *context;
};

enum { NAME_CERTIFICATES_MAX = 4 };

/* A name: its certificates, of different kinds of keys, and its rules. */
struct tls_name {
    const struct certificate *certificates[NAME_CERTIFICATES_MAX];
    unsigned certificates_count;
    const struct tls_profile *profile;
    const struct rules *rules; /* of its own entry, for building; NULL: it has none */
};

struct tls_server {
    struct text listener;
    struct table names; /* exact names, and `*.example.com` */
    struct tls_name fallback;
    bool refuse_unknown;
    size_t profiles_count;
    struct tls_tickets *tickets; /* NULL: off */
    struct text ticket_keys;     /* of a file, in the secure heap; empty: random ones */
    int64_t tickets_rotate_s;
    struct text *protocols; /* ALPN, preferred first */
    size_t protocols_count;
    int key_log; /* descriptor; -1: off */
    /* Handshakes under way; 0: no limit. */
    uint32_t handshakes_max, handshakes_rate, handshakes_queue;
};

/* A connection's layer, over a socket that is its owner's. Before each layer_open() set `context` to the listener's newest server. NULL: no
 * memory. Any thread. */
struct tls_layer *tls_server_accept(const struct tls_server *server, struct socket_layer *socket);

/* The name's entry, `*.` included; NULL: none. `host` is in lower case. */
const struct tls_name *tls_server_find(const struct tls_server *server, struct text host);

/* The entry `*.example.com` for a name `www.example.com`; NULL: none. */
struct tls_name *tls_server_wildcard(const struct tls_server *server, struct text host);

/* Was the connection made under the rules that hold for `host` now (whose client certificates, and for which name)? If not, a request for it is
 * misdirected (RFC 9110 section 15.5.20): it would go around the client certificate that the name wants. */
bool tls_server_covers(const struct tls_server *server, const struct tls_layer *tls, struct text host);

/* --- building: tls/server_build.c, with server_names.c and server_profile.c --- */
extern const struct field tls_server_fields[];

/* From the `tls` map of a listener. NULL: the report says why. Released with binder->arena. */
struct tls_server *tls_server_build(struct binder *binder, struct states *states,
                                    const struct tls_certificates *certificates, struct text listener,
                                    const struct node *node);

/* It is in force now: its keys of tickets are those of the listener. Control thread. False: no randomness; the keys stay as they are. */
bool tls_server_commit(const struct tls_server *server);

/* Callbacks of a profile's context: tls/server.c. */
void tls_server_install(SSL_CTX *context, const struct tls_profile *profile);
