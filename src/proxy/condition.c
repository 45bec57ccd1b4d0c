/* Conditions of routes, tried on one request. */
#include "proxy/condition.h"

#include "base/check.h"
#include "expr/pattern.h"
#include "proxy/attributes.h"
#include "proxy/connection.h"
#include "proxy/router.h"
#include "proxy/time_window.h"
#include "tls/peer.h"

/* --- methods --- */

static bool holds_method(const struct method_set *set, enum http_method method, struct text text)
{
    if (method != METHOD_OTHER)
        return set->known >> method & 1;
    for (size_t i = 0; i < set->others_count; i++)
        if (text_equal(set->others[i], text))
            return true;
    return false;
}

/* A CORS preflight belongs to the route of the request that it asks for (Fetch standard, CORS-preflight fetch), whose policy answers it. */
static struct text preflight_method(const struct request *request)
{
    if (request->method != METHOD_OPTIONS || !fields_find_known(&request->fields, NAME_ORIGIN))
        return (struct text){NULL, 0};
    return fields_get_known(&request->fields, NAME_ACCESS_CONTROL_REQUEST_METHOD);
}

bool method_set_holds(const struct method_set *set, const struct request *request, bool negated)
{
    struct text wanted = preflight_method(request);
    bool own = holds_method(set, request->method, request->method_text);
    if (!wanted.at)
        return own;
    bool its = holds_method(set, method_parse(wanted), wanted);
    return negated ? its : own || its;
}

/* --- texts --- */

static struct text value_of(const struct condition *condition, const struct request *request,
                            struct arena *arena)
{
    switch (condition->kind) {
    case CONDITION_HEADER:
        if (condition->field_id == NAME_HOST)
            return request->authority;
        return condition->field_id ? fields_get_known(&request->fields, condition->field_id)
                                   : fields_get(&request->fields, condition->name);
    case CONDITION_QUERY:
        return request->query.at ? uri_query_get(request->query, condition->name, arena)
                                 : (struct text){NULL, 0};
    default: return cookie_get(fields_joined(&request->fields, TEXT("Cookie"), arena), condition->name);
    }
}

static bool is_one_of(const struct condition *condition, struct text value)
{
    for (size_t i = 0; i < condition->values_count && value.at; i++)
        if (text_equal(condition->values[i], value))
            return true;
    return false;
}

static bool test_text(const struct condition *condition, struct text value)
{
    switch ((enum condition_test)condition->test) {
    case TEST_PRESENT: return value.at;
    case TEST_ABSENT: return !value.at;
    case TEST_ONE_OF: return is_one_of(condition, value);
    case TEST_PREFIX: return value.at && text_starts_with(value, condition->values[0]);
    case TEST_REGEX: return value.at && pattern_matches(condition->pattern, value);
    }
    UNREACHABLE();
}

bool media_range_holds(struct text range, struct text type)
{
    struct text subrange = range, subtype = type;
    struct text main_range = text_split(&subrange, '/'), main_type = text_split(&subtype, '/');
    if (!subtype.size || (!text_equal(main_range, TEXT("*")) && !text_equal_nocase(main_range, main_type)))
        return false;
    if (!text_starts_with(subrange, TEXT("*")))
        return text_equal_nocase(subrange, subtype);
    struct text suffix = text_slice(subrange, 1, subrange.size);
    return subtype.size > suffix.size
           && text_equal_nocase(text_slice(subtype, subtype.size - suffix.size, subtype.size), suffix);
}

static bool has_content_type(const struct condition *condition, const struct request *request)
{
    struct text rest = fields_get_known(&request->fields, NAME_CONTENT_TYPE);
    struct text type = rest.at ? text_trim(text_split(&rest, ';')) : TEXT("");
    for (size_t i = 0; i < condition->values_count; i++)
        if (media_range_holds(condition->values[i], type))
            return true;
    return false;
}

/* --- addresses --- */

static bool is_ip(const struct address *address)
{
    return address->any.sa_family == AF_INET || address->any.sa_family == AF_INET6;
}

static bool holds_client(const struct condition *condition, const struct exchange *ex)
{
    return is_ip(&ex->client_address)
           && cidr_set_contains(condition->network_set, address_ip(&ex->client_address));
}

/* Asked of the kernel once for each request that a route asks it for. */
static const struct address *local_of(struct match_subject *subject)
{
    if (!subject->local_known) {
        subject->local_known = true;
        if (socket_local(subject->exchange->connection->socket.watch.fd, &subject->local) < 0)
            subject->local = (struct address){.any.sa_family = AF_UNSPEC}; /* is in no network */
    }
    return &subject->local;
}

static bool holds_local(const struct condition *condition, struct match_subject *subject)
{
    const struct address *local = local_of(subject);
    if (!is_ip(local))
        return false;
    struct ip ip = address_ip(local);
    for (size_t i = 0; i < condition->locals_count; i++) {
        const struct local_range *range = &condition->locals[i];
        if ((!range->port || range->port == address_port(local)) && cidr_contains(&range->network, ip))
            return true;
    }
    return false;
}

