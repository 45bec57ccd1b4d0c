/* The configuration of active checks, and the judgement of an answer. */
#include "upstream/health_check.h"

#include <stdio.h>

#include "base/check.h"
#include "http/uri.h"

enum { SHOWN_BYTES = 60 };

/* --- what `expect` may ask --- */

enum check_attribute { CHECK_STATUS, CHECK_HEADERS, CHECK_BODY };

static const struct expr_attribute check_attributes[] = {
    {"response.status", EXPR_INT, EXPR_DYN, CHECK_STATUS, "Status of the answer."},
    {"response.headers", EXPR_MAP, EXPR_STRING, CHECK_HEADERS, "Its header fields."},
    {"response.body", EXPR_STRING, EXPR_DYN, CHECK_BODY, "Its body, up to `body_limit`."},
};
static const struct expr_environment check_environment = {check_attributes, COUNT_OF(check_attributes),
                                                          false};

/* --- configuration --- */

static bool bind_expect(struct binder *binder, const struct field *field, const struct node *node, void *at)
{
    static const struct field condition = {
        .kind = FIELD_KIND_EXPRESSION, .size = sizeof(const struct expr *), .type = EXPR_BOOL};
    const struct expr_environment *before = binder->environment;
    (void)field;
    binder->environment = &check_environment;
    bool fine = field_bind_value(binder, &condition, node, at);
    binder->environment = before;
    return fine;
}

static const char *const type_choices[] = {"http", "tcp", NULL};
static const char *const method_choices[] = {"GET", "HEAD", "POST", "OPTIONS", NULL};
static const char *const initial_choices[] = {"up", "down", NULL};

const struct field health_check_fields[] = {
    {FIELD_MEMBER_(struct health_check, path, "path", FIELD_KIND_TEXT, "/",
                   "Path that is asked for, with or without a query."),
     .flags = FIELD_SHORTHAND},
    FIELD_CHOICE(struct health_check, type, "type", "http", type_choices,
                 "`http` asks; `tcp` only connects. Each check is a new connection."),
    FIELD_CHOICE(struct health_check, method, "method", "GET", method_choices, "Method of the request."),
    FIELD_TEXT(struct health_check, host, "host", OPTIONAL,
               "Host that is sent; unless given the name in the service's `host`, or the endpoint's own."),
    FIELD_MAP(struct health_check, headers, "headers", OPTIONAL, &field_item_text_pair, 0,
              "Header fields that are sent."),
    FIELD_TEXT(struct health_check, body, "body", OPTIONAL, "Body that is sent."),
    FIELD_CUSTOM(struct health_check, statuses, "statuses", "2xx", status_set_bind, status_set_schema,
                 "Statuses that are well: `200`, `200-204`, `2xx`, or a list."),
    FIELD_TEXT(struct health_check, contains, "contains", OPTIONAL, "Text that the body must contain."),
    FIELD_CUSTOM(struct health_check, expect, "expect", OPTIONAL, bind_expect, "{\"type\":\"string\"}",
                 "Condition on `response.status`, `response.headers` and `response.body` that must hold."),
    FIELD_SIZE(struct health_check, body_bytes_max, "body_limit", "64KiB", 1, 1 << 20,
               "How much of the body `contains` and `expect` look at; the rest is not read."),
    FIELD_DURATION(struct health_check, interval_ms, "interval", "10s", 100, 86400000,
                   "Pause between two checks of an endpoint."),
    FIELD_DURATION(struct health_check, unhealthy_interval_ms, "unhealthy_interval", "0", 0, 86400000,
                   "Pause while the endpoint is unhealthy; 0: `interval`."),
    FIELD_PERCENT(struct health_check, jitter, "jitter", "10%",
                  "Each pause is up to this share shorter or longer, so that checks spread."),
    FIELD_DURATION(struct health_check, timeout_ms, "timeout", "2s", 1, 3600000, "For the whole check."),
    FIELD_INTEGER(struct health_check, rise, "rise", "2", 1, 100,
                  "So many checks in a row must pass to make an unhealthy endpoint healthy."),
    FIELD_INTEGER(
        struct health_check, fall, "fall", "3", 1, 100,
        "So many must fail to make a healthy one unhealthy. The first check of all decides by itself."),
    FIELD_CHOICE(struct health_check, initial, "initial", "up", initial_choices,
                 "Is an endpoint used before its first check has ended?"),
    FIELD_END,
};

