/* The hosts and the path of a route, and what it does to the path. */
#include "base/check.h"
#include "proxy/route_config.h"

bool route_set_hosts(struct binder *binder, struct route *route, const struct match_config *match,
                     const struct node *node)
{
    const struct array *from = &match->hosts;
    const struct text *names = from->items;
    struct text *hosts = arena_array(binder->arena, from->count, sizeof *hosts);
    if (!hosts)
        return bind_error(binder, node, NULL, "out of memory");
    for (size_t i = 0; i < from->count; i++) {
        bool wild = text_starts_with(names[i], TEXT("*."));
        struct text host;
        uint16_t port = 0;
        if (!uri_parse_authority(text_slice(names[i], wild ? 2 : 0, names[i].size), binder->arena, &host,
                                 &port)
            || port || host.size == 0)
            return bind_error(binder, node, "match.hosts",
                              "wants a host name without port, or `*.` and one, got `%.*s`",
                              TEXT_ARGS(names[i]));
        hosts[i] =
            wild ? arena_format(binder->arena, "*.%.*s", TEXT_ARGS(host)) : arena_copy(binder->arena, host);
    }
    route->key.hosts = hosts;
    route->key.hosts_count = from->count;
    return true;
}

/* Literal parts are written as requests are read. */
static bool normal_path(struct binder *binder, struct text *path, enum path_form form)
{
    static const struct uri_rules rules = {.merge_slashes = true, .encoded_slashes = SLASHES_KEEP};
    size_t tail = form == PATH_EXACT                                       ? 0
                  : form == PATH_SEGMENT_PREFIX || form == PATH_RAW_PREFIX ? 1
                                                                           : path->size;
    struct text literal = text_slice(*path, 0, path->size - tail), normal;
    if (literal.size == 0)
        return true;
    if (!uri_normalise_path(literal, &rules, binder->report->arena, &normal))
        return false;
    if (text_equal(literal, normal))
        return true;
    *path = arena_format(binder->arena, "%.*s%.*s", TEXT_ARGS(normal),
                         TEXT_ARGS(text_slice(*path, path->size - tail, path->size)));
    return true;
}

bool route_set_path(struct binder *binder, struct route *route, const struct route_config *config,
                    const struct node *node)
{
    struct error error = {0};
    enum path_form form = PATH_ANY;
    struct text path = config->match.path;
    if (path.at && !router_check_path(path, &form, &error))
        return bind_error(binder, node, "match.path", "`%.*s`: %s", TEXT_ARGS(path), error.said);
    if (path.at && !normal_path(binder, &path, form))
        return bind_error(binder, node, "match.path", "`%.*s` is no valid path", TEXT_ARGS(path));
    route->key.path = path;
    if (config->rewrite && config->strip_prefix.at)
        return bind_error(binder, node, "rewrite", "cannot stand beside `strip_prefix`");
    if (config->rewrite) {
        route->path_change = PATH_REWRITE;
        route->rewrite = config->rewrite;
    }
    if (!config->strip_prefix.at)
        return true;
    if (config->strip_prefix.at[0] == '/') {
        struct text prefix = config->strip_prefix;
        route->path_change = PATH_STRIP_TEXT;
        route->strip_text = text_slice(prefix, 0, prefix.size - text_ends_with(prefix, TEXT("/")));
        return true;
    }
    if (form != PATH_EXACT && form != PATH_SEGMENT_PREFIX && form != PATH_RAW_PREFIX)
        return bind_error(binder, node, "strip_prefix", "needs a `match.path` such as `/a/*`");
    route->path_change = PATH_STRIP_PREFIX;
    route->strip_bytes = (uint32_t)(path.size
                                    - (form == PATH_SEGMENT_PREFIX ? 2
                                       : form == PATH_RAW_PREFIX   ? 1
                                                                   : 0));
    return true;
}
