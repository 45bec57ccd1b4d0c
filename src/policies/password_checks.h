/* What basic-auth keeps for the whole process: passwords that were right a moment ago, and how many checks are under way.
 *
 * A password hash takes milliseconds on purpose, so a caller who sends the same password with each request is checked once and then
 * remembered for a while. What is remembered is a keyed digest of name, password and hash, never a password: a changed hash is
 * a different digest. Bounded, shared by workers without locks. Counted references, because a check may outlive its snapshot. */
#pragma once

#include <stdatomic.h>

#include "proxy/digest.h"

enum { PASSWORD_CACHE_SETS = 256, PASSWORD_CACHE_WAYS = 4 };

/* Torn reads are harmless: `check` holds the deadline too, so words of different writes do not fit together. */
struct password_slot {
    _Atomic uint64_t proof, check, deadline_ms;
};

struct password_checks {
    _Atomic unsigned refs;
    _Atomic unsigned waiting;
    uint8_t secret[32];
    struct password_slot slots[PASSWORD_CACHE_SETS][PASSWORD_CACHE_WAYS];
};

struct password_checks *password_checks_new(void); /* one reference; NULL: no memory */
struct password_checks *password_checks_ref(struct password_checks *checks);
void password_checks_unref(struct password_checks *checks);

/* What is remembered for a name with a password that fits `hash`. False: too long, or the digest could not be made. */
bool password_proof(const struct password_checks *checks, struct text username, struct text password,
                    struct text hash, struct sha256 *ret_proof);

bool password_checks_recall(struct password_checks *checks, const struct sha256 *proof, int64_t now_ms);
void password_checks_remember(struct password_checks *checks, const struct sha256 *proof, int64_t now_ms,
                              int64_t keep_ms);

/* One more check, if fewer than `max` are waiting. False: the limit is reached. */
bool password_checks_enter(struct password_checks *checks, unsigned max);
void password_checks_leave(struct password_checks *checks);
