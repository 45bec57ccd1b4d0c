/* Moves HTTP/1.1 messages between a layer and its buffers. */
#include "http/h1_stream.h"

#include <string.h>

#include "base/check.h"

/* Less room than this behind a held head, and the body gets a buffer of its own. */
enum { BODY_ROOM_MIN = 8 * 1024, WRITE_PARTS_MAX = 16, GATHER_MAX = 8 * 1024 };

void h1_stream_init(struct h1_stream *s, struct layer *layer, struct socket_layer *socket,
                    struct buffer_pool *pool)
{
    *s = (struct h1_stream){
        .stream = {.type = &h1_stream_type},
        .layer = layer,
        .socket = socket,
        .pool = pool,
        .in_done = true,
        .out_done = true,
    };
}

static void give_all_output(struct h1_stream *s)
{
    while (s->out_first) {
        struct buffer *next = s->out_first->next;
        buffer_give(s->pool, s->out_first);
        s->out_first = next;
    }
    s->out_last = NULL;
    s->out_size = 0;
}

/* The input, and the head that rides behind it. */
static void give_input(struct h1_stream *s)
{
    if (s->in)
        buffer_give(s->pool, s->in->next);
    buffer_give(s->pool, s->in);
    s->in = NULL;
}

void h1_stream_release(struct h1_stream *s)
{
    give_input(s);
    give_all_output(s);
}

/* --- input --- */

static struct text unread(const struct h1_stream *s)
{
    return s->in ? (struct text){s->in->at + s->in->start, s->in->end - s->in->start} : TEXT("");
}

/* Gives an empty input buffer back, so that whoever waits holds none; one with a head behind it stays with it. */
static void give_empty_input(struct h1_stream *s)
{
    if (s->in && s->base == 0 && s->in->start == s->in->end && !s->in->next)
        give_input(s);
}

/* Room at the end of the input buffer; false: full, or no buffer to be had. */
static bool make_room(struct h1_stream *s)
{
    if (!s->in && !(s->in = buffer_take(s->pool)))
        return false;
    struct buffer *in = s->in;
    if (in->start == in->end) {
        in->start = in->end = s->base;
    } else if (in->end == BUFFER_ROOM && in->start > s->base) {
        memmove(in->at + s->base, in->at + in->start, in->end - in->start);
        in->end -= in->start - s->base;
        in->start = s->base;
    }
    return in->end < BUFFER_ROOM;
}

/* One read into the input buffer, which has room. */
static enum io_status fill(struct h1_stream *s)
{
    struct io_result r = layer_read(s->layer, s->in->at + s->in->end, BUFFER_ROOM - s->in->end);
    if (r.status == IO_OK) {
        s->in->end += (uint32_t)r.size;
        s->bytes_in += r.size;
    } else if (r.status == IO_END) {
        s->ended = true;
    } else if (r.status == IO_FAILED) {
        s->broken = true;
    }
    return r.status;
}

/* What to tell when a head cannot be completed now. */
static enum h1_head_status incomplete(struct h1_stream *s, enum io_status status)
{
    bool begun = h1_stream_in_head(s);
    give_empty_input(s);
    if (status == IO_BLOCKED)
        return H1_HEAD_BLOCKED;
    return status == IO_END && !begun ? H1_HEAD_END : H1_HEAD_FAILED;
}

static enum h1_head_status head_done(struct h1_stream *s, size_t consumed, struct body_framing framing)
{
    s->in->start += (uint32_t)consumed;
    s->base = s->in->start;
    s->scanned = 0;
    h1_body_init(&s->body, framing);
    s->in_done = framing.kind == BODY_NONE || (framing.kind == BODY_LENGTH && framing.length == 0);
    return H1_HEAD_DONE;
}

