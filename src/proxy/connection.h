/* A client's connection: bytes below, one exchange after the other above. */
#pragma once

#include "http/h1_stream.h"
#include "net/address.h"
#include "net/tls_layer.h"
#include "proxy/exchange.h"
#include "proxy/worker.h"

enum connection_phase {
    CONNECTION_HANDSHAKE, /* of TLS, or it waits for that to begin */
    CONNECTION_IDLE,      /* between requests: no buffer is held */
    CONNECTION_HEAD,      /* a head has begun */
    CONNECTION_BUSY,      /* an exchange has it */
    CONNECTION_LINGER, /* answered and shut down; what the client still sends is read and dropped, for a while */
};

/* Where a connection stands in the listener's limits of handshakes. */
enum handshake_place { HANDSHAKE_NONE, HANDSHAKE_QUEUED, HANDSHAKE_COUNTED };

struct connection {
    struct socket_layer socket;
    struct h1_stream h1;
    struct tls_layer *tls; /* NULL: plain */
    struct listener *listener;
    struct exchange *exchange; /* NULL: none */
    struct exchange *spare;    /* head is being parsed into it */
    struct list link;
    struct timer timer;
    int64_t began_ms;
    int64_t deadline_ms; /* the timer may fire earlier and then looks here */
    struct address peer;
    uint32_t requests;
    int32_t client_slot; /* in the counts per client; -1: not counted */
    uint8_t phase;
    uint8_t handshake; /* enum handshake_place */
    bool close_after;  /* after this answer */
    bool again_posted;
    uint8_t ip_size;
    char ip[IP_TEXT_SIZE]; /* of the peer, as text */
    struct task again;
};

/* The kernel gives out the lowest free number. A client whose connection gets this one or a higher one is refused, so that who is connected
 * already finds descriptors for endpoints. The control thread sets it; INT_MAX until then. */
extern _Atomic int connection_fd_end;

/* Accepts from a listener until the queue is empty. */
void connection_accept(struct listener *listener);

/* The exchange is over and its answer is sent (or never will be, when `keep` is false): the next request, or the end. */
void connection_exchange_done(struct connection *connection, bool keep);

/* Its handshake may begin, or go on. */
void connection_handshake(struct connection *connection);

/* Closes now. */
void connection_close(struct connection *connection);

/* Its listener ends: after its next answer it is closed. With `now` (the process ends) an idle one is closed at once. */
void connection_drain(struct connection *connection, bool now);
