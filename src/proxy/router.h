/* Picks the route for a request: one compiled, immutable structure shared by all workers, changed by
 * path-copying.
 *
 * Old and new versions share all nodes that did not change; a change costs in proportion to what changed,
 * a look-up costs the same at 100,000 routes as at one. Nodes are reference-counted; versions are made and
 * dropped by the control thread only, workers read. How a route is chosen is told in
 * docs/manual/routing.md, how it is done in docs/internals/router.md. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"

struct request;
struct route; /* opaque: what a match gives */

enum { ROUTER_PATTERN_MAX = 2048 }; /* bytes of a path pattern */

enum path_form { PATH_ANY, PATH_EXACT, PATH_SEGMENT_PREFIX, PATH_RAW_PREFIX, PATH_TEMPLATE, PATH_REGEX };

/* What the structure indexes by. Everything else of a route's match is `accepts`. */
struct route_key {
    const struct text *hosts; /* lower case; "*.example.com" (any depth), "*" (any); none: any host */
    size_t hosts_count;
    struct text path;    /* normalised, see router_check_path() for its forms; .at NULL: any */
    int32_t priority;    /* higher first, before specificity */
    uint32_t conditions; /* how many further conditions `accepts` checks: more is more specific */
    struct text name;    /* the last tie-breaker, ascending */
    struct route *route;
};

/* Names and values that a template or a regular expression captured; at most ROUTER_CAPTURES_MAX. */
enum { ROUTER_CAPTURES_MAX = 16 };
struct route_captures {
    uint32_t count;
    struct {
        struct text name, value; /* the name lives as long as the version, the value as the path */
    } items[ROUTER_CAPTURES_MAX];
};

/* Checks the conditions that are not in the index (methods, headers, query, ...); may be called for
 * several candidates. */
typedef bool route_accepts(const struct route *route, void *context);

struct router; /* one version */

/* Validates a path pattern: exact "/a", "/a/" + "*" segment prefix, "/a*" raw prefix, template
 * "/orders/{id}", "/files/{name}.json" and "/files/{path...}", "~ regex" with named groups. .at NULL: any.
 * A template may end in a prefix ("/{tenant}/" + "*"). One capture a segment; captures are never empty. A
 * regular expression matches from the start of the path. */
bool router_check_path(struct text pattern, enum path_form *ret_form, struct error *reterr);

/* Validates a host pattern: a host, "*.example.com" or "*". */
bool router_check_host(struct text pattern, struct error *reterr);

struct router *router_new(void); /* empty; NULL: no memory */
struct router *router_ref(struct router *router);
void router_unref(struct router *router); /* frees the nodes that no other version shares */

/* A new version with the key added (or taken away: same hosts, path and route; name, priority and
 * conditions are not looked at). The old one stays valid. Texts are copied where needed; NULL: no memory,
 * a bad pattern, a route that is there already or not there (*reterr), and then nothing has changed.
 * Changes apply in their order, and many at once copy shared nodes only once. */
struct router_change {
    bool remove;
    struct route_key key;
};
struct router *router_edit(const struct router *router, const struct router_change *changes, size_t count,
                           struct error *reterr);

/* The winner by: priority; then host (exact, longer wildcard, any); then path; then more conditions; then
 * name. Of two paths that fit, what differs first from left to right decides: the end of an exact path; a
 * literal byte; a regular expression (which counts with the literal text that it begins with); a {name}
 * (the longer the literal after it in its segment, the sooner); {name...}; a segment prefix's end; a raw
 * prefix's end; any path. So exact paths come first and longer prefixes before shorter ones. `path` is
 * normalised, `host` lower case without port. NULL: none. Captures (may be NULL) are filled for the
 * winner. `accepts` (NULL: all) may be called for a route that a later one with a higher priority beats.
 * No allocation on the heap, but for a thread's first regular expression. */
struct route *router_match(const struct router *router, struct text host, struct text path,
                           route_accepts *accepts, void *context, struct route_captures *ret_captures);

/* Candidates, best first, for explain: calls `visit` for each whose host and path fit; it returns false to
 * stop. The first that is accepted is the one that router_match() gives. A route comes once for each of its
 * hosts that fits. */
void router_candidates(const struct router *router, struct text host, struct text path,
                       bool (*visit)(struct route *route, void *context), void *context);

size_t router_count(const struct router *router); /* keys */

/* Memory of what is reachable from this version; walks all of it. */
size_t router_bytes(const struct router *router);

/* Regular expressions that were given up because a path made them work too long: such a route did not
 * match. Any thread. */
uint64_t router_regex_limit_hits(void);

/* Nodes, leaves and entries of all versions, for tests: 0 when no version with a route is left. */
size_t router_nodes_alive(void);