/* Parses what is there, reads, parses again. `request` or `response` is NULL. */
static enum h1_head_status read_head(struct h1_stream *s, const struct h1_limits *limits, struct arena *arena,
                                     struct request *request, enum http_method method,
                                     struct response *response)
{
    s->limits = limits;
    s->arena = arena;
    s->trailers = NULL;
    for (;;) {
        if (h1_stream_in_head(s)) {
            struct h1_result r =
                request ? h1_parse_request(unread(s), &s->scanned, limits, arena, request)
                        : h1_parse_response(unread(s), &s->scanned, limits, arena, method, response);
            if (r.progress == H1_DONE)
                return head_done(s, r.consumed, request ? request->body : response->body);
            s->stream.refusal = r.refusal;
            if (r.progress == H1_REFUSED)
                return H1_HEAD_REFUSED;
        }
        if (!make_room(s)) {
            s->stream.refusal = H1_HEAD_TOO_LARGE;
            return s->in ? H1_HEAD_REFUSED : H1_HEAD_NO_BUFFER;
        }
        enum io_status status = fill(s);
        if (status != IO_OK)
            return incomplete(s, status);
    }
}

enum h1_head_status h1_stream_read_request(struct h1_stream *s, const struct h1_limits *limits,
                                           struct arena *arena, struct request *request)
{
    return read_head(s, limits, arena, request, METHOD_OTHER, NULL);
}

enum h1_head_status h1_stream_read_response(struct h1_stream *s, const struct h1_limits *limits,
                                            struct arena *arena, enum http_method method,
                                            struct response *response)
{
    return read_head(s, limits, arena, NULL, method, response);
}

/* Where a large head leaves little room, the rest goes on in a second buffer; the first stays with the
 * stream's owner. */
static bool body_room(struct h1_stream *s)
{
    if (!s->in || BUFFER_ROOM - s->base >= BODY_ROOM_MIN)
        return true;
    struct buffer *fresh = buffer_take(s->pool);
    if (!fresh)
        return false;
    fresh->end = s->in->end - s->in->start;
    memcpy(fresh->at, s->in->at + s->in->start, fresh->end);
    s->in->start = s->in->end = s->base;
    fresh->next = s->in; /* the head rides behind the buffer in use */
    s->in = fresh;
    s->base = 0;
    return true;
}

static enum stream_status refused(struct h1_stream *s, enum h1_refusal refusal)
{
    s->stream.refusal = refusal;
    s->refused = true;
    return STREAM_REFUSED;
}

/* One step of the body reader over what is in the buffer; STREAM_BLOCKED: more bytes are needed. */
static enum stream_status take_piece(struct h1_stream *s, struct text *ret_piece)
{
    while (!s->in_done && (s->in->start < s->in->end)) {
        size_t consumed;
        struct h1_result r =
            h1_body_read(&s->body, unread(s), s->limits, s->arena, s->trailers, &consumed, ret_piece);
        s->in->start += (uint32_t)consumed;
        if (r.progress == H1_REFUSED)
            return refused(s, r.refusal);
        s->in_done = r.progress == H1_DONE;
        if (ret_piece->size > 0)
            return STREAM_DATA;
        if (consumed == 0)
            break;
    }
    return s->in_done ? STREAM_END : STREAM_BLOCKED;
}

static enum stream_status body_ended(struct h1_stream *s)
{
    s->in_done = h1_body_end(&s->body) == H1_DONE;
    if (s->in_done)
        return STREAM_END;
    s->broken = true;
    return STREAM_FAILED;
}

static enum stream_status h1_read(struct stream *stream, struct text *ret_piece)
{
    struct h1_stream *s = CONTAINER_OF(stream, struct h1_stream, stream);
    if (s->in_done)
        return STREAM_END;
    if (s->refused)
        return STREAM_REFUSED;
    if (s->broken || !body_room(s))
        return STREAM_FAILED;
    for (;;) {
        if (s->in) {
            enum stream_status status = take_piece(s, ret_piece);
            if (status != STREAM_BLOCKED)
                return status;
        }
        if (!make_room(s))
            return s->in ? refused(s, H1_TRAILERS_TOO_LARGE) : STREAM_FAILED;
        switch (fill(s)) {
        case IO_OK: continue;
        case IO_BLOCKED: give_empty_input(s); return STREAM_BLOCKED;
        case IO_END: return body_ended(s);
        case IO_FAILED: return STREAM_FAILED;
        }
    }
}

