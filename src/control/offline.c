/* The tables that a snapshot is built with, without workers, network or threads. */
#include "control/offline.h"

#include "base/memory.h"
#include "base/states.h"
#include "net/loop.h"
#include "telemetry/metrics.h"
#include "proxy/attributes.h"
#include "proxy/route_review.h"
#include "upstream/endpoint.h"

struct offline {
    struct loop loop;
    struct endpoints *endpoints;
    struct discovery *discovery;
    struct states *states;
    struct metrics *metrics;
    struct snapshot_builder builder;
    struct document document;
    struct snapshot *snapshot;
    struct arena arena;
};

static bool prepare(struct offline *offline)
{
    if (loop_init(&offline->loop) < 0)
        return false;
    offline->endpoints = endpoints_new(&offline->loop, NULL, 0);
    offline->discovery = discovery_new(&offline->loop, NULL, &discovery_defaults);
    offline->states = states_new();
    offline->metrics = metrics_new(1, 0, NULL);
    offline->builder.services = (struct service_builder){
        .endpoints = offline->endpoints, .discovery = offline->discovery, .states = offline->states};
    offline->builder.policies =
        (struct policy_builder){offline->states,     &offline->builder.services, 1,
                                response_attributes, request_body_attributes,    response_body_attributes};
    offline->builder.metrics = offline->metrics;
    route_book_init(&offline->builder.routes);
    return offline->endpoints && offline->discovery && offline->states && offline->metrics;
}

struct offline *offline_build(const char *path, struct report *report, struct snapshot **ret_snapshot)
{
    struct offline *offline = memory_zero(sizeof *offline);
    *ret_snapshot = NULL;
    if (!offline)
        return NULL;
    arena_init(&offline->arena, 64 * 1024, 0);
    if (!prepare(offline)) {
        offline_free(offline);
        return NULL;
    }
    if (document_read(path, NULL, &offline->arena, report, &offline->document))
        *ret_snapshot = offline->snapshot =
            snapshot_build(&offline->builder, &offline->document, NULL, report);
    return offline;
}

void offline_review(struct offline *offline, struct report *report)
{
    if (!offline->snapshot)
        return;
    snapshot_commit(offline->snapshot);
    route_review(&offline->builder.routes.names, node_get(&offline->document.root, TEXT("routes")), report);
}

void offline_free(struct offline *offline)
{
    if (!offline)
        return;
    if (offline->snapshot)
        snapshot_free(offline->snapshot);
    endpoints_free(offline->endpoints);
    discovery_free(offline->discovery);
    states_free(offline->states);
    metrics_free(offline->metrics);
    loop_release(&offline->loop);
    arena_release(&offline->arena);
    memory_free(offline);
}
