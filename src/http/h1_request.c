/* Request heads: request line, target, Host, framing. */
#include "http/h1_head.h"

#include "base/check.h"
#include "http/scan.h"

/* One empty line before a request is forgiven (RFC 9112 section 2.2). */
static bool scan_empty_line(struct h1_scan *scan)
{
    return scan->at == scan->end || *scan->at != '\r' || h1_scan_line_end(scan, H1_BAD_REQUEST_LINE);
}

/* Takes a part of the request line and the space after it. */
static bool scan_part(struct h1_scan *scan, const char *end, enum h1_refusal otherwise, struct text *ret_part)
{
    if (end == scan->end)
        return h1_scan_refuse(scan, scan->beyond);
    if (*end != ' ' || end == scan->at)
        return h1_scan_refuse(scan,
                              *end == ' ' || *end == '\r' || *end == '\n' ? H1_BAD_REQUEST_LINE : otherwise);
    *ret_part = (struct text){scan->at, (size_t)(end - scan->at)};
    scan->at = end + 1;
    return true;
}

/* HTTP-version; a minor version above 1 is taken as 1 (RFC 9110 section 2.5). */
static bool scan_version(struct h1_scan *scan, uint8_t *ret_minor)
{
    static const char form[] = "HTTP/#.#";
    const char *at = scan->at;
    bool usual = scan->end - at >= 8 && !memcmp(at, "HTTP/1.1", 8);
    for (size_t i = 0; !usual && i < sizeof form - 1; i++) {
        if (at + i == scan->end)
            return h1_scan_refuse(scan, scan->beyond);
        if (form[i] == '#' ? !char_is_digit(at[i]) : at[i] != form[i])
            return h1_scan_refuse(scan, H1_BAD_REQUEST_LINE);
    }
    if (at[5] != '1')
        return h1_scan_refuse(scan, H1_BAD_VERSION);
    *ret_minor = at[7] != '0';
    scan->at = at + sizeof form - 1;
    return h1_scan_line_end(scan, H1_BAD_REQUEST_LINE);
}

static bool scan_request_line(struct h1_scan *head, uint32_t line_bytes_max, struct request *request)
{
    struct text rest = {head->at, (size_t)(head->end - head->at)};
    struct h1_scan line = h1_scan_of(rest, (size_t)line_bytes_max + 2, H1_LINE_TOO_LONG);
    if (line.beyond == H1_FINE)
        line.beyond = head->beyond;
    bool fine =
        scan_part(&line, scan_class_end(line.at, line.end, CHAR_TOKEN), H1_BAD_METHOD, &request->method_text)
        && scan_part(&line, scan_invisible(line.from, line.at, line.end), H1_BAD_TARGET, &request->target)
        && scan_version(&line, &request->version_minor);
    head->at = line.at;
    head->refusal = line.refusal;
    return fine;
}

/* Path and query of origin-form and absolute-form; `rest` begins with '/' or '?', or is empty. All of the
 * target is visible ASCII, and of that a query may hold all but '#': beside RFC 3986's characters those which
 * browsers and curl send unescaped. */
static enum h1_refusal set_path_and_query(struct request *request, struct text rest,
                                          const struct uri_rules *rules)
{
    struct arena *arena = request->fields.arena;
    const char *end = rest.at + rest.size, *mark = scan_char(request->target.at, rest.at, end, '?');
    struct text path = {rest.at, (size_t)(mark - rest.at)};
    if (mark < end)
        request->query = (struct text){mark + 1, (size_t)(end - mark - 1)};
    if (scan_char(request->target.at, rest.at, end, '#') < end)
        return H1_BAD_TARGET;
    if (uri_normalise_path(path.size ? path : TEXT("/"), rules, arena, &request->path))
        return H1_FINE;
    return arena->failed ? H1_NO_MEMORY : H1_BAD_PATH;
}

static enum h1_refusal set_authority(struct request *request, struct text authority,
                                     enum h1_refusal otherwise)
{
    uint16_t port;
    request->authority = authority;
    if (uri_parse_authority(authority, request->fields.arena, &request->host, &port))
        return H1_FINE;
    return request->fields.arena->failed ? H1_NO_MEMORY : otherwise;
}

static enum h1_refusal set_absolute_target(struct request *request, const struct uri_rules *rules)
{
    struct text rest = request->target;
    if (text_starts_with_nocase(rest, TEXT("http://")))
        request->scheme = TEXT("http");
    else if (text_starts_with_nocase(rest, TEXT("https://")))
        request->scheme = TEXT("https");
    else
        return H1_BAD_TARGET;
    rest = text_slice(rest, request->scheme.size + 3, rest.size);
    size_t size = 0;
    while (size < rest.size && rest.at[size] != '/' && rest.at[size] != '?' && rest.at[size] != '#')
        size++;
    enum h1_refusal refusal = set_authority(request, text_slice(rest, 0, size), H1_BAD_TARGET);
    if (refusal)
        return refusal;
    if (size == rest.size && request->method == METHOD_OPTIONS) { /* RFC 9112 section 3.2.4 */
        request->path = TEXT("*");
        return H1_FINE;
    }
    return set_path_and_query(request, text_slice(rest, size, rest.size), rules);
}

/* CONNECT, and with it authority-form, is refused: a gateway is no forward proxy. */
static enum h1_refusal set_target(struct request *request, const struct uri_rules *rules)
{
    if (request->method == METHOD_CONNECT)
        return H1_BAD_TARGET;
    if (request->target.at[0] == '/')
        return set_path_and_query(request, request->target, rules);
    if (!text_equal(request->target, TEXT("*")))
        return set_absolute_target(request, rules);
    request->path = request->target;
    return request->method == METHOD_OPTIONS ? H1_FINE : H1_BAD_TARGET;
}

