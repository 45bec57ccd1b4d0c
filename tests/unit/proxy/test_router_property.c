/* The router against the reference that tries all routes one by one (router_reference.h): random routes,
 * requests and edits, what old versions answer after them, that nothing is left at the end, and what
 * happens when memory runs out anywhere.
 *
 * The seed is printed; ROUTER_SEED=N in the environment repeats a run. */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/time.h"
#include "router_reference.h"

enum { ROUTES = 40, REQUESTS = 60, SETS = 150, EDITS = 8, TEXT_MAX = 64 };

static struct {
    const char *pattern, *literal;
    pcre2_code *code;
} regexes[] = {
    {"~ ^/a[0-9]*", "/a", NULL}, {"~ ^/(a|b)/", "/", NULL},         {"~ .*\\.j$", "", NULL},
    {"~ ^/a/?b", "/a", NULL},    {"~ ^/ab/(?<x>.+)", "/ab/", NULL}, {"~ ^/b|^/a", "", NULL},
    {"~/a/[ab]+$", "/a/", NULL}, {"~ ^/a/b$", "/a/b", NULL},
};

/* One random set of routes and what its texts are in. */
struct world {
    struct route routes[ROUTES];
    char paths[ROUTES][TEXT_MAX], names[ROUTES][8];
    struct reference_candidate candidates[ROUTES * REFERENCE_HOSTS_MAX];
};

static struct world world;

#define PICK(array) (array)[random_below(COUNT_OF(array))]

static const char *random_host(void)
{
    static const char *const HOSTS[] = {"a.x", "b.x", "x", "c.a.x", "*.x", "*.a.x", "*", "*.c.a.x", "yx"};
    return PICK(HOSTS);
}

/* A path pattern of few words, so that many fit the same request. */
static void random_pattern(char to[TEXT_MAX])
{
    static const char *const SEGMENTS[] = {"a",      "b",     "ab",    "a.j",     "{%c}",   "{%c}",
                                           "{%c}.j", "a{%c}", "{%c}b", "a{%c}.j", "{%c}a.j"};
    static const char *const ENDS[] = {"", "", "/", "/*", "*", "/{z...}"};
    size_t size = 0, count = random_below(4);
    bool capture = false;
    for (size_t i = 0; i < count; i++) {
        const char *segment = PICK(SEGMENTS);
        capture = strchr(segment, '{');
        to[size++] = '/';
        for (; *segment; segment++)
            to[size++] = *segment == '%'                         ? (char)('m' + i)
                         : *segment == 'c' && segment[-1] == '%' ? ' '
                                                                 : *segment;
    }
    to[size] = 0;
    char *gap = to;
    for (char *from = to; *from; from++)
        if (*from != ' ')
            *gap++ = *from;
    *gap = 0;
    size = (size_t)(gap - to);
    const char *end = PICK(ENDS);
    if (capture && *end == '*')
        end = "/*";
    if (size == 0 && (!*end || *end == '*'))
        end = "/";
    memcpy(to + size, end, strlen(end) + 1);
}

static void random_route(struct world *w, size_t i)
{
    struct route *route = &w->routes[i];
    *route = (struct route){.name = w->names[i]};
    snprintf(w->names[i], sizeof w->names[i], "r%zu", i);
    size_t hosts_count = random_below(REFERENCE_HOSTS_MAX + 1), first = random_below(3);
    for (size_t k = 0; k < hosts_count; k++) {
        const char *host = random_host();
        bool again = false;
        for (size_t j = 0; j < k; j++)
            again |= route->hosts[j] == host;
        if (again)
            break;
        route->hosts[k] = host;
    }
    if (first == 0) /* many for any host, so that they meet */
        memset(route->hosts, 0, sizeof route->hosts);
    uint64_t form = random_below(12);
    if (form == 0) {
        size_t which = random_below(COUNT_OF(regexes));
        route->path = regexes[which].pattern;
        route->literal = regexes[which].literal;
        route->regex = regexes[which].code;
    } else if (form > 1) {
        random_pattern(w->paths[i]);
        route->path = w->paths[i];
    }
    route->conditions = (uint32_t)random_below(3);
}

