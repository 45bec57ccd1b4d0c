/* Handshakes of one thread, by a fixed set of labels. Written by it alone, read by others. */
#pragma once

#include <openssl/types.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/tls_layer.h"

enum tls_version { TLS_VERSION_1_2, TLS_VERSION_1_3, TLS_VERSIONS_COUNT };
enum { TLS_CIPHERS_MAX = 16 }; /* the last one is all others */

struct tls_counts {
    _Atomic uint64_t handshakes[TLS_VERSIONS_COUNT][2]; /* full, resumed */
    _Atomic uint64_t ciphers[TLS_CIPHERS_MAX];
    _Atomic uint64_t failures[TLS_FAILURES_COUNT];
};

extern const char *const tls_version_names[TLS_VERSIONS_COUNT]; /* "TLSv1.3" */
extern const char *const tls_cipher_names[]; /* as OpenSSL calls them; `_other` is the last */
extern const unsigned tls_ciphers_count;

void tls_count_handshake(struct tls_counts *counts, const SSL *ssl);
void tls_count_failure(struct tls_counts *counts, enum tls_failure failure);
