/* The policies that an exchange meets, in their order: merged from the scopes once, when a snapshot is built or a kind of consumer is first
 * seen on a route, never per request. */
#pragma once

#include "policy/instance.h"

struct plan {
    const struct policy_instance *const *entries;
    uint16_t count;
    bool request_stream;  /* some body hook on the request */
    bool response_stream; /* some body hook on the response */
    /* The first that needs the body whole, for explain; NULL: none. */
    const struct policy_instance *buffers_request, *buffers_response;
};

enum { PLAN_ENTRIES_MAX = 256 };

/* Merges sets from wide to narrow: a later set replaces entries of the same id; then sorted by stage, wide before narrow, as written. NULL: no
 * memory, or more than PLAN_ENTRIES_MAX entries. */
const struct plan *plan_merge(struct arena *arena, const struct policy_set *const *sets, size_t count);

/* The plan after a consumer became known at entry `at` of `plan`: entries up to `at` stay, the rest is merged anew from `base` (the route's own
 * plan) and the consumer's sets. A consumer that was known before and is known no more takes its policies along. */
const struct plan *plan_extend(struct arena *arena, const struct plan *base, const struct plan *plan,
                               uint16_t at, const struct policy_set *const *sets, size_t count);