void h1_stream_next(struct h1_stream *s)
{
    if (s->in && s->in->next) { /* the head's own buffer */
        buffer_give(s->pool, s->in->next);
        s->in->next = NULL;
    }
    if (s->in && s->in->start < s->in->end && s->in->start > 0) {
        memmove(s->in->at, s->in->at + s->in->start, s->in->end - s->in->start);
        s->in->end -= s->in->start;
        s->in->start = 0;
    }
    s->base = 0;
    s->scanned = 0;
    s->arena = NULL;
    s->trailers = NULL;
    s->in_done = true;
    give_empty_input(s);
}

struct buffer *h1_stream_take_input(struct h1_stream *s)
{
    struct buffer *in = s->in;
    s->in = NULL;
    s->base = 0;
    s->scanned = 0;
    s->arena = NULL;
    s->trailers = NULL;
    return in;
}

/* --- output --- */

static bool break_off(struct h1_stream *s)
{
    s->broken = true;
    return false;
}

/* Contiguous room for `size` bytes at the end of the output; NULL: no buffer, or too large for one. */
static char *reserve(struct h1_stream *s, size_t size)
{
    struct buffer *last = s->out_last;
    if (!last || BUFFER_ROOM - last->end < size) {
        struct buffer *fresh = size <= BUFFER_ROOM ? buffer_take(s->pool) : NULL;
        if (!fresh)
            return NULL;
        if (last)
            last->next = fresh;
        else
            s->out_first = fresh;
        s->out_last = last = fresh;
    }
    return last->at + last->end;
}

static void commit(struct h1_stream *s, size_t size)
{
    s->out_last->end += (uint32_t)size;
    s->out_size += size;
}

static bool append(struct h1_stream *s, const char *at, size_t size)
{
    while (size > 0) {
        size_t room = s->out_last ? BUFFER_ROOM - s->out_last->end : 0;
        char *to = reserve(s, room ? MIN_OF(room, size) : MIN_OF(size, (size_t)BUFFER_ROOM));
        if (!to)
            return break_off(s);
        size_t n = MIN_OF(size, (size_t)(BUFFER_ROOM - s->out_last->end));
        memcpy(to, at, n);
        commit(s, n);
        at += n;
        size -= n;
    }
    return true;
}

/* Takes `size` written bytes off the front of the queue; returns what is left of `size` when the queue is
 * empty. */
static size_t take_written(struct h1_stream *s, size_t size)
{
    while (s->out_first && size > 0) {
        struct buffer *first = s->out_first;
        size_t n = MIN_OF(size, (size_t)(first->end - first->start));
        first->start += (uint32_t)n;
        s->out_size -= n;
        size -= n;
        if (first->start < first->end)
            break;
        s->out_first = first->next;
        if (!s->out_first)
            s->out_last = NULL;
        buffer_give(s->pool, first);
    }
    return size;
}

/* Writes the queue and then `parts` in as few calls as the socket allows; what does not go is queued. */
static bool write_out(struct h1_stream *s, const struct iovec *parts, int count)
{
    struct iovec all[WRITE_PARTS_MAX];
    int used = 0;
    for (struct buffer *b = s->out_first; b && used < WRITE_PARTS_MAX - count; b = b->next)
        all[used++] = (struct iovec){b->at + b->start, b->end - b->start};
    bool whole = !s->out_first || used == 0 || all[used - 1].iov_base == s->out_last->at + s->out_last->start;
    for (int i = 0; i < count && whole; i++)
        all[used++] = parts[i];
    size_t written = 0;
    if (used > 0 && !s->broken) {
        struct io_result r = layer_write(s->layer, all, used);
        if (r.status == IO_FAILED || r.status == IO_END)
            return break_off(s);
        written = r.status == IO_OK ? r.size : 0;
    }
    s->bytes_out += written;
    written = take_written(s, written);
    for (int i = 0; i < count; i++) {
        size_t gone = MIN_OF(written, parts[i].iov_len);
        written -= gone;
        if (!append(s, (const char *)parts[i].iov_base + gone, parts[i].iov_len - gone))
            return false;
    }
    return !s->broken;
}