/* RFC 9112 section 3.2: Host is judged also where the target overrules it. */
static enum h1_refusal set_host(struct request *request, const struct h1_control *control)
{
    request->authority = request->host = TEXT("");
    if (control->hosts_count == 0 && request->version_minor == 0)
        return H1_FINE;
    if (control->hosts_count != 1)
        return H1_BAD_HOST;
    return set_authority(request, control->host, H1_BAD_HOST);
}

static enum h1_refusal set_body(struct request *request, const struct h1_control *control)
{
    if (control->encodings_count) {
        request->body.kind = BODY_CHUNKED;
        return h1_check_encoding(control, request->version_minor);
    }
    if (control->lengths_count == 0)
        return H1_FINE;
    request->body.kind = BODY_LENGTH;
    return h1_read_length(control, &request->body.length);
}

/* Origins that make variables of field names read X_Forwarded_For as X-Forwarded-For: a name that such an
 * origin would take for a known one is a second spelling, and dropped. */
static void drop_second_spellings(struct fields *fields)
{
    char spelling[64];
    if (!fields_may_hold(fields, NAME_OTHER))
        return;
    FIELDS_EACH (line, fields) {
        size_t size = line->name.size;
        const char *end = line->name.at + size;
        if (line->id != NAME_OTHER || size > sizeof spelling
            || scan_char(line->name.at, line->name.at, end, '_') == end)
            continue;
        for (size_t i = 0; i < size; i++)
            spelling[i] = line->name.at[i] == '_' ? '-' : line->name.at[i];
        line->removed = field_name_parse((struct text){spelling, size}) != NAME_OTHER;
    }
}

/* Another HTTP, or TLS with one inside, would carry the client past every route and policy; to ignore such an
 * upgrade is always right (RFC 9110 section 7.8). */
static bool leads_around(const struct fields *fields)
{
    static const struct text prefixes[] = {TEXT_INIT("h2"), TEXT_INIT("h3"), TEXT_INIT("http"),
                                           TEXT_INIT("tls")};
    FIELDS_EACH (line, fields)
        for (struct text rest = line->value; line->id == NAME_UPGRADE && rest.at;) {
            struct text protocol = text_trim(text_split(&rest, ','));
            for (size_t i = 0; i < COUNT_OF(prefixes); i++)
                if (text_starts_with_nocase(protocol, prefixes[i]))
                    return true;
        }
    return false;
}

/* An HTTP/1.0 client cannot mean these two (RFC 9110 sections 7.8 and 10.1.1), nor one without content wait
 * for 100. */
static enum h1_refusal set_expectations(struct request *request, const struct h1_control *control)
{
    bool current = request->version_minor > 0;
    bool has_content = request->body.kind == BODY_CHUNKED || request->body.length > 0;
    if (control->expects_other && current)
        return H1_EXPECTATION_FAILED;
    request->expects_continue = control->has_expect && current && has_content;
    request->keep_alive = !control->close && (current || control->keep_alive);
    request->te_trailers = control->te_trailers;
    request->upgrade = control->upgrade && current && !leads_around(&request->fields);
    if (control->upgrade && !request->upgrade)
        fields_remove_known(&request->fields, NAME_UPGRADE);
    return H1_FINE;
}

static enum h1_refusal judge(struct request *request, const struct h1_limits *limits)
{
    struct h1_control control;
    h1_take_control(&request->fields, &control);
    drop_second_spellings(&request->fields);
    enum h1_refusal refusal = set_body(request, &control);
    if (!refusal)
        refusal = set_host(request, &control);
    if (!refusal)
        refusal = h1_take_connection(&request->fields, &control);
    if (!refusal)
        refusal = set_target(request, &limits->paths);
    if (!refusal)
        refusal = set_expectations(request, &control);
    return refusal;
}

/* Has the request line outgrown its limit? A line end at the very start is that of the empty line. */
static bool line_is_too_long(struct text input, uint32_t line_bytes_max)
{
    size_t limit = (size_t)line_bytes_max + 2;
    return input.size >= limit && text_find_char(text_slice(input, 2, limit + 2), '\n') == TEXT_NONE;
}

struct h1_result h1_parse_request(struct text input, size_t *scanned, const struct h1_limits *limits,
                                  struct arena *arena, struct request *request)
{
    if (input.size == 0)
        return (struct h1_result){.progress = H1_MORE};
    struct h1_scan scan = h1_scan_of(input, limits->head_bytes_max, H1_HEAD_TOO_LARGE);
    size_t before = *scanned;
    *scanned = input.size;
    /* What came before was parsed once. Until a line end decides or a limit is passed, again would be in
     * vain. */
    if (before && scan.beyond == H1_FINE && !h1_is_decided(input, before, false)
        && !line_is_too_long(input, limits->line_bytes_max))
        return (struct h1_result){.progress = H1_MORE};

    memset(request, 0, sizeof *request);
    fields_init(&request->fields, arena);
    fields_init(&request->trailers, arena);
    if (!scan_empty_line(&scan) || !scan_request_line(&scan, limits->line_bytes_max, request)
        || !h1_scan_fields(&scan, limits->fields_max, H1_TOO_MANY_FIELDS, &request->fields))
        return h1_scan_stopped(&scan);
    request->method = method_parse(request->method_text);
    enum h1_refusal refusal = judge(request, limits);
    if (refusal)
        return h1_refused(refusal);
    return (struct h1_result){.progress = H1_DONE, .consumed = (size_t)(scan.at - input.at)};
}