static bool check_headers(struct binder *binder, const struct node *node, const struct health_check *config)
{
    const struct text_pair *pairs = config->headers.items;
    const struct node *map = node_get(node, TEXT("headers"));
    for (size_t i = 0; i < config->headers.count; i++)
        if (!http_is_token(pairs[i].key) || !http_is_field_value(pairs[i].value)
            || text_equal_nocase(pairs[i].key, TEXT("host")))
            return bind_error(binder, map ? map : node, "headers",
                              "`%.*s` is no header field that can be sent%s", TEXT_ARGS(pairs[i].key),
                              text_equal_nocase(pairs[i].key, TEXT("host")) ? "; use `host`" : "");
    return true;
}

static bool check_target(struct binder *binder, const struct node *node, const struct health_check *config)
{
    static const struct uri_rules rules = {.merge_slashes = false, .encoded_slashes = SLASHES_KEEP};
    struct text query = config->path, path = text_split(&query, '?'), normal, host;
    uint16_t port;
    bool fine = path.size && path.at[0] == '/' && uri_normalise_path(path, &rules, binder->arena, &normal);
    for (size_t i = 0; query.at && i < query.size; i++)
        fine &= query.at[i] > ' ' && query.at[i] < 0x7f && query.at[i] != '#';
    if (!fine)
        return bind_error(binder, node, "path", "wants a path such as `/health`, got `%.*s`",
                          TEXT_ARGS(config->path));
    if (config->host.size && !uri_parse_authority(config->host, binder->arena, &host, &port))
        return bind_error(binder, node, "host", "wants a host name, got `%.*s`", TEXT_ARGS(config->host));
    return true;
}

/* A field that would have no effect is a mistake. */
static bool check_tcp(struct binder *binder, const struct node *node)
{
    static const char *const of_http[] = {"path",     "method",   "host",   "headers",   "body",
                                          "statuses", "contains", "expect", "body_limit"};
    for (size_t i = 0; i < COUNT_OF(of_http); i++) {
        const struct node *given = node_get(node, text_of(of_http[i]));
        if (given)
            return bind_error(binder, given, of_http[i],
                              "has no meaning for `type: tcp`, which only connects");
    }
    return true;
}

const struct health_check *health_check_build(struct binder *binder, const struct node *node,
                                              const struct health_check *config)
{
    struct health_check *check = ARENA_NEW(binder->arena, struct health_check);
    if (!check) {
        bind_error(binder, node, NULL, "out of memory");
        return NULL;
    }
    *check = *config;
    if (check->unhealthy_interval_ms == 0)
        check->unhealthy_interval_ms = check->interval_ms;
    bool fine = check->type == CHECK_TCP
                    ? check_tcp(binder, node)
                    : check_target(binder, node, config) && check_headers(binder, node, config);
    if (config->method == 1 && (config->contains.size || config->expect))
        fine = bind_error(binder, node, "method", "an answer to HEAD has no body to look at; use GET");
    return fine ? check : NULL;
}

enum http_method health_check_method(const struct health_check *check)
{
    static const enum http_method methods[] = {METHOD_GET, METHOD_HEAD, METHOD_POST, METHOD_OPTIONS};
    return methods[check->method];
}

uint32_t health_check_body_bytes(const struct health_check *check)
{
    return check->contains.size || check->expect ? (uint32_t)check->body_bytes_max : 0;
}

