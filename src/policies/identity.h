/* What the policies that identify callers share: refusals with a challenge, and callers without a credential. */
#pragma once

#include "policy/policy.h"

/* A realm stands in quotes in WWW-Authenticate (RFC 9110 section 11.5). False: it could not, which was reported at `realm`. */
bool identity_check_realm(struct prepare *prepare, struct text realm);

/* Answers 401 with a problem document and WWW-Authenticate: `challenge`, whose text lives as long as the configuration. */
enum verdict identity_refuse(struct exchange *ex, struct text challenge, struct text detail);

/* For a request without the policy's credential. With `anonymous` (a consumer's name, not empty) a caller that an earlier policy
 * identified stays, and any other becomes that consumer, with `anonymous` as its credential; without it the request is refused. */
enum verdict identity_missing(struct exchange *ex, struct text anonymous, struct text challenge,
                              struct text detail);
