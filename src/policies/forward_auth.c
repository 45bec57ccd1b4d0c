/* forward-auth: another program decides, asked by HTTP before each request goes on. */
#include "base/check.h"
#include "http/uri.h"
#include "policies/header_lines.h"
#include "policies/peer.h"
#include "policies/places.h"
#include "proxy/exchange.h"

enum { ANSWER_BYTES_MAX = 64 * 1024 };

enum method_choice { METHOD_FIXED_GET, METHOD_AS_REQUEST };
static const char *const method_choices[] = {"GET", "request", NULL};

struct forward_auth_config {
    struct text url;
    int method;
    struct array request_headers, response_headers, client_headers; /* struct text */
    int64_t timeout_ms;
    struct service *service;
    struct text target, host;
};

struct forward_auth_state {
    struct http_call call;
};

static const struct field forward_auth_fields[] = {
    FIELD_TEXT(struct forward_auth_config, url, "url", REQUIRED,
               "Where the authoriser is: `http://HOST:PORT/PATH`."),
    FIELD_CHOICE(struct forward_auth_config, method, "method", "GET", method_choices,
                 "Method of the question: `GET`, or that of the `request`."),
    FIELD_LIST(struct forward_auth_config, request_headers, "request_headers", "[Authorization, Cookie]",
               &field_item_text, FIELD_ONE_OR_MORE | FIELD_UNIQUE,
               "Fields of the request that the authoriser gets. A `*` at the end stands for any rest."),
    FIELD_LIST(
        struct forward_auth_config, response_headers, "response_headers", OPTIONAL, &field_item_text,
        FIELD_ONE_OR_MORE | FIELD_UNIQUE,
        "Fields of an answer that allows which go on to the service, and which the client cannot send itself."),
    FIELD_LIST(struct forward_auth_config, client_headers, "client_headers",
               "[Set-Cookie, WWW-Authenticate, Location]", &field_item_text, FIELD_ONE_OR_MORE | FIELD_UNIQUE,
               "Fields of an answer that refuses which the client gets, besides Content-Type."),
    FIELD_DURATION(struct forward_auth_config, timeout_ms, "timeout", "5s", 1, 60000,
                   "How long the authoriser may take."),
    FIELD_END,
};

/* --- preparing --- */

/* What the policy itself tells the authoriser. */
static const struct text own_names[] = {
    TEXT_INIT("X-Forwarded-Method"), TEXT_INIT("X-Forwarded-Proto"), TEXT_INIT("X-Forwarded-Host"),
    TEXT_INIT("X-Forwarded-Uri"),    TEXT_INIT("X-Forwarded-For"),
};

static bool is_own(struct text name)
{
    for (size_t i = 0; i < COUNT_OF(own_names); i++)
        if (text_equal_nocase(name, own_names[i]))
            return true;
    return false;
}

static bool check_request_headers(struct prepare *prepare, const struct array *names)
{
    const struct text *items = names->items;
    for (size_t i = 0; i < names->count; i++)
        if (is_own(items[i]))
            return bind_error(
                prepare->binder, item_place(prepare, "request_headers", i), "request_headers",
                "`%.*s` is set by the policy itself, which does not take the client's word for it",
                TEXT_ARGS(items[i]));
    return header_check_patterns(prepare, "request_headers", names);
}

static bool prepare_authoriser(struct prepare *prepare, struct forward_auth_config *config)
{
    struct arena *arena = prepare->binder->arena;
    struct uri uri;
    if (!uri_parse(config->url, &uri))
        return bind_error(prepare->binder, field_place(prepare, "url"), "url",
                          "wants a URL such as `http://127.0.0.1:7100/check`");
    struct text origin = arena_format(arena, "%.*s://%.*s", TEXT_ARGS(uri.scheme), TEXT_ARGS(uri.authority));
    config->host = uri.authority;
    struct text path = uri.path.size ? uri.path : TEXT("/");
    const struct text parts[] = {path, uri.query.at ? TEXT("?") : TEXT(""), uri.query};
    config->target = arena_join(arena, parts, 3);
    config->service = prepare_service(prepare, "url", origin, config->timeout_ms);
    return config->service;
}

static bool forward_auth_prepare(struct prepare *prepare, void *config_)
{
    struct forward_auth_config *config = config_;
    bool fine = check_request_headers(prepare, &config->request_headers);
    fine &= header_check_patterns(prepare, "response_headers", &config->response_headers);
    fine &= header_check_patterns(prepare, "client_headers", &config->client_headers);
    return prepare_authoriser(prepare, config) && fine;
}

/* --- the question --- */

/* The request as the gateway understood it: what was routed is what is judged. */
static void describe(struct exchange *ex, struct fields *fields)
{
    const struct request *request = &ex->request;
    const struct text uri[] = {request->path, request->query.at ? TEXT("?") : TEXT(""), request->query};
    const struct text values[] = {
        request->method_text,           peer_scheme(ex), request->authority,
        arena_join(&ex->arena, uri, 3), ex->client_ip,
    };
    static_assert(COUNT_OF(values) == COUNT_OF(own_names), "a value for each name");
    for (size_t i = 0; i < COUNT_OF(own_names); i++)
        (void)fields_add(fields, own_names[i], values[i]); /* without memory the arena says so */
}

static void take_along(struct exchange *ex, const struct forward_auth_config *config, struct fields *fields)
{
    fields_init(fields, &ex->arena);
    FIELDS_EACH (line, &ex->request.fields)
        if (header_is_one_of(line->name, &config->request_headers) && !is_own(line->name))
            (void)fields_add(fields, line->name, line->value); /* likewise */
    describe(ex, fields);
}