/* --- judgement --- */

struct answer {
    struct value_map map; /* over the fields */
    const struct response *response;
    struct text body;
};

static bool headers_get(const struct value_map *map, struct value key, struct arena *arena,
                        struct value *ret_value)
{
    const struct answer *answer = CONTAINER_OF(map, const struct answer, map);
    if (key.kind != VALUE_STRING)
        return false;
    *ret_value = value_string(fields_joined(&answer->response->fields, key.text, arena));
    return ret_value->text.at != NULL;
}

static bool headers_next(const struct value_map *map, size_t *cursor, struct arena *arena,
                         struct value *ret_key, struct value *ret_value)
{
    const struct fields *fields = &CONTAINER_OF(map, const struct answer, map)->response->fields;
    while (*cursor < fields->count) {
        const struct field_line *line = &fields->lines[(*cursor)++];
        if (line->removed || fields_find(fields, line->name) != line)
            continue; /* the first line of a name stands for all */
        *ret_key = value_string(line->name);
        *ret_value = value_string(fields_joined(fields, line->name, arena));
        return true;
    }
    return false;
}

static size_t headers_size(const struct value_map *map)
{
    const struct fields *fields = &CONTAINER_OF(map, const struct answer, map)->response->fields;
    size_t count = 0;
    FIELDS_EACH (line, fields)
        count += fields_find(fields, line->name) == line;
    return count;
}

static bool lookup(void *context, uint16_t id, struct arena *arena, struct value *ret_value)
{
    struct answer *answer = context;
    (void)arena;
    switch ((enum check_attribute)id) {
    case CHECK_STATUS: *ret_value = value_int(answer->response->status); return true;
    case CHECK_HEADERS: *ret_value = (struct value){.kind = VALUE_MAP, .map = &answer->map}; return true;
    case CHECK_BODY: *ret_value = value_string(answer->body); return text_is_utf8(answer->body);
    }
    return false;
}

static bool holds(const struct health_check *check, struct answer *answer, struct arena *arena,
                  int64_t wall_ns, char said[HEALTH_SAID_MAX])
{
    struct expr_run run = {.lookup = lookup, .context = answer, .arena = arena, .now_ns = wall_ns};
    struct expr_error error = {0};
    bool result = false;
    if (!expr_eval_bool(check->expect, &run, &result, &error))
        snprintf(said, HEALTH_SAID_MAX, "`expect` cannot be evaluated: %.150s", error.said);
    else if (!result)
        snprintf(said, HEALTH_SAID_MAX, "`expect` does not hold; the status is %u, the body `%.*s`",
                 answer->response->status, (int)MIN_OF(answer->body.size, (size_t)SHOWN_BYTES),
                 answer->body.at);
    return result;
}

bool health_check_judge(const struct health_check *check, const struct response *response, struct text body,
                        struct arena *arena, int64_t wall_ns, char said[HEALTH_SAID_MAX])
{
    struct answer answer = {{headers_get, headers_next, headers_size}, response, body.at ? body : TEXT("")};
    if (!status_set_has(&check->statuses, response->status)) {
        char wanted[100];
        struct text set = status_set_write(&check->statuses, wanted, sizeof wanted);
        snprintf(said, HEALTH_SAID_MAX, "wanted status %.*s, got %u", TEXT_ARGS(set), response->status);
        return false;
    }
    if (check->contains.size && text_find(answer.body, check->contains) == TEXT_NONE) {
        snprintf(said, HEALTH_SAID_MAX, "wanted `%.*s` in the body, got `%.*s`",
                 (int)MIN_OF(check->contains.size, (size_t)SHOWN_BYTES), check->contains.at,
                 (int)MIN_OF(answer.body.size, (size_t)SHOWN_BYTES), answer.body.at);
        return false;
    }
    return !check->expect || holds(check, &answer, arena, wall_ns, said);
}
