/* What the peers of the fuzz target `exchange` saw: is it HTTP, and does it fit together? */
#include "fuzz_exchange.h"

#include "base/check.h"

static const struct h1_limits wide = {.line_bytes_max = 1 << 14,
                                      .head_bytes_max = 1 << 16,
                                      .fields_max = 500,
                                      .trailer_bytes_max = 1 << 14,
                                      .paths = {.encoded_slashes = SLASHES_KEEP}};

/* Takes a body off `*rest`. */
static enum h1_progress skip_body(struct text *rest, struct body_framing framing,
                                  const struct h1_limits *limits, struct arena *arena)
{
    struct h1_body body;
    struct fields trailers;
    fields_init(&trailers, arena);
    if (framing.kind == BODY_NONE || (framing.kind == BODY_LENGTH && framing.length == 0))
        return H1_DONE;
    h1_body_init(&body, framing);
    while (rest->size > 0) {
        size_t consumed;
        struct text payload = TEXT("");
        struct h1_result result = h1_body_read(&body, *rest, limits, arena, &trailers, &consumed, &payload);
        *rest = text_slice(*rest, consumed, rest->size);
        if (result.progress != H1_MORE)
            return result.progress;
        if (consumed == 0)
            return H1_MORE;
    }
    return H1_MORE;
}

struct seen_request judge_next_request(struct text *rest, const struct h1_limits *limits, struct arena *arena)
{
    struct request request;
    size_t scanned = 0;
    struct h1_result result = h1_parse_request(*rest, &scanned, limits, arena, &request);
    struct seen_request seen = {.progress = result.progress};
    if (result.progress != H1_DONE)
        return seen;
    seen.head = true;
    seen.method = request.method;
    seen.upgrade = request.upgrade;
    seen.http10 = request.version_minor == 0;
    seen.mark = fields_get(&request.fields, TEXT("X-Exchange"));
    *rest = text_slice(*rest, result.consumed, rest->size);
    seen.progress = skip_body(rest, request.body, limits, arena);
    return seen;
}

/* --- origins --- */

static void judge_origin(const struct peer *peer, bool upgraded, struct arena *arena)
{
    struct text rest = {peer->received, peer->received_size};
    while (rest.size > 0) {
        struct seen_request request = judge_next_request(&rest, &wide, arena);
        CHECK(request.progress != H1_REFUSED);
        CHECK(peer->asked || !request.head || request.mark.at);
        if (request.progress == H1_MORE || (request.upgrade && upgraded))
            return;
        arena_reset(arena);
    }
}

/* --- clients --- */

struct client_view {
    const struct peer *peer;
    struct text sent, received;
    unsigned requests, complete, responses,
        whole; /* requests that began, that were sent whole; answers that began, that came whole */
    bool upgraded, closing;
};

/* The next request that the client sent; without a whole head it may be answered by a refusal only. */
static struct seen_request next_sent(struct client_view *view, struct arena *arena)
{
    struct seen_request request = {.progress = H1_MORE};
    if (view->sent.size == 0)
        return request;
    struct text rest = view->sent;
    request = judge_next_request(&rest, &gateway_limits, arena);
    view->requests++;
    view->complete += request.progress == H1_DONE;
    view->sent = request.progress == H1_DONE ? rest : TEXT("");
    return request;
}

static void check_head(const struct client_view *view, const struct response *response,
                       const struct seen_request *request)
{
    struct text echo = fields_get(&response->fields, TEXT("X-Echo")),
                down = fields_get(&response->fields, TEXT("X-Down"));
    CHECK(request->head || response->status >= 400);
    CHECK(!(request->http10 && response->body.kind == BODY_CHUNKED));
    CHECK(!(view->upgraded && peers_automatic));
    CHECK(!peers_automatic || !echo.at || text_equal(echo, down)); /* the answer of another exchange */
}

/* One final answer with the interim ones before it. False: what is left is not a whole one. */
static bool take_response(struct client_view *view, const struct seen_request *request,
                          enum http_method method, struct arena *arena)
{
    struct response response;
    do {
        size_t scanned = 0;
        struct h1_result result =
            h1_parse_response(view->received, &scanned, &wide, arena, method, &response);
        CHECK(result.progress != H1_REFUSED);
        if (result.progress == H1_MORE)
            return false;
        view->received = text_slice(view->received, result.consumed, view->received.size);
        CHECK(response.status >= 200 || request->head);
        CHECK(response.status >= 200 || !request->http10);
    } while (response.status < 200 && response.status != 101);
    view->upgraded = response.status == 101;
    check_head(view, &response, request);
    CHECK(!view->upgraded || request->upgrade);
    view->responses++;
    view->closing = !response.keep_alive;
    enum h1_progress progress =
        view->upgraded ? H1_DONE : skip_body(&view->received, response.body, &wide, arena);
    CHECK(progress != H1_REFUSED);
    view->whole += progress == H1_DONE || response.body.kind == BODY_CLOSE;
    return progress == H1_DONE && !view->upgraded;
}

static void judge_client(struct client_view *view, struct arena *arena)
{
    view->received = (struct text){view->peer->received, view->peer->received_size};
    view->sent = (struct text){view->peer->sent, view->peer->sent_size};
    bool more = true;
    while (more && view->received.size > 0) {
        CHECK(!view->closing); /* nothing follows the last answer */
        struct seen_request request = next_sent(view, arena);
        struct client_view before = *view;
        more = take_response(view, &request, request.head ? request.method : METHOD_GET, arena);
        if (request.method == METHOD_HEAD && view->closing && view->received.size > 0) {
            *view = before; /* its head was refused before it was whole, as that of no method */
            more = take_response(view, &request, METHOD_GET, arena);
        }
        arena_reset(arena);
    }
    CHECK(view->responses <= view->requests);
}

void judge(bool calm)
{
    struct arena arena;
    bool upgraded = false;
    arena_init(&arena, 0, 0);
    for (unsigned i = 0; i < CLIENTS_MAX; i++) {
        struct client_view view = {.peer = &clients[i]};
        judge_client(&view, &arena);
        upgraded |= view.upgraded;
        while (next_sent(&view, &arena).progress == H1_DONE)
            arena_reset(&arena);
        if (calm && clients[i].fd >= 0 && !clients[i].ended)
            CHECK(view.whole >= view.complete); /* who stays gets an answer to each request */
    }
    for (unsigned i = 0; i < ORIGINS_MAX; i++)
        judge_origin(&origins[i], upgraded, &arena);
    arena_release(&arena);
}
