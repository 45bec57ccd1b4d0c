/* Message bodies: lengths and the chunked coding (RFC 9112 section 7.1).
 *
 * A chunk-size line is 1 to 16 hexadecimal digits below 2^63, then perhaps an extension, which is dropped,
 * then CRLF. Space is accepted only between the size and the ';' of an extension. Beside the limit of one
 * line there is one for all lines: a sender whose framing outweighs its data by far is refused. */
#include "http/h1_head.h"

#include "base/check.h"
#include "http/scan.h"

enum { DIGITS_MAX = 16, CHUNK_LINE_MAX = 1024 };
enum {
    EXCESS_MAX = 16384,
    EXCESS_FREE = 16
}; /* framing bytes beyond the data, and those that a chunk may cost */

enum chunk_state {
    CHUNK_SIZE,      /* in the digits */
    CHUNK_SPACE,     /* between size and ';' */
    CHUNK_EXTENSION, /* to the CR */
    CHUNK_LINE_FEED,
    CHUNK_DATA,
    CHUNK_DATA_END, /* CR after the data */
    CHUNK_DATA_LINE_FEED,
    CHUNK_TRAILERS,
    CHUNK_ENDED,
};

void h1_body_init(struct h1_body *body, struct body_framing framing)
{
    *body = (struct h1_body){
        .kind = framing.kind,
        .state = CHUNK_SIZE,
        .left = framing.kind == BODY_LENGTH ? framing.length : 0,
    };
}

static bool read_digit(struct h1_body *body, int digit)
{
    if (body->left >> 59 || body->line_bytes > DIGITS_MAX)
        return false;
    body->left = body->left << 4 | (unsigned)digit;
    body->any_digit = true;
    return true;
}

/* The byte after the size or after space behind it. */
static bool end_size(struct h1_body *body, char c)
{
    if (c == ';')
        body->state = CHUNK_EXTENSION;
    else if (c == ' ' || c == '\t')
        body->state = CHUNK_SPACE;
    else if (c == '\r' && body->state == CHUNK_SIZE)
        body->state = CHUNK_LINE_FEED;
    else
        return false;
    return body->any_digit;
}

/* The line has ended. Framing is paid for by data, so that tiny chunks with long extensions cannot go on for
 * ever. */
static bool end_line(struct h1_body *body)
{
    uint64_t credit = EXCESS_FREE + MIN_OF(body->left, (uint64_t)UINT32_MAX);
    uint64_t excess = (uint64_t)body->excess + body->line_bytes;
    body->excess = (uint32_t)(excess > credit ? excess - credit : 0);
    body->state = body->left ? CHUNK_DATA : CHUNK_TRAILERS;
    body->line_bytes = 0;
    body->any_digit = false;
    return body->excess <= EXCESS_MAX;
}

/* One byte of framing; false: refused. */
static bool read_framing(struct h1_body *body, char c)
{
    int digit;
    switch ((enum chunk_state)body->state) {
    case CHUNK_SIZE:
        body->line_bytes++;
        digit = char_hex(c);
        return digit >= 0 ? read_digit(body, digit) : end_size(body, c);
    case CHUNK_SPACE: return ++body->line_bytes <= CHUNK_LINE_MAX && end_size(body, c);
    case CHUNK_EXTENSION:
        if (c == '\r')
            body->state = CHUNK_LINE_FEED;
        return ++body->line_bytes <= CHUNK_LINE_MAX && (c == '\r' || char_is(c, CHAR_VALUE));
    case CHUNK_LINE_FEED: return c == '\n' && end_line(body);
    case CHUNK_DATA_END: body->state = CHUNK_DATA_LINE_FEED; return c == '\r';
    case CHUNK_DATA_LINE_FEED: body->state = CHUNK_SIZE; return c == '\n';
    case CHUNK_DATA:
    case CHUNK_TRAILERS:
    case CHUNK_ENDED: break;
    }
    UNREACHABLE();
}

static struct text take(struct h1_body *body, const char *at, const char *end)
{
    uint64_t size = MIN_OF(body->left, (uint64_t)(end - at));
    body->left -= size;
    return (struct text){at, (size_t)size};
}

/* Names beyond names.def that may not be trailers. */
static const struct text forbidden_trailers[] = {
    TEXT_INIT("Content-Location"),
    TEXT_INIT("Content-Range"),
    TEXT_INIT("If-Match"),
    TEXT_INIT("If-Range"),
    TEXT_INIT("If-Unmodified-Since"),
    TEXT_INIT("Max-Forwards"),
    TEXT_INIT("Pragma"),
    TEXT_INIT("Warning"),
    TEXT_INIT("Authentication-Info"),
    TEXT_INIT("Proxy-Authentication-Info"),
    TEXT_INIT("Set-Cookie2"),
};

bool h1_is_trailer(const struct field_line *line)
{
    if (line->id != NAME_OTHER)
        return line->id == NAME_ETAG;
    for (size_t i = 0; i < COUNT_OF(forbidden_trailers); i++)
        if (text_equal_nocase(line->name, forbidden_trailers[i]))
            return false;
    return true;
}

