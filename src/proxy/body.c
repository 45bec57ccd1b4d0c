/* Gathers bodies and parses their JSON. */
#include "proxy/body.h"

#include "base/check.h"
#include "proxy/connection.h"
#include "proxy/worker.h"

enum {
    JSON_IN_ARENA_MAX = 8 * 1024, /* longer ones are parsed into memory of their own */
    JSON_BLOCK = 16 * 1024,
    JSON_GROWTH = 32, /* most bytes of values for each byte of JSON */
};

/* --- gathering --- */

int64_t body_request_max(const struct exchange *ex)
{
    return ex->route && ex->route->buffered_bytes_max >= 0
               ? ex->route->buffered_bytes_max
               : ex->connection->listener->config->buffered_bytes_max;
}

enum relay_result body_gather_request(struct exchange *ex)
{
    uint64_t max = (uint64_t)body_request_max(ex);
    if (ex->request.body.kind == BODY_LENGTH && ex->request.body.length > max)
        return RELAY_TOO_LARGE;
    for (;;) {
        struct text piece = TEXT("");
        enum stream_status status = stream_read(ex->client, &piece);
        if (status == STREAM_END) {
            ex->request_buffered = true;
            ex->request_body = whole_text(&ex->request_whole);
            return RELAY_DONE;
        }
        if (status != STREAM_DATA)
            return relay_of_read(status);
        ex->request_bytes += piece.size;
        if (relay_is_over_limit(ex) || ex->request_bytes > max)
            return RELAY_TOO_LARGE;
        if (!whole_add(&ex->request_whole, &ex->worker->buffers, piece))
            return RELAY_NO_MEMORY;
    }
}

enum relay_result body_gather_response(struct exchange *ex)
{
    uint64_t max = (uint64_t)ex->service->buffered_bytes_max;
    if (ex->response.body.kind == BODY_LENGTH && ex->response.body.length > max)
        return RELAY_TOO_LARGE;
    for (;;) {
        struct text piece = TEXT("");
        enum stream_status status = stream_read(attempt_stream(&ex->attempt), &piece);
        if (status == STREAM_END) {
            ex->response_buffered = true;
            ex->response_body = whole_text(&ex->response_whole);
            return RELAY_DONE;
        }
        if (status != STREAM_DATA)
            return relay_of_read(status);
        if (ex->response_whole.size + piece.size > max)
            return RELAY_TOO_LARGE;
        if (!whole_add(&ex->response_whole, &ex->worker->buffers, piece))
            return RELAY_NO_MEMORY;
    }
}

/* --- what expressions see --- */

struct text body_request_text(const struct exchange *ex)
{
    if (ex->request_buffered)
        return ex->request_body;
    bool none = ex->request.body.kind == BODY_NONE
                || (ex->request.body.kind == BODY_LENGTH && ex->request.body.length == 0);
    return none ? TEXT("") : (struct text){NULL, 0};
}

struct text body_response_text(const struct exchange *ex)
{
    return ex->local ? ex->local_body : ex->response_buffered ? ex->response_body : (struct text){NULL, 0};
}

/* Parsed into `json->arena`, whose memory is charged afterwards: what one parse takes is bounded by the size of the body. */
static bool parse_apart(struct exchange *ex, struct body_json *json, struct text body)
{
    struct buffer_budget *budget = ex->worker->buffers.budget;
    arena_init(&json->arena, JSON_BLOCK, body.size * JSON_GROWTH + JSON_BLOCK);
    bool fine = value_from_json(body, &json->arena, &json->value, NULL) && !json->arena.failed;
    if (fine && !buffer_budget_take(budget, json->arena.used)) {
        ex->error = ERROR_BUFFERS_FULL;
        fine = false;
    }
    if (!fine) {
        arena_release(&json->arena);
        return false;
    }
    json->charged = json->arena.used;
    return true;
}

/* Once for each body: the value of an attribute is asked for again and again. */
static bool json_of(struct exchange *ex, struct body_json *json, struct text body, struct value *ret_value)
{
    if (!body.at)
        return false;
    if (json->of.at != body.at || json->of.size != body.size) {
        json->of = body;
        json->fine = body.size <= JSON_IN_ARENA_MAX ? value_from_json(body, &ex->arena, &json->value, NULL)
                                                    : !json->charged && parse_apart(ex, json, body);
    }
    if (json->fine)
        *ret_value = json->value;
    return json->fine;
}

bool body_request_json(struct exchange *ex, struct value *ret_value)
{
    return json_of(ex, &ex->request_json, body_request_text(ex), ret_value);
}

bool body_response_json(struct exchange *ex, struct value *ret_value)
{
    return json_of(ex, &ex->response_json, body_response_text(ex), ret_value);
}

static void release_json(struct exchange *ex, struct body_json *json)
{
    if (!json->charged)
        return;
    buffer_budget_give(ex->worker->buffers.budget, json->charged);
    arena_release(&json->arena);
    json->charged = 0;
}

void body_release(struct exchange *ex)
{
    release_json(ex, &ex->request_json);
    release_json(ex, &ex->response_json);
    whole_release(&ex->request_whole, &ex->worker->buffers);
    whole_release(&ex->response_whole, &ex->worker->buffers);
    whole_release(&ex->replay, &ex->worker->buffers);
}