static bool h1_flush(struct stream *stream)
{
    struct h1_stream *s = CONTAINER_OF(stream, struct h1_stream, stream);
    size_t before;
    do {
        before = s->out_size;
        if (s->broken || (before > 0 && !write_out(s, NULL, 0)))
            return false;
    } while (s->out_size > 0 && s->out_size < before);
    return true;
}

static void begin_output(struct h1_stream *s, const struct h1_write *how, bool no_body)
{
    s->out_kind = no_body ? BODY_NONE : how->body.kind;
    s->out_left = how->body.kind == BODY_LENGTH ? how->body.length : 0;
    s->out_done = s->out_kind == BODY_NONE || (s->out_kind == BODY_LENGTH && s->out_left == 0);
}

static bool h1_send_response(struct stream *stream, const struct response *response,
                             const struct h1_write *how)
{
    struct h1_stream *s = CONTAINER_OF(stream, struct h1_stream, stream);
    char *to = reserve(s, h1_response_size(response, how));
    if (!to)
        return break_off(s);
    commit(s, h1_write_response(response, how, to));
    begin_output(s, how, how->head_only);
    return true;
}

static bool h1_send_request(struct stream *stream, const struct request *request, const struct h1_write *how)
{
    struct h1_stream *s = CONTAINER_OF(stream, struct h1_stream, stream);
    char *to = reserve(s, h1_request_size(request, how));
    if (!to)
        return break_off(s);
    size_t size = h1_write_request(request, how, to);
    if (size == 0)
        return break_off(s); /* no valid request could be made of it */
    commit(s, size);
    begin_output(s, how, false);
    return true;
}

static bool gather(struct h1_stream *s, const struct iovec *parts, int count)
{
    for (int i = 0; i < count; i++)
        if (!append(s, parts[i].iov_base, parts[i].iov_len))
            return false;
    return true;
}

/* "SIZE CRLF piece CRLF [0 CRLF trailers CRLF]" */
static bool send_chunk(struct h1_stream *s, struct text piece, enum stream_send how,
                       const struct fields *trailers)
{
    struct iovec parts[4];
    int count = 0;
    char head[H1_CHUNK_HEAD_MAX];
    if (piece.size > 0) {
        parts[count++] = (struct iovec){head, h1_write_chunk_head(piece.size, head)};
        parts[count++] = (struct iovec){(void *)(uintptr_t)piece.at, piece.size};
        parts[count++] = (struct iovec){(void *)(uintptr_t) "\r\n", 2};
    }
    if (how == SEND_MORE && s->out_size + piece.size <= GATHER_MAX)
        return gather(s, parts, count);
    if (how != SEND_END)
        return count == 0 || write_out(s, parts, count);
    if (!trailers || trailers->count == 0) {
        parts[count++] = (struct iovec){(void *)(uintptr_t) "0\r\n\r\n", 5};
        return write_out(s, parts, count);
    }
    if (count > 0 && !write_out(s, parts, count))
        return false;
    char *to = reserve(s, h1_last_chunk_size(trailers));
    if (!to)
        return break_off(s);
    commit(s, h1_write_last_chunk(trailers, to));
    return h1_flush(&s->stream);
}

