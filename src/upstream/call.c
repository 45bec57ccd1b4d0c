/* Makes a request and reads its answer whole. */
#include "upstream/call.h"

#include "base/check.h"

enum { INTERIM_MAX = 8 };

static void over(struct origin_call *call, const char *failure)
{
    if (call->over)
        return;
    call->over = true;
    call->failure = failure;
    if (failure && call->attempt.connection)
        attempt_abort(&call->attempt, call->worker, true);
    call->on_over(call);
}

static void start_try(struct origin_call *call);

static void try_again_or_end(struct origin_call *call, const char *failure)
{
    bool fresh = !call->attempt.reused || call->attempt.got_byte;
    if (call->attempt.connection)
        attempt_abort(&call->attempt, call->worker, fresh);
    if (!fresh && method_is_idempotent(call->request.method) && call->tries <= call->service->retry.attempts)
        start_try(call);
    else
        over(call, failure);
}

static bool send_all(struct origin_call *call)
{
    struct stream *origin = attempt_stream(&call->attempt);
    call->how.keep_alive = !call->endpoint;
    call->how.body =
        (struct body_framing){call->send_body.size ? BODY_LENGTH : BODY_NONE, call->send_body.size};
    call->body_sent = true;
    return origin->type->send_request(origin, &call->request, &call->how)
           && stream_send(origin, call->send_body, SEND_END, NULL);
}

static bool keep_piece(struct origin_call *call, struct text piece)
{
    size_t size = call->body.size;
    if (call->cut)
        piece = text_slice(piece, 0, call->body_bytes_max - MIN_OF(size, (size_t)call->body_bytes_max));
    if (piece.size == 0)
        return true;
    if (piece.size > call->body_bytes_max - MIN_OF(size, (size_t)call->body_bytes_max))
        return false;
    if (size + piece.size > call->body_room) {
        size_t room = MIN_OF(MAX_OF(2 * (size + piece.size), (size_t)1024), (size_t)call->body_bytes_max);
        char *larger = arena_alloc(call->arena, room);
        if (!larger)
            return false;
        if (size)
            memcpy(larger, call->body.at, size);
        call->body.at = larger;
        call->body_room = room;
    }
    memcpy((char *)(uintptr_t)call->body.at + size, piece.at, piece.size);
    call->body.size = size + piece.size;
    return true;
}

/* The rest of the body does not matter. */
static bool has_enough(const struct origin_call *call)
{
    return call->cut && call->body.size >= call->body_bytes_max;
}

static void read_body(struct origin_call *call)
{
    struct stream *origin = attempt_stream(&call->attempt);
    for (;;) {
        struct text piece;
        if (has_enough(call)) {
            attempt_abort(&call->attempt, call->worker, false);
            over(call, NULL);
            return;
        }
        switch (stream_read(origin, &piece)) {
        case STREAM_DATA:
            if (keep_piece(call, piece))
                continue;
            over(call, "the answer is larger than the policy takes");
            return;
        case STREAM_BLOCKED: return;
        case STREAM_END:
            attempt_finish(&call->attempt, call->worker, call->response.keep_alive && !call->endpoint);
            over(call, NULL);
            return;
        case STREAM_REFUSED: over(call, "the answer's body is malformed"); return;
        case STREAM_FAILED: over(call, "the connection was closed in the middle of the answer"); return;
        }
    }
}

/* False: nothing more can be done now. */
static bool read_head(struct origin_call *call)
{
    fields_init(&call->response.fields, call->arena);
    switch (attempt_read_head(&call->attempt, call->arena, call->request.method, &call->response)) {
    case H1_HEAD_DONE: break;
    case H1_HEAD_BLOCKED: return false;
    case H1_HEAD_REFUSED: over(call, "the answer is malformed"); return false;
    case H1_HEAD_NO_BUFFER: over(call, "memory for buffers is used up"); return false;
    case H1_HEAD_END:
    case H1_HEAD_FAILED: try_again_or_end(call, "the connection was closed without an answer"); return false;
    }
    if (call->response.status == 101 || (call->response.status < 200 && ++call->interims > INTERIM_MAX)) {
        over(call, "the answer is malformed");
        return false;
    }
    call->head_read = call->response.status >= 200;
    if (!call->head_read)
        h1_stream_next(&call->attempt.connection->h1);
    return true;
}

static void advance(struct origin_call *call)
{
    if (attempt_is_connecting(&call->attempt)) {
        if (attempt_connected(&call->attempt, call->worker) != ATTEMPT_FINE) {
            over(call, call->attempt.failure == ATTEMPT_TLS_FAILED ? "the TLS handshake failed"
                                                                   : "the connection failed");
            return;
        }
        if (attempt_is_connecting(&call->attempt))
            return;
    }
    if (!call->body_sent && !send_all(call)) {
        try_again_or_end(call, "the connection failed while the request was sent");
        return;
    }
    if (!stream_flush(attempt_stream(&call->attempt))) {
        try_again_or_end(call, "the connection failed while the request was sent");
        return;
    }
    while (!call->head_read)
        if (!read_head(call))
            return;
    read_body(call);
}

static void on_event(struct attempt *attempt)
{
    advance(CONTAINER_OF(attempt, struct origin_call, attempt));
}

static void start_try(struct origin_call *call)
{
    call->tries++;
    call->body_sent = call->head_read = false;
    call->attempt.on_event = on_event;
    enum attempt_failure failure =
        call->endpoint ? attempt_probe(&call->attempt, call->worker, call->service, call->endpoint)
                       : attempt_start(&call->attempt, call->worker, call->service);
    if (failure != ATTEMPT_FINE)
        over(call, failure == ATTEMPT_NO_ENDPOINT    ? "its name is not resolved"
                   : failure == ATTEMPT_BREAKER_OPEN ? "its breaker is open"
                                                     : "the connection failed");
    else
        advance(call);
}

void origin_call_start(struct origin_call *call, const struct fields *fields)
{
    fields_init(&call->request.fields, call->arena);
    if (fields) {
        FIELDS_EACH (line, fields)
            fields_add(&call->request.fields, line->name, line->value);
    }
    start_try(call);
}

void origin_call_cancel(struct origin_call *call)
{
    call->over = true;
    attempt_release(&call->attempt, call->worker);
}

void origin_call_release(struct origin_call *call, struct arena *arena)
{
    FIELDS_EACH (line, &call->response.fields) {
        line->name = arena_copy(arena, line->name);
        line->value = arena_copy(arena, line->value);
    }
    attempt_release(&call->attempt, call->worker);
}
