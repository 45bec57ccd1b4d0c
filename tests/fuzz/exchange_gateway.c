/* A gateway of one worker for the fuzz target `exchange`: its loop is turned by hand and its clock stands still until it is moved.
 *
 * The program is linked with --wrap=time_monotonic_ns, so that every reading of that clock comes here. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fuzz_exchange.h"

#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/states.h"
#include "proxy/connection.h"
#include "proxy/listener_socket.h"
#include "proxy/listener_state.h"
#include "telemetry/metrics.h"
#include "upstream/endpoint.h"

struct worker gateway;
struct h1_limits gateway_limits;

static struct loop control;
static struct buffer_budget budget = {.bytes_max = 1 << 24};
static struct endpoints *endpoints;
static struct discovery *discovery;
static struct snapshot_builder builder;
static struct snapshot *snapshots[SNAPSHOTS_COUNT];
static struct listener_socket listener_sockets[2];
static char folder[] = "/tmp/fuzz-exchange-XXXXXX";
static int sockets[SOCKETS_COUNT];
static unsigned adopted;
static int64_t clock_ns = INT64_C(1000000000000);

int64_t __wrap_time_monotonic_ns(void);
int64_t __wrap_time_monotonic_ns(void)
{
    return clock_ns;
}

/* --- configurations --- */

static const char services[] = "services:\n"
                               "  main:\n"
                               "    endpoints: [\"unix:%s/2\"]\n"
                               "    timeouts: { connect: 1s, response: 1s, idle: 1s, total: 5s }\n"
                               "    passive: { failures: 0 }\n"
                               "    pool: { idle: 1s, size: 2 }\n"
                               "    limits: { fields: 24 }\n";

static const char listeners[] =
    "    address: unix:%s/%u\n"
    "    limits: { request_line: 512, fields: 24, trailers: 256, buffered_body: 16KiB }\n"
    "    timeouts: { head: 1s, body: 1s, idle: 2s, send: 1s }\n";

static const char all_policies[] =
    "policies:\n"
    "  - request-id: {}\n"
    "  - headers: { request: { set: { X-Exchange: \"${request.id}\" } }, response: { set: { X-Down: \"${request.id}\" } } }\n"
    "  - fuzz-judge: {}\n"
    "    id: gateway\n";

static const char routes[] =
    "routes:\n"
    "  all: { match: { path: /* }, service: main }\n"
    "  none: { match: { path: /none } }\n"
    "  post: { match: { path: /only, methods: [POST] }, service: main, limits: { body: 100 } }\n"
    "  whole: { match: { path: /whole/* }, service: main, policies: [ { fuzz-whole: {} } ] }\n"
    "  both: { match: { path: /both/* }, service: main, policies: [ { fuzz-whole: {} }, { fuzz-chew: {} } ] }\n"
    "  chew: { match: { path: /chew/* }, service: main, policies: [ { fuzz-chew: {} } ] }\n"
    "  pause: { match: { path: /pause/* }, service: main, policies: [ { fuzz-pause: {} } ] }\n"
    "  ask: { match: { path: /ask/* }, service: main, policies: [ { fuzz-ask: { url: \"unix:%s/3\" } } ] }\n"
    "  lax: { match: { path: /lax/* }, service: main, policies: [ { fuzz-ask: { url: \"unix:%s/3\" }, on_error: allow } ] }\n"
    "  strip: { match: { path: /strip/* }, service: main, strip_prefix: true, websocket: false }\n"
    "  size: { match: { path: /size/* }, service: main, policies: [ { size-limit: { request_body: 64, response_body: 64 } } ] }\n"
    "  key: { match: { path: /key/* }, service: main, policies: [ { key-auth: {} } ] }\n"
    "  cors: { match: { path: /cors/* }, service: main, policies: [ { cors: {} }, { security-headers: {} } ] }\n"
    "  local: { match: { path: /local }, respond: { status: 200, body: \"from here\" } }\n"
    "consumers:\n"
    "  alice: { keys: [the-key-of-alice-0123456789], policies: [ { fuzz-judge: {} } ] }\n";

