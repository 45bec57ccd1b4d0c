/* Matching: a walk down the tree that tries the most specific candidate first and goes back for the next
 * when it is refused.
 *
 * A priority can put a less specific route first, so the walk goes on after a success, but only into what
 * could still beat it: each node knows the highest priority below. Where all priorities are equal the
 * first success is the end. A node is visited at most once for each node that leads to it: where a capture
 * ends depends on the path alone. */
#include "proxy/router.h"

#include <string.h>

#include "base/check.h"
#include "proxy/router_leaf.h"
#include "proxy/router_node.h"
#include "proxy/router_tree.h"

struct search {
    const char *begin, *end; /* the path */
    int64_t floor;           /* only priorities above it are of interest */
    bool flat;               /* all priorities are 0 */
    route_accepts *accepts;
    bool (*visit)(struct route *, void *); /* instead of `accepts`: shows each candidate of `priority` */
    void *context;
    struct route *winner;
    struct route_captures *captures; /* of the winner; NULL: not wanted */
    int64_t priority, priority_next; /* of the candidates that are shown now, and the next lower one */
    uint32_t values_count;
    struct text values[ROUTER_CAPTURES_MAX]; /* captured on the way to where the walk is */
};

static void walk_path(struct search *search, const struct route_node *node, const char *at);

static struct text path_of(const struct search *search)
{
    return (struct text){search->begin, (size_t)(search->end - search->begin)};
}

static void offer_to_visit(struct search *search, const struct route_entry *entry)
{
    if (entry->priority > search->priority)
        return; /* shown already */
    if (entry->priority < search->priority && entry->priority <= search->priority_next)
        return;
    if (entry->regex && !route_regex_match(entry->regex, path_of(search)))
        return;
    if (entry->priority < search->priority)
        search->priority_next = entry->priority;
    else if (!search->visit(entry->route, search->context))
        search->floor = INT64_MAX;
}

static void keep_captures(struct search *search, const struct route_entry *entry)
{
    if (!search->captures)
        return;
    if (entry->regex)
        route_regex_captures(entry->regex, path_of(search), search->captures);
    else
        route_entry_captures(entry, search->values, search->captures);
}

static bool is_accepted(const struct search *search, const struct route *route)
{
    return !search->accepts || search->accepts(route, search->context);
}

static void offer_leaf(struct search *search, const struct route_leaf *leaf)
{
    for (uint32_t i = 0; i < leaf->count; i++) {
        const struct route_entry *entry = route_leaf_at(leaf, i);
        if (entry->priority <= search->floor)
            return;
        if (search->visit) {
            offer_to_visit(search, entry);
            continue;
        }
        if (entry->regex && !route_regex_match(entry->regex, path_of(search)))
            continue;
        if (!is_accepted(search, entry->route))
            continue;
        search->winner = entry->route;
        search->floor = entry->priority;
        keep_captures(search, entry);
        return;
    }
}

/* The usual case, in which the leaf is not looked at: one route, nothing captured, no priorities. */
static void offer_only(struct search *search, const struct route_place *place)
{
    if (search->winner || !is_accepted(search, place->route))
        return;
    search->winner = place->route;
    search->floor = 0;
    if (search->values_count)
        keep_captures(search, route_leaf_at(place->leaf, 0));
    else if (search->captures)
        search->captures->count = 0;
}

static void offer(struct search *search, const struct route_place *place)
{
    if (place->route && search->flat)
        offer_only(search, place);
    else
        offer_leaf(search, place->leaf);
}

static bool label_follows(const struct route_node *node, const char *at, const char *end)
{
    size_t size = node->label_size;
    const char *label = route_node_label(node);
    if ((size_t)(end - at) < size)
        return false;
    if (size >= 8)
        return !memcmp(label, at, size);
    for (size_t i = 0; i < size; i++) {
        if (label[i] != at[i])
            return false;
    }
    return true;
}

/* Goes on below a capture. */
static void walk_captured(struct search *search, const struct route_node *node, struct text value,
                          const char *at)
{
    search->values[search->values_count++] = value;
    walk_path(search, node, at);
    search->values_count--;
}

/* Walks a text from its end to its beginning: a host (`resume` is where the path begins), or the last part
 * of a segment (there is where the segment ends, and what is left of it is captured). `at` is where the
 * unread part ends. */
