/* The endpoints of the process: made on first claim, dropped when every worker has let go. */
#include "upstream/endpoint.h"

#include <stdio.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/table.h"
#include "upstream/pool.h"

struct endpoints {
    struct loop *control;
    struct upstream_worker *const *workers;
    unsigned workers_count;
    struct list all;
    struct table by_key; /* "service\nhost\nurl" */
    uint32_t ids, serials;
    void (*made)(void *context, struct endpoint *endpoint); /* NULL: nobody watches */
    void (*dropped)(void *context, struct endpoint *endpoint);
    void *context;
};

/* An endpoint with what only this file needs. */
struct endpoint_entry {
    struct endpoint endpoint;
    struct endpoints *owner;
    struct text key;
    unsigned to_drain; /* workers that still hold the dropped endpoint */
};

static struct endpoint_entry *entry_of(struct endpoint *endpoint)
{
    return CONTAINER_OF(endpoint, struct endpoint_entry, endpoint);
}

struct endpoints *endpoints_new(struct loop *control, struct upstream_worker *const *workers,
                                unsigned workers_count)
{
    struct endpoints *endpoints = memory_zero(sizeof *endpoints);
    if (!endpoints)
        return NULL;
    *endpoints = (struct endpoints){.control = control, .workers = workers, .workers_count = workers_count};
    list_init(&endpoints->all);
    return endpoints;
}

struct loop *endpoints_loop(struct endpoints *endpoints)
{
    return endpoints->control;
}

uint32_t endpoints_next_serial(struct endpoints *endpoints)
{
    return ++endpoints->serials;
}

void endpoints_watch(struct endpoints *endpoints, void (*made)(void *context, struct endpoint *endpoint),
                     void (*dropped)(void *context, struct endpoint *endpoint), void *context)
{
    endpoints->made = made;
    endpoints->dropped = dropped;
    endpoints->context = context;
}

static void destroy(struct endpoint_entry *entry)
{
    for (unsigned i = 0; i < entry->endpoint.pools_count; i++)
        tls_sessions_release(&entry->endpoint.pools[i].sessions);
    memory_free(entry->endpoint.pools);
    memory_free((void *)(uintptr_t)entry->key.at);
    memory_free(entry);
}

void endpoints_free(struct endpoints *endpoints)
{
    if (!endpoints)
        return;
    LIST_EACH_SAFE (link, &endpoints->all) {
        struct endpoint_entry *entry = CONTAINER_OF(link, struct endpoint_entry, endpoint.link);
        if (endpoints->dropped && entry->endpoint.claims > 0)
            endpoints->dropped(endpoints->context, &entry->endpoint);
        destroy(entry);
    }
    table_release(&endpoints->by_key);
    memory_free(endpoints);
}

/* --- making --- */

/* All texts of an endpoint are in one block, which begins with the table's key: "service\nhost\nurl". */
static bool set_texts(struct endpoint_entry *entry, const struct endpoint_identity *identity)
{
    struct endpoint *endpoint = &entry->endpoint;
    size_t key = identity->service.size + 1 + identity->host.size + 1 + identity->url.size;
    size_t size = key + 1 + identity->source.size + 1 + identity->server.size + 1;
    char *block = memory_alloc(size);
    if (!block)
        return false;
    snprintf(block, size, "%.*s\n%.*s\n%.*s%c%.*s%c%.*s", TEXT_ARGS(identity->service),
             TEXT_ARGS(identity->host), TEXT_ARGS(identity->url), 0, TEXT_ARGS(identity->source), 0,
             TEXT_ARGS(identity->server));
    entry->key = (struct text){block, key};
    endpoint->service = text_slice(entry->key, 0, identity->service.size);
    endpoint->host =
        text_slice(entry->key, identity->service.size + 1, identity->service.size + 1 + identity->host.size);
    endpoint->url = text_slice(entry->key, key - identity->url.size, key);
    endpoint->source = (struct text){block + key + 1, identity->source.size};
    endpoint->server = (struct text){endpoint->source.at + identity->source.size + 1, identity->server.size};
    return true;
}

static bool make_pools(struct endpoint_entry *entry)
{
    struct endpoints *owner = entry->owner;
    struct endpoint *endpoint = &entry->endpoint;
    endpoint->pools = memory_array(owner->workers_count, sizeof *endpoint->pools);
    if (!endpoint->pools)
        return false;
    endpoint->pools_count = owner->workers_count;
    for (unsigned i = 0; i < owner->workers_count; i++)
        pool_init(&endpoint->pools[i], owner->workers[i], endpoint);
    return true;
}