/* The second changes what policies do to all requests, the third moves to another listener. */
static struct snapshot *build(unsigned which)
{
    char yaml[8192];
    int size = snprintf(yaml, sizeof yaml, "workers: 1\nlisteners:\n  l%u:\n", which / 2);
    size += snprintf(yaml + size, sizeof yaml - (size_t)size, listeners, folder, which / 2);
    size += snprintf(yaml + size, sizeof yaml - (size_t)size, services, folder);
    size += snprintf(yaml + size, sizeof yaml - (size_t)size, "%s", all_policies);
    size += snprintf(yaml + size, sizeof yaml - (size_t)size, "%s",
                     which == 1 ? "  - fuzz-pause: {}\n    when: \"size(request.path) > 6\"\n" : "");
    size += snprintf(yaml + size, sizeof yaml - (size_t)size, routes, folder, folder);
    struct arena arena;
    struct report report;
    struct document document;
    struct text text = {yaml, (size_t)size};
    arena_init(&arena, 0, 0);
    report_init(&report, &arena);
    struct snapshot *snapshot = NULL;
    if (document_parse(text, TEXT("fuzz"), NULL, &arena, &report, &document))
        snapshot = snapshot_build(&builder, &document, which ? snapshots[which - 1] : NULL, &report);
    if (!snapshot)
        report_print(&report, stderr);
    CHECK(snapshot);
    snapshot_commit(snapshot);
    arena_release(&arena);
    snapshot->sockets = arena_array(&snapshot->arena, 1, sizeof *snapshot->sockets);
    snapshot->sockets[0] = &listener_sockets[which / 2];
    atomic_store(&snapshot->pins, 1); /* ours, so that it is never freed while inputs run */
    return snapshot;
}

/* --- sockets --- */

static struct sockaddr_un path_of(unsigned which)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/%u", folder, which);
    return address;
}

static void stop(void);

