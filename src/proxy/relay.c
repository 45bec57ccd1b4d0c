/* The pumps. */
#include "proxy/relay.h"

#include "base/check.h"
#include "proxy/body.h"
#include "proxy/chain.h"
#include "proxy/connection.h"
#include "proxy/worker.h"

enum {
    SPLICE_MIN = 64 * 1024, /* shorter rests are copied: a pipe costs two more calls */
    SPLICE_MAX = 1024 * 1024,
    SLICE_BYTES = 64 * 1024, /* of what is sent from memory */
    PIECES_PER_TURN = 64,    /* then others get their turn */
};

/* --- splice --- */

enum splice_result {
    SPLICE_UNFIT,
    SPLICE_BLOCKED_SOURCE,
    SPLICE_BLOCKED_SINK,
    SPLICE_MOVED,
    SPLICE_SOURCE_FAILED,
    SPLICE_SINK_FAILED
};

static enum splice_result empty_pipe(struct stream *to, struct splice_pipe *pipe)
{
    struct socket_layer *out = to->type->plain_out(to);
    while (pipe->filled > 0) {
        struct io_result r = out ? socket_layer_splice_out(out, pipe->ends[0], pipe->filled)
                                 : (struct io_result){.status = IO_FAILED};
        if (r.status == IO_BLOCKED)
            return SPLICE_BLOCKED_SINK;
        if (r.status != IO_OK)
            return SPLICE_SINK_FAILED;
        pipe->filled -= r.size;
        to->type->skipped(to, 0, r.size);
    }
    return SPLICE_MOVED;
}

static enum splice_result fill_pipe(struct stream *from, struct socket_layer *in, uint64_t bytes,
                                    struct splice_pipe *pipe)
{
    struct io_result r =
        socket_layer_splice_in(in, pipe->ends[1], (size_t)MIN_OF(bytes, (uint64_t)SPLICE_MAX));
    if (r.status == IO_BLOCKED)
        return SPLICE_BLOCKED_SOURCE;
    if (r.status != IO_OK)
        return SPLICE_SOURCE_FAILED;
    pipe->filled += r.size;
    from->type->skipped(from, r.size, 0);
    return SPLICE_MOVED;
}

/* Moves what it can without copying. UNFIT: the usual way is to be taken (always when the pipe is empty). */
static enum splice_result splice_some(struct exchange *ex, struct stream *from, struct stream *to,
                                      struct splice_pipe *pipe, uint64_t *moved)
{
    for (int i = 0; i < PIECES_PER_TURN; i++) {
        if (pipe->filled > 0) {
            enum splice_result result = empty_pipe(to, pipe);
            if (result != SPLICE_MOVED)
                return result;
        }
        uint64_t bytes = 0;
        struct socket_layer *in = from->type->plain_in(from, &bytes);
        if (!in || (bytes < SPLICE_MIN && !pipe->taken) || !to->type->plain_out(to))
            return SPLICE_UNFIT;
        if (!pipe->taken && !(pipe->taken = worker_take_pipe(ex->worker, pipe->ends)))
            return SPLICE_UNFIT;
        enum splice_result result = fill_pipe(from, in, bytes, pipe);
        if (result != SPLICE_MOVED)
            return result;
        *moved += pipe->filled;
    }
    ex->yielded = true;
    return SPLICE_MOVED;
}

static enum relay_result of_splice(enum splice_result result)
{
    switch (result) {
    case SPLICE_BLOCKED_SOURCE: return RELAY_BLOCKED_SOURCE;
    case SPLICE_MOVED:
    case SPLICE_BLOCKED_SINK: return RELAY_BLOCKED_SINK;
    case SPLICE_SOURCE_FAILED: return RELAY_SOURCE_FAILED;
    case SPLICE_SINK_FAILED: return RELAY_SINK_FAILED;
    case SPLICE_UNFIT: break;
    }
    UNREACHABLE();
}

/* --- reading --- */

enum relay_result relay_of_read(enum stream_status status)
{
    switch (status) {
    case STREAM_BLOCKED: return RELAY_BLOCKED_SOURCE;
    case STREAM_REFUSED: return RELAY_REFUSED;
    case STREAM_FAILED: return RELAY_SOURCE_FAILED;
    case STREAM_DATA:
    case STREAM_END: break;
    }
    return RELAY_DONE;
}

