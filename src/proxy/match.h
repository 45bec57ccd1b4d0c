/* Which route an exchange takes, and what that does to the path. */
#pragma once

#include "proxy/exchange.h"
#include "proxy/snapshot.h"

/* Never NULL: the snapshot's fallback where none matches. Fills ex->captures and ex->forward_path. */
const struct route *match_route(struct exchange *ex);

/* Which condition does not hold, for explain: NULL, all hold. The text is made in the arena. */
struct text match_why_not(const struct route *route, const struct request *request, struct arena *arena);
