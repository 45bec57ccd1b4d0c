/* Which route an exchange takes, and what that does to the path. */
#pragma once

#include "proxy/exchange.h"
#include "proxy/snapshot.h"

/* The snapshot's fallback where none matches. NULL: the route that would win asks for the request's body, and the body is not here yet: gather
 * it (body_gather_request) and call again. Sets ex->route, ex->target, ex->captures and ex->forward_path; where
 * no service could be chosen or the path not be written, ex->error. */
const struct route *match_route(struct exchange *ex);

/* Which condition does not hold, for explain: .at NULL, all hold. The text is made in the exchange's arena. */
struct text match_why_not(const struct route *route, struct match_subject *subject);

/* What the service gets instead of the path: ex->forward_path, where the route changes it. False: *reterr says why it cannot be written. */
bool match_change_path(struct exchange *ex, const struct route *route, struct expr_error *reterr);
