/* What the tests of src/upstream share: a loop that is turned by hand, services from YAML, and an origin that is a listening socket. */
#pragma once

#include "unit.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/states.h"
#include "base/time.h"
#include "config/document.h"
#include "upstream/attempt.h"
#include "upstream/discover.h"
#include "upstream/health_checker.h"

struct fixture {
    struct loop loop;
    struct buffer_budget budget;
    struct buffer_pool buffers;
    struct upstream_worker worker, *workers[1];
    struct endpoints *endpoints;
    struct discovery *discovery;
    struct states *states;
    struct service_builder builder;
    struct arena tree, bound;
    struct report report;
    struct service *service;
    int listener, accepted;
    char url[64];
};

static inline void listen_on(struct fixture *f)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(f->listener >= 0 && bind(f->listener, (struct sockaddr *)&address, size) == 0
                && listen(f->listener, 16) == 0);
    assert_int_equal(getsockname(f->listener, (struct sockaddr *)&address, &size), 0);
    snprintf(f->url, sizeof f->url, "http://127.0.0.1:%u", ntohs(address.sin_port));
}

static inline int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){.budget = {.bytes_max = 64 * BUFFER_SIZE}, .listener = -1, .accepted = -1};
    if (loop_init(&f.loop))
        return -1;
    buffer_pool_init(&f.buffers, &f.budget, 4);
    f.worker.loop = &f.loop;
    f.worker.buffers = &f.buffers;
    f.workers[0] = &f.worker;
    f.endpoints = endpoints_new(&f.loop, f.workers, 1);
    f.discovery = discovery_new(&f.loop, NULL, &discovery_defaults);
    f.states = states_new();
    f.builder =
        (struct service_builder){.endpoints = f.endpoints, .discovery = f.discovery, .states = f.states};
    arena_init(&f.tree, 0, 0);
    arena_init(&f.bound, 0, 0);
    report_init(&f.report, &f.tree);
    *state = &f;
    return f.endpoints && f.states ? 0 : -1;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    if (f->accepted >= 0)
        close(f->accepted);
    if (f->listener >= 0)
        close(f->listener);
    arena_release(&f->bound); /* gives the endpoints back: mail between the threads that are one here */
    for (int i = 0; i < 8; i++)
        loop_turn(&f->loop, 0);
    bool none = !endpoints_next(f->endpoints, NULL) && f->worker.open_count == 0;
    endpoints_free(f->endpoints);
    discovery_free(f->discovery);
    states_free(f->states);
    arena_release(&f->tree);
    buffer_pool_release(&f->buffers);
    loop_release(&f->loop);
    return none ? 0 : -1;
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* NULL: refused, the report says why. */
static inline struct service *build_named(struct fixture *f, const char *name, const char *yaml)
{
    struct document document;
    struct binder binder = {.arena = &f->bound, .report = &f->report};
    assert_true(document_parse(text_of(yaml), TEXT("t.yaml"), NULL, &f->tree, &f->report, &document));
    return f->service = service_build(&binder, &f->builder, text_of(name), &document.root);
}

static inline struct service *build(struct fixture *f, const char *yaml)
{
    struct service *service = build_named(f, "orders", yaml);
    for (const struct finding *finding = f->report.first; !service && finding; finding = finding->next)
        print_error("%.*s: %.*s\n", TEXT_ARGS(finding->path), TEXT_ARGS(finding->said));
    assert_non_null(service);
    return service;
}

static inline void refused(struct fixture *f, const char *yaml, const char *said)
{
    assert_null(build_named(f, "orders", yaml));
    assert_true(f->report.errors > 0);
    for (const struct finding *finding = f->report.first; finding; finding = finding->next)
        if (text_find(finding->said, text_of(said)) != TEXT_NONE)
            return;
    fail_msg("nothing says \"%s\"; the first finding is \"%.*s\"", said, TEXT_ARGS(f->report.first->said));
}

static inline struct endpoint *endpoint_at(struct fixture *f, uint32_t index)
{
    return f->service->set->endpoints[index].endpoint;
}

/* Index of what is chosen by `pick` (NULL: by nothing in particular); -1: nothing. */
static inline int picked_at(struct fixture *f, const struct pick *pick, int64_t now_ms)
{
    static const struct pick nothing;
    struct picked picked = service_pick(f->service, pick ? pick : &nothing, now_ms);
    for (uint32_t i = 0; picked.endpoint && i < f->service->set->count; i++)
        if (endpoint_at(f, i) == picked.endpoint)
            return (int)i;
    assert_null(picked.endpoint);
    return -1;
}

/* Turns the loop until `*flag`. */
static inline void turn_until(struct fixture *f, const bool *flag)
{
    int64_t end_ns = time_monotonic_ns() + 10 * NS_PER_SECOND;
    while (!*flag && time_monotonic_ns() < end_ns)
        loop_turn(&f->loop, 100);
    assert_true(*flag);
}
