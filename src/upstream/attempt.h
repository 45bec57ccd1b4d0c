/* One try of an exchange at one endpoint: from the choice of a connection to the end of its answer. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "http/h1_stream.h"
#include "upstream/health.h"
#include "upstream/pool.h"
#include "upstream/service.h"

enum attempt_state {
    ATTEMPT_NONE,
    ATTEMPT_CONNECTING,
    ATTEMPT_SECURING, /* connected; the TLS handshake goes on */
    ATTEMPT_CONNECTED,
};

enum attempt_failure {
    ATTEMPT_FINE,
    ATTEMPT_NO_ENDPOINT,  /* the service has none that can be used, or their names are not resolved */
    ATTEMPT_BREAKER_OPEN, /* a breaker lets nothing pass */
    ATTEMPT_BUSY,         /* every endpoint has as many requests as it may: wait for a turn */
    ATTEMPT_CONNECT_FAILED,
    ATTEMPT_TLS_FAILED, /* counts as a failure to connect */
    ATTEMPT_CLOSED,     /* the origin closed or reset before a whole head */
    ATTEMPT_INVALID,    /* the answer broke the protocol */
    ATTEMPT_NO_MEMORY,
};

/* Embedded in whoever tries. Zeroed is "none". */
struct attempt {
    enum attempt_state state;
    enum attempt_failure failure;
    const struct service *service;
    struct endpoint *endpoint;
    struct origin_connection *connection;
    struct group_shared *group; /* where the try counts as load */
    struct pick
        pick; /* what the endpoint is chosen by, across tries; the caller may set it before the first one */
    uint64_t endpoint_hash; /* of the latest endpoint, after its try too */
    bool reused;            /* the connection had served before: it may turn out to be closed */
    bool got_byte;          /* something of an answer was there */
    int error;              /* errno of a failed connect */
    struct {                /* of a failed TLS handshake; texts are static, or NULL */
        enum tls_failure failure;
        const char *reason, *detail;
    } tls;
    struct admission admission;
    struct try_report report;                  /* how it goes: set here, `fault` also by who aborts */
    int64_t sent_ns;                           /* the try began; or, later, the request's body was sent */
    void (*on_event)(struct attempt *attempt); /* something is readable, writable, or ended */
    struct buffer *held; /* input buffer with the answer's head, after the connection went back */
};

/* Chooses an endpoint and a connection. ATTEMPT_FINE: `state` says whether it is connected already. */
enum attempt_failure attempt_start(struct attempt *attempt, struct upstream_worker *worker,
                                   const struct service *service);

/* The same at this endpoint, whatever is known of it, on a new connection, and counted nowhere: for health checks. */
enum attempt_failure attempt_probe(struct attempt *attempt, struct upstream_worker *worker,
                                   const struct service *service, struct endpoint *endpoint);

/* Is it on its way to be connected? */
static inline bool attempt_is_connecting(const struct attempt *attempt)
{
    return attempt->state == ATTEMPT_CONNECTING || attempt->state == ATTEMPT_SECURING;
}

/* After an event while connecting: ATTEMPT_FINE with state CONNECTED or still on its way, or the failure. */
enum attempt_failure attempt_connected(struct attempt *attempt, struct upstream_worker *worker);

static inline struct stream *attempt_stream(struct attempt *attempt)
{
    return &attempt->connection->h1.stream;
}

/* Reads an answer's head. H1_HEAD_FAILED and H1_HEAD_END both mean that the origin went away. */
enum h1_head_status attempt_read_head(struct attempt *attempt, struct arena *arena, enum http_method method,
                                      struct response *response);

/* The answer has been read whole: gives the connection back (the head's texts stay valid until attempt_release). */
void attempt_finish(struct attempt *attempt, struct upstream_worker *worker, bool reusable);

/* Ends a try that is not to be used any more: closes its connection. `failed` counts against the endpoint, as `report.fault` says, or as what it
 * was doing suggests; otherwise nothing is known of it. The head's texts stay valid until attempt_release. */
void attempt_abort(struct attempt *attempt, struct upstream_worker *worker, bool failed);

/* After the exchange: nothing is held any more. */
void attempt_release(struct attempt *attempt, struct upstream_worker *worker);
