/* The router against the reference of its unit tests, by lines of what to do:
 *
 *     +PRIORITY HOST PATH      adds a route (HOST "*": any); what the router refuses is left out
 *     -N                       removes the Nth route that is there
 *     !N                       the Nth allocation of the next edit fails
 *     ?HOST PATH               both must choose the same route, and give the same candidates and captures
 *     ~PATTERN PATH            a path that the regular expression fits begins with its literal text */
#include "fuzz.h"

#include "../unit/proxy/router_reference.h"
#include "base/check.h"
#include "base/memory.h"
#include "proxy/router_regex.h"

enum { ROUTES = 24, TEXT_MAX = 64, LINES = 200 };

struct world {
    struct router *router;
    struct route routes[ROUTES];
    size_t count; /* routes used, also those that were removed */
    char names[ROUTES][4], hosts[ROUTES][TEXT_MAX], paths[ROUTES][TEXT_MAX];
    struct reference_candidate candidates[ROUTES * REFERENCE_HOSTS_MAX];
    size_t seen;            /* candidates that the router has shown */
    struct text host, path; /* last asked for */
};

static struct world world;

static bool copy_string(struct text from, char to[TEXT_MAX])
{
    if (from.size >= TEXT_MAX || memchr(from.at, 0, from.size))
        return false;
    memcpy(to, from.at, from.size);
    to[from.size] = 0;
    return true;
}

static const struct route *answer(const struct router *router)
{
    return router_match(router, world.host, world.path, NULL, NULL, NULL);
}

/* Edits; the version before must answer as it did. False: no memory. */
static bool edit(struct route *route, bool remove)
{
    struct text hosts[REFERENCE_HOSTS_MAX];
    struct router_change change = reference_change(route, remove, hosts);
    const struct route *before = answer(world.router);
    size_t alive = router_nodes_alive();
    struct router *edited = router_edit(world.router, &change, 1, NULL);
    memory_fail_at(0);
    CHECK(answer(world.router) == before);
    if (!edited) {
        CHECK(router_nodes_alive() == alive);
        return false;
    }
    router_unref(world.router);
    world.router = edited;
    route->present = !remove;
    return true;
}

static void add(struct text line)
{
    int64_t priority;
    enum path_form form;
    size_t i = world.count;
    if (i == ROUTES || !text_to_int64(text_split(&line, ' '), &priority) || priority > 9 || priority < -9)
        return;
    if (!line.at || !copy_string(text_split(&line, ' '), world.hosts[i]) || !line.at
        || !copy_string(line, world.paths[i]))
        return;
    if (!router_check_host(text_of(world.hosts[i]), NULL) || world.paths[i][0] == '~'
        || !router_check_path(text_of(world.paths[i]), &form, NULL))
        return;
    memcpy(world.names[i], (char[4]){(char)('a' + i), 0}, 2);
    world.routes[i] = (struct route){.hosts = {world.hosts[i]},
                                     .path = world.paths[i],
                                     .name = world.names[i],
                                     .priority = (int32_t)priority};
    world.count += edit(&world.routes[i], false);
}

static void take_out(struct text line)
{
    uint64_t which;
    if (!text_to_uint64(line, &which))
        return;
    for (size_t i = 0; i < world.count; i++) {
        if (world.routes[i].present && which-- == 0) {
            (void)edit(&world.routes[i], true); /* without memory the route stays */
            return;
        }
    }
}

static bool compare_next(struct route *route, void *context)
{
    (void)context;
    CHECK(route == world.candidates[world.seen++].route);
    return true;
}

static void ask(struct text line)
{
    struct text host = text_split(&line, ' '), path = line;
    if (!path.at || path.size >= TEXT_MAX || memchr(path.at, 0, path.size))
        return;
    world.host = host;
    world.path = path;
    size_t count = reference_candidates(world.routes, world.count, host, path, world.candidates);
    struct route_captures captures;
    const struct route *route = router_match(world.router, host, path, NULL, NULL, &captures);
    CHECK(route == (count ? world.candidates[0].route : NULL));
    CHECK(!route || captures.count == world.candidates[0].captures.count);
    for (size_t i = 0; route && i < captures.count; i++)
        CHECK(text_equal(captures.items[i].value, world.candidates[0].captures.values[i]));
    world.seen = 0;
    router_candidates(world.router, host, path, compare_next, NULL);
    CHECK(world.seen == count);
}

static void check_literal(struct text line)
{
    char literal[TEXT_MAX];
    struct text pattern = text_split(&line, ' ');
    if (pattern.size > TEXT_MAX || !line.at)
        return;
    struct route_regex *regex = route_regex_new(pattern, NULL);
    if (!regex)
        return;
    size_t size = route_regex_literal(pattern, literal);
    CHECK(size <= pattern.size);
    if (route_regex_match(regex, line)) {
        struct route_captures captures;
        CHECK(text_starts_with(line, (struct text){literal, size}));
        route_regex_captures(regex, line, &captures);
        CHECK(captures.count <= ROUTER_CAPTURES_MAX);
    }
    route_regex_free(regex);
}

static void run_line(struct text line)
{
    uint64_t nth;
    struct text rest = text_slice(line, 1, line.size);
    switch (line.size ? line.at[0] : 0) {
    case '+': add(rest); break;
    case '-': take_out(rest); break;
    case '?': ask(rest); break;
    case '~': check_literal(rest); break;
    case '!':
        if (text_to_uint64(rest, &nth) && nth < 100)
            memory_fail_at(nth);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text rest = {(const char *)data, size};
    memset(&world, 0, sizeof world);
    world.router = router_new();
    CHECK(world.router);
    for (size_t i = 0; i < LINES && rest.at; i++)
        run_line(text_split(&rest, '\n'));
    memory_fail_at(0);
    router_unref(world.router);
    CHECK(router_nodes_alive() == 0);
    return 0;
}
