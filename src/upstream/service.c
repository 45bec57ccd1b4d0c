/* Builds services from their configuration. */
#include "upstream/service.h"

#include "base/check.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/states.h"
#include "http/message.h"
#include "http/uri.h"
#include "upstream/balance_config.h"
#include "upstream/endpoint_spec.h"
#include "upstream/health_check.h"
#include "upstream/health_checker.h"
#include "upstream/members.h"

enum { SERVICE_OF_URL_ENDPOINTS_MAX = 256 };

struct timeouts_config {
    int64_t connect_ms, tls_ms, response_ms, idle_ms, total_ms, send_ms;
};

struct deadline_config {
    struct text header;
    int format;
};

struct panic_config {
    double below;
    int action;
};

struct pool_config {
    int64_t size, idle_ms, requests, age_ms;
};

struct limits_config {
    int64_t head, fields, buffered;
};

struct discovery_config {
    int64_t endpoints;
    int family;
};

struct service_config {
    struct array endpoints;
    struct text endpoints_file;
    struct discovery_config discovery;
    struct balance_config balance;
    struct text host;
    struct timeouts_config timeouts;
    struct deadline_config deadline;
    struct retry_config retry;
    struct hedge_config hedge;
    struct queue_config concurrency;
    struct health_check health;
    struct passive_rules passive;
    struct panic_config panic;
    struct breaker_rules breaker, endpoint_breaker;
    struct pool_config pool;
    struct limits_config limits;
    const struct node *tls;
    const struct node *policies; /* built above this room, by proxy/snapshot.c */
    int order;
};

static const char *const order_of_policies[] = {"stages", "written", NULL};

static const struct field timeouts_fields[] = {
    FIELD_DURATION(struct timeouts_config, connect_ms, "connect", "5s", 1, 3600000,
                   "To establish a connection."),
    FIELD_DURATION(struct timeouts_config, tls_ms, "tls", "5s", 1, 3600000,
                   "For the TLS handshake with an `https` endpoint, once connected."),
    FIELD_DURATION(struct timeouts_config, response_ms, "response", "60s", 1, 86400000,
                   "From the request being sent to the head of the answer."),
    FIELD_DURATION(struct timeouts_config, idle_ms, "idle", "60s", 1, 86400000,
                   "Longest pause while a body flows, or in a tunnel."),
    FIELD_DURATION(struct timeouts_config, send_ms, "send", "0", 0, 86400000,
                   "Longest pause while the origin takes nothing of the request; 0 is the same as `idle`."),
    FIELD_DURATION(struct timeouts_config, total_ms, "total", "0", 0, 86400000,
                   "For the whole exchange; 0 is no limit."),
    FIELD_END,
};

static const char *const deadline_choices[] = {"milliseconds", "seconds", "grpc-timeout", NULL};
static const struct field deadline_fields[] = {
    FIELD_TEXT(struct deadline_config, header, "header", REQUIRED,
               "Field that tells the origin how long is left. What a client sends in it is dropped."),
    FIELD_CHOICE(struct deadline_config, format, "format", "milliseconds", deadline_choices,
                 "`1500`, `1.500` or `1500m`."),
    FIELD_END,
};

static const char *const panic_actions[] = {"ignore", "refuse", NULL};
static const struct field panic_fields[] = {
    FIELD_PERCENT(
        struct panic_config, below, "below", "0",
        "It is a panic when fewer than this share of the endpoints is usable; with none it always is. Those that were "
        "taken out by hand do not count."),
    FIELD_CHOICE(
        struct panic_config, action, "action", "ignore", panic_actions,
        "`ignore` uses the unhealthy ones too, as if all were well; `refuse` answers 503 until enough are usable."),
    FIELD_END,
};

