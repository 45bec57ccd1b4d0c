/* Writes heads for the other side (RFC 9110 section 7.6, RFC 7239). */
#include "proxy/forward.h"

#include <inttypes.h>

#include "base/check.h"
#include "proxy/affinity.h"
#include "proxy/connection.h"
#include "proxy/worker.h"

/* --- who is the client? --- */

static bool is_trusted(const struct listener_config *config, const struct address *peer)
{
    return config->trusted_set && cidr_set_contains(config->trusted_set, address_ip(peer));
}

/* for= of an element of a Forwarded field (RFC 7239 section 4); .at NULL: it has none. */
static struct text for_of(struct text element)
{
    while (element.at) {
        struct text pair = text_trim(text_split(&element, ';'));
        if (!text_starts_with_nocase(pair, TEXT("for=")))
            continue;
        struct text value = text_slice(pair, 4, pair.size);
        bool quoted = value.size >= 2 && value.at[0] == '"';
        return quoted ? text_slice(value, 1, value.size - 1) : value;
    }
    return (struct text){NULL, 0};
}

static bool address_of(const struct listener_config *config, struct text element, struct address *ret_address)
{
    bool forwarded = config->client_address_from == CLIENT_FROM_FORWARDED;
    struct text who = forwarded ? for_of(element) : element;
    return who.at && (address_parse_ip(who, 0, ret_address) || address_parse(who, ret_address));
}

/* The last element of a comma-separated list that is not a trusted proxy. An element that names no address ends the search: what stands
 * before it may be the client's invention. */
static bool rightmost_untrusted(const struct listener_config *config, struct text list,
                                struct address *ret_address)
{
    bool found = false;
    while (list.size > 0) {
        size_t comma = text_find_last_char(list, ',');
        struct text last = text_trim(comma == TEXT_NONE ? list : text_slice(list, comma + 1, list.size));
        struct address address;
        if (!address_of(config, last, &address))
            return found;
        *ret_address = address;
        found = true;
        if (comma == TEXT_NONE || !is_trusted(config, &address))
            return true;
        list = text_slice(list, 0, comma);
    }
    return found;
}

static struct text claimed_addresses(struct exchange *ex, const struct listener_config *config)
{
    switch ((enum client_address_source)config->client_address_from) {
    case CLIENT_FROM_X_FORWARDED_FOR:
        return fields_joined(&ex->request.fields, field_name_text(NAME_X_FORWARDED_FOR), &ex->arena);
    case CLIENT_FROM_FORWARDED:
        return fields_joined(&ex->request.fields, field_name_text(NAME_FORWARDED), &ex->arena);
    case CLIENT_FROM_X_REAL_IP: return fields_get_known(&ex->request.fields, NAME_X_REAL_IP);
    }
    UNREACHABLE();
}

void forward_client_address(struct exchange *ex)
{
    struct connection *c = ex->connection;
    const struct listener_config *config = c->listener->config;
    ex->client_address = c->peer;
    ex->client_ip = (struct text){c->ip, c->ip_size};
    if (!is_trusted(config, &c->peer))
        return;
    struct text scheme = fields_get_known(&ex->request.fields, NAME_X_FORWARDED_PROTO);
    if (text_equal_nocase(scheme, TEXT("https")))
        ex->request.scheme = TEXT("https");
    else if (text_equal_nocase(scheme, TEXT("http")))
        ex->request.scheme = TEXT("http");
    struct address found;
    if (!rightmost_untrusted(config, claimed_addresses(ex, config), &found))
        return;
    char *ip = arena_alloc(&ex->arena, IP_TEXT_SIZE);
    if (!ip)
        return;
    ex->client_address = found;
    ex->client_ip = (struct text){ip, address_write_ip(&found, ip)};
}

/* --- to the origin --- */

static bool is_query(struct text query)
{
    for (size_t i = 0; i < query.size; i++)
        if (query.at[i] <= ' ' || query.at[i] >= 0x7f || query.at[i] == '#')
            return false;
    return true;
}

bool forward_to(struct exchange *ex, struct text target)
{
    static const struct uri_rules rules = {.merge_slashes = false, .encoded_slashes = SLASHES_KEEP};
    struct text query = target, path = text_split(&query, '?');
    if (path.size == 0 || path.at[0] != '/' || !uri_normalise_path(path, &rules, &ex->arena, &path))
        return false;
    if (query.at && !is_query(query))
        return false;
    ex->forward_path = path;
    ex->forward_query = query.at ? query : ex->request.query;
    return true;
}

static void add_to_list(struct exchange *ex, enum field_name name, struct text value)
{
    struct text before = fields_joined(&ex->request.fields, field_name_text(name), &ex->arena);
    if (before.size > 0) {
        const struct text parts[] = {before, TEXT(", "), value};
        value = arena_join(&ex->arena, parts, COUNT_OF(parts));
    }
    fields_set_known(&ex->request.fields, name, value);
}

