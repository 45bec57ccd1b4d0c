/* HTTP/1.1 (RFC 9112) as bytes in, messages out, and messages in, bytes out. No I/O, no allocation but from
 * the given arena.
 *
 * Strict: what is ambiguous is refused. A server answers the refusal's status and closes; a client treats it
 * as a bad gateway. Nothing that was received is ever copied raw to the other side: heads are written anew
 * from the parsed message, so smuggling and response splitting have no carrier. */
#pragma once

#include "http/message.h"
#include "http/uri.h"

/* Why a message was refused. The order is that of the table in h1_refusal.c. */
enum h1_refusal {
    H1_FINE,
    H1_BAD_REQUEST_LINE, /* 400: not METHOD SP TARGET SP HTTP-VERSION CRLF */
    H1_BAD_METHOD,       /* 400: not a token */
    H1_BAD_TARGET,       /* 400: not visible ASCII, fragment, foreign scheme, bad authority; CONNECT */
    H1_BAD_VERSION,      /* 505: not HTTP/1.x; what is not a version at all is a bad request line */
    H1_BAD_FIELD,    /* 400: name not a token, space before colon, obs-fold, bare CR or LF, control byte */
    H1_BAD_HOST,     /* 400: missing, several, or invalid */
    H1_BAD_LENGTH,   /* 400: Content-Length not one number, or repeated, even where all are the same */
    H1_BAD_ENCODING, /* 400: beside Content-Length, in HTTP/1.0, or where chunked is not last */
    H1_UNKNOWN_ENCODING,   /* 501: a transfer coding other than chunked */
    H1_BAD_CHUNK,          /* 400 */
    H1_BAD_STATUS_LINE,    /* responses: 502 */
    H1_LINE_TOO_LONG,      /* 414 */
    H1_HEAD_TOO_LARGE,     /* 431: too many bytes */
    H1_TOO_MANY_FIELDS,    /* 431 */
    H1_TRAILERS_TOO_LARGE, /* 431 */
    H1_BAD_PATH,           /* 400: what uri normalisation refuses */
    H1_EXPECTATION_FAILED, /* 417: an Expect other than 100-continue */
    H1_NO_MEMORY,          /* 503: the exchange arena is full */
    H1_REFUSALS_COUNT
};

unsigned h1_refusal_status(enum h1_refusal refusal);
const char *h1_refusal_text(enum h1_refusal refusal); /* one sentence for a problem document */

struct h1_limits {
    uint32_t line_bytes_max; /* request line without CRLF */
    uint32_t head_bytes_max; /* whole head */
    uint32_t fields_max;
    uint32_t trailer_bytes_max;
    struct uri_rules paths;
};

enum h1_progress { H1_MORE, H1_DONE, H1_REFUSED };

/* What a parse call tells. */
struct h1_result {
    enum h1_progress progress;
    enum h1_refusal refusal; /* with H1_REFUSED */
    size_t consumed;         /* with H1_DONE: bytes of the head, leading empty line included */
};

/* Parses a request head at the start of `input`. With H1_MORE, call again with the same bytes and more after
 * them, and the same `*scanned` (0 at first), which saves scanning twice; limits are checked on incomplete
 * heads too. On H1_DONE, `*request` is filled: its texts point into `input` (or `arena`, where they had to
 * change), Connection-nominated and hop-by-hop fields (RFC 9110 section 7.6.1), Host, Content-Length,
 * Transfer-Encoding, Expect: 100-continue and TE are taken out of `fields` and turned into members; with
 * `upgrade` set, the Upgrade field stays; an upgrade to another HTTP or to TLS is ignored. Names that are
 * those of names.def but for underscores are dropped. `request->scheme` is set only for absolute-form. On
 * another progress `*request` is not to be looked at. */
struct h1_result h1_parse_request(struct text input, size_t *scanned, const struct h1_limits *limits,
                                  struct arena *arena, struct request *request);

/* The same for a response to a request of `method`. HEAD, 1xx, 204 and 304 give BODY_NONE, but the
 * Content-Length of a HEAD or 304 answer is kept as a field. 1xx heads are returned as messages of their own;
 * the caller goes on to the next. A 101 must say to what (`upgrade` is set); whether the request asked for
 * it, the caller knows. */