static const struct field pool_fields[] = {
    FIELD_INTEGER(struct pool_config, size, "size", "256", 0, 65536,
                  "Unused connections kept for each worker and endpoint."),
    FIELD_DURATION(struct pool_config, idle_ms, "idle", "50s", 1, 86400000,
                   "How long an unused connection is kept. Keep it below the origin's own limit."),
    FIELD_INTEGER(struct pool_config, requests, "requests", "0", 0, INT64_MAX,
                  "Most requests on one connection; 0 is no limit."),
    FIELD_DURATION(
        struct pool_config, age_ms, "age", "0", 0, 86400000 * INT64_C(365),
        "A connection that is older is not used again; 0 is no limit. So new addresses get their share."),
    FIELD_END,
};

static const struct field limits_fields[] = {
    FIELD_SIZE(struct limits_config, head, "head", "31KiB", 256, 31 << 10,
               "Largest head of an answer; a larger one is a 502."),
    FIELD_INTEGER(struct limits_config, fields, "fields", "200", 1, 10000, "Most field lines of an answer."),
    FIELD_SIZE(
        struct limits_config, buffered, "buffered_body", "1MiB", 0, 1 << 30,
        "Largest body of an answer that a policy or expression may need whole; a larger one is a 502."),
    FIELD_END,
};

static const char *const family_choices[] = {"any", "ipv4", "ipv6", NULL};
static const struct field discovery_fields[] = {
    FIELD_INTEGER(struct discovery_config, endpoints, "endpoints", "1000", 1, 65535,
                  "Most endpoints; what names and files have beyond that is left out, with a warning."),
    FIELD_CHOICE(struct discovery_config, family, "family", "any", family_choices,
                 "Which addresses of names are taken."),
    FIELD_END,
};

const struct field service_fields[] = {
    {FIELD_MEMBER_(struct service_config, endpoints, "endpoints", FIELD_KIND_LIST, OPTIONAL,
                   "Addresses that serve this service, each a URL or `{ url, weight, ... }`."),
     .item = &endpoint_spec_item, .flags = FIELD_SHORTHAND | FIELD_ONE_OR_MORE | FIELD_NOT_EMPTY,
     .example = "[\"http://127.0.0.1:7001\", { url: \"http://127.0.0.1:7002\", weight: 2 }]"},
    FIELD_TEXT(
        struct service_config, endpoints_file, "endpoints_file", OPTIONAL,
        "A YAML or JSON file with further endpoints: a list as under `endpoints`. It is read again when it changes; a bad one changes nothing."),
    FIELD_STRUCT(struct service_config, discovery, "discovery", "{}", discovery_fields,
                 "What of the names and files is taken."),
    FIELD_STRUCT(struct service_config, balance, "balance", "{}", balance_fields,
                 "Which endpoint takes a request: the name of a type, or what follows."),
    FIELD_TEXT(
        struct service_config, host, "host", "preserve",
        "Host sent to the origin: `preserve` the client's, `endpoint` for the endpoint's own, or a name."),
    FIELD_STRUCT(struct service_config, timeouts, "timeouts", "{}", timeouts_fields,
                 "How long the origin may take."),
    FIELD_STRUCT(
        struct service_config, deadline, "deadline", OPTIONAL, deadline_fields,
        "Passes on the time that is left of `timeouts.total`, or of `retry.try` if that is shorter."),
    FIELD_STRUCT(struct service_config, retry, "retry", "{}", retry_fields,
                 "When a request is tried again, on another endpoint if there is one."),
    FIELD_STRUCT(
        struct service_config, hedge, "hedge", OPTIONAL, hedge_fields,
        "Sends an idempotent request that waits for its answer to another endpoint as well; the first answer is taken. Within `retry.budget`."),
    FIELD_STRUCT(struct service_config, concurrency, "concurrency", "{}", queue_fields,
                 "How many requests there are at once, and how others wait for their turn."),
    FIELD_STRUCT(struct service_config, health, "health", OPTIONAL, health_check_fields,
                 "Active checks of each endpoint; absent: none."),
    FIELD_STRUCT(struct service_config, passive, "passive", "{}", passive_fields,
                 "Failures of requests that take an endpoint out of service for a while."),
    FIELD_STRUCT(struct service_config, panic, "panic", "{}", panic_fields,
                 "What happens when too few endpoints are usable."),
    FIELD_STRUCT(struct service_config, breaker, "breaker", OPTIONAL, breaker_fields,
                 "Stops sending to the whole service while it fails; absent: never."),
    FIELD_STRUCT(struct service_config, endpoint_breaker, "endpoint_breaker", OPTIONAL, breaker_fields,
                 "The same for each endpoint by itself."),
    FIELD_STRUCT(struct service_config, pool, "pool", "{}", pool_fields,
                 "Connections kept open to the endpoints."),
    FIELD_STRUCT(struct service_config, limits, "limits", "{}", limits_fields, "What an answer may take."),
    FIELD_NODE(
        struct service_config, tls, "tls", OPTIONAL, "{\"$ref\":\"#/$defs/service-tls\"}",
        "TLS with `https` endpoints; verified with the system's authorities unless it says otherwise."),
    FIELD_NODE(struct service_config, policies, "policies", OPTIONAL, "{\"$ref\":\"#/$defs/policies\"}",
               "Policies for all requests to this service."),
    FIELD_CHOICE(struct service_config, order, "order", "stages", order_of_policies,
                 "`written` runs `policies` exactly in their order."),
    FIELD_END,
};