static bool h1_send(struct stream *stream, struct text piece, enum stream_send how,
                    const struct fields *trailers)
{
    struct h1_stream *s = CONTAINER_OF(stream, struct h1_stream, stream);
    bool end = how == SEND_END;
    if (s->out_kind == BODY_NONE || s->out_done)
        return piece.size == 0 ? h1_flush(stream)
                               : true; /* an answer to HEAD: what would follow is not sent */
    s->out_done = end;
    if (s->out_kind == BODY_CHUNKED)
        return send_chunk(s, piece, how, trailers);
    if (s->out_kind == BODY_LENGTH) {
        if (piece.size > s->out_left || (end && piece.size < s->out_left))
            return break_off(s); /* never more or less than was announced */
        s->out_left -= piece.size;
        s->out_done = s->out_left == 0;
    }
    if (how == SEND_MORE && piece.size <= GATHER_MAX && s->out_size + piece.size <= GATHER_MAX)
        return append(s, piece.at, piece.size);
    struct iovec part = {(void *)(uintptr_t)piece.at, piece.size};
    return write_out(s, &part, piece.size > 0);
}

bool h1_stream_send_raw(struct h1_stream *s, struct text bytes)
{
    struct iovec part = {(void *)(uintptr_t)bytes.at, bytes.size};
    return write_out(s, &part, 1);
}

static bool h1_pending(const struct stream *stream)
{
    const struct h1_stream *s = CONTAINER_OF(stream, const struct h1_stream, stream);
    return s->in_done || (s->in && s->in->start < s->in->end);
}

static size_t h1_backlog(const struct stream *stream)
{
    return CONTAINER_OF(stream, const struct h1_stream, stream)->out_size;
}

/* --- moving without looking --- */

static struct socket_layer *h1_plain_in(struct stream *stream, uint64_t *ret_bytes)
{
    struct h1_stream *s = CONTAINER_OF(stream, struct h1_stream, stream);
    bool empty = !s->in || s->in->start == s->in->end;
    *ret_bytes = h1_body_plain(&s->body);
    return s->layer == &s->socket->layer && empty && !s->broken && !s->refused && !s->in_done
                   && *ret_bytes > 0
               ? s->socket
               : NULL;
}

static struct socket_layer *h1_plain_out(struct stream *stream)
{
    struct h1_stream *s = CONTAINER_OF(stream, struct h1_stream, stream);
    bool plain = s->out_kind == BODY_LENGTH || s->out_kind == BODY_CLOSE;
    return s->layer == &s->socket->layer && plain && s->out_size == 0 && !s->broken ? s->socket : NULL;
}

static void h1_skipped_in(struct h1_stream *s, uint64_t bytes)
{
    h1_body_skip(&s->body, bytes);
    s->bytes_in += bytes;
    s->in_done = s->body.left == 0;
}

static void h1_skipped_out(struct h1_stream *s, uint64_t bytes)
{
    s->bytes_out += bytes;
    if (s->out_kind == BODY_LENGTH) {
        CHECK(bytes <= s->out_left);
        s->out_left -= bytes;
        s->out_done = s->out_left == 0;
    }
}

static void h1_skipped(struct stream *stream, uint64_t bytes_in, uint64_t bytes_out)
{
    struct h1_stream *s = CONTAINER_OF(stream, struct h1_stream, stream);
    if (bytes_in)
        h1_skipped_in(s, bytes_in);
    if (bytes_out)
        h1_skipped_out(s, bytes_out);
}

void h1_stream_tunnel(struct h1_stream *s)
{
    h1_body_init(&s->body, (struct body_framing){.kind = BODY_CLOSE});
    s->in_done = false;
    s->out_kind = BODY_CLOSE;
    s->out_done = false;
}

const struct stream_type h1_stream_type = {
    .name = "h1",
    .read = h1_read,
    .send_response = h1_send_response,
    .send_request = h1_send_request,
    .pending = h1_pending,
    .send = h1_send,
    .flush = h1_flush,
    .backlog = h1_backlog,
    .plain_in = h1_plain_in,
    .plain_out = h1_plain_out,
    .skipped = h1_skipped,
};
