/* What expressions see of an exchange. Maps answer look-ups themselves: nothing is copied into one. */
#include "proxy/attributes.h"

#include "base/check.h"
#include "proxy/body.h"
#include "proxy/connection.h"
#include "proxy/exchange.h"
#include "proxy/route.h"
#include "tls/peer.h"

static const struct expr_attribute attributes[] = {
#define ATTRIBUTE(identifier, name_, type_, item_, about_)                                                   \
    {.name = (name_), .type = (type_), .item = (item_), .id = ATTRIBUTE_##identifier, .about = (about_)},
#include "proxy/attributes.def"
#undef ATTRIBUTE
};

const struct expr_environment exchange_environment = {attributes, COUNT_OF(attributes)};

static const uint16_t of_response[] = {ATTRIBUTE_RESPONSE_STATUS,     ATTRIBUTE_RESPONSE_HEADERS,
                                       ATTRIBUTE_RESPONSE_SIZE,       ATTRIBUTE_RESPONSE_BODY,
                                       ATTRIBUTE_RESPONSE_BODY_BYTES, ATTRIBUTE_RESPONSE_JSON,
                                       ATTRIBUTE_DURATION_SERVICE,    ATTRIBUTE_ERROR_KIND};
static const uint16_t of_request_body[] = {ATTRIBUTE_REQUEST_BODY, ATTRIBUTE_REQUEST_BODY_BYTES,
                                           ATTRIBUTE_REQUEST_JSON};
static const uint16_t of_response_body[] = {ATTRIBUTE_RESPONSE_BODY, ATTRIBUTE_RESPONSE_BODY_BYTES,
                                            ATTRIBUTE_RESPONSE_JSON};

const struct attribute_set response_attributes = {of_response, COUNT_OF(of_response)};
const struct attribute_set request_body_attributes = {of_request_body, COUNT_OF(of_request_body)};
const struct attribute_set response_body_attributes = {of_response_body, COUNT_OF(of_response_body)};

/* What comes after the choice of a route, or with it. */
static const uint16_t later_attributes[] = {
    ATTRIBUTE_REQUEST_PARAMS,  ATTRIBUTE_REQUEST_ID,    ATTRIBUTE_DESTINATION_ADDRESS,
    ATTRIBUTE_ROUTE_LABELS,    ATTRIBUTE_CONSUMER_NAME, ATTRIBUTE_CONSUMER_GROUPS,
    ATTRIBUTE_CONSUMER_LABELS, ATTRIBUTE_AUTH_METHOD,   ATTRIBUTE_AUTH_CLAIMS,
    ATTRIBUTE_ROUTE_NAME,      ATTRIBUTE_SERVICE_NAME,  ATTRIBUTE_VARS,
    ATTRIBUTE_DURATION_TOTAL,
};

const struct expr_environment *environment_with_types(struct arena *arena)
{
    struct expr_environment *environment = ARENA_NEW(arena, struct expr_environment);
    struct expr_attribute *copy = arena_array(arena, COUNT_OF(attributes), sizeof *copy);
    if (!environment || !copy)
        return &exchange_environment;
    memcpy(copy, attributes, sizeof attributes);
    copy[ATTRIBUTE_REQUEST_PARAMS].item = EXPR_DYN;
    copy[ATTRIBUTE_REQUEST_PARAMS].id = ATTRIBUTE_TYPED_PARAMS;
    *environment = (struct expr_environment){copy, COUNT_OF(attributes)};
    return environment;
}

bool attribute_needs_body(const struct expr *expr)
{
    for (size_t i = 0; i < COUNT_OF(of_request_body); i++)
        if (expr_uses(expr, of_request_body[i]))
            return true;
    return false;
}

/* Of the route itself: known when a service is chosen, and not before. */
static bool is_of_route(uint16_t id)
{
    return id == ATTRIBUTE_REQUEST_PARAMS || id == ATTRIBUTE_ROUTE_NAME || id == ATTRIBUTE_ROUTE_LABELS;
}

static const char *unknown_yet(const struct expr *expr, bool has_route)
{
    for (size_t i = 0; i < COUNT_OF(later_attributes); i++)
        if (expr_uses(expr, later_attributes[i]) && !(has_route && is_of_route(later_attributes[i])))
            return attributes[later_attributes[i]].name;
    for (size_t i = 0; i < COUNT_OF(of_response); i++)
        if (expr_uses(expr, of_response[i]))
            return attributes[of_response[i]].name;
    return NULL;
}

const char *attribute_unknown_to_routes(const struct expr *expr)
{
    return expr_uses(expr, ATTRIBUTE_TYPED_PARAMS) ? attributes[ATTRIBUTE_REQUEST_PARAMS].name
                                                   : unknown_yet(expr, false);
}

const char *attribute_unknown_to_choices(const struct expr *expr)
{
    return attribute_needs_body(expr) ? "request.body" : unknown_yet(expr, true);
}

/* A map over something of the exchange. */
struct view {
    struct value_map map;
    struct exchange *exchange;
    const struct fields *fields;
};

static struct value map_value(struct view *view)
{
    return (struct value){.kind = VALUE_MAP, .map = &view->map};
}

static const struct view *view_of(const struct value_map *map)
{
    return CONTAINER_OF(map, const struct view, map);
}

static bool give(struct text text, struct value *ret_value)
{
    *ret_value = value_string(text);
    return text.at != NULL;
}

/* --- header fields --- */

static bool headers_get(const struct value_map *map, struct value key, struct arena *arena,
                        struct value *ret_value)
{
    const struct view *view = view_of(map);
    if (key.kind != VALUE_STRING)
        return false;
    if (view->fields == &view->exchange->request.fields && text_equal_nocase(key.text, TEXT("host")))
        return give(view->exchange->request.authority, ret_value);
    return give(fields_joined(view->fields, key.text, arena), ret_value);
}

static bool headers_next(const struct value_map *map, size_t *cursor, struct arena *arena,
                         struct value *ret_key, struct value *ret_value)
{
    const struct fields *fields = view_of(map)->fields;
    while (*cursor < fields->count) {
        const struct field_line *line = &fields->lines[(*cursor)++];
        if (line->removed || fields_find(fields, line->name) != line)
            continue; /* the first line of a name stands for all */
        *ret_key = value_string(line->name);
        return give(fields_joined(fields, line->name, arena), ret_value);
    }
    return false;
}

static size_t headers_size(const struct value_map *map)
{
    const struct fields *fields = view_of(map)->fields;
    size_t count = 0;
    FIELDS_EACH (line, fields)
        count += fields_find(fields, line->name) == line;
    return count;
}

/* --- query parameters and cookies --- */

static bool query_get(const struct value_map *map, struct value key, struct arena *arena,
                      struct value *ret_value)
{
    struct text query = view_of(map)->exchange->request.query;
    return key.kind == VALUE_STRING && query.at && give(uri_query_get(query, key.text, arena), ret_value);
}

static bool query_next(const struct value_map *map, size_t *cursor, struct arena *arena,
                       struct value *ret_key, struct value *ret_value)
{
    struct text query = view_of(map)->exchange->request.query, rest, name, value;
    while (query.at && *cursor <= query.size) {
        rest = text_slice(query, *cursor, query.size);
        if (!uri_query_next(&rest, &name, &value))
            return false;
        *cursor = rest.at ? (size_t)(rest.at - query.at) : query.size + 1;
        struct text first = uri_query_get(query, uri_decode(name, true, arena), arena),
                    own = uri_decode(value, true, arena);
        if (!text_equal(first, own))
            continue;
        *ret_key = value_string(uri_decode(name, true, arena));
        *ret_value = value_string(own);
        return true;
    }
    return false;
}

static size_t query_size(const struct value_map *map)
{
    struct text rest = view_of(map)->exchange->request.query, name, value;
    size_t count = 0;
    while (rest.at && uri_query_next(&rest, &name, &value))
        count++;
    return count;
}

static struct text cookie_field(const struct view *view, struct arena *arena)
{
    return fields_joined(&view->exchange->request.fields, TEXT("Cookie"), arena);
}

static bool cookies_get(const struct value_map *map, struct value key, struct arena *arena,
                        struct value *ret_value)
{
    return key.kind == VALUE_STRING
           && give(cookie_get(cookie_field(view_of(map), arena), key.text), ret_value);
}

static bool cookies_next(const struct value_map *map, size_t *cursor, struct arena *arena,
                         struct value *ret_key, struct value *ret_value)
{
    struct text field = cookie_field(view_of(map), arena);
    struct text rest = text_slice(field, *cursor, field.size);
    if (rest.size == 0)
        return false;
    struct text pair = text_trim(text_split(&rest, ';')), name = text_split(&pair, '=');
    *cursor = rest.at ? (size_t)(rest.at - field.at) : field.size;
    *ret_key = value_string(name);
    *ret_value = value_string(pair.at ? pair : TEXT(""));
    return true;
}

static size_t cookies_size(const struct value_map *map)
{
    struct arena *arena = &view_of(map)->exchange->arena;
    struct value key, value;
    size_t count = 0, cursor = 0;
    while (cookies_next(map, &cursor, arena, &key, &value))
        count++;
    return count;
}

/* --- captures, labels, variables: arrays of name and value --- */

static bool params_next(const struct value_map *map, size_t *cursor, struct arena *arena,
                        struct value *ret_key, struct value *ret_value)
{
    const struct route_captures *captures = &view_of(map)->exchange->captures;
    (void)arena;
    if (*cursor >= captures->count)
        return false;
    *ret_key = value_string(captures->items[*cursor].name);
    *ret_value = value_string(captures->items[(*cursor)++].value);
    return true;
}

/* Of a route with types: an int is one. */
static bool typed_params_next(const struct value_map *map, size_t *cursor, struct arena *arena,
                              struct value *ret_key, struct value *ret_value)
{
    const struct route *route = view_of(map)->exchange->route;
    int64_t number;
    if (!params_next(map, cursor, arena, ret_key, ret_value))
        return false;
    if (route && route_capture_is_int(route, ret_key->text) && text_to_int64(ret_value->text, &number))
        *ret_value = value_int(number);
    return true;
}

static bool route_labels_next(const struct value_map *map, size_t *cursor, struct arena *arena,
                              struct value *ret_key, struct value *ret_value)
{
    const struct route *route = view_of(map)->exchange->route;
    (void)arena;
    if (!route || *cursor >= route->labels_count)
        return false;
    *ret_key = value_string(route->labels[*cursor].key);
    *ret_value = value_string(route->labels[(*cursor)++].value);
    return true;
}

static bool labels_next(const struct value_map *map, size_t *cursor, struct arena *arena,
                        struct value *ret_key, struct value *ret_value)
{
    const struct consumer *consumer = view_of(map)->exchange->consumer;
    (void)arena;
    if (!consumer || !consumer->more || *cursor >= consumer->more->labels_count)
        return false;
    *ret_key = value_string(consumer->more->labels[*cursor].key);
    *ret_value = value_string(consumer->more->labels[(*cursor)++].value);
    return true;
}

static bool vars_next(const struct value_map *map, size_t *cursor, struct arena *arena, struct value *ret_key,
                      struct value *ret_value)
{
    const struct exchange *ex = view_of(map)->exchange;
    (void)arena;
    if (*cursor >= ex->vars_count)
        return false;
    *ret_key = value_string(ex->vars[*cursor].name);
    *ret_value = ex->vars[(*cursor)++].value;
    return true;
}

static bool get_by_walking(const struct value_map *map, struct value key, struct arena *arena,
                           struct value *ret_value)
{
    struct value at;
    size_t cursor = 0;
    while (key.kind == VALUE_STRING && map->next(map, &cursor, arena, &at, ret_value))
        if (text_equal(at.text, key.text))
            return true;
    return false;
}

static size_t size_by_walking(const struct value_map *map)
{
    struct value key, value;
    size_t count = 0, cursor = 0;
    while (map->next(map, &cursor, &view_of(map)->exchange->arena, &key, &value))
        count++;
    return count;
}

static const struct value_map headers_map = {headers_get, headers_next, headers_size};
static const struct value_map query_map = {query_get, query_next, query_size};
static const struct value_map cookies_map = {cookies_get, cookies_next, cookies_size};
static const struct value_map params_map = {get_by_walking, params_next, size_by_walking};
static const struct value_map typed_params_map = {get_by_walking, typed_params_next, size_by_walking};
static const struct value_map route_labels_map = {get_by_walking, route_labels_next, size_by_walking};
static const struct value_map labels_map = {get_by_walking, labels_next, size_by_walking};
static const struct value_map vars_map = {get_by_walking, vars_next, size_by_walking};

static bool view(struct exchange *ex, const struct value_map *map, const struct fields *fields,
                 struct arena *arena, struct value *ret_value)
{
    struct view *made = ARENA_NEW(arena, struct view);
    if (!made)
        return false;
    *made = (struct view){*map, ex, fields};
    *ret_value = map_value(made);
    return true;
}

static bool groups(const struct exchange *ex, struct arena *arena, struct value *ret_value)
{
    const struct consumer_kind *kind = ex->consumer ? ex->consumer->kind : NULL;
    size_t count = kind ? kind->groups_count : 0;
    struct value_list *list = ARENA_NEW(arena, struct value_list);
    struct value *items = arena_array(arena, count, sizeof *items);
    if (!list || !items)
        return false;
    for (size_t i = 0; i < count; i++)
        items[i] = value_string(kind->groups[i]);
    *list = (struct value_list){.count = count, .items = items};
    *ret_value = (struct value){.kind = VALUE_LIST, .list = list};
    return true;
}

/* What the listener saw in the handshake; empty, false or an empty list on a plain connection. */
static bool tls_names(const struct tls_layer *tls, struct arena *arena, struct value *ret_value)
{
    struct text names[PEER_NAMES_MAX];
    size_t count = tls ? tls_peer_names(tls, arena, names, COUNT_OF(names)) : 0;
    struct value_list *list = ARENA_NEW(arena, struct value_list);
    struct value *items = arena_array(arena, count, sizeof *items);
    if (!list || !items)
        return false;
    for (size_t i = 0; i < count; i++)
        items[i] = value_string(names[i]);
    *list = (struct value_list){.count = count, .items = items};
    *ret_value = (struct value){.kind = VALUE_LIST, .list = list};
    return true;
}

static struct text tls_text(const struct tls_layer *tls, enum attribute id, struct arena *arena)
{
    if (!tls)
        return TEXT("");
    return id == ATTRIBUTE_SOURCE_TLS_VERSION   ? tls_peer_version(tls)
           : id == ATTRIBUTE_SOURCE_TLS_CIPHER  ? tls_peer_cipher(tls)
           : id == ATTRIBUTE_SOURCE_TLS_SNI     ? tls_peer_name(tls)
           : id == ATTRIBUTE_SOURCE_TLS_ALPN    ? tls_peer_protocol(tls)
           : id == ATTRIBUTE_SOURCE_TLS_SUBJECT ? tls_peer_subject(tls, arena)
           : id == ATTRIBUTE_SOURCE_TLS_ISSUER  ? tls_peer_issuer(tls, arena)
           : id == ATTRIBUTE_SOURCE_TLS_SERIAL  ? tls_peer_serial(tls, arena)
                                                : tls_peer_fingerprint(tls, arena);
}

static struct value duration(int64_t ns)
{
    return (struct value){.kind = VALUE_DURATION,
                          .time = {ns / NS_PER_SECOND, (int32_t)(ns % NS_PER_SECOND)}}; /* never negative */
}

static struct value timestamp(int64_t wall_ns)
{
    return (struct value){.kind = VALUE_TIMESTAMP,
                          .time = {wall_ns / NS_PER_SECOND, (int32_t)(wall_ns % NS_PER_SECOND)}};
}

static struct text or_empty(struct text t)
{
    return t.at ? t : TEXT("");
}

/* A string of CEL is valid UTF-8. */
static bool give_text(struct text body, struct value *ret_value)
{
    return body.at && text_is_utf8(body) && give(body, ret_value);
}

static bool give_bytes(struct text body, struct value *ret_value)
{
    *ret_value = (struct value){.kind = VALUE_BYTES, .text = body};
    return body.at != NULL;
}

static int64_t request_size(const struct exchange *ex)
{
    const struct body_framing *body = &ex->request.body;
    return (int64_t)(body->kind == BODY_LENGTH ? body->length : ex->request_bytes);
}

static bool look_up(struct exchange *ex, enum attribute id, struct arena *arena, struct value *ret_value)
{
    const struct request *request = &ex->request;
    switch (id) {
    case ATTRIBUTE_REQUEST_METHOD: return give(request->method_text, ret_value);
    case ATTRIBUTE_REQUEST_PATH: return give(or_empty(request->path), ret_value);
    case ATTRIBUTE_REQUEST_QUERY: return view(ex, &query_map, NULL, arena, ret_value);
    case ATTRIBUTE_REQUEST_QUERY_STRING: return give(or_empty(request->query), ret_value);
    case ATTRIBUTE_REQUEST_TARGET: return give(or_empty(request->target), ret_value);
    case ATTRIBUTE_REQUEST_SCHEME: return give(or_empty(request->scheme), ret_value);
    case ATTRIBUTE_REQUEST_HOST: return give(or_empty(request->host), ret_value);
    case ATTRIBUTE_REQUEST_AUTHORITY: return give(or_empty(request->authority), ret_value);
    case ATTRIBUTE_REQUEST_HEADERS: return view(ex, &headers_map, &request->fields, arena, ret_value);
    case ATTRIBUTE_REQUEST_COOKIES: return view(ex, &cookies_map, NULL, arena, ret_value);
    case ATTRIBUTE_REQUEST_PARAMS: return view(ex, &params_map, NULL, arena, ret_value);
    case ATTRIBUTE_REQUEST_ID: return give(exchange_request_id(ex), ret_value);
    case ATTRIBUTE_REQUEST_SIZE: *ret_value = value_int(request_size(ex)); return true;
    case ATTRIBUTE_REQUEST_TIME:
        *ret_value = timestamp(ex->loop->wall_ns - (ex->loop->now_ns - ex->began_ns));
        return true;
    case ATTRIBUTE_REQUEST_BODY: return give_text(body_request_text(ex), ret_value);
    case ATTRIBUTE_REQUEST_BODY_BYTES: return give_bytes(body_request_text(ex), ret_value);
    case ATTRIBUTE_REQUEST_JSON: return body_request_json(ex, ret_value);
    case ATTRIBUTE_RESPONSE_BODY: return give_text(body_response_text(ex), ret_value);
    case ATTRIBUTE_RESPONSE_BODY_BYTES: return give_bytes(body_response_text(ex), ret_value);
    case ATTRIBUTE_RESPONSE_JSON: return body_response_json(ex, ret_value);
    case ATTRIBUTE_RESPONSE_STATUS: *ret_value = value_int(ex->response.status); return true;
    case ATTRIBUTE_RESPONSE_HEADERS: return view(ex, &headers_map, &ex->response.fields, arena, ret_value);
    case ATTRIBUTE_RESPONSE_SIZE: *ret_value = value_int((int64_t)ex->response_bytes); return true;
    case ATTRIBUTE_SOURCE_ADDRESS: return give(or_empty(ex->client_ip), ret_value);
    case ATTRIBUTE_SOURCE_PORT: *ret_value = value_int(address_port(&ex->connection->peer)); return true;
    case ATTRIBUTE_SOURCE_PEER:
        return give((struct text){ex->connection->ip, ex->connection->ip_size}, ret_value);
    case ATTRIBUTE_SOURCE_TLS_VERSION:
    case ATTRIBUTE_SOURCE_TLS_CIPHER:
    case ATTRIBUTE_SOURCE_TLS_SNI:
    case ATTRIBUTE_SOURCE_TLS_ALPN:
    case ATTRIBUTE_SOURCE_TLS_SUBJECT:
    case ATTRIBUTE_SOURCE_TLS_ISSUER:
    case ATTRIBUTE_SOURCE_TLS_SERIAL:
    case ATTRIBUTE_SOURCE_TLS_FINGERPRINT:
        return give(tls_text(ex->connection->tls, (enum attribute)id, arena), ret_value);
    case ATTRIBUTE_SOURCE_TLS_VERIFIED:
        *ret_value = value_bool(ex->connection->tls && tls_peer_verified(ex->connection->tls));
        return true;
    case ATTRIBUTE_SOURCE_TLS_SANS: return tls_names(ex->connection->tls, arena, ret_value);
    case ATTRIBUTE_DESTINATION_ADDRESS: return give(or_empty(ex->endpoint_url), ret_value);
    case ATTRIBUTE_LISTENER_NAME: return give(ex->connection->listener->config->name, ret_value);
    case ATTRIBUTE_CONSUMER_NAME: return give(ex->consumer ? ex->consumer->name : TEXT(""), ret_value);
    case ATTRIBUTE_CONSUMER_GROUPS: return groups(ex, arena, ret_value);
    case ATTRIBUTE_CONSUMER_LABELS: return view(ex, &labels_map, NULL, arena, ret_value);
    case ATTRIBUTE_AUTH_METHOD: return give(or_empty(ex->credential), ret_value);
    case ATTRIBUTE_AUTH_CLAIMS: *ret_value = ex->claims; return ex->claims.kind == VALUE_MAP;
    case ATTRIBUTE_ROUTE_NAME: return give(ex->route ? ex->route->name : TEXT(""), ret_value);
    case ATTRIBUTE_ROUTE_LABELS: return view(ex, &route_labels_map, NULL, arena, ret_value);
    case ATTRIBUTE_SERVICE_NAME: return give(ex->service ? ex->service->name : TEXT(""), ret_value);
    case ATTRIBUTE_VARS: return view(ex, &vars_map, NULL, arena, ret_value);
    case ATTRIBUTE_ERROR_KIND: return give(exchange_error_text(ex->error), ret_value);
    case ATTRIBUTE_DURATION_TOTAL: *ret_value = duration(exchange_age_ns(ex)); return true;
    case ATTRIBUTE_DURATION_SERVICE:
        *ret_value = duration(ex->answered_ns ? ex->answered_ns - ex->attempt_ns : 0);
        return true;
    case ATTRIBUTES_COUNT: break;
    }
    return false;
}

bool exchange_lookup(void *exchange, uint16_t id, struct arena *arena, struct value *ret_value)
{
    if (id == ATTRIBUTE_TYPED_PARAMS)
        return view(exchange, &typed_params_map, NULL, arena, ret_value);
    return look_up(exchange, (enum attribute)id, arena, ret_value);
}
