/* cors: which origins' pages may call (the CORS protocol of the Fetch standard, fetch.spec.whatwg.org section 3.3). */
#include "expr/pattern.h"
#include "http/uri.h"
#include "policies/header_lines.h"
#include "policies/places.h"
#include "proxy/exchange.h"

enum origin_kind { ORIGIN_ANY, ORIGIN_EXACT, ORIGIN_SUBDOMAINS, ORIGIN_PATTERN };

struct origin_rule {
    enum origin_kind kind;
    struct text before, after; /* ORIGIN_EXACT: `before` is all of it; ORIGIN_SUBDOMAINS: around the "*" */
    const struct pattern *pattern;
};

struct cors_config {
    struct array origins, methods, headers, expose; /* struct text */
    bool credentials, private_network, reject;
    int64_t max_age_ms;
    struct origin_rule *rules;
    bool any; /* the answer is "*" for all, so it does not vary */
    struct text methods_text, headers_text, expose_text, max_age_text; /* .at NULL: as the request asks */
};

struct cors_state {
    struct text origin; /* allowed; .at NULL: none, or not allowed */
    bool preflight;
};

static const struct field cors_fields[] = {
    FIELD_LIST(
        struct cors_config, origins, "origins", "[\"*\"]", &field_item_text,
        FIELD_ONE_OR_MORE | FIELD_NOT_EMPTY | FIELD_UNIQUE,
        "Origins whose pages may call: `https://shop.example`, `https://*.shop.example` for any subdomain, `~ REGEX` "
        "for what the whole expression matches, or `*` for all."),
    FIELD_LIST(struct cors_config, methods, "methods", "[GET, HEAD, PUT, PATCH, POST, DELETE]",
               &field_item_text, FIELD_ONE_OR_MORE | FIELD_UNIQUE, "Methods that they may use; `*` for all."),
    FIELD_LIST(struct cors_config, headers, "headers", "[\"*\"]", &field_item_text,
               FIELD_ONE_OR_MORE | FIELD_UNIQUE,
               "Request fields that they may set; `*` for all, `Authorization` included."),
    FIELD_LIST(struct cors_config, expose, "expose_headers", OPTIONAL, &field_item_text,
               FIELD_ONE_OR_MORE | FIELD_UNIQUE, "Response fields that their scripts may read."),
    FIELD_BOOL(struct cors_config, credentials, "credentials", "false",
               "Lets calls carry cookies and other credentials of the browser. Not with the origin `*`."),
    FIELD_DURATION(struct cors_config, max_age_ms, "max_age", "0", 0, 86400000,
                   "How long browsers may keep the answer to a preflight; 0 leaves it to them."),
    FIELD_BOOL(struct cors_config, private_network, "private_network", "false",
               "Allows pages of a public network to call into this, a private one."),
    FIELD_BOOL(
        struct cors_config, reject, "reject", "false",
        "Answers 403 to requests of other origins, instead of leaving it to the browser to keep the answer from the page."),
    FIELD_END,
};

/* --- preparing --- */

static bool check_name_list(struct prepare *prepare, const char *field, const struct array *names)
{
    const struct text *items = names->items;
    for (size_t i = 0; i < names->count; i++)
        if (!http_is_token(items[i])) /* "*" is a token too */
            return bind_error(prepare->binder, item_place(prepare, field, i), field,
                              "`%.*s` is not a name that HTTP allows here", TEXT_ARGS(items[i]));
    return true;
}

/* "a, b"; .at NULL where the list has "*". */
static struct text join_names(struct arena *arena, const struct array *names)
{
    const struct text *items = names->items;
    struct text list = TEXT("");
    for (size_t i = 0; i < names->count; i++) {
        if (text_equal(items[i], TEXT("*")))
            return (struct text){NULL, 0};
        list = arena_format(arena, "%.*s%s%.*s", TEXT_ARGS(list), i ? ", " : "", TEXT_ARGS(items[i]));
    }
    return list;
}