static void random_world(struct world *w)
{
    uint64_t spread = random_below(4); /* all alike, or some different, or many */
    for (size_t i = 0; i < ROUTES; i++) {
        random_route(w, i);
        if (spread && random_below(4) < spread)
            w->routes[i].priority = (int32_t)random_below(spread * 2) - 2;
    }
}

static struct text random_path(char to[TEXT_MAX])
{
    static const char *const SEGMENTS[] = {"a", "b", "ab", "a.j", "b.j", "a1", "aba.j", "", ".j", "c"};
    size_t size = 0, count = random_below(5);
    for (size_t i = 0; i < count; i++)
        size += (size_t)snprintf(to + size, TEXT_MAX - size, "/%s", PICK(SEGMENTS));
    if (size == 0 || random_below(6) == 0)
        to[size++] = '/';
    return (struct text){to, size};
}

static bool accepts(const struct route *route, void *context)
{
    (void)context;
    return !route->refused;
}

struct listing {
    const struct route *routes[ROUTES * REFERENCE_HOSTS_MAX];
    size_t count;
};

static bool list(struct route *route, void *context)
{
    struct listing *listing = context;
    CHECK(listing->count < COUNT_OF(listing->routes));
    listing->routes[listing->count++] = route;
    return true;
}

static void compare_captures(const struct reference_candidate *wanted, const struct route_captures *got)
{
    if (wanted->route->path && wanted->route->path[0] == '~')
        return;
    assert_int_equal(got->count, wanted->captures.count);
    for (size_t i = 0; i < got->count; i++)
        assert_true(text_equal(got->items[i].value, wanted->captures.values[i]));
}

static void compare_request(struct world *w, const struct router *router, struct text host, struct text path)
{
    size_t count = reference_candidates(w->routes, ROUTES, host, path, w->candidates), first = 0;
    while (first < count && w->candidates[first].route->refused)
        first++;
    const struct route *wanted = first < count ? w->candidates[first].route : NULL;
    struct route_captures captures;
    const struct route *got = router_match(router, host, path, accepts, NULL, &captures);
    if (got != wanted)
        fail_msg("%.*s %.*s: got %s (%s), wanted %s (%s)", TEXT_ARGS(host), TEXT_ARGS(path),
                 got ? got->name : "none", got && got->path ? got->path : "any",
                 wanted ? wanted->name : "none", wanted && wanted->path ? wanted->path : "any");
    if (got)
        compare_captures(&w->candidates[first], &captures);
    struct listing listing = {.count = 0};
    router_candidates(router, host, path, list, &listing);
    assert_int_equal(listing.count, count);
    for (size_t i = 0; i < count; i++)
        assert_ptr_equal(listing.routes[i], w->candidates[i].route);
}

static void compare(struct world *w, const struct router *router)
{
    static const char *const HOSTS[] = {"a.x", "b.x", "x", "c.a.x", "d.c.a.x", "e.x", "yx", "other", ""};
    size_t present = 0;
    for (size_t i = 0; i < ROUTES; i++)
        present += w->routes[i].present;
    assert_int_equal(router_count(router), present);
    for (size_t i = 0; i < REQUESTS; i++) {
        char path[TEXT_MAX];
        for (size_t k = 0; k < ROUTES; k++)
            w->routes[k].refused = random_below(3) == 0;
        struct text text = random_path(path);
        compare_request(w, router, text_of(PICK(HOSTS)), text);
    }
}

/* Adds and removes up to `max` random routes in one edit. */
static struct router *random_edit(struct world *w, const struct router *router, size_t max)
{
    static struct text hosts[ROUTES][REFERENCE_HOSTS_MAX];
    static struct router_change changes[ROUTES];
    size_t count = 0;
    for (; count < max; count++) {
        struct route *route = &w->routes[random_below(ROUTES)];
        changes[count] = reference_change(route, route->present, hosts[count]);
        route->present = !route->present;
    }
    struct error error = {0};
    struct router *edited = router_edit(router, changes, count, &error);
    if (!edited)
        fail_msg("%s", error.said);
    return edited;
}

