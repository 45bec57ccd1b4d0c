/* Builds listeners from their configuration. */
#include "base/check.h"
#include "base/states.h"
#include "net/address.h"
#include "proxy/build.h"
#include "proxy/listener_state.h"
#include "tls/server.h"

struct limits_config {
    int64_t line, fields, head, trailers, body, buffered, connections, per_client, requests;
};

struct timeouts_config {
    int64_t handshake_ms, head_ms, body_ms, idle_ms, send_ms, lifetime_ms;
};

struct paths_config {
    bool merge_slashes;
    int encoded_slashes;
};

struct client_config {
    struct array trusted;
    int from;
};

struct listener_fields_config {
    struct text address;
    struct limits_config limits;
    struct timeouts_config timeouts;
    struct paths_config paths;
    int64_t body_rate_min;
    struct array trusted;
    int client_address, forwarded;
    bool forwarded_field, via;
    struct text server;
    const struct node *tls;
};

static const struct field limits_fields[] = {
    FIELD_SIZE(struct limits_config, line, "request_line", "8KiB", 64, 31 << 10,
               "Longest request line; a longer one is answered 414."),
    FIELD_INTEGER(struct limits_config, fields, "fields", "100", 1, 10000,
                  "Most header field lines; more are answered 431."),
    FIELD_SIZE(struct limits_config, head, "head", "31KiB", 128, 31 << 10,
               "Largest request head; a larger one is answered 431."),
    FIELD_SIZE(struct limits_config, trailers, "trailers", "8KiB", 0, 16 << 10,
               "Largest trailer section of a request."),
    FIELD_SIZE(struct limits_config, body, "body", "0", 0, INT64_MAX,
               "Largest request body; a larger one is answered 413. 0 is no limit: bodies stream."),
    FIELD_SIZE(
        struct limits_config, buffered, "buffered_body", "1MiB", 0, 1 << 30,
        "Largest request body that a policy or expression may need whole; a larger one is answered 413."),
    FIELD_INTEGER(struct limits_config, connections, "connections", "100000", 0, 10000000,
                  "Most connections; a further one is answered 503. 0 is no limit."),
    FIELD_INTEGER(struct limits_config, per_client, "connections_per_client", "0", 0, 60000,
                  "Most connections from one address; 0 is no limit."),
    FIELD_INTEGER(struct limits_config, requests, "requests_per_connection", "0", 0, 1000000000,
                  "Most requests on one connection; 0 is no limit."),
    FIELD_END,
};

static const struct field timeouts_fields[] = {
    FIELD_DURATION(struct timeouts_config, handshake_ms, "handshake", "10s", 1, 3600000,
                   "For a TLS handshake, from the connection being accepted."),
    FIELD_DURATION(struct timeouts_config, head_ms, "head", "15s", 1, 3600000,
                   "For a whole request head, from its first byte; else 408."),
    FIELD_DURATION(struct timeouts_config, body_ms, "body", "15s", 1, 3600000,
                   "Longest pause while a request body arrives; else 408."),
    FIELD_DURATION(struct timeouts_config, idle_ms, "idle", "60s", 1, 86400000,
                   "How long a connection may wait for its next request."),
    FIELD_DURATION(struct timeouts_config, send_ms, "send", "60s", 1, 86400000,
                   "Longest pause while the client takes nothing of an answer."),
    FIELD_DURATION(struct timeouts_config, lifetime_ms, "lifetime", "0", 0, 86400000,
                   "After so long, a connection is closed with its next answer; 0 is no limit."),
    FIELD_END,
};

static const char *const slash_choices[] = {"reject", "keep", "decode", NULL};
static const struct field paths_fields[] = {
    FIELD_BOOL(struct paths_config, merge_slashes, "merge_slashes", "true",
               "`//` in a path is the same as `/`."),
    FIELD_CHOICE(
        struct paths_config, encoded_slashes, "encoded_slashes", "reject", slash_choices,
        "What becomes of `%2F` and `%5C` in a path: refused with 400, kept as they are, or decoded to separators."),
    FIELD_END,
};

static bool bind_cidr(struct binder *binder, const struct field *field, const struct node *node, void *at)
{
    (void)field;
    if (node->kind == NODE_SCALAR && cidr_parse(node->text, at))
        return true;
    return bind_error(binder, node, NULL,
                      "wants a network such as `10.0.0.0/8` (with zero host bits) or an address");
}
const struct field field_item_cidr = ITEM_CUSTOM(struct cidr, bind_cidr, "{\"type\":\"string\"}");

static const char *const from_choices[] = {"X-Forwarded-For", "Forwarded", "X-Real-IP", NULL};
static const char *const forwarded_choices[] = {"append", "set", "trust", "off", NULL};

