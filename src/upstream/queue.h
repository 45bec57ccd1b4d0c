/* How many requests a service, and each of its endpoints, has at once; the others wait in a row, for a bounded time.
 *
 * The node's workers share one row: first come, first served, whoever's client it is. Nothing is locked: permits are a counter, the row is a ring of
 * slots, and whose turn has come learns it by mail. A turn is promised to one waiter for each request that ends, and newcomers do not pass those
 * who wait. Everything but queue_rules_build() runs on workers. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "config/field.h"
#include "net/loop.h"
#include "upstream/row.h"

struct queue;
struct service;
struct states;

struct queue_slot {
    struct task letter;
    _Atomic uint32_t state;
    uint32_t index;
    struct queue *queue;
    struct loop *loop;
    struct queue_place *place; /* of the waiting thread; NULL: it has gone */
};

/* Shared by all workers, claimed by the service's name. */
struct queue {
    _Atomic int32_t in_flight, waiting;
    _Atomic int32_t promised; /* turns that were given and not used yet */
    _Atomic uint64_t refused, timed_out;
    _Atomic uint32_t references;
    struct row row, unused; /* of slots' numbers */
    struct queue_slot *slots;
    uint32_t slots_count;
};

struct queue_rules {
    int32_t requests_max, per_endpoint_max; /* 0: no limit */
    int32_t waiting_max;
    int64_t timeout_ms;
    struct queue *queue; /* NULL: there are no limits */
};

struct queue_config {
    int64_t requests, per_endpoint, waiting, timeout_ms;
};
extern const struct field queue_fields[];
bool queue_rules_build(struct binder *binder, struct states *states, struct text service,
                       const struct queue_config *config, const struct node *node, struct queue_rules *rules);

/* Embedded in who waits. Zeroed is "not in". */
struct queue_place {
    struct queue_slot *slot;
    void (*on_turn)(struct queue_place *place); /* its turn has come: queue_has_turn() */
    bool admitted, promised;
    uint8_t returned; /* times that it found its endpoints busy */
};

enum queue_result { QUEUE_ADMITTED, QUEUE_WAIT, QUEUE_FULL };

/* To begin with a request, or, after its endpoints turned out to be busy, to wait for another turn. */
enum queue_result queue_enter(const struct service *service, struct queue_place *place, struct loop *loop);

static inline bool queue_has_turn(const struct queue_place *place)
{
    return place->admitted;
}

/* The request has taken its connection, or failed to: what was promised is no more. */
void queue_started(const struct service *service, struct queue_place *place);

/* The request is over, or does not want to wait any more. Can be called at any time, and again. */
void queue_leave(const struct service *service, struct queue_place *place);

/* A request at an endpoint is over: somebody may wait for that. */
void queue_endpoint_freed(const struct service *service);