/* What a version answers to a fixed set of requests. */
static void answers(const struct router *router, const struct route *ret_routes[REQUESTS])
{
    uint64_t state = 1;
    static const char *const PATHS[] = {"/a", "/b",  "/a/b",     "/ab/a.j", "/a/b/ab",
                                        "/",  "/a/", "/b/a.j/b", "/a1"};
    static const char *const HOSTS[] = {"a.x", "c.a.x", "other", "x"};
    for (size_t i = 0; i < REQUESTS; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        ret_routes[i] = router_match(router, text_of(HOSTS[state >> 60 & 3]),
                                     text_of(PATHS[(state >> 33) % COUNT_OF(PATHS)]), NULL, NULL, NULL);
    }
}

static void it_agrees_with_the_reference_after_any_edits(void **state)
{
    (void)state;
    for (size_t set = 0; set < SETS; set++) {
        struct router *versions[EDITS + 1] = {router_new()};
        const struct route *before[EDITS + 1][REQUESTS], *after[REQUESTS];
        random_world(&world);
        answers(versions[0], before[0]);
        for (size_t i = 0; i < EDITS; i++) {
            versions[i + 1] = random_edit(&world, versions[i], random_below(3) ? random_below(ROUTES) : 1);
            compare(&world, versions[i + 1]);
            answers(versions[i + 1], before[i + 1]);
        }
        for (size_t i = 0; i <= EDITS; i++) {
            size_t which = (i * 4 + set) % (EDITS + 1); /* 4 and 9 have no common divisor: each once */
            answers(versions[which], after);
            assert_memory_equal(before[which], after, sizeof after);
            router_unref(versions[which]);
        }
        assert_int_equal(router_nodes_alive(), 0);
    }
}

static void what_is_removed_leaves_what_never_had_it(void **state)
{
    (void)state;
    for (size_t set = 0; set < SETS; set++) {
        random_world(&world);
        struct router *empty = router_new(), *base = random_edit(&world, empty, ROUTES / 2);
        struct router *router = router_ref(base);
        bool present[ROUTES];
        for (size_t i = 0; i < ROUTES; i++)
            present[i] = world.routes[i].present;
        for (size_t i = 0; i < 2 * EDITS; i++) {
            struct router *next = random_edit(&world, router, 3);
            router_unref(router);
            router = next;
        }
        for (size_t i = 0; i < ROUTES; i++) {
            struct text hosts[REFERENCE_HOSTS_MAX];
            struct router_change back = reference_change(&world.routes[i], !present[i], hosts);
            struct router *next = world.routes[i].present == present[i] ? router_ref(router)
                                                                        : router_edit(router, &back, 1, NULL);
            assert_non_null(next);
            router_unref(router);
            router = next;
        }
        assert_int_equal(router_bytes(router),
                         router_bytes(base)); /* the same nodes, however it came to them */
        router_unref(router);
        router_unref(base);
        router_unref(empty);
        assert_int_equal(router_nodes_alive(), 0);
    }
}

static void without_memory_an_edit_changes_nothing(void **state)
{
    (void)state;
    for (size_t set = 0; set < 20; set++) {
        random_world(&world);
        struct router *empty = router_new(), *router = random_edit(&world, empty, ROUTES / 2), *edited = NULL;
        const struct route *before[REQUESTS], *after[REQUESTS];
        struct text hosts[EDITS][REFERENCE_HOSTS_MAX];
        struct router_change changes[EDITS];
        for (size_t i = 0; i < EDITS; i++) {
            struct route *route = &world.routes[i * ROUTES / EDITS];
            changes[i] = reference_change(route, route->present, hosts[i]);
        }
        answers(router, before);
        size_t alive = router_nodes_alive();
        uint64_t nth = 0, calls;
        do { /* until no allocation fails; an edit may succeed before, with an expression that is not compiled by JIT */
            struct error error = {0};
            router_unref(edited);
            assert_int_equal(router_nodes_alive(), alive);
            calls = memory_calls();
            memory_fail_at(++nth);
            edited = router_edit(router, changes, EDITS, &error);
            memory_fail_at(0);
            assert_true(edited || error.code == -ENOMEM);
        } while (memory_calls() - calls >= nth);
        assert_non_null(edited);
        assert_true(nth > EDITS);
        answers(router, after);
        assert_memory_equal(before, after, sizeof after);
        router_unref(edited);
        router_unref(router);
        router_unref(empty);
        assert_int_equal(router_nodes_alive(), 0);
    }
}

