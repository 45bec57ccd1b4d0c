/* What is known of the other side of a TLS connection, for expressions and logs. Texts are in the arena, or are static. */
#pragma once

#include "base/arena.h"
#include "net/tls_layer.h"

struct text tls_peer_version(const struct tls_layer *tls);
struct text tls_peer_cipher(const struct tls_layer *tls);
struct text tls_peer_name(const struct tls_layer *tls);     /* that the client asked for; empty: none */
struct text tls_peer_protocol(const struct tls_layer *tls); /* by ALPN; empty: none */

/* A certificate was shown, and who is trusted for clients vouches for it. */
bool tls_peer_verified(const struct tls_layer *tls);

/* Of the client's certificate, verified or not; empty where there is none. Names as RFC 4514 writes them, serial and SHA-256 fingerprint in
 * lower-case hexadecimal. */
struct text tls_peer_subject(const struct tls_layer *tls, struct arena *arena);
struct text tls_peer_issuer(const struct tls_layer *tls, struct arena *arena);
struct text tls_peer_serial(const struct tls_layer *tls, struct arena *arena);
struct text tls_peer_fingerprint(const struct tls_layer *tls, struct arena *arena);

/* Its alternative names: "DNS:a.example", "URI:spiffe://...", "email:x@y", "IP:10.0.0.1". Returns how many; at most `max`. */
enum { PEER_NAMES_MAX = 64 };
size_t tls_peer_names(const struct tls_layer *tls, struct arena *arena, struct text *ret_names, size_t max);
size_t tls_certificate_names(const X509 *certificate, struct arena *arena, struct text *ret_names,
                             size_t max);