static bool prepare_pattern(struct prepare *prepare, const struct node *at, struct text expression,
                            struct origin_rule *rule)
{
    struct arena *arena = prepare->binder->arena;
    struct error error = {0};
    rule->kind = ORIGIN_PATTERN;
    rule->pattern =
        pattern_compile(arena, expression, &error); /* alone first, so that an error counts from its start */
    if (rule->pattern)
        rule->pattern =
            pattern_compile(arena, arena_format(arena, "^(?:%.*s)\\z", TEXT_ARGS(expression)), &error);
    return rule->pattern || bind_error(prepare->binder, at, "origins", "%s", error.said);
}

static bool is_origin(struct text origin, struct arena *arena)
{
    struct uri uri;
    struct text host;
    uint16_t port;
    return uri_parse(origin, &uri) && uri.path.size == 0 && !uri.query.at
           && uri_parse_authority(uri.authority, arena, &host, &port) && text_equal(host, uri.host);
}

static bool prepare_origin(struct prepare *prepare, const struct node *at, struct text origin,
                           struct origin_rule *rule)
{
    struct arena *arena = prepare->binder->arena;
    if (text_equal(origin, TEXT("*"))) {
        rule->kind = ORIGIN_ANY;
        return true;
    }
    if (text_starts_with(origin, TEXT("~")))
        return prepare_pattern(prepare, at, text_trim(text_slice(origin, 1, origin.size)), rule);
    size_t star = text_find_char(origin, '*');
    struct text plain = origin;
    *rule = (struct origin_rule){ORIGIN_EXACT, .before = origin};
    if (star != TEXT_NONE) {
        *rule = (struct origin_rule){ORIGIN_SUBDOMAINS, text_slice(origin, 0, star),
                                     text_slice(origin, star + 1, origin.size), NULL};
        if (!text_ends_with(rule->before, TEXT("://")) || !text_starts_with(rule->after, TEXT(".")))
            return bind_error(prepare->binder, at, "origins",
                              "a `*` stands for subdomains, as in `https://*.shop.example`");
        plain = arena_format(arena, "%.*sx%.*s", TEXT_ARGS(rule->before), TEXT_ARGS(rule->after));
    }
    if (is_origin(plain, arena) || (text_equal(origin, TEXT("null")) && star == TEXT_NONE))
        return true;
    return bind_error(
        prepare->binder, at, "origins",
        "`%.*s` is not an origin: it is a scheme and a host in lower case, perhaps a port, and no path, as in `https://shop.example`",
        TEXT_ARGS(origin));
}

static bool prepare_origins(struct prepare *prepare, struct cors_config *config)
{
    const struct text *origins = config->origins.items;
    bool fine = true;
    config->rules = arena_array(prepare->binder->arena, config->origins.count, sizeof *config->rules);
    for (size_t i = 0; config->rules && i < config->origins.count; i++) {
        const struct node *at = item_place(prepare, "origins", i);
        fine &= prepare_origin(prepare, at, origins[i], &config->rules[i]);
        bool open = text_equal(origins[i], TEXT("*")) || text_equal(origins[i], TEXT("null"));
        if (open && config->credentials)
            fine = bind_error(
                prepare->binder, at, "origins",
                "with `credentials`, `%.*s` would let any site act for its visitors: list the origins",
                TEXT_ARGS(origins[i]));
        config->any |= text_equal(origins[i], TEXT("*"));
    }
    return config->rules ? fine : bind_error(prepare->binder, prepare->node, NULL, "out of memory");
}

