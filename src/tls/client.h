/* The client side of TLS towards the endpoints of one service. Immutable part of a snapshot.
 *
 * The chain and the name of an endpoint's certificate are verified unless the configuration turns that off. Sessions are resumed: each pool
 * of connections keeps the newest one. */
#pragma once

#include <openssl/ssl.h>

#include "net/tls_layer.h"
#include "tls/certificate.h"
#include "tls/settings.h"

struct tls_client {
    SSL_CTX *context;
    bool verify, resume;
    struct text server_name; /* to ask for and to verify; .at NULL: the endpoint's own */
    const struct text
        *sans; /* one of these has to be in the certificate, instead of the name; zero-terminated */
    size_t sans_count;
    uint64_t identity; /* of all that was configured: connections and sessions of another one are not used */
};

/* The newest session with one endpoint, on one thread. Zeroed is "none". */
struct tls_sessions {
    SSL_SESSION *newest;
    uint64_t identity; /* of the client that made it */
};
void tls_sessions_release(struct tls_sessions *sessions);

/* A layer over a socket that connects to `host`, a name or an IP address. Set `context` to the client before each layer_open(). NULL: no memory.
 * `sessions` outlives the layer. */
struct tls_layer *tls_client_connect(const struct tls_client *client, struct socket_layer *socket,
                                     struct text host, struct tls_sessions *sessions);

extern const struct field tls_client_fields[];

/* From the `tls` map of a service; `node` may be NULL: the defaults. NULL: the report says why. Released with binder->arena. */
struct tls_client *tls_client_build(struct binder *binder, const struct tls_certificates *certificates,
                                    const struct node *node);
