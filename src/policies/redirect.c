/* redirect: sends the client to another place. */
#include <stdio.h>

#include "base/check.h"
#include "policies/peer.h"
#include "policies/places.h"
#include "proxy/exchange.h"

struct redirect_config {
    const struct expr *location; /* NULL: `https` */
    bool https, keep_query;
    int64_t port, status; /* status 0: not given */
};

static const struct field redirect_fields[] = {
    FIELD_TEMPLATE(struct redirect_config, location, "location", OPTIONAL,
                   "Where to: a URL, or a path that begins with `/`."),
    FIELD_BOOL(struct redirect_config, https, "https", "false",
               "Sends requests that came by http to the same place by https, and leaves others alone."),
    FIELD_INTEGER(struct redirect_config, port, "port", "443", 1, 65535,
                  "Port of the https listener as clients reach it."),
    FIELD_INTEGER(struct redirect_config, status, "status", OPTIONAL, 301, 308,
                  "301, 302, 303, 307 or 308. Without it 302, with `https` 308."),
    FIELD_BOOL(struct redirect_config, keep_query, "keep_query", "true",
               "Adds the request's query to `location`."),
    FIELD_END,
};

/* Visible ASCII, and nothing that browsers read as something else (RFC 3986; a backslash is a slash to them). */
static bool is_location(struct text location)
{
    for (size_t i = 0; i < location.size; i++)
        if (location.at[i] <= ' ' || location.at[i] >= 0x7f || location.at[i] == '\\')
            return false;
    return location.size > 0;
}

static bool redirect_prepare(struct prepare *prepare, void *config_)
{
    struct redirect_config *config = config_;
    const struct value *constant = config->location ? expr_constant(config->location) : NULL;
    int64_t status = config->status;
    if (config->https == (config->location != NULL))
        return bind_error(prepare->binder, prepare->node, NULL, "wants either `location` or `https: true`");
    if (constant && constant->kind == VALUE_STRING && !is_location(constant->text))
        return bind_error(
            prepare->binder, field_place(prepare, "location"), "location",
            "must have no spaces, backslashes, control or other than ASCII characters, and not be empty");
    if (status && status != 301 && status != 302 && status != 303 && status != 307 && status != 308)
        return bind_error(prepare->binder, field_place(prepare, "status"), "status",
                          "wants 301, 302, 303, 307 or 308");
    if (!status)
        config->status = config->https ? 308 : 302;
    return true;
}

static enum verdict answer(struct exchange *ex, const struct redirect_config *config, struct text location)
{
    enum verdict verdict = exchange_respond(ex, (unsigned)config->status, (struct text){NULL, 0}, TEXT(""));
    (void)fields_add_known(&ex->response.fields, NAME_LOCATION,
                           location); /* without memory the arena says so */
    return verdict;
}

static enum verdict to_https(struct exchange *ex, const struct redirect_config *config)
{
    const struct request *request = &ex->request;
    char port[8];
    int size = snprintf(port, sizeof port, ":%d", (int)config->port);
    if (text_equal(peer_scheme(ex), TEXT("https")))
        return VERDICT_NEXT;
    if (request->host.size == 0)
        return exchange_respond_problem(
            ex, 400, TEXT("This needs https, and the request does not say at which host."));
    const struct text parts[] = {
        TEXT("https://"),
        request->host,
        config->port == 443 ? TEXT("") : (struct text){port, (size_t)size},
        text_equal(request->path, TEXT("*")) ? TEXT("/") : request->path,
        request->query.at ? TEXT("?") : TEXT(""),
        request->query,
    };
    return answer(ex, config, arena_join(&ex->arena, parts, COUNT_OF(parts)));
}

static struct text with_query(struct exchange *ex, struct text location)
{
    struct text query = ex->request.query, fragment = {NULL, 0};
    size_t hash = text_find_char(location, '#');
    if (query.size == 0)
        return location;
    if (hash != TEXT_NONE) {
        fragment = text_slice(location, hash, location.size);
        location = text_slice(location, 0, hash);
    }
    bool has_query = text_find_char(location, '?') != TEXT_NONE;
    const struct text parts[] = {location, has_query ? TEXT("&") : TEXT("?"), query, fragment};
    return arena_join(&ex->arena, parts, 4);
}

static enum verdict redirect_request(struct exchange *ex, const void *config_, void *state)
{
    (void)state;
    const struct redirect_config *config = config_;
    struct text location;
    if (config->https)
        return to_https(ex, config);
    if (!exchange_eval_text(ex, config->location, &location))
        return VERDICT_FAULT;
    if (!is_location(location))
        return exchange_fault(ex, "the template of `location` gave characters that no URL has");
    if (text_starts_with(location, TEXT("//"))
        && !text_starts_with(expr_source(config->location), TEXT("//")))
        return exchange_fault(ex, "the template of `location` gave `//`, which leads to another host");
    return answer(ex, config, config->keep_query ? with_query(ex, location) : location);
}

static const char redirect_manual[] =
    "Answers with a redirect, without asking a service.\n"
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
    "      - redirect: { https: true }\n"
    "        when: request.host != \"localhost\"\n"
    "  moved:\n"
    "    match: { path: \"/old/{id}\" }\n"
    "    policies:\n"
    "      - redirect: { location: \"/orders/${request.params.id}\", status: 301 }\n"
    "```\n"
    "\n"
    "307 and 308 make clients repeat the method and the body; 303 makes it a GET; 301 and 302 turn POST into GET in most clients. 301 and 308\n"
    "are permanent: clients and caches remember them.\n"
    "\n"
    "`https: true` sends what came by http to the same host and path by https. Behind a proxy that ends TLS, name it in the listener's\n"
    "`trusted_proxies`, so that its `X-Forwarded-Proto` counts. A request by https goes on.\n"
    "\n"
    "The policy runs before identity policies, so that nobody is asked for a key on the wrong side of a redirect; `stage` moves it.\n"
    "\n"
    "**Security.** Templates may carry what the client sent. A location with spaces, backslashes, control or other than ASCII characters, or one that\n"
    "becomes `//host` though the template does not begin so, is not sent: the policy fails (503 unless `on_error` says `allow`). Let no expression\n"
    "stand where the host is, or anyone can send your users elsewhere in your name. `https` trusts the `Host` that the client sent: let the\n"
    "route's `hosts` say which are yours.\n";

const struct policy policy_redirect = {
    .name = "redirect",
    .summary = "Answers with a redirect.",
    .manual = redirect_manual,
    .stage = STAGE_EDGE,
    .status = POLICY_STABLE,
    .fields = redirect_fields,
    .config_size = sizeof(struct redirect_config),
    .prepare = redirect_prepare,
    .on_request = redirect_request,
};
