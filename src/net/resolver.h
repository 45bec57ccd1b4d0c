/* Host names to addresses by c-ares, on the loop of one thread (the control thread), never on a worker. */
#pragma once

#include "base/error.h"
#include "net/address.h"
#include "net/loop.h"

struct resolver;

/* NULL: *reterr says why. `servers` as "127.0.0.1:5353,..." (NULL: the system's). Timeout of one try and
 * tries. */
struct resolver *resolver_new(struct loop *loop, const char *servers, int64_t timeout_ms, int tries,
                              struct error *reterr);
void resolver_free(struct resolver *resolver); /* cancels what is under way: their callbacks are not called */

struct resolved {
    int error; /* 0, or -ENOENT (no such name, or it has no addresses), -ETIMEDOUT, -EIO (server failure) */
    const char *reason;              /* sentence for people, "" on success */
    const struct address *addresses; /* valid during the callback; port already set */
    size_t count;
    int64_t ttl_ms; /* smallest of the answers; 0 from /etc/hosts */
};

/* One query for A and AAAA (an address as text, with or without brackets, is its own answer). The query's
 * storage is the caller's until `on_done` ran (exactly once) or resolver_cancel(). `on_done` never runs
 * inside resolver_start(); it may start, cancel and free whatever it likes. At most 256 addresses, each once,
 * in the order of the answers. The search domains of the system's settings apply to names without a final
 * dot. */
struct resolver_query {
    void (*on_done)(struct resolver_query *query, const struct resolved *result);
    void *internal; /* NULL before the start and after the end */
};
void resolver_start(struct resolver *resolver, struct resolver_query *query, const char *name, uint16_t port);
void resolver_cancel(struct resolver *resolver,
                     struct resolver_query *query); /* one that is not under way: nothing happens */