static void walk_back(struct search *search, const struct route_node *node, const char *begin, const char *at,
                      const char *resume)
{
    const char *label = route_node_label(node);
    if (node->priority_max <= search->floor || (size_t)(at - begin) < node->label_size)
        return;
    for (const char *last = label + node->label_size; label < last; label++) {
        if (*--at != *label)
            return;
    }
    if (at == begin) {
        const struct route_place *exact = route_node_slot(node, SLOT_EXACT);
        if (exact)
            walk_path(search, exact->node, resume);
        return;
    }
    struct route_node **child = route_node_find(node, at[-1]);
    if (child)
        walk_back(search, *child, begin, at - 1, resume);
    const struct route_place *raw = route_node_slot(node, SLOT_RAW);
    if (!raw)
        return;
    if (node->level == LEVEL_SUFFIX)
        walk_captured(search, raw->node, (struct text){begin, (size_t)(at - begin)}, resume);
    else
        walk_path(search, raw->node, resume);
}

static void walk_captures(struct search *search, const struct route_node *node, const char *at)
{
    const char *slash = memchr(at, '/', (size_t)(search->end - at));
    const char *segment_end = slash ? slash : search->end;
    if (segment_end == at)
        return;
    const struct route_place *suffixes = route_node_slot(node, SLOT_SUFFIXES);
    const struct route_place *capture = route_node_slot(node, SLOT_CAPTURE);
    if (suffixes)
        walk_back(search, suffixes->node, at, segment_end, segment_end);
    if (capture)
        walk_captured(search, capture->node, (struct text){at, (size_t)(segment_end - at)}, segment_end);
}

static void offer_slot(struct search *search, const struct route_node *node, enum route_slot slot)
{
    const struct route_place *place = route_node_slot(node, slot);
    if (place)
        offer(search, place);
}

static void offer_rest(struct search *search, const struct route_node *node, const char *at)
{
    const struct route_place *place = route_node_slot(node, SLOT_REST);
    if (!place)
        return;
    search->values[search->values_count++] = (struct text){at, (size_t)(search->end - at)};
    offer(search, place);
    search->values_count--;
}

/* What a node has besides children and an exact end, most specific first. */
static void walk_slots(struct search *search, const struct route_node *node, const char *at)
{
    if (node->priority_max <= search->floor)
        return;
    offer_slot(search, node, SLOT_REGEX);
    if (at < search->end) {
        if (node->slots & (1 << SLOT_SUFFIXES | 1 << SLOT_CAPTURE))
            walk_captures(search, node, at);
        offer_rest(search, node, at);
    }
    if (at == search->end || *at == '/')
        offer_slot(search, node, SLOT_SEGMENTS);
    offer_slot(search, node, SLOT_RAW);
}

static void walk_path(struct search *search, const struct route_node *node, const char *at)
{
    for (;;) {
        if (node->priority_max <= search->floor || !label_follows(node, at, search->end))
            return;
        at += node->label_size;
        struct route_node **child = at < search->end ? route_node_find(node, *at) : NULL;
        if (!child || node->slots & ~(1 << SLOT_EXACT)) {
            if (at == search->end)
                offer_slot(search, node, SLOT_EXACT);
            else if (child)
                walk_path(search, *child, at + 1);
            walk_slots(search, node, at);
            return;
        }
        node = *child;
        at++;
    }
}

static void walk(struct search *search, const struct router *router, struct text host, struct text path)
{
    search->begin = path.size ? path.at : "";
    search->end = search->begin + path.size;
    if (router->hosts && host.size)
        walk_back(search, router->hosts, host.at, host.at + host.size, search->begin);
    if (router->any)
        walk_path(search, router->any, search->begin);
}

struct route *router_match(const struct router *router, struct text host, struct text path,
                           route_accepts *accepts, void *context, struct route_captures *ret_captures)
{
    struct search search; /* `values` are not worth clearing */
    search.floor = INT64_MIN;
    search.flat = !router->priorities_count;
    search.accepts = accepts;
    search.visit = NULL;
    search.context = context;
    search.winner = NULL;
    search.captures = ret_captures;
    search.values_count = 0;
    walk(&search, router, host, path);
    return search.winner;
}

void router_candidates(const struct router *router, struct text host, struct text path,
                       bool (*visit)(struct route *route, void *context), void *context)
{
    struct search search = {.visit = visit, .context = context, .priority_next = INT64_MAX};
    search.floor = INT64_MIN;
    do {
        search.priority = search.priority_next;
        search.priority_next = INT64_MIN;
        walk(&search, router, host, path);
    } while (search.priority_next > INT64_MIN && search.floor < INT64_MAX);
}
