/* security-headers: response fields that make browsers careful. */
#include "base/check.h"
#include "policies/header_lines.h"
#include "policies/peer.h"
#include "policies/places.h"
#include "proxy/exchange.h"

struct security_headers_config {
    struct text hsts, content_type_options, frame_options, referrer_policy, content_security_policy,
        permissions_policy, opener, embedder, resource;
    struct array remove; /* struct text */
    bool override;
};

struct security_headers_state {
    bool secure; /* the client came by https */
};

#define HEADER(member, name, default_value, about)                                                           \
    FIELD_TEXT(struct security_headers_config, member, name, default_value, about)

static const struct field security_headers_fields[] = {
    HEADER(hsts, "hsts", "max-age=31536000", "`Strict-Transport-Security`, sent over https alone."),
    HEADER(content_type_options, "content_type_options", "nosniff", "`X-Content-Type-Options`."),
    HEADER(frame_options, "frame_options", "SAMEORIGIN", "`X-Frame-Options`."),
    HEADER(referrer_policy, "referrer_policy", "strict-origin-when-cross-origin", "`Referrer-Policy`."),
    HEADER(content_security_policy, "content_security_policy", "off", "`Content-Security-Policy`."),
    HEADER(permissions_policy, "permissions_policy", "off", "`Permissions-Policy`."),
    HEADER(opener, "cross_origin_opener_policy", "off", "`Cross-Origin-Opener-Policy`."),
    HEADER(embedder, "cross_origin_embedder_policy", "off", "`Cross-Origin-Embedder-Policy`."),
    HEADER(resource, "cross_origin_resource_policy", "off", "`Cross-Origin-Resource-Policy`."),
    FIELD_LIST(struct security_headers_config, remove, "remove", "[Server, X-Powered-By]", &field_item_text,
               FIELD_ONE_OR_MORE | FIELD_UNIQUE,
               "Fields of the service that are taken away, since they tell what it runs on."),
    FIELD_BOOL(struct security_headers_config, override, "override", "true",
               "Replaces what the service itself says in these fields. With `false` its word stays."),
    FIELD_END,
};

/* Which member goes out in which field; the order is that of the table above. */
static const struct {
    const char *option;
    struct text name;
    size_t offset;
} headers[] = {
    {"hsts", TEXT_INIT("Strict-Transport-Security"), offsetof(struct security_headers_config, hsts)},
    {"content_type_options", TEXT_INIT("X-Content-Type-Options"),
     offsetof(struct security_headers_config, content_type_options)},
    {"frame_options", TEXT_INIT("X-Frame-Options"), offsetof(struct security_headers_config, frame_options)},
    {"referrer_policy", TEXT_INIT("Referrer-Policy"),
     offsetof(struct security_headers_config, referrer_policy)},
    {"content_security_policy", TEXT_INIT("Content-Security-Policy"),
     offsetof(struct security_headers_config, content_security_policy)},
    {"permissions_policy", TEXT_INIT("Permissions-Policy"),
     offsetof(struct security_headers_config, permissions_policy)},
    {"cross_origin_opener_policy", TEXT_INIT("Cross-Origin-Opener-Policy"),
     offsetof(struct security_headers_config, opener)},
    {"cross_origin_embedder_policy", TEXT_INIT("Cross-Origin-Embedder-Policy"),
     offsetof(struct security_headers_config, embedder)},
    {"cross_origin_resource_policy", TEXT_INIT("Cross-Origin-Resource-Policy"),
     offsetof(struct security_headers_config, resource)},
};
enum { HSTS = 0 /* in `headers` */ };

static struct text *value_of(const struct security_headers_config *config, size_t i)
{
    return (struct text *)((uintptr_t)config + headers[i].offset);
}