static void set_address(struct endpoint *endpoint, const struct address *address)
{
    endpoint->address = *address;
    if (address->any.sa_family == AF_UNIX)
        (void)address_parse(endpoint->url, &endpoint->address); /* with the path in this endpoint's memory */
}

/* NULL: no memory. */
static struct endpoint_entry *make(struct endpoints *endpoints, const struct endpoint_identity *identity)
{
    struct endpoint_entry *entry = memory_zero(sizeof *entry);
    if (!entry || !set_texts(entry, identity)) {
        memory_free(entry);
        return NULL;
    }
    entry->owner = endpoints;
    set_address(&entry->endpoint, &identity->address);
    entry->endpoint.tls = identity->tls;
    entry->endpoint.hash =
        MAX_OF(hash_stable(text_slice(entry->key, entry->endpoint.service.size, entry->key.size), 0), 1u);
    entry->endpoint.began_ms = endpoints->control->now_ms;
    return entry;
}

struct endpoint *endpoint_claim(struct endpoints *endpoints, const struct endpoint_identity *identity)
{
    struct endpoint_entry *entry = make(endpoints, identity);
    if (!entry)
        return NULL;
    struct endpoint_entry *known = table_get(&endpoints->by_key, entry->key);
    if (known) {
        destroy(entry);
        known->endpoint.claims++;
        return &known->endpoint;
    }
    if (!make_pools(entry) || !table_put(&endpoints->by_key, entry->key, entry)) {
        destroy(entry);
        return NULL;
    }
    entry->endpoint.claims = 1;
    entry->endpoint.id = ++endpoints->ids;
    list_push_back(&endpoints->all, &entry->endpoint.link);
    if (endpoints->made)
        endpoints->made(endpoints->context, &entry->endpoint);
    return &entry->endpoint;
}

/* --- dropping: each worker closes its idle connections and waits for the busy ones, then says so to the control thread --- */

static void drained(struct task *task)
{
    struct endpoint_entry *entry = entry_of(CONTAINER_OF(task, struct pool, drop)->endpoint);
    if (--entry->to_drain > 0)
        return;
    list_remove(&entry->endpoint.link);
    destroy(entry);
}

static void pool_emptied(struct pool *pool)
{
    pool->drop.run = drained;
    loop_mail(entry_of(pool->endpoint)->owner->control, &pool->drop);
}

static void drain_pool(struct task *task)
{
    pool_end(CONTAINER_OF(task, struct pool, drop), pool_emptied);
}

/* A name may lose an address while exchanges are at it: they end as they would have. */
void endpoint_release(struct endpoints *endpoints, struct endpoint *endpoint)
{
    struct endpoint_entry *entry = entry_of(endpoint);
    CHECK(endpoint->claims > 0);
    if (--endpoint->claims > 0)
        return;
    table_remove(&endpoints->by_key, entry->key);
    if (endpoints->dropped)
        endpoints->dropped(endpoints->context, endpoint);
    entry->to_drain = endpoint->pools_count;
    if (entry->to_drain == 0) {
        list_remove(&endpoint->link);
        destroy(entry);
        return;
    }
    for (unsigned i = 0; i < endpoint->pools_count; i++) {
        struct pool *pool = &endpoint->pools[i];
        pool->drop.run = drain_pool;
        loop_mail(pool->worker->loop, &pool->drop);
    }
}

/* --- rounds --- */

static void round_ended(struct task *task)
{
    struct endpoints_round *round = CONTAINER_OF(task, struct endpoints_round, task);
    round->done(round);
}

static void send_on(struct endpoints_round *round);

static void visit(struct task *task)
{
    send_on(CONTAINER_OF(task, struct endpoints_round, task));
}

/* From worker to worker, and in the end home. */
static void send_on(struct endpoints_round *round)
{
    struct endpoints *endpoints = round->endpoints;
    bool is_last = round->at == endpoints->workers_count;
    round->task.run = is_last ? round_ended : visit;
    loop_mail(is_last ? endpoints->control : endpoints->workers[round->at++]->loop, &round->task);
}

void endpoints_round_start(struct endpoints *endpoints, struct endpoints_round *round,
                           void (*done)(struct endpoints_round *round))
{
    *round = (struct endpoints_round){.endpoints = endpoints, .done = done};
    if (endpoints->workers_count == 0)
        done(round);
    else
        send_on(round);
}

const struct endpoint *endpoints_next(const struct endpoints *endpoints, const struct endpoint *previous)
{
    const struct list *next = previous ? previous->link.next : endpoints->all.next;
    return next == &endpoints->all ? NULL : CONTAINER_OF(next, const struct endpoint, link);
}
