/* Response heads: status line and framing, judged as strictly as requests. */
#include "http/h1_head.h"

#include "base/check.h"
#include "http/scan.h"

/* "HTTP/1." DIGIT SP 3DIGIT, byte by byte, so that what is no answer at all is refused at its first bytes. */
static bool scan_version_and_status(struct h1_scan *scan, struct response *response)
{
    static const char form[] = "HTTP/1.# ###";
    const char *at = scan->at;
    for (size_t i = 0; i < sizeof form - 1; i++) {
        if (at + i == scan->end)
            return h1_scan_refuse(scan, scan->beyond);
        if (form[i] == '#' ? !char_is_digit(at[i]) : at[i] != form[i])
            return h1_scan_refuse(scan, H1_BAD_STATUS_LINE);
    }
    response->version_minor = at[7] != '0';
    response->status = (uint16_t)((at[9] - '0') * 100 + (at[10] - '0') * 10 + (at[11] - '0'));
    if (response->status < 100 || response->status > 599)
        return h1_scan_refuse(scan, H1_BAD_STATUS_LINE);
    scan->at = at + sizeof form - 1;
    return true;
}

/* The space after the status is forgiven where no reason follows: many origins leave it out. */
static bool scan_status_line(struct h1_scan *scan, struct response *response)
{
    if (!scan_version_and_status(scan, response))
        return false;
    if (scan->at == scan->end)
        return h1_scan_refuse(scan, scan->beyond);
    if (*scan->at == ' ') {
        const char *reason = scan->at + 1;
        scan->at = scan_control(scan->from, reason, scan->end);
        response->reason = (struct text){reason, (size_t)(scan->at - reason)};
    }
    return h1_scan_line_end(scan, H1_BAD_STATUS_LINE);
}

/* 1xx and 204 have no framing fields (RFC 9110 section 8.6, RFC 9112 section 6.1): an origin that sends them
 * anyway may send the content too, which would be read as the next response. "Content-Length: 0" of a 204 is
 * harmless and common. */
static enum h1_refusal judge_bare(const struct response *response, const struct h1_control *control)
{
    uint64_t length = 0;
    if (control->encodings_count)
        return H1_BAD_ENCODING;
    if (control->lengths_count == 0)
        return H1_FINE;
    enum h1_refusal refusal = h1_read_length(control, &length);
    return refusal || (response->status == 204 && length == 0) ? refusal : H1_BAD_LENGTH;
}

/* Puts the Content-Length of a HEAD or 304 answer back: it tells of another answer. */
static void restore_length(struct fields *fields)
{
    for (uint32_t i = 0; i < fields->count; i++)
        if (fields->lines[i].id == NAME_CONTENT_LENGTH)
            fields->lines[i].removed = false;
}

/* RFC 9112 section 6.3. */
static enum h1_refusal set_body(struct response *response, const struct h1_control *control,
                                enum http_method method)
{
    if (response->status < 200 || response->status == 204)
        return judge_bare(response, control);
    enum h1_refusal refusal = H1_FINE;
    if (control->encodings_count) {
        response->body.kind = BODY_CHUNKED;
        refusal = h1_check_encoding(control, response->version_minor);
    } else if (control->lengths_count) {
        response->body.kind = BODY_LENGTH;
        refusal = h1_read_length(control, &response->body.length);
    } else {
        response->body.kind = BODY_CLOSE;
    }
    if (method == METHOD_HEAD || response->status == 304) {
        response->body = (struct body_framing){.kind = BODY_NONE};
        restore_length(&response->fields);
    }
    return refusal;
}

static enum h1_refusal judge(struct response *response, enum http_method method)
{
    struct h1_control control;
    h1_take_control(&response->fields, &control);
    enum h1_refusal refusal = set_body(response, &control, method);
    if (!refusal)
        refusal = h1_take_connection(&response->fields, &control);
    if (refusal)
        return refusal;
    response->upgrade = response->status == 101;
    if (response->upgrade && !control.upgrade)
        return H1_BAD_STATUS_LINE; /* to what? */
    if (control.upgrade && !response->upgrade)
        fields_remove_known(&response->fields, NAME_UPGRADE);
    bool wants_to = !control.close && (response->version_minor > 0 || control.keep_alive);
    response->keep_alive = wants_to && response->body.kind != BODY_CLOSE;
    return H1_FINE;
}

struct h1_result h1_parse_response(struct text input, size_t *scanned, const struct h1_limits *limits,
                                   struct arena *arena, enum http_method method, struct response *response)
{
    if (input.size == 0)
        return (struct h1_result){.progress = H1_MORE};
    struct h1_scan scan = h1_scan_of(input, limits->head_bytes_max, H1_HEAD_TOO_LARGE);
    size_t before = *scanned;
    *scanned = input.size;
    if (before && scan.beyond == H1_FINE && !h1_is_decided(input, before, false))
        return (struct h1_result){.progress = H1_MORE};

    memset(response, 0, sizeof *response);
    fields_init(&response->fields, arena);
    fields_init(&response->trailers, arena);
    if (!scan_status_line(&scan, response)
        || !h1_scan_fields(&scan, limits->fields_max, H1_TOO_MANY_FIELDS, &response->fields))
        return h1_scan_stopped(&scan);
    enum h1_refusal refusal = judge(response, method);
    if (refusal)
        return h1_refused(refusal);
    return (struct h1_result){.progress = H1_DONE, .consumed = (size_t)(scan.at - input.at)};
}
