/* respond: an answer from the configuration. */
#include "policies/header_lines.h"
#include "policies/places.h"
#include "proxy/exchange.h"

struct respond_config {
    int64_t status;
    const struct expr *content_type, *body; /* body NULL: none */
    struct array headers;                   /* struct template_pair */
};

static const struct field respond_fields[] = {
    FIELD_INTEGER(struct respond_config, status, "status", "200", 200, 599, "Status of the answer."),
    FIELD_TEMPLATE(struct respond_config, content_type, "content_type", "text/plain; charset=utf-8",
                   "Content-Type of the body. Not sent without a body."),
    FIELD_TEMPLATE(struct respond_config, body, "body", OPTIONAL, "The body."),
    FIELD_MAP(struct respond_config, headers, "headers", OPTIONAL, &field_item_template_pair, 0,
              "Header fields of the answer."),
    FIELD_END,
};

static bool respond_prepare(struct prepare *prepare, void *config_)
{
    struct respond_config *config = config_;
    const struct value *type = expr_constant(config->content_type);
    const struct template_pair *headers = config->headers.items;
    bool bodiless = config->status == 204 || config->status == 205 || config->status == 304;
    if (bodiless && config->body)
        return bind_error(prepare->binder, field_place(prepare, "body"), "body",
                          "an answer with status %lld has no body", (long long)config->status);
    if (type && type->kind == VALUE_STRING && !http_is_field_value(type->text))
        return bind_error(prepare->binder, field_place(prepare, "content_type"), "content_type",
                          "must not hold line breaks or other control characters");
    for (size_t i = 0; i < config->headers.count; i++)
        if (field_name_parse(headers[i].key) == NAME_CONTENT_TYPE)
            return bind_error(prepare->binder, &field_place(prepare, "headers")->keys[i], "headers",
                              "the type is set by `content_type`");
    return header_check_map(prepare, node_get(prepare->node, TEXT("headers")), "headers", &config->headers,
                            false);
}

static enum verdict respond_request(struct exchange *ex, const void *config_, void *state)
{
    (void)state;
    const struct respond_config *config = config_;
    const struct template_pair *headers = config->headers.items;
    struct text type = {NULL, 0}, body = TEXT(""), *values;
    if (config->body
        && (!exchange_eval_text(ex, config->body, &body) || !header_eval(ex, config->content_type, &type)))
        return VERDICT_FAULT;
    if (!header_eval_all(ex, &config->headers, &values))
        return VERDICT_FAULT;
    enum verdict verdict = exchange_respond(ex, (unsigned)config->status, type, body);
    for (size_t i = 0; i < config->headers.count; i++)
        (void)fields_add(&ex->response.fields, headers[i].key,
                         values[i]); /* without memory the arena says so */
    return verdict;
}

static const char respond_manual[] =
    "Answers here, without asking a service: a maintenance page, a stub for an API that is not there yet, `robots.txt`, a last word for a path that no\n"
    "longer exists.\n"
    "\n"
    "```yaml\n"
    "listeners:\n"
    "  main: { address: \"127.0.0.1:8080\" }\n"
    "routes:\n"
    "  robots:\n"
    "    match: { path: /robots.txt }\n"
    "    policies:\n"
    "      - respond: { body: \"User-agent: *\\nDisallow: /\\n\" }\n"
    "  gone:\n"
    "    match: { path: \"/v1/*\" }\n"
    "    policies:\n"
    "      - respond:\n"
    "          status: 410\n"
    "          content_type: application/json\n"
    "          body: '{\"gone\": true, \"request\": \"${request.id}\"}'\n"
    "          headers: { Cache-Control: \"max-age=3600\" }\n"
    "```\n"
    "\n"
    "Policies of earlier stages run before, so keys are checked and calls are limited; those of the response side see the answer. With `when` the\n"
    "policy answers some requests and lets others go on to the service.\n"
    "\n"
    "**Security.** A body that shows what the client sent must be escaped for its type: in `application/json` a text that holds quotes, and in\n"
    "`text/html` anything at all, can change what the body says or run a script in the reader's browser. Field values with control characters are never sent: the\n"
    "policy fails (503 unless `on_error` says `allow`).\n";

const struct policy policy_respond = {
    .name = "respond",
    .summary = "Answers from the configuration.",
    .manual = respond_manual,
    .stage = STAGE_TRANSFORM,
    .status = POLICY_STABLE,
    .fields = respond_fields,
    .config_size = sizeof(struct respond_config),
    .prepare = respond_prepare,
    .on_request = respond_request,
};
