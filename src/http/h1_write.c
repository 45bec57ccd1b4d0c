/* Heads and chunk framing as bytes.
 *
 * Values are checked while they are copied, so that not even a broken policy can end a line early. Framing is
 * written from `how->body` alone: field lines that could contradict it are left out. */
#include "http/h1_head.h"

#include "base/check.h"
#include "http/scan.h"

enum { HEAD_ROOM = 256 };  /* what the writer adds of its own, a standard reason included */
enum { LINE_ROOM = 4 };    /* ": " and CRLF */
enum { NUMBER_ROOM = 20 }; /* digits of the largest number */

static inline char *put(char *to, const char *at, size_t size)
{
    return (char *)memcpy(to, at, size) + size;
}

#define PUT(to, literal) put((to), (literal), sizeof(literal) - 1)

static inline char *put_text(char *to, struct text t)
{
    return t.size ? put(to, t.at, t.size) : to;
}

/* Copies a value and tells whether it is one: NULL where it has a control byte. */
static inline char *put_value(char *to, struct text value)
{
#ifdef __SSE2__
    if (value.size >= 16) {
        unsigned bad = 0;
        size_t last = value.size - 16; /* where the last block starts, which overlaps the one before */
        for (size_t i = 0; i < value.size; i += 16) {
            size_t offset = MIN_OF(i, last);
            __m128i block = scan_load(value.at + offset);
            bad |= scan_control_mask(block);
            _mm_storeu_si128((__m128i *)(void *)(to + offset), block);
        }
        return bad ? NULL : to + value.size;
    }
#endif
    return http_is_field_value(value) ? put_text(to, value) : NULL;
}

static char *put_number(char *to, uint64_t number)
{
    char digits[NUMBER_ROOM], *at = digits + sizeof digits;
    do
        *--at = (char)('0' + number % 10);
    while (number /= 10);
    return put(to, at, (size_t)(digits + sizeof digits - at));
}

/* Known names are written as their registry has them. */
static inline struct text name_of(const struct field_line *line)
{
    return line->id == NAME_OTHER ? line->name : field_name_text((enum field_name)line->id);
}

/* A line of `fields`; nothing where it is not valid. */
static inline char *put_line(char *to, const struct field_line *line)
{
    if (line->id == NAME_OTHER && !http_is_token(line->name))
        return to;
    char *at = put_text(to, name_of(line));
    at = PUT(at, ": ");
    at = put_value(at, line->value);
    return at ? PUT(at, "\r\n") : to;
}

/* The fields that the writer alone writes. */
static inline bool is_own(unsigned id)
{
    switch (id) {
    case NAME_HOST:
    case NAME_CONNECTION:
    case NAME_KEEP_ALIVE:
    case NAME_PROXY_CONNECTION:
    case NAME_TE:
    case NAME_TRANSFER_ENCODING:
    case NAME_CONTENT_LENGTH:
    case NAME_UPGRADE: return true;
    default: return false;
    }
}

static char *put_fields(char *to, const struct fields *fields)
{
    FIELDS_EACH (line, fields)
        if (!is_own(line->id))
            to = put_line(to, line);
    return to;
}

static char *put_upgrade(char *to, const struct fields *fields)
{
    FIELDS_EACH (line, fields)
        if (line->id == NAME_UPGRADE)
            to = put_line(to, line);
    return to;
}

static char *put_length(char *to, uint64_t length)
{
    to = PUT(to, "Content-Length: ");
    to = put_number(to, length);
    return PUT(to, "\r\n");
}

static size_t fields_size(const struct fields *fields)
{
    size_t size = 0;
    FIELDS_EACH (line, fields)
        size += name_of(line).size + line->value.size + LINE_ROOM;
    return size;
}

size_t h1_request_size(const struct request *request, const struct h1_write *how)
{
    return HEAD_ROOM + request->method_text.size + how->target.size + how->host.size
           + fields_size(&request->fields);
}

static bool is_writable(const struct request *request, const struct h1_write *how)
{
    const char *target = how->target.at;
    return how->target.size
           && scan_invisible(target, target, target + how->target.size) == target + how->target.size
           && http_is_token(request->method_text) && http_is_field_value(how->host);
}

/* TE is about this connection only, so Connection must name it (RFC 9110 section 10.1.4). */
static char *put_request_connection(char *to, const struct request *request, const struct h1_write *how)
{
    if (how->upgrade) {
        to = how->te_trailers ? PUT(to, "Connection: upgrade, TE\r\n") : PUT(to, "Connection: upgrade\r\n");
        to = put_upgrade(to, &request->fields);
    } else if (!how->keep_alive) {
        to = how->te_trailers ? PUT(to, "Connection: close, TE\r\n") : PUT(to, "Connection: close\r\n");
    } else if (how->te_trailers) {
        to = PUT(to, "Connection: TE\r\n");
    }
    return how->te_trailers ? PUT(to, "TE: trailers\r\n") : to;
}