struct h1_result h1_parse_response(struct text input, size_t *scanned, const struct h1_limits *limits,
                                   struct arena *arena, enum http_method method, struct response *response);

/* Reader of one message body. Feed it bytes; it returns the payload in place, without copying. */
struct h1_body {
    enum body_kind kind;
    uint8_t state; /* of chunked */
    bool any_digit;
    uint64_t left;       /* of the length, or of the chunk */
    uint32_t line_bytes; /* of the current chunk-size line, extensions included, or of the trailers */
    uint32_t excess;     /* bytes of chunk-size lines beyond what the data pays for */
};

void h1_body_init(struct h1_body *body, struct body_framing framing);

/* Takes a piece of `input`: at most one run of payload. Sets `*ret_consumed` (framing included) and
 * `*ret_payload` (inside `input`, perhaps empty). H1_DONE: the body has ended, trailers included, and what
 * follows is the next message. H1_MORE: call again, with the rest of the input if any is left, else with new
 * bytes. Trailers need their whole section in `input`: when `*ret_consumed` is 0 and the payload empty, keep
 * the bytes and add to them. Forbidden trailers (RFC 9110 section 6.5.1) are dropped, the others copied into
 * `arena`. `trailers` may be NULL: they are checked and dropped. The call that gives H1_DONE may also give
 * the last payload. */
struct h1_result h1_body_read(struct h1_body *body, struct text input, const struct h1_limits *limits,
                              struct arena *arena, struct fields *trailers, size_t *ret_consumed,
                              struct text *ret_payload);

/* The end of the connection: H1_DONE where that ends the body (BODY_CLOSE), else H1_REFUSED. */
enum h1_progress h1_body_end(struct h1_body *body);

/* Bytes that are plain payload from here on and may be moved without looking (splice): 0 if framing comes
 * first. */
static inline uint64_t h1_body_plain(const struct h1_body *body)
{
    return body->kind == BODY_LENGTH ? body->left : 0;
}
static inline void h1_body_skip(struct h1_body *body, uint64_t bytes)
{
    body->left -= bytes;
}

/* How a head is to be written, beyond what the message says. */
struct h1_write {
    struct text target;       /* requests: request-target */
    struct text host;         /* requests: Host */
    bool keep_alive;          /* false: Connection: close is written */
    bool upgrade;             /* Connection: upgrade is written */
    bool http10;              /* responses: the client spoke HTTP/1.0, keep-alive is said explicitly */
    bool te_trailers;         /* requests: TE: trailers is passed on */
    bool head_only;           /* to HEAD, and 304: a Content-Length among the fields goes before `body` */
    struct text date;         /* responses: written where no Date field is there; .at NULL: none */
    struct body_framing body; /* Content-Length or Transfer-Encoding are written from this */
};

/* Bytes that the head takes at most, and the writing: `to` has that much room; returns the bytes written. The
 * writer counts on nothing and never writes a CR or LF that is not its own: field lines that are no valid
 * field (name not a token, value with a control byte) are left out, and so are those that are its own to
 * write (Host, Connection, Keep-Alive, Proxy-Connection, TE, Transfer-Encoding, Content-Length, Upgrade),
 * whoever added them. A reason that is not valid gives way to the standard one. A request whose method,
 * target or host is not valid is not written at all: 0. */
size_t h1_request_size(const struct request *request, const struct h1_write *how);
size_t h1_write_request(const struct request *request, const struct h1_write *how, char *to);
size_t h1_response_size(const struct response *response, const struct h1_write *how);
size_t h1_write_response(const struct response *response, const struct h1_write *how, char *to);

enum { H1_CHUNK_HEAD_MAX = 20 }; /* 16 hex digits, CRLF, and room */

/* Writes "SIZE CRLF" for a chunk of `size` > 0 bytes, returns the bytes written. The payload and CRLF follow.
 * */
size_t h1_write_chunk_head(uint64_t size, char to[H1_CHUNK_HEAD_MAX]);

/* "0 CRLF trailers CRLF" at the end of a chunked body. */
size_t h1_last_chunk_size(const struct fields *trailers);
size_t h1_write_last_chunk(const struct fields *trailers, char *to);