static void *new_shared(void *argument)
{
    (void)argument;
    return memory_zero(sizeof(struct service_shared));
}

static bool set_endpoints(struct binder *binder, const struct service_builder *builder,
                          struct service *service, const struct members_config *members,
                          const struct node *node)
{
    if (members->specs.count > UINT16_MAX)
        return bind_error(binder, node, "endpoints", "at most 65535 endpoints, got %zu",
                          members->specs.count);
    if (members->specs.count == 0 && members->file.size == 0)
        return bind_error(binder, node, "endpoints", "is needed, or `endpoints_file`");
    service->shared = states_claim(builder->states, binder->arena, "service", service->name, 0, new_shared,
                                   memory_free, NULL);
    if (!service->shared)
        return bind_error(binder, node, NULL, "out of memory");
    return members_make(binder, builder, service, members, node);
}

/* Whether an endpoint speaks TLS, or may: what a file says later is not known now. */
static bool wants_tls(const struct members_config *members)
{
    const struct endpoint_spec *spec = members->specs.items;
    for (size_t i = 0; i < members->specs.count; i++)
        if (text_starts_with(spec[i].url, TEXT("https:"))
            || text_starts_with(spec[i].url, TEXT("srv+https:")))
            return true;
    return members->file.size > 0;
}

/* The hosts of service records come from DNS, which must not say whose certificate is good (RFC 6125 section 6.2.1). */
static bool trusts_no_dns(struct binder *binder, const struct service *service, const struct node *at,
                          const struct members_config *members)
{
    const struct endpoint_spec *spec = members->specs.items;
    const struct tls_client *tls = service->tls;
    for (size_t i = 0; i < members->specs.count; i++)
        if (text_starts_with(spec[i].url, TEXT("srv+https:")) && tls->verify && !tls->server_name.at
            && tls->sans_count == 0)
            return bind_error(
                binder, at, "tls",
                "`%.*s` needs `server_name` or `sans`: the hosts that DNS names may be anybody's",
                TEXT_ARGS(spec[i].url));
    return true;
}

static bool set_tls(struct binder *binder, const struct service_builder *builder, struct service *service,
                    const struct node *at, const struct node *tls, const struct members_config *members)
{
    bool wanted = wants_tls(members), given = tls && tls->kind != NODE_NULL;
    if (given && !wanted)
        report_warning(binder->report, at->place, binder->path, "tls: no endpoint is an https:// URL");
    if (!given && !wanted)
        return true;
    service->tls = tls_client_build(binder, &builder->certificates, given ? tls : NULL);
    return service->tls && trusts_no_dns(binder, service, given ? tls : at, members);
}

