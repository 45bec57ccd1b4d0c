/* Counts handshakes. */
#include "tls/counts.h"

#include <string.h>

#include <openssl/ssl.h>

#include "base/check.h"
#include "telemetry/histogram.h"

const char *const tls_version_names[TLS_VERSIONS_COUNT] = {"TLSv1.2", "TLSv1.3"};

const char *const tls_cipher_names[] = {
    "TLS_AES_128_GCM_SHA256",        "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",  "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES128-GCM-SHA256",   "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-CHACHA20-POLY1305",   "_other",
};
const unsigned tls_ciphers_count = COUNT_OF(tls_cipher_names);
static_assert(COUNT_OF(tls_cipher_names) <= TLS_CIPHERS_MAX, "a count for each");

void tls_count_handshake(struct tls_counts *counts, const SSL *ssl)
{
    enum tls_version version = SSL_version(ssl) == TLS1_3_VERSION ? TLS_VERSION_1_3 : TLS_VERSION_1_2;
    const char *name = SSL_get_cipher_name(ssl);
    unsigned cipher = 0;
    while (cipher + 1 < tls_ciphers_count && strcmp(name, tls_cipher_names[cipher]) != 0)
        cipher++;
    counter_bump(&counts->handshakes[version][SSL_session_reused(ssl) != 0], 1);
    counter_bump(&counts->ciphers[cipher], 1);
}

void tls_count_failure(struct tls_counts *counts, enum tls_failure failure)
{
    counter_bump(&counts->failures[failure], 1);
}
