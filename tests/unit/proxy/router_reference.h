/* A router that is as plain as the manual's rules (docs/manual/routing.md): it tries all routes one by one
 * and compares two at a time. The property test and the fuzz target hold the real one against it. Shares
 * no code with it. */
#pragma once

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "proxy/router.h"

enum { REFERENCE_HOSTS_MAX = 3 };

/* What the router is given; the tests' struct route. */
struct route {
    const char *hosts[REFERENCE_HOSTS_MAX]; /* NULL: no more; none: any host */
    const char *path;                       /* NULL: any */
    const char *literal;                    /* of a regular expression: the text that it begins with */
    const char *name;
    int32_t priority;
    uint32_t conditions;
    bool refused; /* its conditions are not met */
    bool present; /* in the router now */
    const pcre2_code *regex;
};

struct reference_captures {
    size_t count;
    struct text values[ROUTER_CAPTURES_MAX];
};

/* Whether a pattern from `p` on fits a path from `s` on. */
static bool reference_fits(const char *p, const char *s, const char *end, struct reference_captures *captures)
{
    if (!*p)
        return s == end;
    if (!strcmp(p, "/*"))
        return s == end || *s == '/';
    if (!strcmp(p, "*"))
        return true;
    if (*p != '{')
        return s < end && *s == *p && reference_fits(p + 1, s + 1, end, captures);
    size_t mine = captures->count++;
    const char *close = strchr(p, '}');
    bool rest = close[-1] == '.';
    for (const char *to = s + 1; to <= end && (rest || to[-1] != '/'); to++) {
        captures->count = mine + 1;
        captures->values[mine] = (struct text){s, (size_t)(to - s)};
        if (reference_fits(close + 1, to, end, captures))
            return true;
    }
    return false;
}

static bool reference_path_fits(const struct route *route, struct text path,
                                struct reference_captures *captures)
{
    captures->count = 0;
    if (!route->path)
        return true;
    if (route->path[0] != '~')
        return reference_fits(route->path, path.at, path.at + path.size, captures);
    pcre2_match_data *data = pcre2_match_data_create(8, NULL);
    int found = pcre2_match(route->regex, (PCRE2_SPTR)path.at, path.size, 0, PCRE2_ANCHORED, data, NULL);
    pcre2_match_data_free(data);
    return found >= 0;
}

/* How specific a host pattern is for a host: its length if it fits (an exact one before all wildcards), -1
 * if not. */
static int reference_host_rank(const char *pattern, struct text host)
{
    struct text p = text_of(pattern);
    if (text_equal(p, TEXT("*")))
        return 0;
    if (p.at[0] != '*')
        return text_equal(p, host) ? 1000 : -1;
    struct text tail = text_slice(p, 1, p.size);
    return host.size > tail.size && text_ends_with(host, tail) ? (int)tail.size : -1;
}

/* What a pattern begins with, more specific kinds first. */
enum reference_kind {
    KIND_END,
    KIND_LITERAL,
    KIND_REGEX,
    KIND_SUFFIXED,
    KIND_CAPTURE,
    KIND_REST,
    KIND_SEGMENTS,
    KIND_RAW
};

struct reference_cursor {
    const char *at;
    bool regex; /* `at` is the literal text of one */
};

static enum reference_kind reference_kind(struct reference_cursor c)
{
    if (!*c.at)
        return c.regex ? KIND_REGEX : KIND_END;
    if (c.regex)
        return KIND_LITERAL;
    if (!strcmp(c.at, "/*"))
        return KIND_SEGMENTS;
    if (!strcmp(c.at, "*"))
        return KIND_RAW;
    if (*c.at != '{')
        return KIND_LITERAL;
    const char *close = strchr(c.at, '}');
    if (close[-1] == '.')
        return KIND_REST;
    return close[1] && close[1] != '/' ? KIND_SUFFIXED : KIND_CAPTURE;
}

/* <0: `a` is more specific, where both fit the same path. */
static int reference_compare_paths(struct reference_cursor a, struct reference_cursor b)
{
    for (;;) {
        enum reference_kind kind = reference_kind(a), other = reference_kind(b);
        if (kind != other)
            return kind < other ? -1 : 1;
        if (kind == KIND_LITERAL) {
            a.at++;
            b.at++;
            continue;
        }
        if (kind != KIND_SUFFIXED && kind != KIND_CAPTURE)
            return 0;
        a.at = strchr(a.at, '}') + 1;
        b.at = strchr(b.at, '}') + 1;
        size_t suffix = strcspn(a.at, "/"), other_suffix = strcspn(b.at, "/");
        if (suffix != other_suffix)
            return suffix > other_suffix ? -1 : 1;
        a.at += suffix;
        b.at += suffix;
    }
}

static struct reference_cursor reference_cursor(const struct route *route)
{
    if (!route->path)
        return (struct reference_cursor){"*", false};
    return route->path[0] == '~' ? (struct reference_cursor){route->literal, true}
                                 : (struct reference_cursor){route->path, false};
}

struct reference_candidate {
    const struct route *route;
    int host_rank;
    struct reference_captures captures;
};

/* <0: `a` is chosen before `b`. */
static int reference_compare(const void *a_of, const void *b_of)
{
    const struct reference_candidate *x = a_of, *y = b_of;
    const struct route *a = x->route, *b = y->route;
    if (a->priority != b->priority)
        return a->priority > b->priority ? -1 : 1;
    if (x->host_rank != y->host_rank)
        return x->host_rank > y->host_rank ? -1 : 1;
    int order = reference_compare_paths(reference_cursor(a), reference_cursor(b));
    if (order)
        return order;
    if (a->conditions != b->conditions)
        return a->conditions > b->conditions ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* All that fit, best first; a route once for each of its hosts that fits. `ret_candidates` has room for
 * all. */
static inline size_t reference_candidates(const struct route *routes, size_t count, struct text host,
                                          struct text path, struct reference_candidate *ret_candidates)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        const struct route *route = &routes[i];
        struct reference_captures captures;
        if (!route->present || !reference_path_fits(route, path, &captures))
            continue;
        for (size_t k = 0; k == 0 || (k < REFERENCE_HOSTS_MAX && route->hosts[k]); k++) {
            int rank = reference_host_rank(route->hosts[k] ? route->hosts[k] : "*", host);
            if (rank >= 0)
                ret_candidates[found++] = (struct reference_candidate){route, rank, captures};
        }
    }
    qsort(ret_candidates, found, sizeof *ret_candidates, reference_compare);
    return found;
}

/* The change that adds or removes a route; `hosts` is memory for its texts. */
static inline struct router_change reference_change(struct route *route, bool remove,
                                                    struct text hosts[REFERENCE_HOSTS_MAX])
{
    struct router_change change = {.remove = remove};
    while (change.key.hosts_count < REFERENCE_HOSTS_MAX && route->hosts[change.key.hosts_count]) {
        hosts[change.key.hosts_count] = text_of(route->hosts[change.key.hosts_count]);
        change.key.hosts_count++;
    }
    change.key.hosts = hosts;
    if (route->path)
        change.key.path = text_of(route->path);
    change.key.priority = route->priority;
    change.key.conditions = route->conditions;
    change.key.name = text_of(route->name);
    change.key.route = route;
    return change;
}
