/* What the tests of matching share: a snapshot of some routes, and requests that look for theirs. */
#pragma once

#include "proxy/snapshot_test.h"

#include "base/time.h"
#include "proxy/connection.h"
#include "proxy/match.h"
#include "proxy/worker.h"

static struct worker worker;
static struct listener listener;
static struct connection connection;
static struct exchange exchange;
static struct snapshot *snapshot;
static const struct table *route_names; /* to their objects */

static inline void begin(struct fixture *f, const char *routes)
{
    char yaml[8192];
    snprintf(
        yaml, sizeof yaml,
        "listeners: { main: { address: \"127.0.0.1:0\" }, inner: { address: \"127.0.0.2:0\" } }\n"
        "services: { a: { endpoints: \"http://127.0.0.1:1\" }, b: { endpoints: \"http://127.0.0.1:2\" } }\n"
        "routes:\n%s",
        routes);
    snapshot = good(f, yaml, NULL);
    route_names = &f->builder.routes.names;
    worker.metrics = metrics_thread(f->builder.metrics, 0);
    listener.config = snapshot->listeners[0];
    connection.listener = &listener;
}

/* A request with up to one field line; NULL: none. */
static inline void ask(struct fixture *f, const char *method, const char *target, const char *name,
                       const char *value)
{
    arena_init(&exchange.arena, 0, 0);
    struct text query = text_of(target), path = text_split(&query, '?');
    exchange = (struct exchange){.arena = exchange.arena,
                                 .worker = &worker,
                                 .loop = &f->loop,
                                 .snapshot = snapshot,
                                 .connection = &connection,
                                 .client_address = exchange.client_address,
                                 .request_done = true};
    exchange.request = (struct request){.method = method_parse(text_of(method)),
                                        .method_text = text_of(method),
                                        .scheme = TEXT("http"),
                                        .host = TEXT("shop.example"),
                                        .authority = TEXT("shop.example:8080"),
                                        .path = path,
                                        .query = query};
    fields_init(&exchange.request.fields, &exchange.arena);
    if (name)
        assert_true(fields_add(&exchange.request.fields, text_of(name), text_of(value)));
}

static inline const struct route *match(struct fixture *f, const char *method, const char *target,
                                        const char *name, const char *value)
{
    ask(f, method, target, name, value);
    return match_route(&exchange);
}

static inline void done(void)
{
    arena_release(&exchange.arena);
}

static inline const char *taken(struct fixture *f, const char *method, const char *target, const char *name,
                                const char *value)
{
    static char route[64];
    const struct route *found = match(f, method, target, name, value);
    snprintf(route, sizeof route, "%.*s", TEXT_ARGS(found == snapshot->fallback ? TEXT("-") : found->name));
    done();
    return route;
}

/* Why the route does not take the request that was asked last. */
static inline struct text why_not(const char *route)
{
    const struct object *object = table_get(route_names, text_of(route));
    struct match_subject subject = {.exchange = &exchange, .body_here = true};
    return match_why_not(object->value, &subject);
}
