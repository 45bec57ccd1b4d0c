/* The endpoints of the process: made on first claim, resolved while they live, dropped when every worker has let go. */
#include "upstream/endpoint.h"

#include <errno.h>
#include <stdio.h>

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/table.h"
#include "http/uri.h"
#include "net/resolver.h"
#include "upstream/pool.h"

enum {
    REFRESH_MIN_MS = 1000,
    REFRESH_MAX_MS = 300000,
    REFRESH_HOSTS_MS = 10000, /* answers without a time to live */
    RETRY_MS = 2000,
};

struct endpoints {
    struct loop *control;
    struct resolver *resolver;
    struct upstream_worker *const *workers;
    unsigned workers_count;
    struct list all;
    struct table by_key;                                    /* "service\nurl" */
    void (*made)(void *context, struct endpoint *endpoint); /* NULL: nobody watches */
    void (*dropped)(void *context, struct endpoint *endpoint);
    void *context;
};

/* An endpoint with what only this file needs. */
struct endpoint_entry {
    struct endpoint endpoint;
    struct endpoints *owner;
    struct text key;
    struct resolver_query query;
    struct timer refresh;
    bool querying, settled;
    unsigned to_drain; /* workers that still hold the dropped endpoint */
};

static struct endpoint_entry *entry_of(struct endpoint *endpoint)
{
    return CONTAINER_OF(endpoint, struct endpoint_entry, endpoint);
}

/* --- addresses, by mail --- */

struct delivery {
    struct task task;
    struct pool *pool;
    struct address *addresses;
    uint32_t count;
};

static void deliver(struct task *task)
{
    struct delivery *delivery = CONTAINER_OF(task, struct delivery, task);
    pool_set_addresses(delivery->pool, delivery->addresses, delivery->count);
    memory_free(delivery);
}

static bool send_addresses(struct endpoint *endpoint, unsigned worker, const struct address *addresses,
                           uint32_t count)
{
    struct delivery *delivery = memory_zero(sizeof *delivery);
    struct address *copy = memory_array(count, sizeof *copy);
    if (!delivery || !copy) {
        memory_free(delivery);
        memory_free(copy);
        return false;
    }
    memcpy(copy, addresses, count * sizeof *copy);
    *delivery = (struct delivery){{.run = deliver}, &endpoint->pools[worker], copy, count};
    loop_mail(endpoint->pools[worker].worker->loop, &delivery->task);
    return true;
}

static bool publish(struct endpoint *endpoint, const struct address *addresses, uint32_t count)
{
    for (unsigned i = 0; i < endpoint->pools_count; i++)
        if (!send_addresses(endpoint, i, addresses, count))
            return false;
    atomic_store(&endpoint->addresses_count, count);
    return true;
}

static void resolved(struct resolver_query *query, const struct resolved *result)
{
    struct endpoint_entry *entry = CONTAINER_OF(query, struct endpoint_entry, query);
    struct loop *loop = entry->owner->control;
    uint32_t count = (uint32_t)MIN_OF(result->count, (size_t)ENDPOINT_ADDRESSES_MAX);
    int64_t again_ms = RETRY_MS;
    entry->querying = false;
    entry->settled = true;
    if (result->error == 0 && count > 0 && publish(&entry->endpoint, result->addresses, count)) {
        atomic_store(&entry->endpoint.resolved_at_ms, loop->now_ms);
        int64_t ttl_ms = result->ttl_ms ? result->ttl_ms : REFRESH_HOSTS_MS;
        again_ms = MAX_OF(REFRESH_MIN_MS, MIN_OF(ttl_ms, REFRESH_MAX_MS));
    } else { /* old answers are kept */
        log_warn("endpoint not resolved", LOG_TEXT("service", entry->endpoint.service),
                 LOG_TEXT("name", entry->endpoint.name), LOG_STRING("reason", result->reason));
    }
    timer_set(loop, &entry->refresh, loop->now_ms + again_ms);
}

