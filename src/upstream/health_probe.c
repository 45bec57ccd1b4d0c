/* One active check: a new connection, a request, and what came of it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "upstream/health_private.h"

enum { ARENA_BLOCK = 4096, ARENA_MAX = 4 << 20 };

static void release(struct probe *probe)
{
    timer_clear(probe->checker->loop, &probe->deadline);
    probe->call = NULL;
    probe->attempt = NULL;
    arena_release(&probe->arena);
}

static void end(struct probe *probe, bool passed)
{
    release(probe);
    health_probe_over(probe, passed);
}

static void fail_to_connect(struct probe *probe, const struct attempt *attempt)
{
    int error = attempt->error;
    if (attempt->failure == ATTEMPT_TLS_FAILED)
        snprintf(probe->said, sizeof probe->said, "no TLS: %s",
                 attempt->tls.reason ? attempt->tls.reason : tls_failure_names[attempt->tls.failure]);
    else if (error == -EADDRNOTAVAIL)
        snprintf(probe->said, sizeof probe->said, "its name is not resolved");
    else
        snprintf(probe->said, sizeof probe->said, "no connection: %s", strerror(-error));
}

/* --- HTTP --- */

static void answered(struct origin_call *call)
{
    struct probe *probe = call->owner;
    bool passed = !call->failure
                  && health_check_judge(probe->service->check, &call->response, call->body, &probe->arena,
                                        probe->checker->loop->wall_ns, probe->said);
    if (call->failure && (call->attempt.error || call->attempt.failure == ATTEMPT_TLS_FAILED))
        fail_to_connect(probe, &call->attempt);
    else if (call->failure)
        snprintf(probe->said, sizeof probe->said, "%s", call->failure);
    attempt_release(&call->attempt, call->worker);
    end(probe, passed);
}

static struct text host_of(const struct probe *probe)
{
    const struct service *service = probe->service;
    return service->check->host.size            ? service->check->host
           : service->host_rule == HOST_LITERAL ? service->host
                                                : probe->endpoint->host;
}

static bool ask(struct probe *probe)
{
    const struct health_check *check = probe->service->check;
    const struct text_pair *pairs = check->headers.items;
    struct origin_call *call = ARENA_NEW(&probe->arena, struct origin_call);
    struct fields fields;
    fields_init(&fields, &probe->arena);
    (void)fields_add(&fields, TEXT("User-Agent"),
                     TEXT("turnpike-health-check")); /* without memory the arena says so */
    for (size_t i = 0; i < check->headers.count; i++)
        (void)fields_set(&fields, pairs[i].key, pairs[i].value); /* likewise */
    if (!call || probe->arena.failed)
        return false;
    enum http_method method = health_check_method(check);
    *call = (struct origin_call){
        .owner = probe,
        .on_over = answered,
        .arena = &probe->arena,
        .worker = probe->checker->worker,
        .service = probe->service,
        .endpoint = probe->endpoint,
        .request = {.method = method, .method_text = method_text(method)},
        .how = {.target = check->path, .host = host_of(probe)},
        .send_body = check->body,
        .body_bytes_max = health_check_body_bytes(check),
        .cut = true,
    };
    probe->call = call;
    origin_call_start(call, &fields);
    return true;
}

/* --- TCP --- */

static void connect_event(struct attempt *attempt)
{
    struct probe *probe = *(struct probe **)(attempt + 1);
    struct upstream_worker *worker = probe->checker->worker;
    bool connected = attempt_connected(attempt, worker) == ATTEMPT_FINE;
    if (connected && attempt->state == ATTEMPT_CONNECTING) /* with TLS the handshake is not waited for */
        return;
    if (!connected)
        fail_to_connect(probe, attempt);
    attempt_release(attempt, worker);
    end(probe, connected);
}

static bool knock(struct probe *probe)
{
    struct {
        struct attempt attempt;
        struct probe *probe;
    } *at = arena_zero(&probe->arena, sizeof *at);
    if (!at)
        return false;
    at->attempt.on_event = connect_event;
    at->probe = probe;
    probe->attempt = &at->attempt;
    if (attempt_probe(&at->attempt, probe->checker->worker, probe->service, probe->endpoint)
        != ATTEMPT_FINE) {
        fail_to_connect(probe, &at->attempt);
        end(probe, false);
    } else {
        connect_event(&at->attempt);
    }
    return true;
}

/* --- start and end --- */

static void let_go(struct probe *probe)
{
    if (probe->call)
        origin_call_cancel(probe->call);
    if (probe->attempt)
        attempt_release(probe->attempt, probe->checker->worker);
    release(probe);
}

static void too_late(struct timer *timer)
{
    struct probe *probe = CONTAINER_OF(timer, struct probe, deadline);
    const struct attempt *attempt = probe->call ? &probe->call->attempt : probe->attempt;
    snprintf(probe->said, sizeof probe->said, "no %s within %lld ms",
             attempt_is_connecting(attempt) ? "connection" : "answer",
             (long long)probe->service->check->timeout_ms);
    let_go(probe);
    health_probe_over(probe, false);
}

void health_probe_run(struct probe *probe, const struct service *service)
{
    struct loop *loop = probe->checker->loop;
    probe->service = service;
    probe->deadline.on_due = too_late;
    arena_init(&probe->arena, ARENA_BLOCK, ARENA_MAX);
    timer_set(loop, &probe->deadline, loop->now_ms + service->check->timeout_ms);
    if (service->check->type == CHECK_TCP ? knock(probe) : ask(probe))
        return;
    snprintf(probe->said, sizeof probe->said, "out of memory");
    end(probe, false);
}

void health_probe_cancel(struct probe *probe)
{
    let_go(probe);
}