static void a_change_copies_only_the_way_to_it(void **state)
{
    (void)state;
    enum { MANY = 20000 };
    static char paths[MANY][TEXT_MAX];
    struct router_change *changes = memory_array(MANY, sizeof *changes);
    struct route route = {.name = "r"};
    for (size_t i = 0; i < MANY; i++) {
        int size = snprintf(paths[i], TEXT_MAX, "/team-%04zu/service-%06zu/*", i / 100, i);
        changes[i].key.path = (struct text){paths[i], (size_t)size};
        changes[i].key.route = &route;
    }
    struct router *empty = router_new(), *router = router_edit(empty, changes, MANY, NULL);
    size_t alive = router_nodes_alive();
    struct router_change remove = changes[MANY / 2];
    remove.remove = true;
    uint64_t calls = memory_calls();
    struct router *edited = router_edit(router, &remove, 1, NULL);
    assert_true(memory_calls() - calls < 24);
    assert_true(router_nodes_alive() - alive < 16);
    assert_true(router_bytes(router) / MANY < 200);
    router_unref(router);
    assert_true(router_nodes_alive() < alive);
    router_unref(edited);
    router_unref(empty);
    memory_free(changes);
    assert_int_equal(router_nodes_alive(), 0);
}

static atomic_bool reader_stop;

static void *read_on(void *argument)
{
    const struct route *first[REQUESTS], *again[REQUESTS];
    uint64_t rounds = 0;
    answers(argument, first);
    while (rounds++ == 0 || !atomic_load(&reader_stop)) {
        answers(argument, again);
        CHECK(!memcmp(first, again, sizeof again));
    }
    return NULL;
}

static void a_worker_reads_a_version_while_others_are_made(void **state)
{
    (void)state;
    pthread_t reader;
    random_world(&world);
    struct router *empty = router_new(), *base = random_edit(&world, empty, ROUTES / 2);
    struct router *router = router_ref(base);
    assert_int_equal(pthread_create(&reader, NULL, read_on, base), 0);
    for (size_t i = 0; i < 200; i++) {
        struct router *next = random_edit(&world, router, 2);
        router_unref(router);
        router = next;
    }
    atomic_store(&reader_stop, true);
    pthread_join(reader, NULL);
    router_unref(router);
    router_unref(base);
    router_unref(empty);
    assert_int_equal(router_nodes_alive(), 0);
}

static int set_up(void **state)
{
    (void)state;
    const char *given = getenv("ROUTER_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time_wall_ns();
    fprintf(stderr, "ROUTER_SEED=%llu\n", (unsigned long long)seed);
    random_seed(seed);
    for (size_t i = 0; i < COUNT_OF(regexes); i++) {
        struct text pattern = text_trim(text_slice(text_of(regexes[i].pattern), 1, SIZE_MAX));
        int code;
        PCRE2_SIZE offset;
        regexes[i].code =
            pcre2_compile((PCRE2_SPTR)pattern.at, pattern.size, PCRE2_ANCHORED, &code, &offset, NULL);
        CHECK(regexes[i].code);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(regexes); i++)
        pcre2_code_free(regexes[i].code);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_agrees_with_the_reference_after_any_edits),
        cmocka_unit_test(what_is_removed_leaves_what_never_had_it),
        cmocka_unit_test(without_memory_an_edit_changes_nothing),
        cmocka_unit_test(a_change_copies_only_the_way_to_it),
        cmocka_unit_test(a_worker_reads_a_version_while_others_are_made),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
