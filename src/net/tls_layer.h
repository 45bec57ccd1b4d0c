/* TLS over a socket, by OpenSSL, for both sides. The socket stays its owner's; this layer sits on it and goes with it.
 *
 * Nothing is buffered here: OpenSSL reads from and writes to the socket through a BIO of ours, so that the readiness bits of the socket
 * layer hold for it too. While a connection is idle OpenSSL keeps no buffers (SSL_MODE_RELEASE_BUFFERS). Reading takes what the socket
 * has in one call (read-ahead); writing joins head and body to one record and one call.
 *
 * A write that the socket takes only in part is IO_BLOCKED for all bytes of that record: the caller writes again, beginning with the same
 * bytes, as h1_stream does. */
#pragma once

#include <openssl/types.h>

#include "base/list.h"
#include "net/layer.h"

enum tls_failure {
    TLS_FINE,
#define FAILURE(identifier, text) TLS_FAILURE_##identifier,
#include "net/tls_failure.def"
#undef FAILURE
    TLS_FAILURES_COUNT
};
extern const char *const tls_failure_names[TLS_FAILURES_COUNT];

struct tls_layer {
    struct layer layer;
    struct socket_layer *socket;
    SSL *ssl;
    const void *context; /* of the callbacks of SSL, during `open`; its owner sets it before each call */
    struct list link;    /* its owner's: those that wait for their handshake */
    struct tls_sessions *sessions; /* client side, its owner's: where new sessions go; NULL: nowhere */
    uint64_t identity;             /* the same: of the configuration that it was made with */
    size_t unsent;  /* bytes of the caller's that are in a record which the socket has not taken */
    uint32_t reads; /* of the socket within one call of ours */
    bool is_open;   /* the handshake is done */
    bool shut;      /* close_notify was sent */
    bool ended;     /* and received */
    bool broken;
    bool socket_ended;
    bool has_first;
    unsigned char first; /* byte that came from the other side */
    enum tls_failure failure;
    int error;          /* errno of a broken connection */
    const char *reason; /* of a failure: OpenSSL's words or ours, static; NULL: none */
    const char *detail; /* what was wrong with a certificate; NULL: nothing */
};

extern const struct layer_type tls_layer_type;

/* A layer over an open (or connecting) socket; owns `ssl` from now on. NULL: no memory; `ssl` is freed. */
struct tls_layer *tls_layer_new(struct socket_layer *socket, SSL *ssl);

/* After layer_close(), which ends TLS and the socket. NULL is allowed. */
void tls_layer_free(struct tls_layer *tls);

/* The layer of an SSL, for callbacks. */
struct tls_layer *tls_layer_of(const SSL *ssl);

/* Gives up a handshake for a reason of the owner's. */
void tls_layer_fail(struct tls_layer *tls, enum tls_failure failure, const char *reason);