static enum relay_result of_chain(struct exchange *ex, enum chain_result result)
{
    if (result == CHAIN_FAULT || result == CHAIN_DROP)
        ex->error = ex->error ? ex->error : result == CHAIN_FAULT ? ERROR_POLICY_FAULT : ERROR_POLICY_REFUSED;
    return RELAY_POLICY;
}

int64_t relay_limit(const struct exchange *ex)
{
    return ex->route && ex->route->body_bytes_max >= 0 ? ex->route->body_bytes_max
                                                       : ex->connection->listener->config->body_bytes_max;
}

bool relay_is_over_limit(const struct exchange *ex)
{
    int64_t max = relay_limit(ex);
    return max > 0 && ex->request_bytes > (uint64_t)max;
}

/* DONE: the sink takes more. What waits there is tried first: an event comes only after the socket has refused some. */
static enum relay_result make_room(struct stream *sink)
{
    if (LIKELY(stream_backlog(sink) <= STREAM_HIGH_WATER))
        return RELAY_DONE;
    if (!stream_flush(sink))
        return RELAY_SINK_FAILED;
    return stream_backlog(sink) <= STREAM_HIGH_WATER ? RELAY_DONE : RELAY_BLOCKED_SINK;
}

/* The next slice of a text that is sent from memory; `*ret_last`: nothing follows. Slices, so that a slow sink does not double what the text takes. */
static struct text next_slice(struct text whole, size_t *at, bool *ret_last)
{
    struct text slice = text_slice(whole, *at, *at + MIN_OF(whole.size - *at, (size_t)SLICE_BYTES));
    *at += slice.size;
    *ret_last = *at == whole.size;
    return slice;
}

/* --- client to origin --- */

/* Keeps what goes upstream for another try, as long as that is of use and within its limit. */
static void keep_for_replay(struct exchange *ex, struct text piece, bool last)
{
    ex->request_begun |= piece.size > 0 || last;
    if (ex->replay_state != REPLAY_KEPT)
        return;
    if (ex->replay.size + piece.size > (uint64_t)ex->service->retry.body_bytes_max
        || !whole_add(&ex->replay, &ex->worker->buffers, piece)) {
        ex->replay_state = REPLAY_LOST;
        whole_release(&ex->replay, &ex->worker->buffers);
        ex->replay_sent = 0;
        return;
    }
    ex->replay_sent = ex->replay.size;
    ex->replay_over = last;
}

static enum relay_result send_request_piece(struct exchange *ex, struct text piece, bool last)
{
    struct stream *origin = attempt_stream(&ex->attempt);
    struct body_chunk chunk = {piece, last};
    ex->request_bytes += piece.size;
    if (relay_is_over_limit(ex))
        return RELAY_TOO_LARGE;
    if (ex->plan->request_stream) {
        enum chain_result result = chain_request_body(ex, &chunk);
        if (result != CHAIN_DONE)
            return of_chain(ex, result);
    }
    enum stream_send how = last ? SEND_END : stream_pending(ex->client) ? SEND_MORE : SEND_NOW;
    keep_for_replay(ex, chunk.data, last);
    return stream_send(origin, chunk.data, how, last ? &ex->request.trailers : NULL) ? RELAY_DONE
                                                                                     : RELAY_SINK_FAILED;
}

/* The body that was gathered. */
static enum relay_result send_whole_request(struct exchange *ex)
{
    struct stream *origin = attempt_stream(&ex->attempt);
    while (!ex->request_done) {
        enum relay_result room = make_room(origin);
        if (room != RELAY_DONE)
            return room;
        struct body_chunk chunk;
        chunk.data = next_slice(ex->request_body, &ex->request_sent, &chunk.last);
        bool last = chunk.last;
        if (ex->plan->request_stream) {
            enum chain_result result = chain_request_body(ex, &chunk);
            if (result != CHAIN_DONE)
                return of_chain(ex, result);
        }
        if (ex->plan->request_stream)
            keep_for_replay(ex, chunk.data, last);
        ex->request_begun = true;
        if (!stream_send(origin, chunk.data, last ? SEND_END : SEND_NOW, last ? &ex->request.trailers : NULL))
            return RELAY_SINK_FAILED;
        ex->request_done = last;
    }
    return RELAY_DONE;
}

