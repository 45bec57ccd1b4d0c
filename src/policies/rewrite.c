/* rewrite: another path, query, method or host for the service. */
#include "expr/regex.h"
#include "http/chars.h"
#include "http/uri.h"
#include "policies/header_lines.h"
#include "policies/places.h"
#include "proxy/exchange.h"
#include "proxy/forward.h"

enum { METHOD_KEEP }; /* in `methods` */
static const char *const methods[] = {"keep", "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", NULL};

struct rewrite_regex {
    struct text pattern, replacement;
};

struct rewrite_query {
    struct array set;    /* struct template_pair */
    struct array remove; /* struct text */
};

struct rewrite_config {
    const struct expr *path, *host; /* NULL: as it is */
    struct rewrite_regex regex;
    const struct regex *compiled; /* NULL: none */
    struct rewrite_query query;
    int method;
};

static const struct field regex_fields[] = {
    FIELD_TEXT(struct rewrite_regex, pattern, "pattern", REQUIRED,
               "Regular expression; the first match in the path is replaced."),
    FIELD_TEXT(
        struct rewrite_regex, replacement, "replacement", REQUIRED,
        "What takes its place: `$1` to `$9` are the groups, `$0` is the whole match, `$$` a dollar sign."),
    FIELD_END,
};

static const struct field query_fields[] = {
    FIELD_MAP(struct rewrite_query, set, "set", OPTIONAL, &field_item_template_pair, 0,
              "Parameters that have this one value afterwards; it is encoded here."),
    FIELD_LIST(struct rewrite_query, remove, "remove", OPTIONAL, &field_item_text,
               FIELD_ONE_OR_MORE | FIELD_UNIQUE, "Parameters that are taken away."),
    FIELD_END,
};

static const struct field rewrite_fields[] = {
    FIELD_TEMPLATE(struct rewrite_config, path, "path", OPTIONAL, "The path, without a query."),
    FIELD_STRUCT(struct rewrite_config, regex, "regex", OPTIONAL, regex_fields,
                 "Changes a part of the path instead."),
    FIELD_STRUCT(struct rewrite_config, query, "query", OPTIONAL, query_fields, "Changes the query."),
    FIELD_CHOICE(struct rewrite_config, method, "method", "keep", methods, "The method."),
    FIELD_TEMPLATE(struct rewrite_config, host, "host", OPTIONAL,
                   "The Host that the service is called with."),
    FIELD_END,
};

/* --- preparing --- */

static bool check_replacement(struct prepare *prepare, const struct rewrite_config *config)
{
    struct text with = config->regex.replacement;
    const struct node *at = field_place(prepare, "regex");
    for (size_t i = 0; i < with.size; i++) {
        if (with.at[i] != '$')
            continue;
        char next = ++i < with.size ? with.at[i] : 0;
        if (next == '$')
            continue;
        if (!char_is_digit(next))
            return bind_error(prepare->binder, at, "regex.replacement",
                              "after `$` stands a digit or another `$`");
        if ((unsigned)(next - '0') > regex_groups(config->compiled))
            return bind_error(prepare->binder, at, "regex.replacement", "there is no group %c in the pattern",
                              next);
    }
    return true;
}

static bool prepare_regex(struct prepare *prepare, struct rewrite_config *config)
{
    struct error error = {0};
    if (!node_get(prepare->node, TEXT("regex")))
        return true;
    if (config->path)
        return bind_error(prepare->binder, field_place(prepare, "regex"), "regex",
                          "`path` already says what the path is: give one of the two");
    config->compiled = regex_compile(prepare->binder->arena, config->regex.pattern, REGEX_KEPT, &error);
    if (!config->compiled)
        return bind_error(prepare->binder, field_place(prepare, "regex"), "regex.pattern", "%s", error.said);
    return check_replacement(prepare, config);
}

/* What is wrong in all requests is wrong here already. */
static bool check_path(struct prepare *prepare, const struct rewrite_config *config)
{
    const struct value *constant = config->path ? expr_constant(config->path) : NULL;
    const struct node *at = field_place(prepare, "path");
    if (!constant || constant->kind != VALUE_STRING)
        return true;
    if (text_find_char(constant->text, '?') != TEXT_NONE)
        return bind_error(prepare->binder, at, "path", "a path has no `?`: use `query` for parameters");
    return text_starts_with(constant->text, TEXT("/"))
           || bind_error(prepare->binder, at, "path", "a path begins with `/`");
}

static bool rewrite_prepare(struct prepare *prepare, void *config_)
{
    struct rewrite_config *config = config_;
    const struct value *host = config->host ? expr_constant(config->host) : NULL;
    struct text parsed;
    uint16_t port;
    if (prepare->node->kind != NODE_MAP || prepare->node->count == 0)
        return bind_error(prepare->binder, prepare->node, NULL,
                          "nothing is changed: give `path`, `regex`, `query`, `method` or `host`");
    if (host && host->kind == VALUE_STRING
        && !uri_parse_authority(host->text, prepare->binder->arena, &parsed, &port))
        return bind_error(prepare->binder, field_place(prepare, "host"), "host", "`%.*s` is not a host",
                          TEXT_ARGS(host->text));
    return prepare_regex(prepare, config) && check_path(prepare, config);
}