static bool set_host(struct binder *binder, struct service *service, struct text host,
                     const struct node *node)
{
    struct text checked;
    uint16_t port;
    service->host_rule = text_equal(host, TEXT("preserve"))   ? HOST_PRESERVE
                         : text_equal(host, TEXT("endpoint")) ? HOST_ENDPOINT
                                                              : HOST_LITERAL;
    service->host = host;
    if (service->host_rule == HOST_LITERAL && !uri_parse_authority(host, binder->arena, &checked, &port))
        return bind_error(binder, node, "host", "wants `preserve`, `endpoint` or a host name, got `%.*s`",
                          TEXT_ARGS(host));
    return true;
}

static bool set_deadline(struct binder *binder, const struct service *service, const struct node *node)
{
    struct text name = service->deadline.name;
    return !name.at || http_is_token(name)
           || bind_error(binder, node, "deadline.header", "wants the name of a header field, got `%.*s`",
                         TEXT_ARGS(name));
}

static void set_rules(struct service *service, const struct service_config *config)
{
    service->connect_timeout_ms = config->timeouts.connect_ms;
    service->tls_timeout_ms = config->timeouts.tls_ms;
    service->response_timeout_ms = config->timeouts.response_ms;
    service->idle_timeout_ms = config->timeouts.idle_ms;
    service->total_timeout_ms = config->timeouts.total_ms;
    service->passive = config->passive;
    service->panic = (struct panic_rules){config->panic.below, config->panic.action == 1};
    service->breaker = config->breaker;
    service->endpoint_breaker = config->endpoint_breaker;
    service->send_timeout_ms = config->timeouts.send_ms;
    service->deadline =
        (struct deadline_header){config->deadline.header, (enum deadline_format)config->deadline.format};
    service->pool_size = (uint32_t)config->pool.size;
    service->pool_idle_ms = config->pool.idle_ms;
    service->pool_requests_max = (uint64_t)config->pool.requests;
    service->pool_age_ms = config->pool.age_ms;
    service->buffered_bytes_max = config->limits.buffered;
    service->limits = (struct h1_limits){
        .line_bytes_max = (uint32_t)config->limits.head,
        .head_bytes_max = (uint32_t)config->limits.head,
        .fields_max = (uint32_t)config->limits.fields,
        .trailer_bytes_max = (uint32_t)config->limits.head,
    };
}

/* Relative to the file that names it. */
static struct text full_path(const struct binder *binder, const struct node *node, struct text path)
{
    const struct node *value = node_get(node, TEXT("endpoints_file"));
    struct text file = value ? source_name(value->place.source) : TEXT("");
    size_t slash = text_find_last_char(file, '/');
    if (path.size == 0 || path.at[0] == '/' || slash == TEXT_NONE)
        return path;
    return arena_format(binder->arena, "%.*s/%.*s", (int)slash, file.at, TEXT_ARGS(path));
}

/* Before the endpoints: it outlives them. */
static bool claim_health(struct binder *binder, const struct service_builder *builder,
                         struct service *service, const struct node *node)
{
    service->health = service_health_claim(builder->states, binder->arena, builder->checker, service->name);
    return service->health || bind_error(binder, node, NULL, "out of memory");
}

static bool check_breaker(struct binder *binder, const struct node *node, const char *name,
                          const struct breaker_rules *rules)
{
    const struct node *at = node_get(node, text_of(name));
    struct text before = bind_enter(binder, text_of(name));
    bool fine = breaker_rules_check(binder, at ? at : node, rules);
    bind_leave(binder, before);
    return fine;
}