static struct text forwarded_element(struct exchange *ex, struct text peer, struct text proto)
{
    bool v6 = text_find_char(peer, ':') != TEXT_NONE;
    const struct text parts[] = {v6 ? TEXT("for=\"[") : TEXT("for="),
                                 peer,
                                 v6 ? TEXT("]\"") : TEXT(""),
                                 TEXT(";host=\""),
                                 ex->request.authority,
                                 TEXT("\";proto="),
                                 proto};
    return arena_join(&ex->arena, parts, COUNT_OF(parts));
}

static void set_origin_of_request(struct exchange *ex, struct text proto)
{
    struct fields *fields = &ex->request.fields;
    fields_set_known(fields, NAME_X_FORWARDED_PROTO, proto);
    fields_set_known(fields, NAME_X_FORWARDED_HOST, ex->request.authority);
}

static void add_forwarded(struct exchange *ex, const struct listener_config *config)
{
    struct fields *fields = &ex->request.fields;
    struct text peer = {ex->connection->ip, ex->connection->ip_size}, proto = ex->request.scheme;
    bool trusted = is_trusted(config, &ex->connection->peer);
    if (config->forwarded == FORWARDED_OFF)
        return;
    if (config->forwarded == FORWARDED_SET || !trusted) { /* what strangers say is dropped */
        fields_remove_known(fields, NAME_X_FORWARDED_PORT);
        fields_remove_known(fields, NAME_X_REAL_IP);
        if (config->forwarded != FORWARDED_APPEND) {
            fields_remove_known(fields, NAME_FORWARDED);
            fields_remove_known(fields, NAME_X_FORWARDED_FOR);
        }
    }
    if (config->forwarded == FORWARDED_TRUST && trusted && fields_find_known(fields, NAME_X_FORWARDED_FOR)) {
        add_to_list(ex, NAME_X_FORWARDED_FOR, peer);
        return;
    }
    if (config->forwarded == FORWARDED_APPEND)
        add_to_list(ex, NAME_X_FORWARDED_FOR, peer);
    else
        fields_set_known(fields, NAME_X_FORWARDED_FOR, peer);
    if (config->forwarded == FORWARDED_SET || !trusted || !fields_find_known(fields, NAME_X_FORWARDED_PROTO))
        set_origin_of_request(ex, proto);
    if (config->forwarded_field)
        add_to_list(ex, NAME_FORWARDED, forwarded_element(ex, peer, proto));
}

bool forward_prepare_request(struct exchange *ex)
{
    const struct listener_config *config = ex->connection->listener->config;
    if (ex->request_framed)
        return true;
    ex->request_framed = true;
    add_forwarded(ex, config);
    if (config->via)
        add_to_list(ex, NAME_VIA,
                    ex->request.version_minor == 0 ? TEXT("1.0 turnpike") : TEXT("1.1 turnpike"));
    return !ex->arena.failed;
}

static struct text upstream_target(struct exchange *ex)
{
    struct text path = ex->forward_path.at ? ex->forward_path : ex->request.path;
    struct text query = ex->forward_path.at ? ex->forward_query : ex->request.query;
    if (!query.at)
        return path;
    const struct text parts[] = {path, TEXT("?"), query};
    return arena_join(&ex->arena, parts, COUNT_OF(parts));
}

static struct text upstream_host(const struct exchange *ex, const struct attempt *attempt)
{
    const struct service *service = attempt->service;
    if (ex->forward_host.at)
        return ex->forward_host;
    if (ex->route->host.at)
        return ex->route->host;
    switch (service->host_rule) {
    case HOST_PRESERVE: return ex->request.authority.size ? ex->request.authority : attempt->endpoint->host;
    case HOST_ENDPOINT: return attempt->endpoint->host;
    case HOST_LITERAL: return service->host;
    }
    UNREACHABLE();
}

static struct body_framing upstream_framing(const struct exchange *ex)
{
    bool empty = ex->request.body.kind == BODY_NONE
                 || (ex->request.body.kind == BODY_LENGTH && ex->request.body.length == 0);
    if (ex->plan->request_stream && !empty)
        return (struct body_framing){.kind = BODY_CHUNKED}; /* hooks may change the length */
    bool trailers = ex->request.trailers.count > 0;
    if (ex->request_buffered && !trailers && ex->request.body.kind != BODY_NONE)
        return (struct body_framing){.kind = BODY_LENGTH, .length = ex->request_body.size};
    return ex->request.body;
}

