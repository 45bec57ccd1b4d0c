/* One address of a service, as it lives in this process: it outlives snapshots and endpoint sets, so that its pools, load and failures
 * survive reloads and changes of names.
 *
 * Made and dropped by the control thread; workers read it and count in it with atomics. Each worker has its own pool of connections here, so
 * that nothing is locked. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/text.h"
#include "net/address.h"
#include "net/loop.h"
#include "upstream/breaker.h"
#include "upstream/passive.h"

struct endpoints;
struct upstream_worker;
struct pool;

/* What the newest set of its service says of it, for status pages. Control thread. */
struct endpoint_role {
    uint32_t weight, priority, srv_priority;
    bool drain;
    char zone[48]; /* cut, if it is longer */
};

struct probe;

/* What a person has said about an endpoint on the admin listener. */
enum hand {
    HAND_AUTO,
    HAND_UP,    /* used whatever checks and failures say */
    HAND_DOWN,  /* not used */
    HAND_DRAIN, /* takes nothing new */
};

/* What active checks say. */
enum checked {
    CHECKED_NOT, /* nothing: there are no checks, or none has ended */
    CHECKED_UP,
    CHECKED_DOWN,
    CHECKED_AWAITED, /* out of service until the first check passes */
};

struct endpoint {
    struct text
        url; /* "http://192.0.2.1:8080", "https://..." or "unix:/path", zero-terminated: where it is */
    struct text service; /* name */
    struct text
        host; /* as configured or found, with the port where it is not 80 ("example.com:8080"): the Host for `host: endpoint` */
    struct text source; /* where it was found first: "config", or the key of a source (discover.h) */
    struct text
        server; /* host of the URL or of the service record, zero-terminated: the name that TLS asks for */
    struct address address;
    bool tls;    /* https */
    uint32_t id; /* unique in the process */
    uint64_t
        hash; /* of host and URL, the same on every node: for consistent hashing and sticky clients; never 0 */
    struct pool *pools; /* one per worker */
    unsigned pools_count;
    unsigned claims; /* of endpoint sets; control thread */
    uint32_t mark;   /* of who makes a set; control thread */
    struct endpoint_role role;
    struct list link;

    struct probe *probe; /* the health checker's; control thread */

    /* Shared by workers. Whether it may be used is asked with endpoint_usable() of health.h. */
    _Atomic int32_t in_flight;
    _Atomic uint8_t hand, checked; /* enum hand, enum checked */
    struct passive passive;
    struct breaker breaker;
    _Atomic uint64_t requests, failed;
    _Atomic int64_t began_ms; /* loop time when it appeared, or became healthy: slow start counts from here */
    _Atomic uint64_t latency; /* of peak-ewma (balance_peak_ewma.c) */
};

/* Is it out of service because of passive failures? */
static inline bool endpoint_is_ejected(const struct endpoint *endpoint, int64_t now_ms)
{
    int64_t until = atomic_load_explicit(&endpoint->passive.ejected_until_ms, memory_order_relaxed);
    return until != 0 && now_ms < until;
}

/* Since when it has been usable: the end of its latest ejection counts too. */
static inline int64_t endpoint_began_ms(const struct endpoint *endpoint)
{
    int64_t began_ms = atomic_load_explicit(&endpoint->began_ms, memory_order_relaxed);
    int64_t back_ms = atomic_load_explicit(&endpoint->passive.ejected_until_ms, memory_order_relaxed);
    return began_ms > back_ms ? began_ms : back_ms;
}

/* All endpoints of the process. Control thread. */
struct loop;
struct endpoints *endpoints_new(struct loop *control, struct upstream_worker *const *workers,
                                unsigned workers_count);
void endpoints_free(struct endpoints *endpoints);         /* after the workers have ended */
struct loop *endpoints_loop(struct endpoints *endpoints); /* the control thread's */

/* Calls when an endpoint is made, and when the last claim on one is given back: from then on it must not be used. Control thread. */
void endpoints_watch(struct endpoints *endpoints, void (*made)(void *context, struct endpoint *endpoint),
                     void (*dropped)(void *context, struct endpoint *endpoint), void *context);

/* What makes an endpoint what it is: two with the same service, host and URL are one. */
struct endpoint_identity {
    struct text service, url, host, source, server;
    bool tls;
    struct address address; /* a unix path is taken from the URL */
};

/* Finds or makes an endpoint and claims it once. NULL: no memory. */
struct endpoint *endpoint_claim(struct endpoints *endpoints, const struct endpoint_identity *identity);

/* After the last one nobody finds it any more; it is freed when every worker has let go of its connections. */
void endpoint_release(struct endpoints *endpoints, struct endpoint *endpoint);

/* A number that no endpoint is marked with. */
uint32_t endpoints_next_serial(struct endpoints *endpoints);

/* Calls `done` on the control thread after every worker has ended the turn that its loop is in: what workers hold only within a turn is
 * not held by any from then on. At once where there are no workers. */
struct endpoints_round {
    struct task task;
    struct endpoints *endpoints;
    unsigned at;
    void (*done)(struct endpoints_round *round);
};
void endpoints_round_start(struct endpoints *endpoints, struct endpoints_round *round,
                           void (*done)(struct endpoints_round *round));

/* Walks for status pages: NULL at the end. */
const struct endpoint *endpoints_next(const struct endpoints *endpoints, const struct endpoint *previous);
