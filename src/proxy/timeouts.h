/* The timeouts of an exchange: what its route says, else its service or its listener. */
#pragma once

#include "proxy/connection.h"
#include "proxy/route.h"

/* Before a route is chosen there is only the listener. */
static inline int64_t timeout_of(int32_t routes_ms, int64_t others_ms)
{
    return routes_ms >= 0 ? routes_ms : others_ms;
}

static inline int64_t timeout_connect_ms(const struct exchange *ex)
{
    return timeout_of(ex->route->timeouts.connect_ms, ex->service->connect_timeout_ms);
}

static inline int64_t timeout_response_ms(const struct exchange *ex)
{
    return timeout_of(ex->route->timeouts.response_ms, ex->service->response_timeout_ms);
}

static inline int64_t timeout_idle_ms(const struct exchange *ex)
{
    return timeout_of(ex->route->timeouts.idle_ms, ex->service->idle_timeout_ms);
}

/* While the service takes nothing of the request. */
static inline int64_t timeout_take_ms(const struct exchange *ex)
{
    return ex->service->send_timeout_ms ? ex->service->send_timeout_ms : timeout_idle_ms(ex);
}

/* 0: none. */
static inline int64_t timeout_total_ms(const struct exchange *ex)
{
    return timeout_of(ex->route->timeouts.total_ms, ex->service ? ex->service->total_timeout_ms : 0);
}

static inline int64_t timeout_body_ms(const struct exchange *ex)
{
    return timeout_of(ex->route ? ex->route->timeouts.body_ms : -1,
                      ex->connection->listener->config->body_timeout_ms);
}

static inline int64_t timeout_send_ms(const struct exchange *ex)
{
    return timeout_of(ex->route ? ex->route->timeouts.send_ms : -1,
                      ex->connection->listener->config->send_timeout_ms);
}