static bool cors_prepare(struct prepare *prepare, void *config_)
{
    struct cors_config *config = config_;
    struct arena *arena = prepare->binder->arena;
    bool fine = prepare_origins(prepare, config);
    fine &= check_name_list(prepare, "methods", &config->methods);
    fine &= check_name_list(prepare, "headers", &config->headers);
    fine &= check_name_list(prepare, "expose_headers", &config->expose);
    config->methods_text = join_names(arena, &config->methods);
    config->headers_text = join_names(arena, &config->headers);
    config->expose_text = join_names(arena, &config->expose);
    if (!config->expose_text.at) {
        config->expose_text = TEXT("*");
        if (config->credentials)
            fine = bind_error(prepare->binder, field_place(prepare, "expose_headers"), "expose_headers",
                              "browsers do not take `*` with `credentials`: list the fields");
    }
    config->max_age_text = arena_format(arena, "%lld", (long long)(config->max_age_ms / 1000));
    return fine;
}

/* --- which origins are allowed --- */

static bool is_subdomain(const struct origin_rule *rule, struct text origin)
{
    if (origin.size <= rule->before.size + rule->after.size || !text_starts_with(origin, rule->before)
        || !text_ends_with(origin, rule->after))
        return false;
    for (size_t i = rule->before.size; i < origin.size - rule->after.size; i++)
        if (!char_is_alpha(origin.at[i]) && !char_is_digit(origin.at[i]) && origin.at[i] != '-'
            && origin.at[i] != '.')
            return false;
    return true;
}

static bool rule_fits(const struct origin_rule *rule, struct text origin)
{
    switch (rule->kind) {
    case ORIGIN_ANY: return true;
    case ORIGIN_EXACT: return text_equal(rule->before, origin);
    case ORIGIN_SUBDOMAINS: return is_subdomain(rule, origin);
    case ORIGIN_PATTERN: return pattern_matches(rule->pattern, origin);
    }
    return false;
}

static bool is_allowed(const struct cors_config *config, struct text origin)
{
    for (size_t i = 0; i < config->origins.count; i++)
        if (rule_fits(&config->rules[i], origin))
            return true;
    return false;
}

/* --- the policy: what a request asks, then what every answer to it says --- */

static enum verdict cors_request(struct exchange *ex, const void *config_, void *state_)
{
    const struct cors_config *config = config_;
    struct cors_state *state = state_;
    struct text origin = fields_get_known(&ex->request.fields, NAME_ORIGIN);
    if (!origin.at)
        return VERDICT_NEXT;
    if (is_allowed(config, origin))
        state->origin = origin;
    state->preflight = ex->request.method == METHOD_OPTIONS
                       && fields_find_known(&ex->request.fields, NAME_ACCESS_CONTROL_REQUEST_METHOD);
    if (!state->origin.at && config->reject)
        return exchange_respond_problem(ex, 403, TEXT("Pages of this origin may not call here."));
    return state->preflight ? exchange_respond(ex, 204, (struct text){NULL, 0}, TEXT("")) : VERDICT_NEXT;
}

static void add(struct exchange *ex, struct text name, struct text value)
{
    (void)fields_add(&ex->response.fields, name, value); /* without memory the arena says so */
}

/* Caches must not give one origin's answer to another. */
static void add_vary(struct exchange *ex, struct text name)
{
    FIELDS_EACH (line, &ex->response.fields)
        if (line->id == NAME_VARY
            && (http_list_contains(line->value, name) || http_list_contains(line->value, TEXT("*"))))
            return;
    (void)fields_add_known(&ex->response.fields, NAME_VARY, name); /* likewise */
}

static void add_preflight(struct exchange *ex, const struct cors_config *config)
{
    const struct fields *asked = &ex->request.fields;
    struct text methods = config->methods_text, headers = config->headers_text;
    if (!methods.at)
        methods = fields_get_known(asked, NAME_ACCESS_CONTROL_REQUEST_METHOD);
    if (!headers.at) {
        headers = fields_joined(asked, field_name_text(NAME_ACCESS_CONTROL_REQUEST_HEADERS), &ex->arena);
        add_vary(ex, field_name_text(NAME_ACCESS_CONTROL_REQUEST_HEADERS));
    }
    if (methods.size)
        add(ex, TEXT("Access-Control-Allow-Methods"), methods);
    if (headers.size)
        add(ex, TEXT("Access-Control-Allow-Headers"), headers);
    if (config->max_age_ms)
        add(ex, TEXT("Access-Control-Max-Age"), config->max_age_text);
    if (config->private_network
        && text_equal(fields_get(asked, TEXT("Access-Control-Request-Private-Network")), TEXT("true")))
        add(ex, TEXT("Access-Control-Allow-Private-Network"), TEXT("true"));
}

