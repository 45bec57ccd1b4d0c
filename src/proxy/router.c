/* Versions of the router: each edit makes a new one that shares with the old one all that did not change. */
#include "proxy/router.h"

#include <errno.h>

#include "base/check.h"
#include "base/memory.h"
#include "proxy/router_leaf.h"
#include "proxy/router_node.h"
#include "proxy/router_pattern.h"
#include "proxy/router_tree.h"

bool router_check_path(struct text pattern, enum path_form *ret_form, struct error *reterr)
{
    struct route_pattern parsed;
    if (!route_pattern_parse(pattern, &parsed, reterr))
        return false;
    if (parsed.regex.at) {
        struct route_regex *regex = route_regex_new(parsed.regex, reterr);
        if (!regex)
            return false;
        route_regex_free(regex);
    }
    *ret_form = parsed.form;
    return true;
}

bool router_check_host(struct text pattern, struct error *reterr)
{
    char key[ROUTE_HOST_MAX];
    struct route_step step;
    return text_equal(pattern, TEXT("*")) || route_host_parse(pattern, key, &step, reterr);
}

struct router *router_new(void)
{
    struct router *router = memory_zero(sizeof *router);
    if (router)
        router->refs = 1;
    return router;
}

struct router *router_ref(struct router *router)
{
    router->refs++;
    return router;
}

void router_unref(struct router *router)
{
    if (!router || --router->refs)
        return;
    route_node_unref(router->hosts);
    route_node_unref(router->any);
    memory_free(router);
}

/* A version with the same content. Its roots have two holders now, so that the first change below them
 * copies. */
static struct router *router_copy(const struct router *from)
{
    struct router *router = router_new();
    if (!router)
        return NULL;
    router->count = from->count;
    router->priorities_count = from->priorities_count;
    router->hosts = from->hosts;
    router->any = from->any;
    if (router->hosts)
        router->hosts->refs++;
    if (router->any)
        router->any->refs++;
    return router;
}

/* Where a pattern leads to for one host. */
struct way {
    struct route_node **root;
    enum route_level level;
    const struct route_step *steps;
    size_t steps_count;
};

/* `host` NULL: any. */
static bool find_way(struct router *router, const struct text *host, struct route_pattern *pattern,
                     char key[ROUTE_HOST_MAX], struct way *ret_way, struct error *reterr)
{
    if (!host || text_equal(*host, TEXT("*"))) {
        *ret_way = (struct way){&router->any, LEVEL_PATH, pattern->steps + 1, pattern->steps_count - 1};
        return true;
    }
    if (!route_host_parse(*host, key, &pattern->steps[0], reterr))
        return false;
    *ret_way = (struct way){&router->hosts, LEVEL_HOST, pattern->steps, pattern->steps_count};
    return true;
}

static int add_error(const struct route_key *key, int code, struct error *reterr)
{
    if (code == -EEXIST)
        return error_set(reterr, code, "route '%.*s' is already there",
                         TEXT_ARGS(text_slice(key->name, 0, 100)));
    return error_system(reterr, code, "route '%.*s'", TEXT_ARGS(text_slice(key->name, 0, 100)));
}

static bool add(struct router *router, const struct route_key *key, struct route_pattern *pattern,
                struct error *reterr)
{
    struct route_entry *entry =
        route_entry_new(key, pattern->names, pattern->names_count, pattern->regex, reterr);
    if (!entry)
        return false;
    bool done = true;
    for (size_t i = 0; done && i < MAX_OF(key->hosts_count, 1u); i++) {
        char host_key[ROUTE_HOST_MAX];
        struct way way;
        done = find_way(router, key->hosts_count ? key->hosts + i : NULL, pattern, host_key, &way, reterr);
        if (!done)
            break;
        int code = route_tree_add(way.root, way.level, way.steps, way.steps_count, entry);
        if (code)
            (void)add_error(key, code, reterr); /* its result is the code */
        done = !code;
    }
    route_entry_unref(entry);
    router->count++;
    router->priorities_count += key->priority != 0;
    return done;
}

/* Takes `*entry` (NULL: not known yet) out for one host. 1: done, 0: it is not there, negative: failed. */
static int remove_one(struct way way, const struct route *route, struct route_entry **entry)
{
    const struct route_leaf *leaf = route_tree_find(*way.root, way.steps, way.steps_count);
    struct route_entry *found = leaf ? route_leaf_find(leaf, route) : NULL;
    if (!found || (*entry && found != *entry))
        return 0;
    if (!*entry) {
        *entry = found;
        found->leaf.refs++;
    }
    return route_tree_remove(way.root, way.steps, way.steps_count, found) ? 1 : -ENOMEM;
}

static bool remove_key(struct router *router, const struct route_key *key, struct route_pattern *pattern,
                       struct error *reterr)
{
    struct route_entry *entry = NULL;
    uint32_t places = 0;
    bool done = true;
    for (size_t i = 0; done && i < MAX_OF(key->hosts_count, 1u); i++) {
        char host_key[ROUTE_HOST_MAX];
        struct way way;
        done = find_way(router, key->hosts_count ? key->hosts + i : NULL, pattern, host_key, &way, reterr);
        if (!done)
            break;
        int removed = remove_one(way, key->route, &entry);
        if (removed < 0)
            (void)add_error(key, removed, reterr); /* its result is the code */
        done = removed >= 0;
        places += removed > 0;
    }
    if (done && (!entry || places != entry->places)) {
        error_set(reterr, -ENOENT, "route '%.*s' is not there with these hosts and this path",
                  TEXT_ARGS(text_slice(key->name, 0, 100)));
        done = false;
    }
    if (done) {
        router->count--;
        router->priorities_count -= entry->priority != 0;
    }
    route_entry_unref(entry);
    return done;
}

struct router *router_edit(const struct router *router, const struct router_change *changes, size_t count,
                           struct error *reterr)
{
    struct router *edited = router_copy(router);
    if (!edited) {
        error_system(reterr, -ENOMEM, "routes");
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        const struct route_key *key = &changes[i].key;
        struct route_pattern pattern;
        if (!route_pattern_parse(key->path, &pattern, reterr)
            || !(changes[i].remove ? remove_key : add)(edited, key, &pattern, reterr)) {
            router_unref(edited);
            return NULL;
        }
    }
    return edited;
}

size_t router_count(const struct router *router)
{
    return router->count;
}

size_t router_bytes(const struct router *router)
{
    return sizeof *router + route_node_bytes(router->hosts) + route_node_bytes(router->any);
}