/* --- the path --- */

static bool is_escape(struct text t, size_t at)
{
    return at + 2 < t.size && t.at[at] == '%' && char_hex(t.at[at + 1]) >= 0 && char_hex(t.at[at + 2]) >= 0;
}

/* Escapes what cannot stand in a path, '?' and '#' too: what an expression gives never reaches the query. */
static struct text encode_path(struct exchange *ex, struct text path)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t size = 0;
    char *bytes = path.size <= SIZE_MAX / 3 ? arena_alloc(&ex->arena, 3 * path.size + 1) : NULL;
    for (size_t i = 0; bytes && i < path.size; i++) {
        unsigned char byte = (unsigned char)path.at[i];
        if (char_is(path.at[i], CHAR_PATH) || byte == '/' || is_escape(path, i)) {
            bytes[size++] = path.at[i];
            continue;
        }
        bytes[size++] = '%';
        bytes[size++] = digits[byte >> 4];
        bytes[size++] = digits[byte & 15];
    }
    return (struct text){bytes, size};
}

static size_t count_slashes(struct text path)
{
    size_t count = 0;
    for (size_t i = 0; i < path.size; i++)
        count += path.at[i] == '/';
    return count;
}

/* A path that loses a segment by its normal form had dot segments in it: they came from the client. */
static bool set_path(struct exchange *ex, struct text path)
{
    struct text encoded = encode_path(ex, path), before = ex->forward_path;
    if (!forward_to(ex, encoded))
        return false;
    if (count_slashes(ex->forward_path) == count_slashes(encoded))
        return true;
    ex->forward_path = before;
    return false;
}

static void put(struct exchange *ex, struct text *to, struct text part)
{
    const struct text parts[] = {*to, part};
    *to = arena_join(&ex->arena, parts, 2);
}

static struct text group(struct text subject, size_t (*spans)[REGEX_GROUPS_MAX][2], size_t number)
{
    if ((*spans)[number][0] == TEXT_NONE)
        return TEXT("");
    return text_slice(subject, (*spans)[number][0], (*spans)[number][1]);
}

/* False: the expression took too many steps. The path stays where it does not match. */
static bool replace(struct exchange *ex, const struct rewrite_config *config, struct text *path)
{
    struct text with = config->regex.replacement, result;
    size_t spans[REGEX_GROUPS_MAX][2];
    enum regex_result found = regex_match(config->compiled, *path, 0, &spans);
    if (found == REGEX_NO_MATCH)
        return true;
    if (found != REGEX_MATCH)
        return false;
    result = text_slice(*path, 0, spans[0][0]);
    for (size_t at = 0; at < with.size;) {
        size_t dollar = text_find_char(text_slice(with, at, with.size), '$');
        dollar = dollar == TEXT_NONE ? with.size : at + dollar;
        put(ex, &result, text_slice(with, at, dollar));
        if (dollar < with.size) {
            char next = with.at[dollar + 1]; /* checked when it was prepared */
            put(ex, &result, next == '$' ? TEXT("$") : group(*path, &spans, (size_t)(next - '0')));
        }
        at = dollar + 2;
    }
    put(ex, &result, text_slice(*path, spans[0][1], path->size));
    *path = result;
    return true;
}

/* --- the query --- */

static bool is_named(struct exchange *ex, struct text name, const struct rewrite_query *query)
{
    const struct text *remove = query->remove.items;
    const struct template_pair *set = query->set.items;
    struct text decoded = uri_decode(name, true, &ex->arena);
    for (size_t i = 0; i < query->remove.count; i++)
        if (text_equal(decoded, remove[i]))
            return true;
    for (size_t i = 0; i < query->set.count; i++)
        if (text_equal(decoded, set[i].key))
            return true;
    return false;
}

static void put_parameter(struct exchange *ex, struct text *query, struct text parameter)
{
    const struct text parts[] = {*query, query->size ? TEXT("&") : TEXT(""), parameter};
    *query = arena_join(&ex->arena, parts, 3);
}