static enum verdict cors_response(struct exchange *ex, const void *config_, void *state_)
{
    const struct cors_config *config = config_;
    const struct cors_state *state = state_;
    FIELDS_EACH (line, &ex->response.fields)
        if (text_starts_with_nocase(line->name, TEXT("Access-Control-")))
            line->removed = true; /* the service's own opinion: two answers are none to a browser */
    if (!config->any)
        add_vary(ex, field_name_text(NAME_ORIGIN));
    if (!state->origin.at)
        return VERDICT_NEXT;
    add(ex, TEXT("Access-Control-Allow-Origin"), config->any ? TEXT("*") : state->origin);
    if (config->credentials)
        add(ex, TEXT("Access-Control-Allow-Credentials"), TEXT("true"));
    if (state->preflight)
        add_preflight(ex, config);
    else if (config->expose_text.size)
        add(ex, TEXT("Access-Control-Expose-Headers"), config->expose_text);
    return VERDICT_NEXT;
}

static const char cors_manual[] =
    "Tells browsers which sites' pages may call from their scripts, by the CORS protocol. Use it when a web page and the API that it calls have\n"
    "different origins (scheme, host and port). Calls that no browser makes are not affected.\n"
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
    "      - cors:\n"
    "          origins: [\"https://shop.example\", \"https://*.shop.example\", \"~ https://pr-[0-9]+\\\\.preview\\\\.example\"]\n"
    "          credentials: true\n"
    "          expose_headers: [X-Request-ID]\n"
    "          max_age: 1h\n"
    "      - key-auth: {}\n"
    "consumers:\n"
    "  alice: { keys: [\"${env:ALICE_KEY:-a-key-to-try-it-out-with}\"] }\n"
    "```\n"
    "\n"
    "A preflight (`OPTIONS` with `Origin` and `Access-Control-Request-Method`) is answered here with 204, before any identity policy, since browsers send it\n"
    "without credentials. All other requests go on. Their answers get the CORS fields, also those that a later policy or the\n"
    "gateway makes (401, 429, 502), so that scripts can read why a call failed. Where the route is chosen by `methods`, add `OPTIONS` to them.\n"
    "\n"
    "The service's own `Access-Control-*` fields are replaced. Unless `*` is among the origins, `Vary: Origin` is added to every answer. An origin\n"
    "that is not allowed gets no CORS fields, so its page cannot read the answer; the service still sees the request, unless\n"
    "`reject` is on. Pages of the gateway's own origin send `Origin` too with some methods: list it if you use `reject`.\n"
    "\n"
    "A `*` in `methods` or `headers` answers what the preflight asks for.\n"
    "\n"
    "**Security.** The policy trusts `Origin`, which only browsers keep honest: CORS protects the users of browsers and is no access control. Allow\n"
    "`credentials` only to origins that you would let act for their visitors; `*` and `null` are refused with it. A regular\n"
    "expression must match the whole origin; write dots as `\\.`, and do not let it match what anyone can register.\n";

const struct policy policy_cors = {
    .name = "cors",
    .summary = "Lets pages of other origins call, and answers preflights.",
    .manual = cors_manual,
    .stage = STAGE_EDGE,
    .status = POLICY_STABLE,
    .fields = cors_fields,
    .config_size = sizeof(struct cors_config),
    .state_size = sizeof(struct cors_state),
    .prepare = cors_prepare,
    .on_request = cors_request,
    .on_response = cors_response,
};