/* RFC 9110 section 8.6: a method that anticipates content says also that there is none. */
static char *put_request_framing(char *to, const struct request *request, const struct h1_write *how)
{
    bool anticipated =
        request->method == METHOD_POST || request->method == METHOD_PUT || request->method == METHOD_PATCH;
    switch (how->body.kind) {
    case BODY_NONE: return anticipated ? put_length(to, 0) : to;
    case BODY_LENGTH: return anticipated || how->body.length ? put_length(to, how->body.length) : to;
    case BODY_CHUNKED: return PUT(to, "Transfer-Encoding: chunked\r\n");
    case BODY_CLOSE: break; /* no request ends with its connection */
    }
    UNREACHABLE();
}

size_t h1_write_request(const struct request *request, const struct h1_write *how, char *to)
{
    if (!is_writable(request, how))
        return 0;
    char *at = put_text(to, request->method_text);
    *at++ = ' ';
    at = put_text(at, how->target);
    at = PUT(at, " HTTP/1.1\r\nHost: ");
    at = put_text(at, how->host);
    at = PUT(at, "\r\n");
    at = put_fields(at, &request->fields);
    at = put_request_connection(at, request, how);
    at = put_request_framing(at, request, how);
    at = PUT(at, "\r\n");
    return (size_t)(at - to);
}

size_t h1_response_size(const struct response *response, const struct h1_write *how)
{
    return HEAD_ROOM + response->reason.size + how->date.size + fields_size(&response->fields);
}

static char *put_status_line(char *to, const struct response *response)
{
    CHECK(response->status >= 100 && response->status <= 999);
    struct text reason = response->reason;
    if (reason.size == 0 || !http_is_field_value(reason))
        reason = status_reason(response->status);
    to = PUT(to, "HTTP/1.1 ");
    to = put_number(to, response->status);
    *to++ = ' ';
    to = put_text(to, reason);
    return PUT(to, "\r\n");
}

static char *put_response_connection(char *to, const struct response *response, const struct h1_write *how)
{
    if (how->upgrade) {
        to = PUT(to, "Connection: upgrade\r\n");
        return put_upgrade(to, &response->fields);
    }
    if (response->status < 200)
        return to; /* the final response says it */
    if (!how->keep_alive)
        return PUT(to, "Connection: close\r\n");
    return how->http10 ? PUT(to, "Connection: keep-alive\r\n") : to;
}

/* The Content-Length that an answer to HEAD was given; NULL: none that is a number. */
static const struct field_line *given_length(const struct fields *fields)
{
    const struct field_line *line = fields_find_known(fields, NAME_CONTENT_LENGTH);
    uint64_t length;
    return line && text_to_uint64(line->value, &length) ? line : NULL;
}

static char *put_response_framing(char *to, const struct response *response, const struct h1_write *how)
{
    if (response->status < 200 || response->status == 204)
        return to;
    const struct field_line *given = how->head_only ? given_length(&response->fields) : NULL;
    if (given)
        return put_line(to, given);
    bool bare = how->head_only || response->status == 304;
    switch (how->body.kind) {
    case BODY_NONE: return bare ? to : put_length(to, 0);
    case BODY_LENGTH: return response->status == 304 ? to : put_length(to, how->body.length);
    case BODY_CHUNKED: return response->status == 304 ? to : PUT(to, "Transfer-Encoding: chunked\r\n");
    case BODY_CLOSE: return to;
    }
    UNREACHABLE();
}

/* Interim responses carry no Date of ours, nor does an answer that has one. */
static char *put_date(char *to, const struct response *response, const struct h1_write *how)
{
    if (!how->date.at || response->status < 200 || fields_find_known(&response->fields, NAME_DATE))
        return to;
    char *at = PUT(to, "Date: ");
    at = put_value(at, how->date);
    return at ? PUT(at, "\r\n") : to;
}

size_t h1_write_response(const struct response *response, const struct h1_write *how, char *to)
{
    char *at = put_status_line(to, response);
    at = put_date(at, response, how);
    at = put_fields(at, &response->fields);
    at = put_response_connection(at, response, how);
    at = put_response_framing(at, response, how);
    at = PUT(at, "\r\n");
    return (size_t)(at - to);
}

size_t h1_write_chunk_head(uint64_t size, char to[H1_CHUNK_HEAD_MAX])
{
    CHECK(size > 0); /* would end the body */
    size_t digits = (size_t)(67 - __builtin_clzll(size)) / 4;
    for (size_t i = digits; i-- > 0; size >>= 4)
        to[i] = "0123456789abcdef"[size & 15];
    to[digits] = '\r', to[digits + 1] = '\n';
    return digits + 2;
}

size_t h1_last_chunk_size(const struct fields *trailers)
{
    return sizeof "0\r\n\r\n" + (trailers ? fields_size(trailers) : 0);
}

size_t h1_write_last_chunk(const struct fields *trailers, char *to)
{
    char *at = PUT(to, "0\r\n");
    if (trailers)
        FIELDS_EACH (line, trailers)
            if (h1_is_trailer(line))
                at = put_line(at, line);
    at = PUT(at, "\r\n");
    return (size_t)(at - to);
}