static bool security_headers_prepare(struct prepare *prepare, void *config_)
{
    struct security_headers_config *config = config_;
    bool fine = header_check_patterns(prepare, "remove", &config->remove);
    for (size_t i = 0; i < COUNT_OF(headers); i++) {
        struct text *value = value_of(config, i);
        if (text_equal(*value, TEXT("off")))
            *value = (struct text){NULL, 0};
        else if (value->size == 0 || !http_is_field_value(*value))
            fine = bind_error(prepare->binder, field_place(prepare, headers[i].option), headers[i].option,
                              "wants a value of one line, or `off`");
    }
    struct text hsts = config->hsts;
    if (fine && hsts.size && !text_starts_with_nocase(hsts, TEXT("max-age=")))
        return bind_error(prepare->binder, field_place(prepare, "hsts"), "hsts",
                          "begins with `max-age=` and seconds, as in `max-age=31536000; includeSubDomains`");
    return fine;
}

/* Before the gateway writes X-Forwarded-Proto anew for the service. */
static enum verdict security_headers_request(struct exchange *ex, const void *config, void *state_)
{
    (void)config;
    struct security_headers_state *state = state_;
    state->secure = text_equal(peer_scheme(ex), TEXT("https"));
    return VERDICT_NEXT;
}

static enum verdict security_headers_response(struct exchange *ex, const void *config_, void *state_)
{
    const struct security_headers_state *state = state_;
    const struct security_headers_config *config = config_;
    struct fields *fields = &ex->response.fields;
    FIELDS_EACH (line, fields)
        if (header_is_one_of(line->name, &config->remove))
            line->removed = true;
    for (size_t i = 0; i < COUNT_OF(headers); i++) {
        struct text value = *value_of(config, i);
        if (value.size == 0 || (i == HSTS && !state->secure)
            || (!config->override && fields_find(fields, headers[i].name)))
            continue;
        (void)fields_set(fields, headers[i].name, value); /* without memory the arena says so */
    }
    return VERDICT_NEXT;
}

static const char security_headers_manual[] =
    "Adds the response fields by which browsers protect the users of a site: https only, no guessing of types, no framing by strangers. Use it in front of\n"
    "anything that browsers show; other clients ignore the fields.\n"
    "\n"
    "```yaml\n"
    "listeners:\n"
    "  main: { address: \"127.0.0.1:8080\" }\n"
    "services:\n"
    "  shop: { endpoints: [\"http://127.0.0.1:7001\"] }\n"
    "routes:\n"
    "  shop:\n"
    "    match: { path: \"/*\" }\n"
    "    service: shop\n"
    "    policies:\n"
    "      - security-headers:\n"
    "          hsts: \"max-age=63072000; includeSubDomains\"\n"
    "          frame_options: DENY\n"
    "          content_security_policy: \"default-src 'self'; frame-ancestors 'none'\"\n"
    "          permissions_policy: \"camera=(), microphone=()\"\n"
    "```\n"
    "\n"
    "`off` leaves a field to the service. All answers get the fields, those that the gateway makes too. `Strict-Transport-Security` goes out only where the client\n"
    "came by https; behind a proxy that ends TLS, name it in the listener's `trusted_proxies`, so that its `X-Forwarded-Proto` counts.\n"
    "\n"
    "The `Server` of answers that the gateway makes itself is the listener's setting, and not removed here.\n"
    "\n"
    "**Security.** The policy takes nothing from the request but whether it came by https. `Content-Security-Policy` and the cross-origin policies depend on the site and are\n"
    "off at first; try a policy with `Content-Security-Policy-Report-Only` by the policy `headers` before you enforce it. `includeSubDomains` and a long\n"
    "`max-age` cannot be taken back quickly.\n";

const struct policy policy_security_headers = {
    .name = "security-headers",
    .summary = "Adds response fields that make browsers careful.",
    .manual = security_headers_manual,
    .stage = STAGE_EDGE,
    .status = POLICY_STABLE,
    .fields = security_headers_fields,
    .config_size = sizeof(struct security_headers_config),
    .state_size = sizeof(struct security_headers_state),
    .prepare = security_headers_prepare,
    .on_request = security_headers_request,
    .on_response = security_headers_response,
};
