/* OCSP stapling (RFC 6960, RFC 6066 section 8): answers of a certificate's responder, checked before they are sent along.
 *
 * Fetched answers are state with a longer life than a snapshot. The control thread publishes them; workers copy them in handshakes. */
#pragma once

#include <openssl/x509.h>
#include <stdatomic.h>

#include "base/arena.h"

struct states;

struct ocsp_answer {
    int64_t until_s; /* nextUpdate, since 1970 */
    size_t size;
    unsigned char at[];
};

struct ocsp_state {
    _Atomic(const struct ocsp_answer *) answer; /* NULL: none yet */
    struct ocsp_answer *before; /* a worker may still copy it: freed with the next publication */
    _Atomic int64_t fetch_at_s; /* when it is to be asked for (again), since 1970 */
    _Atomic uint64_t fetched, failed;
};

/* Is it a good answer for the certificate, signed by its issuer or whom that appointed, and in force now? */
bool ocsp_check(struct text der, X509 *leaf, STACK_OF(X509) * chain, int64_t *ret_until_s,
                const char **ret_why);

/* The certificate names a responder that can be asked by plain HTTP, and its issuer is in the chain. */
bool ocsp_can_fetch(X509 *leaf, STACK_OF(X509) * chain, const char **ret_why);

/* Claimed by the certificate's name for as long as `arena` lives. NULL: no memory. Control thread. */
struct ocsp_state *ocsp_state_claim(struct states *states, struct arena *arena, struct text name,
                                    uint64_t hash);

/* Asks the responder; blocks for up to `timeout_s` and longer for its name: for the thread pool. NULL: `*ret_why`. From
 * memory_alloc(). */
struct ocsp_answer *ocsp_fetch(X509 *leaf, STACK_OF(X509) * chain, int timeout_s, const char **ret_why);

/* Takes over `answer`. At most once a minute: workers copy what was there before without a lock. Control thread. */
void ocsp_publish(struct ocsp_state *state, struct ocsp_answer *answer);

/* A copy for SSL_set_tlsext_status_ocsp_resp(), which takes it over; NULL: none in force. Any thread. */
unsigned char *ocsp_copy(const struct ocsp_state *state, int64_t now_s, size_t *ret_size);