/* What an earlier try has sent already. */
static enum relay_result send_replay(struct exchange *ex)
{
    struct stream *origin = attempt_stream(&ex->attempt);
    bool last = false;
    while (!last) {
        enum relay_result room = make_room(origin);
        if (room != RELAY_DONE)
            return room;
        struct text slice = next_slice(whole_text(&ex->replay), &ex->replay_sent, &last);
        bool over = last && ex->replay_over;
        if (!stream_send(origin, slice, over ? SEND_END : SEND_NOW, over ? &ex->request.trailers : NULL))
            return RELAY_SINK_FAILED;
        ex->request_done = over;
    }
    return RELAY_DONE;
}

/* The rest of the body goes on from the client only when the earlier part has been sent once more. */
static bool is_behind(const struct exchange *ex)
{
    return ex->replay_state == REPLAY_KEPT && (ex->replay_over || ex->replay_sent < ex->replay.size);
}

enum relay_result relay_request(struct exchange *ex)
{
    struct stream *origin = attempt_stream(&ex->attempt);
    if (ex->request_done)
        return stream_flush(origin) ? RELAY_DONE : RELAY_SINK_FAILED;
    if (UNLIKELY(is_behind(ex))) {
        enum relay_result result = send_replay(ex);
        if (result != RELAY_DONE || ex->request_done)
            return result;
    }
    if (ex->request_buffered)
        return send_whole_request(ex);
    for (int pieces = 0; pieces < PIECES_PER_TURN; pieces++) {
        enum relay_result room = make_room(origin);
        if (room != RELAY_DONE)
            return room;
        if (!ex->plan->request_stream && ex->replay_state != REPLAY_KEPT && !relay_is_over_limit(ex)) {
            uint64_t moved = 0;
            enum splice_result result = splice_some(ex, ex->client, origin, &ex->up, &moved);
            ex->request_bytes += moved;
            ex->request_begun |= moved > 0;
            if (result != SPLICE_UNFIT)
                return of_splice(result);
        }
        struct text piece = TEXT("");
        enum stream_status status = stream_read(ex->client, &piece);
        if (status == STREAM_BLOCKED && !stream_flush(origin))
            return RELAY_SINK_FAILED;
        if (status != STREAM_DATA && status != STREAM_END)
            return relay_of_read(status);
        enum relay_result result = send_request_piece(ex, piece, status == STREAM_END);
        if (result != RELAY_DONE)
            return result;
        if (status == STREAM_END) {
            ex->request_done = true;
            return RELAY_DONE;
        }
    }
    ex->yielded = true;
    return RELAY_BLOCKED_SINK;
}

/* --- origin to client --- */

static enum relay_result send_response_piece(struct exchange *ex, struct text piece, bool last)
{
    struct body_chunk chunk = {piece, last};
    if (ex->plan && ex->plan->response_stream) {
        enum chain_result result = chain_response_body(ex, &chunk);
        if (result != CHAIN_DONE)
            return of_chain(ex, result);
    }
    bool more = !last && ex->attempt.connection && stream_pending(attempt_stream(&ex->attempt));
    if (ex->request.method != METHOD_HEAD) /* the length that GET would have had is not sent */
        ex->response_bytes += chunk.data.size;
    if (!stream_send(ex->client, chunk.data,
                     last   ? SEND_END
                     : more ? SEND_MORE
                            : SEND_NOW,
                     last ? &ex->response.trailers : NULL))
        return RELAY_SINK_FAILED;
    if (last)
        ex->response_done = true;
    return RELAY_DONE;
}

/* The answer's body that was gathered. */
static enum relay_result send_whole_response(struct exchange *ex)
{
    while (!ex->response_done) {
        enum relay_result room = make_room(ex->client);
        if (room != RELAY_DONE)
            return room;
        bool last;
        struct text slice = next_slice(ex->response_body, &ex->response_sent, &last);
        enum relay_result result = send_response_piece(ex, slice, last);
        if (result != RELAY_DONE)
            return result;
    }
    return RELAY_DONE;
}