static struct text server_name_of(struct match_subject *subject)
{
    const struct tls_layer *tls = subject->exchange->connection->tls;
    if (subject->server_name.at)
        return subject->server_name;
    struct text name = arena_copy(&subject->exchange->arena, tls ? tls_peer_name(tls) : TEXT(""));
    for (size_t i = 0; i < name.size; i++)
        ((char *)(uintptr_t)name.at)[i] = char_lower(name.at[i]); /* it is the copy */
    return subject->server_name = name;
}

static bool holds_host(const struct condition *condition, struct text host)
{
    return host.size && router_match(condition->patterns, host, TEXT("/"), NULL, NULL, NULL);
}

/* --- captures --- */

struct text capture_value(const struct capture_place *place, struct text path)
{
    struct text rest = path.size ? text_slice(path, 1, path.size) : path, segment = {NULL, 0};
    for (unsigned i = 0; i <= place->segment && rest.at; i++)
        segment = text_split(&rest, '/');
    if (!segment.at || segment.size < (size_t)place->before + place->after)
        return (struct text){NULL, 0};
    return text_slice(segment, place->before, segment.size - place->after);
}

/* As an int is written: no sign but a minus, no leading zeros, so that number and text are the same thing. */
static bool is_int(struct text value)
{
    int64_t number;
    struct text digits = text_slice(value, text_starts_with(value, TEXT("-")), value.size);
    return digits.size > 0 && char_is_digit(digits.at[0]) && (digits.at[0] != '0' || value.size == 1)
           && text_to_int64(value, &number);
}

static bool is_uuid(struct text value)
{
    static const size_t dashes = 1 << 8 | 1 << 13 | 1 << 18 | 1 << 23;
    if (value.size != 36)
        return false;
    for (size_t i = 0; i < value.size; i++)
        if (dashes >> i & 1 ? value.at[i] != '-' : char_hex(value.at[i]) < 0)
            return false;
    return true;
}

bool capture_fits(const struct capture_place *place, struct text value)
{
    switch (place->type) {
    case CAPTURE_TEXT: return value.at;
    case CAPTURE_INT: return is_int(value);
    case CAPTURE_UUID: return is_uuid(value);
    case CAPTURE_REGEX: return value.at && pattern_matches(place->pattern, value);
    }
    UNREACHABLE();
}

/* --- the rest --- */

static bool is_in_time(const struct condition *condition, const struct exchange *ex)
{
    for (size_t i = 0; i < condition->windows_count; i++)
        if (time_window_holds(&condition->windows[i], ex->loop->wall_ns))
            return true;
    return false;
}

static enum condition_result try_expression(const struct condition *condition,
                                            const struct match_subject *subject, struct expr_error *reterr)
{
    struct exchange *ex = subject->exchange;
    struct expr_run run = {
        .lookup = exchange_lookup, .context = ex, .arena = &ex->arena, .now_ns = ex->loop->wall_ns};
    bool holds;
    if (condition->needs_body && !subject->body_here)
        return CONDITION_OPEN;
    if (!expr_eval_bool(condition->expression, &run, &holds, reterr))
        return CONDITION_FAULT;
    return holds != condition->negated ? CONDITION_HOLDS : CONDITION_FAILS;
}

static bool holds(const struct condition *condition, struct match_subject *subject)
{
    struct exchange *ex = subject->exchange;
    const struct request *request = &ex->request;
    switch ((enum condition_kind)condition->kind) {
    case CONDITION_METHOD: return method_set_holds(&condition->methods, request, condition->negated);
    case CONDITION_LISTENER: return is_one_of(condition, ex->connection->listener->config->name);
    case CONDITION_SCHEME: return is_one_of(condition, request->scheme);
    case CONDITION_SNI: return holds_host(condition, server_name_of(subject));
    case CONDITION_CLIENT: return holds_client(condition, ex);
    case CONDITION_LOCAL: return holds_local(condition, subject);
    case CONDITION_CAPTURE:
        return capture_fits(&condition->capture, capture_value(&condition->capture, request->path));
    case CONDITION_HEADER:
    case CONDITION_QUERY:
    case CONDITION_COOKIE: return test_text(condition, value_of(condition, request, &ex->arena));
    case CONDITION_CONTENT_TYPE: return has_content_type(condition, request);
    case CONDITION_TIME: return is_in_time(condition, ex);
    case CONDITION_HOST: return holds_host(condition, request->host);
    case CONDITION_PATH:
        return request->path.size
               && router_match(condition->patterns, TEXT(""), request->path, NULL, NULL, NULL);
    case CONDITION_EXPRESSION:
    case CONDITION_KINDS: break;
    }
    UNREACHABLE();
}

enum condition_result condition_try(const struct condition *condition, struct match_subject *subject,
                                    struct expr_error *reterr)
{
    if (condition->kind == CONDITION_EXPRESSION)
        return try_expression(condition, subject, reterr);
    return holds(condition, subject) != condition->negated ? CONDITION_HOLDS : CONDITION_FAILS;
}
