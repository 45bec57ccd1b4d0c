/* What of a request decides about its endpoint: the key of consistent hashing, the labels of a subset, the token of a sticky client. */
#pragma once

#include "proxy/exchange.h"

enum { AFFINITY_TOKEN_SIZE = 32 };

/* Before the first attempt: fills ex->attempt.pick. What fails or is not there is left open. */
void affinity_prepare(struct exchange *ex);

/* Before the head of an origin's answer is sent: gives the client a token if the one that it sent does not name the endpoint that
 * answered. False: no memory (also ex->arena.failed). */
bool affinity_answer(struct exchange *ex);

/* The token for an endpoint: its hash and a signature (HMAC-SHA-256, the first 16 bytes) over it and the service's name, in base64url. False:
 * the library refused. */
bool affinity_write_token(struct text secret, struct text service, uint64_t endpoint,
                          char to[AFFINITY_TOKEN_SIZE]);

/* The endpoint that a token names; 0: it is none of ours. */
uint64_t affinity_read_token(const struct sticky_rules *rules, struct text service, struct text token);
