/* The hosts and the path of a route, and what it does to the path. */
#include "base/check.h"
#include "proxy/attributes.h"
#include "proxy/route_config.h"
#include "proxy/route_template.h"

/* --- hosts --- */

bool route_normal_host(struct binder *binder, const struct node *node, const char *child, struct text written,
                       struct text *ret_host)
{
    bool wild = text_starts_with(written, TEXT("*."));
    struct text host;
    uint16_t port = 0;
    *ret_host = written;
    if (text_equal(written, TEXT("*")))
        return true;
    if (!uri_parse_authority(text_slice(written, wild ? 2 : 0, written.size), binder->arena, &host, &port)
        || port || host.size == 0)
        return bind_error(binder, node, child, "wants a host name without port, or `*.` and one, got `%.*s`",
                          TEXT_ARGS(written));
    *ret_host =
        wild ? arena_format(binder->arena, "*.%.*s", TEXT_ARGS(host)) : arena_copy(binder->arena, host);
    return true;
}

bool route_set_hosts(const struct route_building *building, const struct match_config *match)
{
    const struct text *names = match->hosts.items;
    struct binder *binder = building->binder;
    struct text *hosts = arena_array(binder->arena, match->hosts.count, sizeof *hosts);
    const struct node *list = node_get(node_get(building->node, TEXT("match")), TEXT("hosts"));
    bool fine = true;
    if (!hosts)
        return bind_error(binder, building->node, NULL, "out of memory");
    struct text path = bind_enter(binder, TEXT("match"));
    for (size_t i = 0; i < match->hosts.count; i++) {
        const struct node *node = list && list->kind == NODE_LIST ? &list->items[i] : list;
        fine &= route_normal_host(binder, node, "hosts", names[i], &hosts[i]);
    }
    bind_leave(binder, path);
    building->route->key.hosts = hosts;
    building->route->key.hosts_count = match->hosts.count;
    return fine;
}

/* --- the path --- */

/* A prefix keeps its star, and what stands before it is written as requests are read. */
static bool normal_literal(struct binder *binder, enum path_form form, struct text *path)
{
    size_t tail = form == PATH_EXACT ? 0 : 1;
    struct text literal = text_slice(*path, 0, path->size - tail), normal;
    if (!route_literal_normal(binder->report->arena, literal, &normal))
        return false;
    if (text_equal(literal, normal))
        return true;
    *path = arena_format(binder->arena, "%.*s%s", TEXT_ARGS(normal), tail ? "*" : "");
    return true;
}

static bool read_path(struct binder *binder, const struct node *node, struct text written,
                      enum path_form *ret_form, struct route_template *ret_template)
{
    struct error error = {0};
    *ret_template = (struct route_template){.path = written};
    bool braces = written.at[0] == '/' && text_find_char(written, '{') != TEXT_NONE;
    if ((braces && !route_template_read(binder->arena, binder->report->arena, written, ret_template, &error))
        || !router_check_path(ret_template->path, ret_form, &error))
        return bind_error(binder, node, "path", "`%.*s`: %s", TEXT_ARGS(written), error.said);
    if (braces)
        ret_template->path =
            text_equal(ret_template->path, written) ? written : arena_copy(binder->arena, ret_template->path);
    bool literal =
        *ret_form == PATH_EXACT || *ret_form == PATH_SEGMENT_PREFIX || *ret_form == PATH_RAW_PREFIX;
    if (literal && !normal_literal(binder, *ret_form, &ret_template->path))
        return bind_error(binder, node, "path", "`%.*s` is no valid path", TEXT_ARGS(written));
    return true;
}

bool route_normal_path(struct binder *binder, const struct node *node, struct text written,
                       enum path_form *ret_form, struct text *ret_path)
{
    struct route_template template;
    if (!read_path(binder, node, written, ret_form, &template))
        return false;
    for (size_t i = 0; i < template.captures_count; i++)
        if (template.captures[i].place.type != CAPTURE_TEXT)
            return bind_error(
                binder, node, "paths",
                "`%.*s`: types of captures may only stand in `match.path`; use a regular expression",
                TEXT_ARGS(written));
    *ret_path = template.path;
    return true;
}

/* A type is a condition, and makes the path more specific: the further left, the more. */
static bool add_types(const struct route_building *building, const struct route_template *template)
{
    struct route *route = building->route;
    struct condition *conditions =
        arena_array(building->binder->report->arena, template->captures_count, sizeof *conditions);
    if (!conditions)
        return bind_error(building->binder, building->node, NULL, "out of memory");
    for (size_t i = 0; i < template->captures_count; i++) {
        const struct route_capture *capture = &template->captures[i];
        if (capture->place.type == CAPTURE_TEXT)
            continue;
        conditions[route->conditions_count++] =
            (struct condition){.kind = CONDITION_CAPTURE,
                               .name = arena_copy(building->binder->arena, capture->name),
                               .capture = capture->place};
        route->typed_captures |= (uint16_t)(1 << (ROUTER_CAPTURES_MAX - 1 - i));
        route->int_captures |= capture->place.type == CAPTURE_INT;
    }
    route->conditions = conditions;
    return true;
}

/* --- what the service gets --- */

static bool set_strip(const struct route_building *building, struct text strip, enum path_form form)
{
    struct route *route = building->route;
    if (strip.at[0] == '/') {
        route->path_change = PATH_STRIP_TEXT;
        route->strip_text = text_slice(strip, 0, strip.size - text_ends_with(strip, TEXT("/")));
        return true;
    }
    if (form != PATH_EXACT && form != PATH_SEGMENT_PREFIX && form != PATH_RAW_PREFIX)
        return bind_error(building->binder, node_get(building->node, TEXT("strip_prefix")), "strip_prefix",
                          "needs a `match.path` such as `/a/*`");
    size_t star = form == PATH_SEGMENT_PREFIX ? 2 : form == PATH_RAW_PREFIX ? 1 : 0;
    route->path_change = PATH_STRIP_PREFIX;
    route->strip_bytes = (uint32_t)(route->key.path.size - star);
    return true;
}

static bool set_change(const struct route_building *building, const struct route_config *config,
                       enum path_form form)
{
    if (config->rewrite && config->strip_prefix.at)
        return bind_error(building->binder, node_get(building->node, TEXT("rewrite")), "rewrite",
                          "cannot stand beside `strip_prefix`");
    if (config->rewrite) {
        building->route->path_change = PATH_REWRITE;
        building->route->rewrite = config->rewrite;
        building->route->needs_body |= attribute_needs_body(config->rewrite);
    }
    return !config->strip_prefix.at || set_strip(building, config->strip_prefix, form);
}

bool route_set_path(const struct route_building *building, const struct route_config *config)
{
    struct text written = config->match.path;
    struct route_template template = {.captures_count = 0};
    enum path_form form = PATH_ANY;
    if (written.at) {
        const struct node *node = node_get(node_get(building->node, TEXT("match")), TEXT("path"));
        struct text path = bind_enter(building->binder, TEXT("match"));
        bool fine = read_path(building->binder, node, written, &form, &template);
        bind_leave(building->binder, path);
        if (!fine)
            return false;
        building->route->key.path = template.path;
        building->route->path = written;
    }
    return add_types(building, &template) && set_change(building, config, form);
}