static void make_sockets(void)
{
    CHECK(mkdtemp(folder));
    for (unsigned i = 0; i < SOCKETS_COUNT; i++) {
        struct sockaddr_un address = path_of(i);
        sockets[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        CHECK(sockets[i] >= 0 && bind(sockets[i], (struct sockaddr *)&address, sizeof address) == 0
              && listen(sockets[i], 64) == 0);
    }
    listener_sockets[0].fd = sockets[LISTENER_MAIN];
    listener_sockets[1].fd = sockets[LISTENER_OTHER];
    atexit(stop);
}

int gateway_socket(unsigned which)
{
    return sockets[which];
}

int gateway_connect(void)
{
    struct sockaddr_un address = path_of(adopted / 2);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

/* --- life --- */

static void unused(struct snapshot *snapshot)
{
    (void)snapshot; /* freed at the end */
}

static void drained(struct worker *worker)
{
    (void)worker;
}

void gateway_start(void)
{
    static struct upstream_worker *upstreams[] = {&gateway.upstream};
    if (endpoints)
        return;
    log_set_level(LOG_ERROR);
    signal(SIGPIPE, SIG_IGN);
    make_sockets();
    CHECK(loop_init(&control) == 0 && worker_init(&gateway, 0, &control, &budget, NULL) == 0);
    endpoints = endpoints_new(&control, upstreams, 1);
    discovery = discovery_new(&control, NULL, &discovery_defaults);
    builder.metrics = metrics_new(1, 0, NULL);
    route_book_init(&builder.routes);
    builder.policies.states = states_new();
    CHECK(endpoints && builder.metrics && builder.policies.states);
    builder.services = (struct service_builder){
        .endpoints = endpoints, .discovery = discovery, .states = builder.policies.states};
    builder.policies = (struct policy_builder){builder.policies.states, &builder.services, 1};
    gateway.metrics = metrics_thread(builder.metrics, 0);
    gateway.on_drained = drained;
    worker_snapshot_unused = unused;
    for (unsigned i = 0; i < SNAPSHOTS_COUNT; i++)
        snapshots[i] = build(i);
    gateway_limits = snapshots[0]->listeners[0]->limits;
    adopted = SNAPSHOTS_COUNT;
    gateway_adopt(0);
}

/* At the end of the process, so that LeakSanitizer sees what the snapshots leave. */
static void stop(void)
{
    for (unsigned i = 0; i < SOCKETS_COUNT; i++) {
        struct sockaddr_un address = path_of(i);
        unlink(address.sun_path);
    }
    rmdir(folder);
    if (!snapshots[SNAPSHOTS_COUNT - 1])
        return;
    worker_release_pins(&gateway);
    for (unsigned i = 0; i < SNAPSHOTS_COUNT; i++)
        snapshot_free(snapshots[i]);
    for (int i = 0; i < 4; i++) { /* mail between the two about dropped endpoints */
        loop_turn(&gateway.loop, 0);
        loop_turn(&control, 0);
    }
    worker_release(&gateway);
    endpoints_free(endpoints);
    discovery_free(discovery);
    states_free(builder.policies.states);
    metrics_free(builder.metrics);
    loop_release(&control);
}

void gateway_adopt(unsigned which)
{
    if (which == adopted)
        return;
    atomic_fetch_add(&snapshots[which]->pins, 1);
    if (!worker_adopt(&gateway, snapshots[which], NULL)) {
        atomic_fetch_sub(&snapshots[which]->pins, 1);
        return;
    }
    adopted = which;
    loop_turn(&gateway.loop, 0);
}

void gateway_advance(int64_t ms)
{
    clock_ns += ms * NS_PER_MS;
}

/* --- what is left --- */

static void shrink(struct list *ring, size_t link_offset, size_t socket_offset)
{
    int small = 1;
    LIST_EACH (link, ring) {
        const struct socket_layer *layer = (const void *)((char *)link - link_offset + socket_offset);
        setsockopt(layer->watch.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    }
}

void gateway_small_buffers(void)
{
    LIST_EACH (link, &gateway.listeners)
        shrink(&CONTAINER_OF(link, struct listener, link)->connections, offsetof(struct connection, link),
               offsetof(struct connection, socket));
    for (const struct endpoint *endpoint = NULL; (endpoint = endpoints_next(endpoints, endpoint));) {
        shrink(&endpoint->pools[0].busy, offsetof(struct origin_connection, link),
               offsetof(struct origin_connection, socket));
        shrink(&endpoint->pools[0].idle, offsetof(struct origin_connection, link),
               offsetof(struct origin_connection, socket));
    }
}

bool gateway_is_empty(void)
{
    uint32_t connections = 0;
    LIST_EACH (link, &gateway.listeners)
        connections += CONTAINER_OF(link, struct listener, link)->connections_count;
    return gateway.exchanges_count == 0 && connections == 0 && gateway.upstream.open_count == 0;
}

void gateway_check_rest(void)
{
    CHECK(list_is_empty(&gateway.exchanges));
    CHECK(gateway.buffers.used_count == 0);
    CHECK(gateway.pipes_free == gateway.pipes_made);
    CHECK(gateway.pin->exchanges == 0 && gateway.pin->snapshot == snapshots[adopted]);
    for (unsigned i = 0; i < SNAPSHOTS_COUNT; i++)
        CHECK(atomic_load(&snapshots[i]->pins) == (i == adopted ? 2 : 1));
    for (const struct endpoint *endpoint = NULL; (endpoint = endpoints_next(endpoints, endpoint));)
        CHECK(endpoint->in_flight == 0 && list_is_empty(&endpoint->pools[0].busy)
              && list_is_empty(&endpoint->pools[0].idle));
    LIST_EACH (link, &gateway.listeners)
        CHECK(CONTAINER_OF(link, struct listener, link)->config->state->connections == 0);
}