enum relay_result relay_response(struct exchange *ex)
{
    if (ex->response_done)
        return RELAY_DONE;
    if (ex->local)
        return send_response_piece(ex, ex->local_body, true);
    if (ex->response_buffered)
        return send_whole_response(ex);
    struct stream *origin = attempt_stream(&ex->attempt);
    for (int pieces = 0; pieces < PIECES_PER_TURN; pieces++) {
        enum relay_result room = make_room(ex->client);
        if (room != RELAY_DONE)
            return room;
        if (!ex->plan->response_stream) {
            uint64_t moved = 0;
            enum splice_result result = splice_some(ex, origin, ex->client, &ex->down, &moved);
            ex->response_bytes += moved;
            if (result != SPLICE_UNFIT)
                return of_splice(result);
        }
        struct text piece = TEXT("");
        enum stream_status status = stream_read(origin, &piece);
        if (status == STREAM_BLOCKED && !stream_flush(ex->client))
            return RELAY_SINK_FAILED;
        if (status != STREAM_DATA && status != STREAM_END)
            return relay_of_read(status);
        enum relay_result result = send_response_piece(ex, piece, status == STREAM_END);
        if (result != RELAY_DONE || status == STREAM_END)
            return result;
    }
    ex->yielded = true;
    return RELAY_BLOCKED_SINK;
}

/* --- tunnels --- */

/* One direction. DONE: its source has ended and all of it was sent. */
static enum relay_result pump_tunnel(struct exchange *ex, struct stream *from, struct stream *to,
                                     uint64_t *bytes)
{
    for (int pieces = 0; pieces < PIECES_PER_TURN; pieces++) {
        enum relay_result room = make_room(to);
        if (room != RELAY_DONE)
            return room;
        struct text piece = TEXT("");
        enum stream_status status = stream_read(from, &piece);
        if (status == STREAM_DATA) {
            *bytes += piece.size;
            if (!stream_send(to, piece, SEND_NOW, NULL))
                return RELAY_SINK_FAILED;
            continue;
        }
        if (!stream_flush(to))
            return RELAY_SINK_FAILED;
        if (status != STREAM_END)
            return relay_of_read(status);
        return stream_backlog(to) ? RELAY_BLOCKED_SINK : RELAY_DONE;
    }
    ex->yielded = true;
    return RELAY_BLOCKED_SINK;
}

static bool is_failure(enum relay_result result)
{
    return result != RELAY_DONE && result != RELAY_BLOCKED_SINK && result != RELAY_BLOCKED_SOURCE;
}

enum relay_result relay_tunnel(struct exchange *ex)
{
    struct stream *origin = attempt_stream(&ex->attempt);
    enum relay_result up = RELAY_DONE, down = RELAY_DONE;
    if (!ex->request_done) {
        up = pump_tunnel(ex, ex->client, origin, &ex->request_bytes);
        if (up == RELAY_DONE) {
            ex->request_done = true;
            (void)layer_shut(ex->attempt.connection->h1.layer); /* a failure shows at the next read */
        }
    }
    if (!ex->response_done) {
        down = pump_tunnel(ex, origin, ex->client, &ex->response_bytes);
        if (down == RELAY_DONE) {
            ex->response_done = true;
            (void)layer_shut(ex->connection->h1.layer); /* likewise */
        }
    }
    if (is_failure(up))
        return up;
    if (is_failure(down))
        return down;
    return ex->request_done && ex->response_done ? RELAY_DONE : RELAY_BLOCKED_SOURCE;
}

static void give_pipe(struct exchange *ex, struct splice_pipe *pipe)
{
    if (pipe->taken)
        worker_give_pipe(ex->worker, pipe->ends, pipe->filled == 0);
    *pipe = (struct splice_pipe){.taken = false};
}

void relay_release(struct exchange *ex)
{
    give_pipe(ex, &ex->up);
    give_pipe(ex, &ex->down);
    body_release(ex);
}
