/* A stream: one side of an exchange, the client's or an origin's, whatever protocol carries it. Above this
 * line nobody asks which.
 *
 * Reading is by pull: stream_read() gives the next piece of the body in place and reads the socket only when
 * asked, so that back pressure needs no machinery. Writing never refuses: what the socket does not take is
 * kept, and stream_backlog() tells how much; whoever writes stops above STREAM_HIGH_WATER. Nothing is sent
 * before stream_flush(), unless much has gathered. */
#pragma once

#include <sys/uio.h>

#include "http/h1.h"
#include "http/message.h"
#include "net/layer.h"

enum stream_status {
    STREAM_DATA,    /* a piece, not empty */
    STREAM_BLOCKED, /* nothing now; the owner of the stream will be woken */
    STREAM_END,     /* the body is complete, trailers are set */
    STREAM_REFUSED, /* framing is broken: `refusal` */
    STREAM_FAILED,  /* the connection broke or ended too early */
};

struct stream {
    const struct stream_type *type;
    enum h1_refusal refusal;
};

enum { STREAM_HIGH_WATER = 64 * 1024 };

enum stream_send {
    SEND_NOW,
    SEND_MORE, /* another piece follows at once: small ones are gathered */
    SEND_END,  /* the last one */
};

struct stream_type {
    const char *name; /* "h1" */

    /* The next piece of the incoming body. It stays valid until the next call on this stream. */
    enum stream_status (*read)(struct stream *stream, struct text *ret_piece);

    /* Queues the head of the response (server side) or the request (client side), without flushing. False: no
     * memory; the stream is broken. */
    bool (*send_response)(struct stream *stream, const struct response *response, const struct h1_write *how);
    bool (*send_request)(struct stream *stream, const struct request *request, const struct h1_write *how);

    /* There are bytes of the incoming body (or its end) that a read would give without asking the socket. */
    bool (*pending)(const struct stream *stream);

    /* A piece of the outgoing body; SEND_END with the last one (`piece` may be empty), which also sends the
     * trailers (may be NULL). The piece is written or copied before the call returns; without SEND_MORE it
     * implies a flush. False: the stream is broken. */
    bool (*send)(struct stream *stream, struct text piece, enum stream_send how,
                 const struct fields *trailers);

    bool (*flush)(struct stream *stream); /* false: broken */
    size_t (*backlog)(const struct stream *stream);

    /* The socket, when the bytes of the body go over it as they are, in this direction, and nothing is
     * buffered before them; NULL: no. For splice. `*ret_bytes` is how many (in), or SIZE_MAX (out). */
    struct socket_layer *(*plain_in)(struct stream *stream, uint64_t *ret_bytes);
    struct socket_layer *(*plain_out)(struct stream *stream);
    /* That many bytes of a body entered from this stream, or left by it, without passing through its buffers.
     * */
    void (*skipped)(struct stream *stream, uint64_t bytes_in, uint64_t bytes_out);
};

static inline enum stream_status stream_read(struct stream *stream, struct text *ret_piece)
{
    return stream->type->read(stream, ret_piece);
}
static inline bool stream_pending(const struct stream *stream)
{
    return stream->type->pending(stream);
}
static inline bool stream_send(struct stream *stream, struct text piece, enum stream_send how,
                               const struct fields *trailers)
{
    return stream->type->send(stream, piece, how, trailers);
}
static inline bool stream_flush(struct stream *stream)
{
    return stream->type->flush(stream);
}
static inline size_t stream_backlog(const struct stream *stream)
{
    return stream->type->backlog(stream);
}
