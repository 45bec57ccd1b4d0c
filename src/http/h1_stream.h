/* HTTP/1.1 over a layer: the stream of one connection, for both sides. It serves one message after the other
 * in each direction.
 *
 * Input lives in one buffer of the worker's pool. The head of the current message stays at its front while
 * the exchange needs its texts; the body streams through the room behind it. Output that the socket did not
 * take waits in further buffers. Both are empty, and in the pool, while the connection is idle. */
#pragma once

#include "http/stream.h"
#include "net/buffer_pool.h"

struct h1_stream {
    struct stream stream;
    struct layer *layer;
    struct socket_layer *socket; /* at the bottom; `layer` itself when the connection is plain */
    struct buffer_pool *pool;
    const struct h1_limits *limits;
    struct arena *arena;     /* of the exchange, while there is one */
    struct fields *trailers; /* where trailers of the incoming body go; may be NULL */
    struct buffer *in;
    uint32_t base; /* bytes of `in` that belong to the head that is held */
    size_t scanned;
    struct h1_body body;
    struct buffer *out_first, *out_last;
    size_t out_size;
    uint64_t out_left; /* of a body with a length */
    enum body_kind out_kind;
    bool in_done;  /* the incoming body has been read whole */
    bool ended;    /* the other side ended its direction */
    bool out_done; /* the outgoing message is complete (perhaps still in `out`) */
    bool broken;
    bool refused; /* the incoming body is malformed: no more is read, but an answer may still go out */
    uint64_t bytes_in, bytes_out; /* on the wire, since the connection began */
};

extern const struct stream_type h1_stream_type;

void h1_stream_init(struct h1_stream *s, struct layer *layer, struct socket_layer *socket,
                    struct buffer_pool *pool);

/* Gives back all buffers. The layer is the owner's to close. */
void h1_stream_release(struct h1_stream *s);

enum h1_head_status {
    H1_HEAD_DONE,
    H1_HEAD_BLOCKED,   /* an event will tell */
    H1_HEAD_REFUSED,   /* s->stream.refusal */
    H1_HEAD_END,       /* the other side ended in good order before a first byte */
    H1_HEAD_FAILED,    /* broken, or ended within a head */
    H1_HEAD_NO_BUFFER, /* memory for buffers is used up */
};

/* Reads the next request or response head, from the socket where needed. On H1_HEAD_DONE the body may be
 * read. */
enum h1_head_status h1_stream_read_request(struct h1_stream *s, const struct h1_limits *limits,
                                           struct arena *arena, struct request *request);
enum h1_head_status h1_stream_read_response(struct h1_stream *s, const struct h1_limits *limits,
                                            struct arena *arena, enum http_method method,
                                            struct response *response);

/* Bytes of a head have arrived, but not all of it. */
static inline bool h1_stream_in_head(const struct h1_stream *s)
{
    return s->in && s->in->end > s->in->start;
}

/* After both messages: forgets the head, keeps bytes of a next message. */
void h1_stream_next(struct h1_stream *s);

/* Hands the input buffer with the head (and nothing unread) to the caller, who gives it to the pool later;
 * NULL: there is none. */
struct buffer *h1_stream_take_input(struct h1_stream *s);

/* Queues bytes as they are (an interim response, a tunnel); flushes. False: broken. */
bool h1_stream_send_raw(struct h1_stream *s, struct text bytes);

/* From here on, bytes go through as they are, both ways (after 101). */
void h1_stream_tunnel(struct h1_stream *s);