/* False: a template failed, which was logged. */
static bool change_query(struct exchange *ex, const struct rewrite_query *change, struct text *query)
{
    const struct template_pair *set = change->set.items;
    struct text rest = *query, name, value, result = {NULL, 0};
    if (change->set.count + change->remove.count == 0)
        return true;
    while (uri_query_next(&rest, &name, &value)) {
        bool has_value = value.at == name.at + name.size + 1; /* as written: "a" or "a=" */
        struct text whole = {name.at, name.size + (has_value ? 1 + value.size : 0)};
        if (!is_named(ex, name, change))
            put_parameter(ex, &result, whole);
    }
    for (size_t i = 0; i < change->set.count; i++) {
        struct text text;
        if (!exchange_eval_text(ex, set[i].value, &text))
            return false;
        const struct text parts[] = {uri_encode(set[i].key, false, &ex->arena), TEXT("="),
                                     uri_encode(text, false, &ex->arena)};
        put_parameter(ex, &result, arena_join(&ex->arena, parts, 3));
    }
    *query = result.size ? result : (struct text){NULL, 0};
    return true;
}

/* --- the policy --- */

/* An answer to HEAD has no body: the client could not tell what follows if the service was asked otherwise. */
static void rewrite_method(struct exchange *ex, const struct rewrite_config *config)
{
    if (config->method == METHOD_KEEP || ex->request.method == METHOD_HEAD)
        return;
    ex->request.method_text = text_of(methods[config->method]);
    ex->request.method = method_parse(ex->request.method_text);
}

static enum verdict rewrite_host(struct exchange *ex, const struct rewrite_config *config)
{
    struct text host, parsed;
    uint16_t port;
    if (!config->host)
        return VERDICT_NEXT;
    if (!exchange_eval_text(ex, config->host, &host))
        return VERDICT_FAULT;
    if (!uri_parse_authority(host, &ex->arena, &parsed, &port))
        return exchange_fault(ex, "the template of `host` did not give a host");
    ex->forward_host = host;
    return VERDICT_NEXT;
}

static enum verdict rewrite_request(struct exchange *ex, const void *config_, void *state)
{
    (void)state;
    const struct rewrite_config *config = config_;
    struct text path = ex->forward_path.at ? ex->forward_path : ex->request.path;
    struct text query = ex->forward_path.at ? ex->forward_query : ex->request.query;
    if (!change_query(ex, &config->query, &query)
        || (config->path && !exchange_eval_text(ex, config->path, &path)))
        return VERDICT_FAULT;
    if (config->compiled && !replace(ex, config, &path))
        return exchange_fault(ex, "the regular expression took too many steps on the path");
    if ((config->path || config->compiled) && !set_path(ex, path))
        return exchange_fault(ex, "the rewritten path is not one, or holds dot segments");
    ex->forward_path = ex->forward_path.at ? ex->forward_path : path;
    ex->forward_query = query;
    rewrite_method(ex, config);
    return rewrite_host(ex, config);
}

static const char rewrite_manual[] =
    "Changes what the service is asked: another path, query, method or Host than the client's. Routing has happened before; the route does\n"
    "not change. For a prefix that is merely cut off, the route's `strip_prefix` is enough.\n"
    "\n"
    "```yaml\n"
    "listeners:\n"
    "  main: { address: \"127.0.0.1:8080\" }\n"
    "services:\n"
    "  orders: { endpoints: [\"http://127.0.0.1:7001\"] }\n"
    "routes:\n"
    "  order:\n"
    "    match: { path: \"/shop/orders/{id}\" }\n"
    "    service: orders\n"
    "    policies:\n"
    "      - rewrite:\n"
    "          path: \"/v2/orders/${request.params.id}\"\n"
    "          query: { set: { caller: \"${source.address}\" }, remove: [debug] }\n"
    "          host: orders.internal\n"
    "  old:\n"
    "    match: { path: \"/old/*\" }\n"
    "    service: orders\n"
    "    policies:\n"
    "      - rewrite: { regex: { pattern: \"^/old/([a-z]+)/([0-9]+)$\", replacement: \"/v2/$1/$2\" } }\n"
    "```\n"
    "\n"
    "`path` and `regex` see the path that would go to the service now, after `strip_prefix` and earlier policies; a path that `regex` does not match\n"
    "stays. What cannot stand in a path is escaped, `?` too: the query is changed by `query` alone. Parameters that are not named stay as\n"
    "they were, in their order.\n"
    "\n"
    "A `HEAD` request keeps its method, since its answer has no body. Policies that run later, the access log and metrics see the new method.\n"
    "\n"
    "**Security.** Templates and groups may carry what the client sent. It can add segments to the path where it holds slashes, but\n"
    "neither dot segments nor a query: such a request is the policy's failure, and `on_error` decides (503 unless it says `allow`, which sends\n"
    "the path as it was). Do not make `host` out of what the client sends: services choose tenants by it.\n";

const struct policy policy_rewrite = {
    .name = "rewrite",
    .summary = "Changes the path, query, method or host that the service sees.",
    .manual = rewrite_manual,
    .stage = STAGE_TRANSFORM,
    .status = POLICY_STABLE,
    .fields = rewrite_fields,
    .config_size = sizeof(struct rewrite_config),
    .prepare = rewrite_prepare,
    .on_request = rewrite_request,
};
