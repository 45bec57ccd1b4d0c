/* The TLS handshake of a client's connection: admitted within the listener's limits, or queued until it is, and given up in time. */
#pragma once

#include "proxy/connection.h"

enum handshake_progress {
    HANDSHAKE_WAIT,
    HANDSHAKE_DONE,
    HANDSHAKE_FAILED, /* counted and logged: to be closed */
    HANDSHAKE_PLAIN, /* a request without TLS; it was told, in plain text: to be closed when it has read that */
};

/* Puts TLS on a connection that was just accepted. False: no memory, or the queue is full (counted): to be closed. */
bool handshake_begin(struct connection *connection);

/* Something happened on the socket. */
enum handshake_progress handshake_go_on(struct connection *connection);

/* It took too long: counts. To be closed. */
void handshake_time_out(struct connection *connection);

/* Before the connection is closed, at whatever stage: gives back its place, and lets the next ones begin. */
void handshake_leave(struct connection *connection);