/* The body's input is gone by the time that trailers are looked at: they are copied. */
static bool keep_trailer(struct fields *trailers, const struct field_line *line, struct arena *arena)
{
    struct text value = arena_copy(arena, line->value);
    if (arena->failed)
        return false;
    if (line->id != NAME_OTHER)
        return fields_add_known(trailers, (enum field_name)line->id, value);
    return fields_add(trailers, arena_copy(arena, line->name), value) && !arena->failed;
}

static bool scan_trailers(struct h1_scan *scan, uint32_t count_max, struct arena *arena,
                          struct fields *trailers)
{
    struct field_line line;
    for (uint32_t count = 0; scan->at < scan->end; count++) {
        if (*scan->at == '\r')
            return h1_scan_line_end(scan, H1_BAD_FIELD);
        if (count == count_max)
            return h1_scan_refuse(scan, H1_TRAILERS_TOO_LARGE);
        if (!h1_scan_field(scan, &line))
            return false;
        if (trailers && h1_is_trailer(&line) && !keep_trailer(trailers, &line, arena))
            return h1_scan_refuse(scan, H1_NO_MEMORY);
    }
    return h1_scan_refuse(scan, scan->beyond);
}

/* The whole trailer section, or nothing: `line_bytes` remembers what was searched for its end. */
static struct h1_result read_trailers(struct h1_body *body, struct text input, const struct h1_limits *limits,
                                      struct arena *arena, struct fields *trailers)
{
    struct h1_scan scan = h1_scan_of(input, limits->trailer_bytes_max, H1_TRAILERS_TOO_LARGE);
    size_t before = MIN_OF(body->line_bytes, input.size);
    body->line_bytes = (uint32_t)MIN_OF(input.size, (size_t)UINT32_MAX);
    if (scan.beyond == H1_FINE && !h1_is_decided(input, before, true))
        return (struct h1_result){.progress = H1_MORE};
    if (!scan_trailers(&scan, limits->fields_max, arena, trailers))
        return h1_scan_stopped(&scan);
    body->state = CHUNK_ENDED;
    return (struct h1_result){.progress = H1_DONE, .consumed = (size_t)(scan.at - input.at)};
}

static struct h1_result read_chunked(struct h1_body *body, struct text input, const struct h1_limits *limits,
                                     struct arena *arena, struct fields *trailers, size_t *ret_consumed,
                                     struct text *ret_payload)
{
    const char *at = input.at, *end = input.at + input.size;
    struct h1_result result = {.progress = H1_MORE};
    while (at < end && body->state < CHUNK_TRAILERS) {
        if (body->state != CHUNK_DATA) {
            if (!read_framing(body, *at++))
                return h1_refused(H1_BAD_CHUNK);
            continue;
        }
        if (ret_payload->size)
            break;
        *ret_payload = take(body, at, end);
        at += ret_payload->size;
        if (body->left == 0)
            body->state = CHUNK_DATA_END;
    }
    if (body->state == CHUNK_ENDED)
        result.progress = H1_DONE;
    else if (body->state == CHUNK_TRAILERS && at < end)
        result = read_trailers(body, (struct text){at, (size_t)(end - at)}, limits, arena, trailers);
    *ret_consumed = (size_t)(at - input.at) + result.consumed;
    return result;
}

static bool at_end(const struct h1_body *body)
{
    switch (body->kind) {
    case BODY_NONE: return true;
    case BODY_LENGTH: return body->left == 0;
    case BODY_CHUNKED: return body->state == CHUNK_ENDED;
    case BODY_CLOSE: return false;
    }
    UNREACHABLE();
}

struct h1_result h1_body_read(struct h1_body *body, struct text input, const struct h1_limits *limits,
                              struct arena *arena, struct fields *trailers, size_t *ret_consumed,
                              struct text *ret_payload)
{
    struct h1_result result = {.progress = H1_MORE};
    *ret_consumed = 0;
    *ret_payload = (struct text){input.at, 0};
    switch (input.size ? body->kind : BODY_NONE) {
    case BODY_NONE: break;
    case BODY_LENGTH:
        *ret_payload = take(body, input.at, input.at + input.size);
        *ret_consumed = ret_payload->size;
        break;
    case BODY_CHUNKED:
        result = read_chunked(body, input, limits, arena, trailers, ret_consumed, ret_payload);
        break;
    case BODY_CLOSE:
        *ret_payload = input;
        *ret_consumed = input.size;
        break;
    }
    if (result.progress == H1_REFUSED) {
        *ret_consumed = 0;
        *ret_payload = (struct text){input.at, 0};
        return result;
    }
    result.progress = at_end(body) ? H1_DONE : H1_MORE;
    result.consumed = *ret_consumed;
    return result;
}

enum h1_progress h1_body_end(struct h1_body *body)
{
    if (body->kind == BODY_CLOSE || at_end(body))
        return H1_DONE;
    return H1_REFUSED;
}