static bool set_health(struct binder *binder, const struct service_builder *builder, struct service *service,
                       const struct service_config *config, const struct node *node)
{
    const struct node *health = node_get(node, TEXT("health"));
    bool fine = claim_health(binder, builder, service, node);
    fine &= check_breaker(binder, node, "breaker", &config->breaker);
    fine &= check_breaker(binder, node, "endpoint_breaker", &config->endpoint_breaker);
    if (config->health.interval_ms == 0)
        return fine;
    struct text before = bind_enter(binder, TEXT("health"));
    service->check = health_check_build(binder, health ? health : node, &config->health);
    bind_leave(binder, before);
    return fine && service->check;
}

/* After the endpoints: what is given back in reverse is given back by then. */
static bool register_checks(struct binder *binder, const struct service_builder *builder,
                            struct service *service, const struct node *node)
{
    return !builder->checker || health_checker_register(builder->checker, binder->arena, service)
           || bind_error(binder, node, NULL, "out of memory");
}

struct service *service_build(struct binder *binder, const struct service_builder *builder, struct text name,
                              const struct node *node)
{
    struct service_config config = {0};
    struct service *service = ARENA_NEW(binder->arena, struct service);
    if (!service) {
        bind_error(binder, node, NULL, "out of memory");
        return NULL;
    }
    service->name = arena_copy(binder->arena, name);
    if (!field_bind(binder, service_fields, node, &config))
        return NULL;
    set_rules(service, &config);
    const struct node *balance = node_get(node, TEXT("balance"));
    struct text zone = arena_copy(binder->arena, builder->zone), path = bind_enter(binder, TEXT("balance"));
    bool fine =
        balance_rules_make(binder, &config.balance, balance ? balance : node, zone, &service->balance);
    if (!fine) /* goes on, to find what else is wrong */
        balance_rules_default(&service->balance);
    bind_leave(binder, path);
    fine &= set_host(binder, service, config.host, node);
    const struct members_config members = {.specs = config.endpoints,
                                           .file = full_path(binder, node, config.endpoints_file),
                                           .family = (enum address_family)config.discovery.family,
                                           .endpoints_max = (uint32_t)config.discovery.endpoints};
    fine &= set_health(binder, builder, service, &config, node);
    fine &= set_deadline(binder, service, node);
    fine &= hedge_rules_build(binder, builder->states, service->name, &config.hedge, node, &service->hedge);
    fine &=
        queue_rules_build(binder, builder->states, service->name, &config.concurrency, node, &service->queue);
    fine &= retry_rules_build(binder, builder->states, service->name, &config.retry, node, &service->retry);
    fine &= service->health && set_endpoints(binder, builder, service, &members, node)
            && set_tls(binder, builder, service, node, config.tls, &members);
    return fine && register_checks(binder, builder, service, node) ? service : NULL;
}

struct service *service_of_url(struct binder *binder, const struct service_builder *builder, struct text name,
                               const struct node *at, const char *field, struct text url, int64_t timeout_ms)
{
    struct service_config config = {
        .timeouts = {timeout_ms, timeout_ms, timeout_ms, timeout_ms, timeout_ms, timeout_ms},
        .pool = {.size = 64, .idle_ms = 50000},
        .limits = {.head = 31 << 10, .fields = 200}};
    struct endpoint_spec *endpoint = ARENA_NEW(binder->arena, struct endpoint_spec); /* names refer to it */
    struct service *service = ARENA_NEW(binder->arena, struct service);
    if (!service || !endpoint) {
        bind_error(binder, at, field, "out of memory");
        return NULL;
    }
    *endpoint = (struct endpoint_spec){.url = arena_copy(binder->arena, url), .weight = 1};
    service->name = arena_copy(binder->arena, name);
    set_rules(service, &config);
    balance_rules_default(&service->balance);
    service->retry = retry_rules_of_calls();
    service->host_rule = HOST_ENDPOINT;
    const struct members_config members = {.specs = {endpoint, 1},
                                           .endpoints_max = SERVICE_OF_URL_ENDPOINTS_MAX};
    return claim_health(binder, builder, service, at) && set_endpoints(binder, builder, service, &members, at)
                   && set_tls(binder, builder, service, at, NULL, &members)
               ? service
               : NULL;
}
