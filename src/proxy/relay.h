/* Moves bodies between the two sides of an exchange, by pull: the source is read only when the sink takes more. */
#pragma once

#include "proxy/exchange.h"

enum relay_result {
    RELAY_BLOCKED_SOURCE, /* waits for the source to give */
    RELAY_BLOCKED_SINK,   /* waits for the sink to take */
    RELAY_DONE,           /* the body is over, and so is its sending (but for the sink's queue) */
    RELAY_REFUSED,        /* the source's framing is broken: its stream's refusal says how */
    RELAY_SOURCE_FAILED,  /* the source broke or ended too early */
    RELAY_SINK_FAILED,
    RELAY_TOO_LARGE, /* the request body passed its limit */
    RELAY_POLICY,    /* a body hook ended it: ex->local, or ex->error is set */
    RELAY_NO_MEMORY,
};

enum relay_result relay_request(struct exchange *ex);  /* client to origin */
enum relay_result relay_response(struct exchange *ex); /* origin, or the answer made here, to client */
enum relay_result relay_tunnel(struct exchange *ex);   /* both ways, after 101; DONE when both have ended */

/* For whoever reads bodies too: what a read that gave no data means, and whether the request is over its `limits.body`. */
enum relay_result relay_of_read(enum stream_status status);
int64_t relay_limit(const struct exchange *ex); /* 0: none */
bool relay_is_over_limit(const struct exchange *ex);

void relay_release(struct exchange *ex); /* pipes go back */
