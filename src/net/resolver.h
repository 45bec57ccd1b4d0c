/* Host names to addresses by c-ares, on the loop of one thread (the control thread), never on a worker. */
#pragma once

#include "base/error.h"
#include "net/address.h"
#include "net/loop.h"

struct resolver;

struct resolver_options {
    const char *servers; /* "127.0.0.1:5353,..."; NULL: the system's */
    int64_t timeout_ms;  /* of one try */
    int tries;
    bool
        search; /* the search domains of the system's settings apply to names without a final dot; else all names are absolute */
};

/* NULL: *reterr says why. */
struct resolver *resolver_new(struct loop *loop, const struct resolver_options *options,
                              struct error *reterr);
void resolver_free(struct resolver *resolver); /* cancels what is under way: their callbacks are not called */

struct dns_target;
struct resolved {
    int error; /* 0, or -ENOENT (no such name, or it has no records), -ETIMEDOUT, -EIO (server failure) */
    const char *reason;               /* sentence for people, "" on success */
    const struct address *addresses;  /* valid during the callback; port already set */
    const struct dns_target *targets; /* of resolver_start_srv() (dns_message.h) */
    size_t count;
    int64_t ttl_ms;    /* smallest of the answers, also of a negative one; -1: nothing says */
    int failed_family; /* AF_INET or AF_INET6: the other one was found, of this one nothing is known; 0: none */
};

/* One query, for A and AAAA (an address as text, with or without brackets, is its own answer; /etc/hosts comes before the servers) or for
 * SRV. The query's storage is the caller's until `on_done` ran (exactly once) or resolver_cancel(). `on_done` never runs
 * inside the start; it may start, cancel and free whatever it likes. At most 4,096 records, each address once. */
struct resolver_query {
    void (*on_done)(struct resolver_query *query, const struct resolved *result);
    void *internal; /* NULL before the start and after the end */
};
void resolver_start(struct resolver *resolver, struct resolver_query *query, const char *name, uint16_t port);
void resolver_start_srv(struct resolver *resolver, struct resolver_query *query, const char *name);
void resolver_cancel(struct resolver *resolver,
                     struct resolver_query *query); /* one that is not under way: nothing happens */
