/* Keeps, finds and opens connections to one endpoint. */
#include "upstream/pool.h"

#include <errno.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "telemetry/histogram.h"
#include "upstream/attempt.h"
#include "upstream/endpoint.h"

enum { SWEEP_MS = 1000 };

static void destroy(struct origin_connection *connection)
{
    struct upstream_worker *worker = connection->worker;
    list_remove(&connection->link);
    h1_stream_release(&connection->h1);
    loop_remove(worker->loop, &connection->socket.watch);
    layer_close(connection->h1.layer);
    tls_layer_free(connection->tls);
    counter_bump(&worker->open_count, (uint64_t)-1);
    loop_defer_free(worker->loop, connection);
}

static void say_if_empty(struct pool *pool)
{
    if (pool->on_empty && list_is_empty(&pool->busy))
        pool->on_empty(pool);
}

static void close_idle(struct origin_connection *connection)
{
    connection->pool->idle_count--;
    destroy(connection);
}

/* The oldest are at the back. */
static void sweep(struct timer *timer)
{
    struct pool *pool = CONTAINER_OF(timer, struct pool, sweep);
    struct loop *loop = pool->worker->loop;
    while (!list_is_empty(&pool->idle)) {
        struct origin_connection *oldest = CONTAINER_OF(pool->idle.previous, struct origin_connection, link);
        if (oldest->idle_until_ms > loop->now_ms)
            break;
        close_idle(oldest);
    }
    if (!list_is_empty(&pool->idle))
        timer_set(loop, timer, loop->now_ms + SWEEP_MS);
}

void pool_init(struct pool *pool, struct upstream_worker *worker, struct endpoint *endpoint)
{
    *pool = (struct pool){.worker = worker, .endpoint = endpoint, .sweep = {.on_due = sweep}};
    list_init(&pool->idle);
    list_init(&pool->busy);
}

void pool_end(struct pool *pool, void (*on_empty)(struct pool *pool))
{
    while (!list_is_empty(&pool->idle))
        close_idle(CONTAINER_OF(pool->idle.next, struct origin_connection, link));
    timer_clear(pool->worker->loop, &pool->sweep);
    pool->on_empty = on_empty;
    say_if_empty(pool);
}

/* Nothing waits in the socket: asked only where the last read took exactly what it wanted and could not tell. TLS may have messages of its
 * own there. */
static bool is_quiet(struct origin_connection *connection)
{
    struct layer *layer = connection->h1.layer;
    char byte;
    return !connection->socket.ended
           && (!layer_pending(layer) || layer_read(layer, &byte, 1).status == IO_BLOCKED);
}

/* Any event on an idle connection but "writable" ends it: an origin has nothing to say without a request. */
static void idle_event(struct origin_connection *connection)
{
    if (!is_quiet(connection))
        close_idle(connection);
}

static void on_ready(struct watch *watch, uint32_t events)
{
    struct origin_connection *connection = CONTAINER_OF(watch, struct origin_connection, socket.watch);
    socket_layer_event(&connection->socket, events);
    if (connection->attempt)
        connection->attempt->on_event(connection->attempt);
    else
        idle_event(connection);
}

struct origin_connection *pool_take(struct pool *pool, const struct service *service)
{
    struct origin_connection *connection = NULL;
    while (!connection && !list_is_empty(&pool->idle)) {
        connection = CONTAINER_OF(pool->idle.next, struct origin_connection, link);
        bool over =
            connection->idle_until_ms <= pool->worker->loop->now_ms; /* the sweep comes only once a second */
        if (over || (connection->tls && connection->tls->identity != service->tls->identity)) {
            close_idle(connection);
            connection = NULL;
        }
    }
    if (!connection)
        return NULL;
    list_remove(&connection->link);
    list_push_front(&pool->busy, &connection->link);
    pool->idle_count--;
    counter_bump(&pool->worker->reused, 1);
    return connection;
}

/* The layer that bytes go through; NULL: no memory. */
static struct layer *make_layer(struct origin_connection *connection, const struct service *service)
{
    struct pool *pool = connection->pool;
    if (!pool->endpoint->tls)
        return &connection->socket.layer;
    connection->tls =
        tls_client_connect(service->tls, &connection->socket, pool->endpoint->server, &pool->sessions);
    return connection->tls ? &connection->tls->layer : NULL;
}

static struct origin_connection *adopt(struct pool *pool, const struct service *service, int fd)
{
    struct origin_connection *connection = memory_zero(sizeof *connection);
    if (!connection)
        return NULL;
    connection->pool = pool;
    connection->worker = pool->worker;
    connection->began_ms = pool->worker->loop->now_ms;
    socket_layer_init(&connection->socket, fd, false);
    connection->socket.watch.on_ready = on_ready;
    struct layer *layer = make_layer(connection, service);
    if (layer)
        h1_stream_init(&connection->h1, layer, &connection->socket, pool->worker->buffers);
    if (!layer
        || loop_add(pool->worker->loop, &connection->socket.watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)
               < 0) {
        tls_layer_free(connection->tls);
        memory_free(connection);
        return NULL;
    }
    list_push_front(&pool->busy, &connection->link);
    counter_bump(&pool->worker->opened, 1);
    counter_bump(&pool->worker->open_count, 1);
    return connection;
}

struct origin_connection *pool_connect(struct pool *pool, const struct service *service, int *ret_error)
{
    int fd = socket_connect(&pool->endpoint->address, NULL);
    if (fd < 0) {
        *ret_error = fd;
        return NULL;
    }
    struct origin_connection *connection = adopt(pool, service, fd);
    if (!connection) {
        close(fd);
        *ret_error = -ENOMEM;
    }
    return connection;
}

/* Both messages are complete and nothing is left over. */
static bool is_clean(struct origin_connection *c)
{
    return !c->h1.broken && !c->h1.ended && c->h1.in_done && c->h1.out_done && c->h1.out_size == 0
           && !c->h1.in && is_quiet(c);
}

/* It has served so often, or for so long, that another one is to take its place. */
static bool is_worn(const struct origin_connection *connection, const struct service *service)
{
    int64_t age_ms = connection->worker->loop->now_ms - connection->began_ms;
    return (service->pool_requests_max && connection->requests >= service->pool_requests_max)
           || (service->pool_age_ms && age_ms >= service->pool_age_ms);
}

void pool_give(struct origin_connection *connection, const struct service *service, bool reusable)
{
    struct pool *pool = connection->pool;
    connection->attempt = NULL;
    connection->requests++;
    bool kept = reusable && is_clean(connection) && service->pool_size > 0 && !pool->on_empty;
    if (!kept || is_worn(connection, service)) {
        destroy(connection);
        say_if_empty(pool);
        return;
    }
    list_remove(&connection->link);
    list_push_front(&pool->idle, &connection->link);
    connection->idle_until_ms = pool->worker->loop->now_ms + service->pool_idle_ms;
    if (service->pool_age_ms)
        connection->idle_until_ms =
            MIN_OF(connection->idle_until_ms, connection->began_ms + service->pool_age_ms);
    if (++pool->idle_count > service->pool_size)
        close_idle(CONTAINER_OF(pool->idle.previous, struct origin_connection, link));
    if (!timer_is_set(&pool->sweep))
        timer_set(pool->worker->loop, &pool->sweep, pool->worker->loop->now_ms + SWEEP_MS);
}
