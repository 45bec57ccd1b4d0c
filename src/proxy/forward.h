/* What goes to the other side: the request as an origin gets it, and the answer as the client gets it. */
#pragma once

#include "proxy/exchange.h"

/* The client's address and scheme, seen through trusted proxies: fills ex->client_address, ex->client_ip, ex->request.scheme. */
void forward_client_address(struct exchange *ex);

/* Sends the request to another path: `target` is a path in origin-form, with or without a query; without one, the request's own goes along. False:
 * it is no valid path. */
bool forward_to(struct exchange *ex, struct text target);

/* Adds what a proxy adds (Via, X-Forwarded-*, Forwarded), once. False: no memory. */
bool forward_prepare_request(struct exchange *ex);

/* Queues the request's head on the connection of an attempt, or of a hedge. False: the connection broke, or no memory. */
bool forward_request_head(struct exchange *ex, struct attempt *attempt);

/* There is no memory for an answer: a constant 503 goes straight to the socket, if nothing is queued before it. */
void forward_last_word(struct exchange *ex);

/* Queues the answer's head for the client; decides framing and whether the connection can be kept. False: it broke. */
bool forward_response_head(struct exchange *ex);
