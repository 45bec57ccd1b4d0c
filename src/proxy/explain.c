/* Explains routing decisions: the request is parsed, and its route looked for, by the code that serves requests, on an exchange that stands in for
 * one that is served. */
#include "proxy/explain.h"

#include <errno.h>

#include "base/check.h"
#include "http/h1.h"
#include "proxy/attributes.h"
#include "proxy/connection.h"
#include "proxy/forward.h"
#include "proxy/match.h"
#include "proxy/route_choice.h"
#include "proxy/time_window.h"
#include "proxy/worker.h"

/* An exchange and what it stands on. */
struct stage {
    struct exchange exchange;
    struct connection connection;
    struct listener listener;
    struct loop loop;
};

/* --- the request, by way of the real parser --- */

static struct text as_head(struct arena *arena, const struct explain_question *question)
{
    struct uri uri = {0};
    bool absolute = uri_parse(question->url, &uri);
    struct text head =
        arena_format(arena, "%.*s %.*s HTTP/1.1\r\n", TEXT_ARGS(question->method), TEXT_ARGS(question->url));
    bool host = absolute;
    for (size_t i = 0; i < question->headers_count; i++) {
        head = arena_format(arena, "%.*s%.*s\r\n", TEXT_ARGS(head), TEXT_ARGS(question->headers[i]));
        host |= text_starts_with_nocase(question->headers[i], TEXT("host:"));
    }
    if (absolute)
        return arena_format(arena, "%.*sHost: %.*s\r\n\r\n", TEXT_ARGS(head), TEXT_ARGS(uri.authority));
    return arena_format(arena, "%.*s%s\r\n", TEXT_ARGS(head), host ? "" : "Host: localhost\r\n");
}

static bool parse(struct exchange *ex, const struct explain_question *question, struct error *reterr)
{
    size_t scanned = 0;
    struct text head = as_head(&ex->arena, question);
    struct h1_result result =
        h1_parse_request(head, &scanned, &ex->connection->listener->config->limits, &ex->arena, &ex->request);
    if (result.progress != H1_DONE || result.consumed != head.size) {
        error_set(reterr, -EINVAL, "such a request is refused with %u: %s", h1_refusal_status(result.refusal),
                  h1_refusal_text(result.refusal));
        return false;
    }
    ex->request.scheme = text_equal(question->scheme, TEXT("https")) ? TEXT("https") : TEXT("http");
    return true;
}

/* --- what it comes in by --- */

static const struct listener_config *find_listener(const struct snapshot *snapshot, struct text name,
                                                   struct error *reterr)
{
    static const struct listener_config none = {
        .name = TEXT_INIT(""), .limits = {8192, 31 << 10, 100, 8192, {true, SLASHES_REJECT}}};
    if (!name.at)
        return snapshot->listeners_count ? snapshot->listeners[0] : &none;
    for (size_t i = 0; i < snapshot->listeners_count; i++)
        if (text_equal(snapshot->listeners[i]->name, name))
            return snapshot->listeners[i];
    error_set(reterr, -ENOENT, "there is no listener `%.*s`", TEXT_ARGS(name));
    return NULL;
}

static bool set_addresses(struct connection *connection, const struct explain_question *question,
                          struct match_subject *subject, struct error *reterr)
{
    struct text client = question->client.at ? question->client : TEXT("127.0.0.1");
    struct text local = question->local.at ? question->local : connection->listener->config->address;
    if (!address_parse_ip(client, 1, &connection->peer)) {
        error_set(reterr, -EINVAL, "`%.*s` is no IP address of a client", TEXT_ARGS(client));
        return false;
    }
    connection->ip_size = (uint8_t)address_write_ip(&connection->peer, connection->ip);
    subject->local_known = true;
    if (address_parse(local, &subject->local) || !question->local.at)
        return true;
    error_set(reterr, -EINVAL, "`%.*s` is no local address such as `10.0.0.1:8080`", TEXT_ARGS(local));
    return false;
}