const struct field listener_fields[] = {
    FIELD_TEXT(struct listener_fields_config, address, "address", REQUIRED,
               "`ADDRESS:PORT`, `[IPv6]:PORT` or `unix:/PATH`. Port 0 takes a free one."),
    FIELD_STRUCT(struct listener_fields_config, limits, "limits", "{}", limits_fields,
                 "What a client may send."),
    FIELD_STRUCT(struct listener_fields_config, timeouts, "timeouts", "{}", timeouts_fields,
                 "How long a client may take."),
    FIELD_SIZE(
        struct listener_fields_config, body_rate_min, "body_rate_min", "0", 0, 1 << 30,
        "Fewest bytes a second of a request body, after five seconds of grace; slower ones are answered 408. 0 is no limit."),
    FIELD_STRUCT(struct listener_fields_config, paths, "paths", "{}", paths_fields,
                 "The normal form of paths, before routes and policies see them."),
    FIELD_LIST(struct listener_fields_config, trusted, "trusted_proxies", "[]", &field_item_cidr,
               FIELD_ONE_OR_MORE, "Networks of proxies whose word on the client's address counts."),
    FIELD_CHOICE(struct listener_fields_config, client_address, "client_address", "X-Forwarded-For",
                 from_choices, "Field in which trusted proxies say who the client is."),
    FIELD_CHOICE(
        struct listener_fields_config, forwarded, "forwarded", "set", forwarded_choices,
        "X-Forwarded-* fields sent upstream: `set` them anew; `trust` those of trusted proxies and set others anew; `append` the peer to X-Forwarded-For whoever wrote it; or `off`: leave them alone."),
    FIELD_BOOL(struct listener_fields_config, forwarded_field, "forwarded_field", "false",
               "Send a Forwarded field (RFC 7239) as well."),
    FIELD_BOOL(struct listener_fields_config, via, "via", "true", "Send Via fields (RFC 9110), both ways."),
    FIELD_NODE(struct listener_fields_config, tls, "tls", OPTIONAL, "{\"$ref\":\"#/$defs/tls\"}",
               "TLS with clients; absent: plain HTTP."),
    FIELD_TEXT(struct listener_fields_config, server, "server", OPTIONAL,
               "Server field of answers that the gateway makes itself; none unless given."),
    FIELD_END,
};

static void copy_rules(struct listener_config *to, const struct listener_fields_config *from)
{
    to->address = from->address;
    to->limits = (struct h1_limits){
        .line_bytes_max = (uint32_t)from->limits.line,
        .head_bytes_max = (uint32_t)from->limits.head,
        .fields_max = (uint32_t)from->limits.fields,
        .trailer_bytes_max = (uint32_t)from->limits.trailers,
        .paths = {from->paths.merge_slashes, (enum encoded_slashes)from->paths.encoded_slashes},
    };
    to->body_bytes_max = from->limits.body;
    to->buffered_bytes_max = from->limits.buffered;
    to->connections_max = (uint32_t)from->limits.connections;
    to->connections_per_client_max = (uint32_t)from->limits.per_client;
    to->requests_max = (uint32_t)from->limits.requests;
    to->handshake_timeout_ms = from->timeouts.handshake_ms;
    to->head_timeout_ms = from->timeouts.head_ms;
    to->body_timeout_ms = from->timeouts.body_ms;
    to->idle_timeout_ms = from->timeouts.idle_ms;
    to->send_timeout_ms = from->timeouts.send_ms;
    to->lifetime_ms = from->timeouts.lifetime_ms;
    to->body_rate_min = from->body_rate_min;
    to->client_address_from = from->client_address;
    to->forwarded = (enum forwarded_mode)from->forwarded;
    to->forwarded_field = from->forwarded_field;
    to->via = from->via;
    to->server = from->server;
}

static bool set_tls(struct snapshot_builder *builder, struct binder *binder, const struct node *node,
                    struct listener_config *config)
{
    if (!node || node->kind == NODE_NULL)
        return true;
    config->tls = tls_server_build(binder, builder->policies.states, &builder->services.certificates,
                                   config->name, node);
    return config->tls != NULL;
}

struct listener_config *listener_build(struct snapshot_builder *builder, struct binder *binder,
                                       struct text name, const struct node *node)
{
    struct listener_fields_config fields = {0};
    struct listener_config *config = ARENA_NEW(binder->arena, struct listener_config);
    struct address address;
    if (!config || !field_bind(binder, listener_fields, node, &fields))
        return NULL;
    copy_rules(config, &fields);
    config->name = name;
    if (!address_parse(config->address, &address)) {
        bind_error(binder, node_get(node, TEXT("address")), "address",
                   "wants `ADDRESS:PORT` such as `0.0.0.0:8080`, or `unix:/PATH`, got `%.*s`",
                   TEXT_ARGS(config->address));
        return NULL;
    }
    const struct node *limits = node_get(node, TEXT("limits"));
    if (config->limits.line_bytes_max > config->limits.head_bytes_max
        && node_get(limits, TEXT("request_line"))) {
        bind_error(binder, limits, "request_line", "cannot be larger than `head`");
        return NULL;
    }
    config->limits.line_bytes_max = MIN_OF(config->limits.line_bytes_max, config->limits.head_bytes_max);
    if (fields.trusted.count > 0
        && !(config->trusted_set = cidr_set_new(binder->arena, fields.trusted.items, fields.trusted.count)))
        return NULL;
    config->state = states_claim(builder->policies.states, binder->arena, "listener", name, 0,
                                 listener_state_create, listener_state_destroy, NULL);
    return config->state && set_tls(builder, binder, fields.tls, config) ? config : NULL;
}
