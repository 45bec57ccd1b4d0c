/* Which route an exchange takes, and what that does to the path. */
#pragma once

#include "proxy/exchange.h"
#include "proxy/snapshot.h"

/* The snapshot's fallback where none matches. NULL: the route that would win asks for the request's body, and the body is not here yet: buffer it
 * whole (ex->request_body, or ex->request_done) and call again. Fills ex->captures and ex->forward_path. */
const struct route *match_route(struct exchange *ex);

/* Which condition does not hold, for explain: .at NULL, all hold. The text is made in the exchange's arena. */
struct text match_why_not(const struct route *route, struct match_subject *subject);
