/* Routes and requests from anyone: what a configuration of routes accepts takes a request the way explain says.
 *
 * Up to an empty line, the routes in YAML; then a request's head. The route that is taken is the first candidate with no reason against it; its
 * captures lie in the path; nothing is left behind. */
#include "fuzz.h"

#include "base/check.h"
#include "base/log.h"
#include "base/states.h"
#include "proxy/connection.h"
#include "proxy/match.h"
#include "proxy/route_review.h"
#include "proxy/worker.h"
#include "upstream/discover.h"
#include "upstream/endpoint.h"

enum { ROUTES_BYTES_MAX = 4096, HEAD_BYTES_MAX = 4096 };

static const char prelude[] =
    "listeners: { main: { address: \"127.0.0.1:0\" }, inner: { address: \"127.0.0.2:0\" } }\n"
    "services: { a: \"http://127.0.0.1:1\", b: \"http://127.0.0.1:2\" }\nroutes:\n";

const struct policy *const policies[] = {NULL};
const size_t policies_count = 0;

/* What snapshots are built with. */
static struct fixture {
    bool started;
    struct loop loop;
    struct snapshot_builder builder;
    struct report report;
} fixture_, *const fixture = &fixture_;

static struct worker worker;
static struct listener listener;
static struct connection connection;
static struct exchange exchange;

struct seen {
    struct match_subject *subject;
    const struct route *first;
};

static bool look(struct route *route, void *context)
{
    struct seen *seen = context;
    if (match_why_not(route, seen->subject).at)
        return true;
    seen->first = route;
    return false;
}

static void check_captures(const struct exchange *ex)
{
    struct text path = ex->request.path;
    CHECK(ex->captures.count <= ROUTER_CAPTURES_MAX);
    for (uint32_t i = 0; i < ex->captures.count; i++) {
        struct text value = ex->captures.items[i].value;
        CHECK(value.size == 0 || (value.at >= path.at && value.at + value.size <= path.at + path.size));
        int64_t number;
        if (route_capture_is_int(ex->route, ex->captures.items[i].name))
            CHECK(text_to_int64(value, &number));
    }
}

/* `chance`: an expression may give another value each time. */
static void ask(const struct snapshot *snapshot, struct text head, bool chance)
{
    struct exchange *ex = &exchange;
    size_t scanned = 0;
    struct arena arena;
    arena_init(&arena, 0, 1 << 20);
    memset(ex, 0, sizeof *ex);
    listener.config = snapshot->listeners[0];
    ex->arena = arena;
    ex->worker = &worker;
    ex->loop = &fixture->loop;
    ex->connection = &connection;
    ex->snapshot = snapshot;
    ex->request_done = true;
    connection.listener = &listener;
    connection.socket.watch.fd = -1;
    struct h1_result result =
        h1_parse_request(head, &scanned, &listener.config->limits, &ex->arena, &ex->request);
    if (result.progress == H1_DONE) {
        ex->request.scheme = TEXT("http");
        CHECK(address_parse_ip(TEXT("10.1.2.3"), 1, &ex->client_address));
        struct match_subject subject = {.exchange = ex, .body_here = true};
        struct seen seen = {&subject, NULL};
        const struct route *taken = match_route(ex);
        CHECK(taken);
        router_candidates(snapshot->router, ex->request.host, ex->request.path, look, &seen);
        if (!ex->arena.failed && !chance)
            CHECK(taken == (seen.first ? seen.first : snapshot->fallback));
        if (taken != snapshot->fallback)
            check_captures(ex);
        CHECK(ex->target);
    }
    arena_release(&ex->arena);
}

static void say_nothing(struct text line)
{
    (void)line;
}

static void start(void)
{
    struct snapshot_builder *builder = &fixture->builder;
    CHECK(!loop_init(&fixture->loop));
    builder->policies.states = states_new();
    builder->services =
        (struct service_builder){.endpoints = endpoints_new(&fixture->loop, NULL, 0),
                                 .discovery = discovery_new(&fixture->loop, NULL, &discovery_defaults),
                                 .states = builder->policies.states};
    builder->policies = (struct policy_builder){builder->policies.states, &builder->services, 1};
    builder->metrics = metrics_new(1, 0, NULL);
    route_book_init(&builder->routes);
    worker.metrics = metrics_thread(builder->metrics, 0);
    log_set_sink(say_nothing);
    fixture->started = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char yaml[sizeof prelude + ROUTES_BYTES_MAX];
    struct text input = {(const char *)data, size};
    size_t gap = text_find(input, TEXT("\n\n"));
    if (!fixture->started)
        start();
    struct text routes = text_slice(input, 0, gap == TEXT_NONE ? size : gap + 1);
    struct text head = gap == TEXT_NONE ? TEXT("") : text_slice(input, gap + 2, size);
    if (routes.size > ROUTES_BYTES_MAX || head.size > HEAD_BYTES_MAX || memchr(routes.at, 0, routes.size))
        return 0;
    size_t alive = router_nodes_alive();
    memcpy(yaml, prelude, sizeof prelude - 1);
    memcpy(yaml + sizeof prelude - 1, routes.at, routes.size);
    yaml[sizeof prelude - 1 + routes.size] = 0;
    struct arena tree;
    struct document document;
    arena_init(&tree, 0, 0);
    report_init(&fixture->report, &tree);
    struct snapshot *snapshot = NULL;
    if (document_parse(text_of(yaml), TEXT("t.yaml"), NULL, &tree, &fixture->report, &document))
        snapshot = snapshot_build(&fixture->builder, &document, NULL, &fixture->report);
    CHECK(snapshot || fixture->report.errors);
    if (snapshot) {
        snapshot_commit(snapshot);
        route_review(&fixture->builder.routes.names, node_get(&document.root, TEXT("routes")),
                     &fixture->report);
        ask(snapshot, head,
            text_find(routes, TEXT("random")) != TEXT_NONE || text_find(routes, TEXT("uuid")) != TEXT_NONE);
        snapshot_free(snapshot);
    }
    CHECK(router_nodes_alive() == alive);
    arena_release(&tree);
    return 0;
}