static void refresh(struct timer *timer)
{
    struct endpoint_entry *entry = CONTAINER_OF(timer, struct endpoint_entry, refresh);
    entry->querying = true;
    entry->query.on_done = resolved;
    resolver_start(entry->owner->resolver, &entry->query, entry->endpoint.name.at, entry->endpoint.port);
}

/* --- making --- */

struct endpoints *endpoints_new(struct loop *control, struct resolver *resolver,
                                struct upstream_worker *const *workers, unsigned workers_count)
{
    struct endpoints *endpoints = memory_zero(sizeof *endpoints);
    if (!endpoints)
        return NULL;
    *endpoints = (struct endpoints){
        .control = control, .resolver = resolver, .workers = workers, .workers_count = workers_count};
    list_init(&endpoints->all);
    return endpoints;
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
    for (unsigned i = 0; i < entry->endpoint.pools_count; i++) {
        memory_free(entry->endpoint.pools[i].addresses);
        tls_sessions_release(&entry->endpoint.pools[i].sessions);
    }
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
        if (entry->querying)
            resolver_cancel(endpoints->resolver, &entry->query);
        timer_clear(endpoints->control, &entry->refresh);
        if (endpoints->dropped && entry->endpoint.claims > 0)
            endpoints->dropped(endpoints->context, &entry->endpoint);
        destroy(entry);
    }
    table_release(&endpoints->by_key);
    memory_free(endpoints);
}

/* Copies all texts of an endpoint into one block, whose start is the table key "service\nurl". */
static bool set_texts(struct endpoint_entry *entry, struct text service, struct text url,
                      const struct uri *uri)
{
    size_t size = service.size + url.size + 2 + uri->authority.size + 1 + uri->host.size + 1;
    char *block = memory_alloc(size);
    if (!block)
        return false;
    int key = snprintf(block, size, "%.*s\n%.*s", TEXT_ARGS(service), TEXT_ARGS(url));
    char *authority = block + key + 1, *host = authority + uri->authority.size + 1;
    if (uri->authority.size)
        memcpy(authority, uri->authority.at, uri->authority.size);
    authority[uri->authority.size] = 0;
    if (uri->host.size)
        memcpy(host, uri->host.at, uri->host.size);
    host[uri->host.size] = 0;
    entry->key = (struct text){block, (size_t)key};
    entry->endpoint.service = (struct text){block, service.size};
    entry->endpoint.url = (struct text){block + service.size + 1, url.size};
    entry->endpoint.host = (struct text){authority, uri->authority.size};
    entry->endpoint.name = entry->endpoint.server = (struct text){host, uri->host.size};
    entry->endpoint.tls = text_equal(uri->scheme, TEXT("https"));
    entry->endpoint.port = uri->port;
    return true;
}

