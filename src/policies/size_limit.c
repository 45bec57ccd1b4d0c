/* size-limit: how large heads and bodies may be. */
#include "base/check.h"
#include "policies/places.h"
#include "proxy/exchange.h"

struct size_limit_config {
    int64_t request_body, response_body, request_head; /* 0: no limit */
};

struct size_limit_state {
    uint64_t request_bytes, response_bytes; /* of bodies, so far */
};

static const struct field size_limit_fields[] = {
    FIELD_SIZE(struct size_limit_config, request_body, "request_body", OPTIONAL, 1, INT64_MAX,
               "Largest request body; a larger one is answered 413."),
    FIELD_SIZE(
        struct size_limit_config, response_body, "response_body", OPTIONAL, 1, INT64_MAX,
        "Largest response body; a service that announces a larger one is answered 502 for, and one that just sends it is cut off."),
    FIELD_SIZE(struct size_limit_config, request_head, "request_head", OPTIONAL, 1, INT64_MAX,
               "Largest request head, request line and fields; a larger one is answered 431."),
    FIELD_END,
};

static bool size_limit_prepare(struct prepare *prepare, void *config_)
{
    const struct size_limit_config *config = config_;
    if (config->request_body || config->response_body || config->request_head)
        return true;
    return bind_error(prepare->binder, prepare->node, NULL,
                      "nothing is limited: set `request_body`, `response_body` or `request_head`");
}

static bool is_over(uint64_t size, int64_t limit)
{
    return limit && size > (uint64_t)limit;
}

/* As the client wrote it in HTTP/1.1, but for spaces at the ends of values. */
static uint64_t head_size(const struct request *request)
{
    uint64_t size = request->method_text.size + request->target.size + sizeof "  HTTP/1.1\r\n\r\n" - 1;
    FIELDS_EACH (line, &request->fields)
        size += line->name.size + line->value.size + sizeof ": \r\n" - 1;
    return size;
}

static enum verdict refuse_body(struct exchange *ex)
{
    return exchange_respond_problem(ex, 413, TEXT("The request body is larger than this route accepts."));
}

static enum verdict size_limit_request(struct exchange *ex, const void *config_, void *state)
{
    (void)state;
    const struct size_limit_config *config = config_;
    const struct request *request = &ex->request;
    if (is_over(config->request_head ? head_size(request) : 0, config->request_head))
        return exchange_respond_problem(
            ex, 431, TEXT("The request's header fields are larger than this route accepts."));
    if (request->body.kind == BODY_LENGTH && is_over(request->body.length, config->request_body))
        return refuse_body(ex);
    return is_over(ex->request_body.size, config->request_body) ? refuse_body(ex) : VERDICT_NEXT;
}

static enum verdict size_limit_request_body(struct exchange *ex, const void *config_, void *state_,
                                            struct body_chunk *chunk)
{
    const struct size_limit_config *config = config_;
    struct size_limit_state *state = state_;
    state->request_bytes += chunk->data.size;
    return is_over(state->request_bytes, config->request_body) ? refuse_body(ex) : VERDICT_NEXT;
}

static enum verdict size_limit_response(struct exchange *ex, const void *config_, void *state)
{
    (void)state;
    const struct size_limit_config *config = config_;
    const struct response *response = &ex->response;
    if (ex->local || response->body.kind != BODY_LENGTH
        || !is_over(response->body.length, config->response_body))
        return VERDICT_NEXT;
    return exchange_respond_problem(ex, 502,
                                    TEXT("The service's answer is larger than this route passes on."));
}

static enum verdict size_limit_response_body(struct exchange *ex, const void *config_, void *state_,
                                             struct body_chunk *chunk)
{
    const struct size_limit_config *config = config_;
    struct size_limit_state *state = state_;
    if (ex->local)
        return VERDICT_NEXT;
    state->response_bytes += chunk->data.size;
    return is_over(state->response_bytes, config->response_body) ? VERDICT_DROP : VERDICT_NEXT;
}

static const char size_limit_manual[] =
    "Limits how large a request's head and body and a response's body may be. Use it to give routes, consumers or plans limits of their own; limits for\n"
    "all requests of a listener are its `limits`, which cost less.\n"
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
    "      - size-limit: { request_body: 64KiB, response_body: 4MiB, request_head: 4KiB }\n"
    "```\n"
    "\n"
    "A request whose `Content-Length` is over the limit is answered 413 at once, before its body is read. A body without a length is counted while\n"
    "it goes to the service, and the request broken off when it is too long: the service sees a body that does not end. A response that announces\n"
    "too much becomes a 502; one that announces nothing is broken off in the middle, so that the client can tell that it is not whole.\n"
    "\n"
    "Bodies are counted as they are sent, compressed or not. Bodies of upgraded connections (WebSocket) are not counted. While the policy is active, bodies\n"
    "go on without a `Content-Length`, in chunks.\n"
    "\n"
    "**Security.** The policy trusts no announced length: what really comes is counted too.\n";

const struct policy policy_size_limit = {
    .name = "size-limit",
    .summary = "Limits the size of request heads, request bodies and response bodies.",
    .manual = size_limit_manual,
    .stage = STAGE_QUOTA,
    .status = POLICY_STABLE,
    .fields = size_limit_fields,
    .config_size = sizeof(struct size_limit_config),
    .state_size = sizeof(struct size_limit_state),
    .prepare = size_limit_prepare,
    .on_request = size_limit_request,
    .on_request_body = size_limit_request_body,
    .on_response = size_limit_response,
    .on_response_body = size_limit_response_body,
    .request_body = BODY_STREAM,
    .response_body = BODY_STREAM,
};
