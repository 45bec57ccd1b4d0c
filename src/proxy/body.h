/* Bodies that are whole in memory: gathering them, and what expressions see of them.
 *
 * Nothing is buffered unless something asks: a policy that declares BODY_WHOLE, or an expression that uses a body. The memory is charged to
 * `buffers.memory`. */
#pragma once

#include "proxy/relay.h"

/* Is the request's body in memory, or is there none? Until something of it was sent to an origin it can still be gathered. */
static inline bool body_request_is_whole(const struct exchange *ex)
{
    return ex->request_buffered || ex->request_done;
}

/* The same of the answer: one that was made here is whole. */
static inline bool body_response_is_whole(const struct exchange *ex)
{
    return ex->local || ex->response_buffered || ex->upgraded;
}

/* Largest body of the request that is gathered. */
int64_t body_request_max(const struct exchange *ex);

/* Reads what is there of the body. DONE: it is whole. NO_MEMORY: `buffers.memory` is used up. */
enum relay_result body_gather_request(struct exchange *ex);
enum relay_result body_gather_response(struct exchange *ex);

/* For expressions. .at NULL, false: it was not gathered (it is not used by what may gather it), or is no JSON. */
struct text body_request_text(const struct exchange *ex);
struct text body_response_text(const struct exchange *ex);
bool body_request_json(struct exchange *ex, struct value *ret_value);
bool body_response_json(struct exchange *ex, struct value *ret_value);

void body_release(struct exchange *ex);