/* "http://host:port", "https://host:port" or "unix:/path": what an endpoint may be. */
static bool parse_url(struct text url, struct uri *ret_uri, struct error *reterr)
{
    if (text_starts_with(url, TEXT("unix:/"))) {
        *ret_uri = (struct uri){.authority = TEXT("localhost"), .host = TEXT("localhost")};
        if (url.size - 5 < sizeof((struct sockaddr_un){0}.sun_path))
            return true;
        error_set(reterr, -EINVAL, "the path of a unix socket has at most 107 bytes");
        return false;
    }
    if (uri_parse(url, ret_uri) && ret_uri->path.size <= 1 && !ret_uri->query.at)
        return true;
    error_set(reterr, -EINVAL,
              "an endpoint is http://HOST:PORT or https://HOST:PORT without a path, or unix:/PATH");
    return false;
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

/* A literal address is there at once: no worker knows the endpoint yet, so no mail is needed. */
static bool set_literal(struct endpoint *endpoint)
{
    endpoint->name = (struct text){NULL, 0};
    for (unsigned i = 0; i < endpoint->pools_count; i++) {
        struct address *copy = memory_alloc(sizeof *copy);
        if (!copy)
            return false;
        *copy = endpoint->literal;
        pool_set_addresses(&endpoint->pools[i], copy, 1);
    }
    atomic_store(&endpoint->addresses_count, 1);
    return true;
}

static bool is_literal(struct endpoint *endpoint)
{
    if (text_starts_with(endpoint->url, TEXT("unix:/")))
        return address_parse(endpoint->url, &endpoint->literal);
    return address_parse_ip(endpoint->name, endpoint->port, &endpoint->literal);
}

struct endpoint *endpoint_claim(struct endpoints *endpoints, struct text service, struct text url,
                                struct error *reterr)
{
    struct uri uri;
    if (!parse_url(url, &uri, reterr))
        return NULL;
    struct endpoint_entry *entry = memory_zero(sizeof *entry);
    if (!entry || !set_texts(entry, service, url, &uri)) {
        memory_free(entry);
        error_set(reterr, -ENOMEM, "out of memory");
        return NULL;
    }
    struct endpoint_entry *known = table_get(&endpoints->by_key, entry->key);
    if (known) {
        destroy(entry);
        known->endpoint.claims++;
        return &known->endpoint;
    }
    entry->owner = endpoints;
    entry->endpoint.claims = 1;
    bool literal = is_literal(&entry->endpoint);
    if (!make_pools(entry) || (literal && !set_literal(&entry->endpoint))
        || !table_put(&endpoints->by_key, entry->key, entry)) {
        destroy(entry);
        error_set(reterr, -ENOMEM, "out of memory");
        return NULL;
    }
    list_push_back(&endpoints->all, &entry->endpoint.link);
    entry->refresh.on_due = refresh;
    entry->settled = literal || !endpoints->resolver;
    if (!entry->settled)
        refresh(&entry->refresh);
    if (endpoints->made)
        endpoints->made(endpoints->context, &entry->endpoint);
    return &entry->endpoint;
}

/* --- dropping: each worker closes its idle connections, then says so to the control thread --- */

static void drained(struct task *task)
{
    struct endpoint_entry *entry = entry_of(CONTAINER_OF(task, struct pool, drop)->endpoint);
    if (--entry->to_drain > 0)
        return;
    list_remove(&entry->endpoint.link);
    destroy(entry);
}

static void drain_pool(struct task *task)
{
    struct pool *pool = CONTAINER_OF(task, struct pool, drop);
    CHECK(list_is_empty(&pool->busy)); /* exchanges hold the snapshot, and with it the claim */
    pool_close_idle(pool);
    pool->drop.run = drained;
    loop_mail(entry_of(pool->endpoint)->owner->control, &pool->drop);
}

void endpoint_release(struct endpoints *endpoints, struct endpoint *endpoint)
{
    struct endpoint_entry *entry = entry_of(endpoint);
    CHECK(endpoint->claims > 0);
    if (--endpoint->claims > 0)
        return;
    table_remove(&endpoints->by_key, entry->key);
    if (endpoints->dropped)
        endpoints->dropped(endpoints->context, endpoint);
    if (entry->querying)
        resolver_cancel(endpoints->resolver, &entry->query);
    entry->querying = false;
    timer_clear(endpoints->control, &entry->refresh);
    entry->to_drain = endpoint->pools_count;
    for (unsigned i = 0; i < endpoint->pools_count; i++) {
        struct pool *pool = &endpoint->pools[i];
        pool->drop.run = drain_pool;
        loop_mail(pool->worker->loop, &pool->drop);
    }
}

bool endpoints_settled(const struct endpoints *endpoints)
{
    LIST_EACH (link, &endpoints->all) {
        if (!CONTAINER_OF(link, const struct endpoint_entry, endpoint.link)->settled)
            return false;
    }
    return true;
}

const struct endpoint *endpoints_next(const struct endpoints *endpoints, const struct endpoint *previous)
{
    const struct list *next = previous ? previous->link.next : endpoints->all.next;
    return next == &endpoints->all ? NULL : CONTAINER_OF(next, const struct endpoint, link);
}