/* How long the origin has for this try, as the service wants it told. Nothing where there is no limit: what the client said is no promise of ours. */
static void tell_deadline(struct exchange *ex)
{
    const struct deadline_header *how = &ex->service->deadline;
    int64_t left_ms = MIN_OF(ex->deadline_total_ms, ex->deadline_try_ms);
    fields_remove(&ex->request.fields, how->name);
    if (left_ms == INT64_MAX)
        return;
    left_ms = MAX_OF(left_ms - ex->loop->now_ms, 1);
    struct text value = {NULL, 0};
    switch (how->format) {
    case DEADLINE_MILLISECONDS: value = arena_format(&ex->arena, "%" PRId64, left_ms); break;
    case DEADLINE_SECONDS:
        value = arena_format(&ex->arena, "%" PRId64 ".%03" PRId64, left_ms / 1000, left_ms % 1000);
        break;
    case DEADLINE_GRPC: /* at most eight digits */
        value = left_ms < 100000000 ? arena_format(&ex->arena, "%" PRId64 "m", left_ms)
                                    : arena_format(&ex->arena, "%" PRId64 "S", left_ms / 1000);
        break;
    }
    fields_add(&ex->request.fields, how->name, value);
}

bool forward_request_head(struct exchange *ex, struct attempt *attempt)
{
    struct stream *origin = attempt_stream(attempt);
    bool upgrade = ex->request.upgrade && ex->route->websocket;
    if (ex->service->deadline.name.at)
        tell_deadline(ex);
    struct h1_write how = {
        .target = upstream_target(ex),
        .host = upstream_host(ex, attempt),
        .keep_alive = true,
        .upgrade = upgrade,
        .te_trailers = ex->request.te_trailers,
        .body = upstream_framing(ex),
    };
    return !ex->arena.failed && origin->type->send_request(origin, &ex->request, &how);
}

/* --- to the client --- */

static bool without_body(const struct exchange *ex)
{
    unsigned status = ex->response.status;
    return ex->request.method == METHOD_HEAD || status < 200 || status == 204 || status == 304;
}

/* The length of an answer to HEAD that was made here: what GET would have had. */
static void announce_length(struct exchange *ex)
{
    char digits[24];
    int size = 0;
    for (size_t left = ex->local_body.size; left > 0 || size == 0; left /= 10)
        digits[size++] = (char)('0' + left % 10);
    char *text = arena_alloc(&ex->arena, (size_t)size);
    if (!text)
        return;
    for (int i = 0; i < size; i++)
        text[i] = digits[size - 1 - i];
    fields_set_known(&ex->response.fields, NAME_CONTENT_LENGTH, (struct text){text, (size_t)size});
}

static struct body_framing client_framing(struct exchange *ex, bool http10)
{
    struct body_framing framing = ex->response.body;
    bool changed = ex->plan && ex->plan->response_stream;
    if (ex->local && !changed)
        return (struct body_framing){.kind = BODY_LENGTH, .length = ex->local_body.size};
    if (ex->response_buffered && !changed && ex->response.trailers.count == 0)
        return (struct body_framing){.kind = BODY_LENGTH, .length = ex->response_body.size};
    if (framing.kind == BODY_LENGTH && !changed)
        return framing;
    if (framing.kind == BODY_NONE && !changed)
        return framing;
    return (struct body_framing){.kind = http10 ? BODY_CLOSE : BODY_CHUNKED};
}

bool forward_response_head(struct exchange *ex)
{
    const struct listener_config *config = ex->connection->listener->config;
    bool http10 = ex->request.version_minor == 0, empty = without_body(ex);
    struct h1_write how = {
        .upgrade = ex->upgraded, .http10 = http10, .head_only = empty, .date = worker_http_date(ex->worker)};
    how.body = empty ? (struct body_framing){.kind = BODY_NONE} : client_framing(ex, http10);
    if (ex->local && ex->request.method == METHOD_HEAD)
        announce_length(ex);
    if (ex->local && config->server.size)
        fields_set_known(&ex->response.fields, NAME_SERVER, config->server);
    if (!ex->local && config->via)
        fields_add_known(&ex->response.fields, NAME_VIA, TEXT("1.1 turnpike"));
    if (!ex->local && ex->service->balance.asks_request)
        (void)affinity_answer(ex); /* a full arena is found below */
    int64_t age_ms = ex->loop->now_ms - ex->connection->began_ms;
    bool last = (config->requests_max && ex->connection->requests + 1 >= config->requests_max)
                || (config->lifetime_ms && age_ms >= config->lifetime_ms);
    if (how.body.kind == BODY_CLOSE || last || ex->connection->close_after
        || ex->connection->listener->closed)
        ex->keep = false;
    how.keep_alive = ex->keep;
    return !ex->arena.failed && ex->client->type->send_response(ex->client, &ex->response, &how);
}

void forward_last_word(struct exchange *ex)
{
    static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
                                 "Content-Length: 0\r\n\r\n";
    struct h1_stream *h1 = &ex->connection->h1;
    struct iovec part = {(void *)(uintptr_t)answer, sizeof answer - 1};
    if (h1->out_size == 0)
        (void)layer_write(h1->layer, &part, 1); /* the connection is closed in any case */
}