/* What only the authoriser may say, the client has not said: whatever the answer will be. */
static void remove_claims(struct exchange *ex, const struct forward_auth_config *config)
{
    if (config->response_headers.count == 0)
        return;
    FIELDS_EACH (line, &ex->request.fields)
        if (header_is_one_of(line->name, &config->response_headers))
            line->removed = true;
}

static policy_step forward_auth_answer;

static enum verdict forward_auth_request(struct exchange *ex, const void *config_, void *state_)
{
    const struct forward_auth_config *config = config_;
    struct forward_auth_state *state = state_;
    struct fields fields;
    take_along(ex, config, &fields);
    remove_claims(ex, config);
    bool as_request = config->method == METHOD_AS_REQUEST && ex->request.method != METHOD_OTHER;
    const struct http_call_request request = {
        .method = as_request ? ex->request.method : METHOD_GET,
        .target = config->target,
        .host = config->host,
        .fields = &fields,
        .body_bytes_max = ANSWER_BYTES_MAX,
    };
    return await_http(ex, &state->call, config->service, &request, config->timeout_ms,
                      STEP(forward_auth_answer));
}

/* --- the answer --- */

static bool is_refusal(unsigned status)
{
    return status == 401 || status == 403 || status == 301 || status == 302 || status == 303 || status == 307
           || status == 308;
}

static enum verdict allow(struct exchange *ex, const struct forward_auth_config *config,
                          const struct http_call *call)
{
    FIELDS_EACH (line, &call->fields)
        if (header_is_one_of(line->name, &config->response_headers))
            (void)fields_add(&ex->request.fields, line->name, line->value); /* likewise */
    return VERDICT_NEXT;
}

static enum verdict refuse(struct exchange *ex, const struct forward_auth_config *config,
                           const struct http_call *call)
{
    struct text type = fields_get_known(&call->fields, NAME_CONTENT_TYPE);
    enum verdict verdict = exchange_respond(ex, call->status, type, call->body);
    FIELDS_EACH (line, &call->fields)
        if (line->id != NAME_CONTENT_TYPE && header_is_one_of(line->name, &config->client_headers))
            (void)fields_add(&ex->response.fields, line->name, line->value); /* likewise */
    return verdict;
}

static enum verdict forward_auth_answer(struct exchange *ex, const void *config_, void *state_)
{
    const struct forward_auth_config *config = config_;
    const struct http_call *call = &((struct forward_auth_state *)state_)->call;
    if (call->operation.status == AWAIT_TIMEOUT)
        return exchange_fault(ex, "the authoriser did not answer in time");
    if (call->operation.status != AWAIT_DONE)
        return exchange_fault(ex, call->operation.reason);
    if (call->status >= 200 && call->status <= 299)
        return allow(ex, config, call);
    if (is_refusal(call->status))
        return refuse(ex, config, call);
    return exchange_fault(ex, "the authoriser's status neither allows nor refuses");
}

static const char forward_auth_manual[] =
    "Asks another program, by HTTP, whether a request may go on. Use it for login portals and for rules that live in a service of their own.\n"
    "\n"
    "```yaml\n"
    "listeners:\n"
    "  main: { address: \"127.0.0.1:8080\" }\n"
    "services:\n"
    "  orders: { endpoints: [\"http://127.0.0.1:7001\"] }\n"
    "routes:\n"
    "  orders:\n"
    "    match: { path: \"/orders/*\" }\n"
    "    service: orders\n"
    "    policies:\n"
    "      - forward-auth:\n"
    "          url: \"http://127.0.0.1:7100/check\"\n"
    "          response_headers: [X-User, \"X-Auth-*\"]\n"
    "          timeout: 500ms\n"
    "```\n"
    "\n"
    "The authoriser gets `request_headers` and, always, `X-Forwarded-Method`, `-Proto`, `-Host`, `-Uri` and `-For`, which describe the request as the gateway\n"
    "understood it: the path in its normal form, the client's address seen through trusted proxies. It never gets the body.\n"
    "\n"
    "| The authoriser answers | Then |\n"
    "|---|---|\n"
    "| 2xx | the request goes on, with `response_headers` of the answer |\n"
    "| 401, 403, 301, 302, 303, 307, 308 | the client gets this status, the body, its type and `client_headers` |\n"
    "| anything else, over 64 KiB, too late, or not at all | the policy fails: 503, or with `on_error: allow` the request goes on |\n"
    "\n"
    "**Security.** The policy trusts the authoriser, and the connection to it: keep both in your own network. The request's own fields that\n"
    "`response_headers` name are removed before the authoriser is asked, also where dashes are written as underscores, so that a service can\n"
    "rely on them, and also when `on_error: allow` lets a request through. The authoriser must judge by `X-Forwarded-Uri` and not decode it in other ways\n"
    "than the service does.\n";

const struct policy policy_forward_auth = {
    .name = "forward-auth",
    .summary = "Asks another program by HTTP whether a request may go on.",
    .manual = forward_auth_manual,
    .stage = STAGE_IDENTITY,
    .status = POLICY_STABLE,
    .fields = forward_auth_fields,
    .config_size = sizeof(struct forward_auth_config),
    .state_size = sizeof(struct forward_auth_state),
    .prepare = forward_auth_prepare,
    .on_request = forward_auth_request,
};
