/* Connections of one worker to one endpoint: those that wait for their next use, last in first out, and those at work. */
#pragma once

#include "base/list.h"
#include "http/h1_stream.h"
#include "net/address.h"
#include "net/buffer_pool.h"
#include "net/loop.h"
#include "tls/client.h"
#include "tls/counts.h"

struct attempt;
struct endpoint;
struct service;

/* What a worker lends to all its connections to origins. */
struct upstream_worker {
    struct loop *loop;
    struct buffer_pool *buffers;
    unsigned index;
    struct tls_counts tls;                       /* handshakes with endpoints */
    _Atomic uint64_t opened, reused, open_count; /* written by the worker alone with counter_bump() */
};

struct origin_connection {
    struct socket_layer socket;
    struct h1_stream h1;
    struct tls_layer *tls; /* NULL: plain */
    struct pool *pool;
    struct upstream_worker *worker;
    struct attempt *attempt; /* NULL: idle */
    struct list link;        /* in the pool's idle or busy ring */
    int64_t idle_until_ms, began_ms;
    uint64_t requests;
};

struct pool {
    struct list idle; /* most recently used first */
    struct list busy;
    uint32_t idle_count;
    struct upstream_worker *worker;
    struct endpoint *endpoint;
    struct timer sweep; /* closes what has been idle too long */
    struct tls_sessions sessions;
    struct task drop; /* the way of a dropped endpoint through its workers */
    void (*on_empty)(
        struct pool
            *pool); /* not NULL: no connection is kept any more; called once, when the last one is closed */
};

void pool_init(struct pool *pool, struct upstream_worker *worker, struct endpoint *endpoint);

/* Keeps no connection from now on, and calls `on_empty` when none is left, perhaps at once: the pool may be gone after that. */
void pool_end(struct pool *pool, void (*on_empty)(struct pool *pool));

/* A live idle connection, or NULL; one that was made under other rules of TLS than the service's is closed instead. */
struct origin_connection *pool_take(struct pool *pool, const struct service *service);

/* Starts a new connection; NULL: failed at once, *ret_error is the negative errno. */
struct origin_connection *pool_connect(struct pool *pool, const struct service *service, int *ret_error);

/* Back from use: keeps it for the next one, or closes it. */
void pool_give(struct origin_connection *connection, const struct service *service, bool reusable);
