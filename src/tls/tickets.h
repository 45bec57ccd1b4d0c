/* Keys of session tickets (RFC 5077, RFC 8446 section 4.6.1), shared by all workers and kept across reloads: claimed by the listener's name.
 *
 * Without a file the keys are random, and whoever seals a ticket when the newest key has served its time makes the next one; tickets of
 * the two keys before it are still opened. With a file, several nodes open each other's tickets; who writes it rotates the keys. */
#pragma once

#include <openssl/types.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/text.h"

enum { TICKET_KEYS = 4, TICKET_KEY_BYTES = 80 }; /* one of the four is free to be written */

struct ticket_key {
    unsigned char name[16], hmac[32], aes[32];
};
static_assert(sizeof(struct ticket_key) == TICKET_KEY_BYTES, "as they stand in a file");

/* In the secure heap. */
struct tls_tickets {
    struct ticket_key keys[TICKET_KEYS];
    _Atomic uint64_t epoch;      /* keys[epoch % TICKET_KEYS] seals; 0: there is no key yet */
    _Atomic int64_t rotate_at_s; /* monotonic */
    _Atomic bool rotating;
    _Atomic int64_t rotate_s;
    _Atomic bool from_file;
    uint64_t file_hash; /* control thread */
};

void *tls_tickets_create(void *unused);
void tls_tickets_destroy(void *tickets);

/* It has no key yet, so nobody uses it. */
bool tls_tickets_are_new(const struct tls_tickets *tickets);

/* Control thread, when a snapshot comes into force. `keys` are 80 bytes each, the first one seals; empty: random ones. */
bool tls_tickets_set(struct tls_tickets *tickets, struct text keys, int64_t rotate_s);

/* The callback of OpenSSL's: 1 opened or sealed, 2 opened and to be renewed, 0 not opened, -1 failed. */
int tls_tickets_use(struct tls_tickets *tickets, unsigned char *name, unsigned char *iv,
                    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seal);
