/* One address of a service, as it lives in this process: it outlives snapshots, so that its pools, load and failures survive reloads.
 *
 * Made, resolved and dropped by the control thread; workers read it and count in it with atomics. Each worker has its own pool of
 * connections here and its own copy of the resolved addresses, delivered by mail, so that nothing is locked. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/text.h"
#include "net/address.h"
#include "upstream/breaker.h"
#include "upstream/passive.h"

struct endpoints;
struct upstream_worker;
struct pool;

struct probe;

enum { ENDPOINT_ADDRESSES_MAX = 64 };

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
        url; /* "http://host:port", "https://host:port" or "unix:/path", zero-terminated; its key within the service */
    struct text service; /* name */
    struct text
        host; /* as configured, with the port where it is not 80 ("example.com:8080"): the Host for `host: endpoint` */
    struct text name;   /* to be resolved; .at NULL: a literal address */
    struct text server; /* host of the URL, as it is */
    uint16_t port;
    bool tls; /* https */
    struct address literal;
    struct pool *pools; /* one per worker */
    unsigned pools_count;
    unsigned claims; /* of snapshots; control thread */
    struct list link;

    struct probe *probe; /* the health checker's; control thread */

    /* Shared by workers. Whether it may be used is asked with endpoint_usable() of health.h. */
    _Atomic int32_t in_flight;
    _Atomic uint8_t hand, checked; /* enum hand, enum checked */
    struct passive passive;
    struct breaker breaker;
    _Atomic uint64_t requests, failed;
    _Atomic int64_t resolved_at_ms; /* loop time of the last good answer; 0: none yet */
    _Atomic uint32_t addresses_count;
};

/* Is it out of service because of passive failures? */
static inline bool endpoint_is_ejected(const struct endpoint *endpoint, int64_t now_ms)
{
    int64_t until = atomic_load_explicit(&endpoint->passive.ejected_until_ms, memory_order_relaxed);
    return until != 0 && now_ms < until;
}

/* All endpoints of the process. Control thread. `resolver` may be NULL in tests: names then never resolve. */
struct resolver;
struct loop;
struct endpoints *endpoints_new(struct loop *control, struct resolver *resolver,
                                struct upstream_worker *const *workers, unsigned workers_count);
void endpoints_free(struct endpoints *endpoints); /* after the workers have ended */

/* Calls when an endpoint is made, and when the last claim on one is given back: from then on it must not be used. Control thread. */
void endpoints_watch(struct endpoints *endpoints, void (*made)(void *context, struct endpoint *endpoint),
                     void (*dropped)(void *context, struct endpoint *endpoint), void *context);

/* Finds or makes the endpoint `url` of a service and claims it once. NULL: no memory or not a URL (uri.h), `*reterr` says which. */
struct error;
struct endpoint *endpoint_claim(struct endpoints *endpoints, struct text service, struct text url,
                                struct error *reterr);
void endpoint_release(struct endpoints *endpoints, struct endpoint *endpoint);

/* True when every endpoint with a name has been resolved at least once or has failed to. */
bool endpoints_settled(const struct endpoints *endpoints);

/* Walks for status pages: NULL at the end. */
const struct endpoint *endpoints_next(const struct endpoints *endpoints, const struct endpoint *previous);
