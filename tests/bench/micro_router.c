/* What the router costs: nanoseconds a match at 1, 1,000 and 100,000 routes (each request asking for
 * another of them, in an order that no cache foresees), for each kind of route; building, changing one
 * route, and bytes a route.
 *
 *     build/tests/bench/micro_router [rounds] */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/time.h"
#include "proxy/router.h"

enum { ROUTES_MAX = 100000, TEXT_MAX = 64, REQUESTS = 1 << 17, EDITS = 2000, ROUTES_ASKED_WARM = 100 };

struct route {
    uint64_t accepted; /* so that a match reads the route, as a gateway does */
};

/* A kind of route: its pattern and host, and a request for it. */
static const struct kind {
    const char *name, *host, *path, *request_host, *request_path; /* formats of a team and a number */
} KINDS[] = {
    {"exact", NULL, "/team-%04u/service-%06u/list", "shop.example", "/team-%04u/service-%06u/list"},
    {"prefix", NULL, "/team-%04u/service-%06u/*", "shop.example", "/team-%04u/service-%06u/x"},
    {"template", NULL, "/team-%04u/service-%06u/{id}", "shop.example", "/team-%04u/service-%06u/42"},
    {"wildcard", "*.service-%2$06u.team-%1$04u.example", "/*", "www.service-%2$06u.team-%1$04u.example",
     "/x"},
};

static struct route routes[ROUTES_MAX];
static struct router_change changes[ROUTES_MAX];
static struct text hosts[ROUTES_MAX];
static struct text request_hosts[ROUTES_MAX], request_paths[ROUTES_MAX];
static uint32_t order[REQUESTS];
static char *texts; /* of one kind: five of TEXT_MAX a route */

static struct text write_text(char *to, const char *format, unsigned number)
{
    int size;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    size = snprintf(to, TEXT_MAX, format, number / 100, number);
#pragma GCC diagnostic pop
    CHECK(size > 0 && size < TEXT_MAX);
    return (struct text){to, (size_t)size};
}

static void write_kind(const struct kind *kind)
{
    for (unsigned i = 0; i < ROUTES_MAX; i++) {
        char *at = texts + (size_t)i * 5 * TEXT_MAX;
        changes[i] = (struct router_change){.key.route = &routes[i]};
        changes[i].key.name = write_text(at, "route-%2$u", i);
        changes[i].key.path = write_text(at + TEXT_MAX, kind->path, i);
        if (kind->host) {
            hosts[i] = write_text(at + 2 * TEXT_MAX, kind->host, i);
            changes[i].key.hosts = &hosts[i];
            changes[i].key.hosts_count = 1;
        }
        request_hosts[i] = write_text(at + 3 * TEXT_MAX, kind->request_host, i);
        request_paths[i] = write_text(at + 4 * TEXT_MAX, kind->request_path, i);
    }
}

static bool accepts(const struct route *route, void *context)
{
    (void)context;
    return !route->accepted;
}

/* One request; copies its texts first, as a gateway finds them in its buffer. */
static struct route *ask(const struct router *router, unsigned number)
{
    char host[TEXT_MAX], path[TEXT_MAX];
    struct route_captures captures;
    memcpy(host, request_hosts[number].at, TEXT_MAX);
    memcpy(path, request_paths[number].at, TEXT_MAX);
    return router_match(router, (struct text){host, request_hosts[number].size},
                        (struct text){path, request_paths[number].size}, accepts, NULL, &captures);
}

/* Asks for `asked` of `count` routes, at random, and takes the best of some rounds. With `router` NULL: what
 * the measuring itself costs. */
static double match_ns(const struct router *router, unsigned count, unsigned asked, int rounds)
{
    int64_t best = INT64_MAX;
    for (unsigned i = 0; i < REQUESTS; i++)
        order[i] = (uint32_t)random_below(asked) * (count / asked);
    for (int round = 0; round < rounds; round++) {
        int64_t start = time_monotonic_ns();
        uint64_t found = 0;
        for (unsigned i = 0; i < REQUESTS; i++) {
            char bytes[2 * TEXT_MAX];
            if (router) {
                found += ask(router, order[i]) == &routes[order[i]];
                continue;
            }
            memcpy(bytes, request_hosts[order[i]].at, TEXT_MAX);
            memcpy(bytes + TEXT_MAX, request_paths[order[i]].at, TEXT_MAX);
            __asm__ volatile("" : : "r"(bytes) : "memory");
        }
        best = MIN_OF(best, time_monotonic_ns() - start);
        CHECK(!router || found == REQUESTS);
    }
    return (double)best / REQUESTS;
}

static struct router *build(unsigned count, double *ret_ms)
{
    struct router *empty = router_new();
    CHECK(empty);
    int64_t start = time_monotonic_ns();
    struct router *router = router_edit(empty, changes, count, NULL);
    *ret_ms = (double)(time_monotonic_ns() - start) / 1e6;
    CHECK(router);
    router_unref(empty);
    return router;
}

/* Takes random routes out and puts them back, one an edit, dropping the version before. */
static double edit_us(struct router **router, unsigned count)
{
    int64_t start = time_monotonic_ns();
    for (unsigned i = 0; i < EDITS; i++) {
        struct router_change change = changes[random_below(count)];
        for (int k = 0; k < 2; k++) {
            change.remove = !k;
            struct router *edited = router_edit(*router, &change, 1, NULL);
            CHECK(edited);
            router_unref(*router);
            *router = edited;
        }
    }
    return (double)(time_monotonic_ns() - start) / 1e3 / (2 * EDITS);
}

static void measure(const struct kind *kind, unsigned count, int rounds)
{
    unsigned some = MIN_OF(count, ROUTES_ASKED_WARM);
    size_t before = mallinfo2().uordblks;
    double build_ms;
    struct router *router = build(count, &build_ms);
    size_t heap = mallinfo2().uordblks - before;
    double all = match_ns(router, count, count, rounds) - match_ns(NULL, count, count, rounds);
    double warm = match_ns(router, count, some, rounds) - match_ns(NULL, count, some, rounds);
    size_t bytes = router_bytes(router) / count;
    double us = edit_us(&router, count);
    printf("%-9s %7u %9.0f %9.0f %9.1f %9.1f %9zu %9zu\n", kind->name, count, all, warm, build_ms, us, bytes,
           heap / count);
    router_unref(router);
}

int main(int argc, char **argv)
{
    static const unsigned COUNTS[] = {1, 1000, ROUTES_MAX};
    int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 10;
    random_seed(1);
    texts = memory_zero((size_t)ROUTES_MAX * 5 * TEXT_MAX);
    CHECK(texts);
    printf("kind       routes  match ns   warm ns  build ms   edit us     bytes      heap\n");
    for (size_t k = 0; k < COUNT_OF(KINDS); k++) {
        write_kind(&KINDS[k]);
        for (size_t i = 0; i < COUNT_OF(COUNTS); i++)
            measure(&KINDS[k], COUNTS[i], rounds);
    }
    memory_free(texts);
    return 0;
}