static bool set_time(struct loop *loop, struct text at, struct error *reterr)
{
    int64_t seconds;
    bool is_day;
    loop->now_ns = time_monotonic_ns();
    loop->wall_ns = time_wall_ns();
    if (!at.at)
        return true;
    if (text_ends_with(at, TEXT("Z")))
        at.size--;
    if (!time_window_parse_date(at, &seconds, &is_day)) {
        error_set(reterr, -EINVAL, "wants a time in UTC such as `2026-12-24T18:00`, got `%.*s`",
                  TEXT_ARGS(at));
        return false;
    }
    loop->wall_ns = seconds * NS_PER_SECOND;
    return true;
}

static void release_arena(void *arena)
{
    arena_release(arena);
}

static bool set_stage(struct stage *stage, const struct snapshot *snapshot, struct arena *arena,
                      const struct explain_question *question, struct match_subject *subject,
                      struct error *reterr)
{
    struct exchange *ex = &stage->exchange;
    stage->listener.config = find_listener(snapshot, question->listener, reterr);
    if (!stage->listener.config)
        return false;
    stage->connection.listener = &stage->listener;
    ex->connection = &stage->connection;
    ex->snapshot = snapshot;
    ex->loop = &stage->loop;
    arena_init(&ex->arena, 0, 0);
    *subject = (struct match_subject){
        .exchange = ex,
        .server_name = question->sni.at ? question->sni : TEXT(""),
        .body_here = question->body.at != NULL,
    };
    ex->request_body = question->body;
    ex->request_buffered = question->body.at != NULL;
    ex->request_done = true;
    return arena_defer(arena, release_arena, &ex->arena) && set_time(&stage->loop, question->at, reterr)
           && set_addresses(&stage->connection, question, subject, reterr) && parse(ex, question, reterr);
}

/* --- candidates --- */

struct collector {
    struct explanation *explanation;
    struct match_subject *subject;
};

static bool collect(struct route *route, void *context)
{
    struct collector *collector = context;
    struct explanation *e = collector->explanation;
    if (e->candidates_count == EXPLAIN_CANDIDATES_MAX) {
        e->more_candidates = true;
        return false;
    }
    struct explain_candidate *candidate = &e->candidates[e->candidates_count++];
    candidate->route = route;
    candidate->why_not = match_why_not(route, collector->subject);
    return true;
}

static bool fits(const struct route *route, void *subject)
{
    return !match_why_not(route, subject).at;
}

static void say_key(struct explanation *e, const struct expr *key)
{
    struct exchange *ex = e->exchange;
    struct expr_run run = {
        .lookup = exchange_lookup, .context = ex, .arena = &ex->arena, .now_ns = ex->loop->wall_ns};
    (void)expr_eval_text(key, &run, &e->key, NULL); /* why it fails is said of the choice */
}

/* What the winner does with the request. */
static void follow(struct explanation *e, struct arena *arena)
{
    struct exchange *ex = e->exchange;
    const struct route_choice *choice = e->winner->choice;
    struct expr_error error;
    ex->route = e->winner;
    if (!choice)
        e->target = &e->winner->target;
    else if (!choice->weights || choice->key)
        e->target = route_choose(choice, ex, &error);
    if (choice && !e->target && (!choice->weights || choice->key))
        e->fault = arena_copy(arena, text_of(error.said));
    if (choice && choice->key)
        say_key(e, choice->key);
    if (match_change_path(ex, e->winner, &error))
        e->forward_path = ex->forward_path.at ? ex->forward_path : ex->request.path;
    else
        e->path_fault = arena_copy(arena, text_of(error.said));
}

bool explain_request(const struct snapshot *snapshot, const struct explain_question *question,
                     struct arena *arena, struct explanation *ret_explanation, struct error *reterr)
{
    struct explanation *e = ret_explanation;
    struct stage *stage = ARENA_NEW(arena, struct stage);
    struct match_subject subject;
    *e = (struct explanation){.candidates_count = 0};
    if (!stage) {
        error_set(reterr, -ENOMEM, "out of memory");
        return false;
    }
    struct exchange *ex = &stage->exchange;
    if (!set_stage(stage, snapshot, arena, question, &subject, reterr))
        return false;
    forward_client_address(ex);
    e->exchange = ex;
    struct collector collector = {e, &subject};
    router_candidates(snapshot->router, ex->request.host, ex->request.path, collect, &collector);
    e->winner =
        router_match(snapshot->router, ex->request.host, ex->request.path, fits, &subject, &ex->captures);
    if (e->winner)
        follow(e, arena);
    return true;
}
