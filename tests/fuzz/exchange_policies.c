/* The policies of the fuzz target `exchange`: a few real ones, and some that do what those seldom do. Defined in place of the registry. */
#include "base/check.h"
#include "policy/await.h"
#include "proxy/exchange.h"

enum { PAUSE_MS = 50, ASK_MS = 900 };

struct no_config {
    int unused;
};
static const struct field no_fields[] = {FIELD_END};

/* --- judge: does what the request's field X-Judge says --- */

static enum verdict judge_now(struct exchange *ex, const char *late)
{
    struct text said = fields_get(&ex->request.fields, TEXT("X-Judge"));
    if (!said.at || text_ends_with(said, TEXT("-late")) != (*late != 0))
        return VERDICT_NEXT;
    if (text_starts_with(said, TEXT("respond")))
        return exchange_respond(ex, 418, TEXT("text/plain"), TEXT("no"));
    if (text_starts_with(said, TEXT("empty")))
        return exchange_respond(ex, 204, (struct text){NULL, 0}, TEXT(""));
    if (text_starts_with(said, TEXT("drop")))
        return VERDICT_DROP;
    return text_starts_with(said, TEXT("fault")) ? exchange_fault(ex, "it was told to") : VERDICT_NEXT;
}

static enum verdict judge_request(struct exchange *ex, const void *config, void *state)
{
    (void)config, (void)state;
    return judge_now(ex, "");
}

static enum verdict judge_response(struct exchange *ex, const void *config, void *state)
{
    (void)config, (void)state;
    return judge_now(ex, "-late");
}

static const struct policy policy_judge = {
    .name = "fuzz-judge",
    .summary = "Judges.",
    .stage = STAGE_ACCESS,
    .fields = no_fields,
    .config_size = sizeof(struct no_config),
    .on_request = judge_request,
    .on_response = judge_response,
};

/* --- whole: needs the body at once --- */

static enum verdict whole_request(struct exchange *ex, const void *config, void *state)
{
    (void)config, (void)state;
    CHECK(ex->request_body.at || ex->request.body.kind == BODY_NONE || ex->request.body.length == 0);
    return text_starts_with(ex->request_body, TEXT("no")) ? exchange_respond_problem(ex, 400, TEXT("No."))
                                                          : VERDICT_NEXT;
}

static const struct policy policy_whole = {
    .name = "fuzz-whole",
    .summary = "Needs it whole.",
    .stage = STAGE_VALIDATE,
    .fields = no_fields,
    .config_size = sizeof(struct no_config),
    .on_request = whole_request,
    .request_body = BODY_WHOLE,
};

/* --- chew: changes bodies on their way, or ends them --- */

struct chew_state {
    bool request_over, response_over;
};

static enum verdict chew(struct exchange *ex, struct body_chunk *chunk, bool *over)
{
    CHECK(!*over);
    *over = chunk->last;
    if (text_starts_with(chunk->data, TEXT("FAULT")))
        return VERDICT_FAULT;
    if (text_starts_with(chunk->data, TEXT("DROP")))
        return VERDICT_DROP;
    if (chunk->data.size % 3 == 1)
        chunk->data = TEXT("");
    if (chunk->last && chunk->data.size % 3 == 2) {
        const struct text parts[] = {chunk->data, TEXT(" and the rest")};
        chunk->data = arena_join(&ex->arena, parts, COUNT_OF(parts));
    }
    return VERDICT_NEXT;
}

static enum verdict chew_request(struct exchange *ex, const void *config, void *state,
                                 struct body_chunk *chunk)
{
    (void)config;
    if (text_starts_with(chunk->data, TEXT("RESPOND")))
        return exchange_respond(ex, 403, TEXT("text/plain"), TEXT("not this"));
    return chew(ex, chunk, &((struct chew_state *)state)->request_over);
}

static enum verdict chew_response(struct exchange *ex, const void *config, void *state,
                                  struct body_chunk *chunk)
{
    (void)config;
    return chew(ex, chunk, &((struct chew_state *)state)->response_over);
}

static const struct policy policy_chew = {
    .name = "fuzz-chew",
    .summary = "Chews.",
    .stage = STAGE_TRANSFORM,
    .fields = no_fields,
    .config_size = sizeof(struct no_config),
    .state_size = sizeof(struct chew_state),
    .on_request_body = chew_request,
    .on_response_body = chew_response,
    .request_body = BODY_STREAM,
    .response_body = BODY_STREAM,
};

/* --- pause: waits on both ways --- */

struct pause_state {
    struct await_delay delay;
    unsigned pauses;
    bool ended;
};

static enum verdict pause_over(struct exchange *ex, const void *config, void *state)
{
    (void)config;
    CHECK(!((struct pause_state *)state)->ended && ((struct pause_state *)state)->pauses > 0);
    return judge_now(ex, "-late");
}

static enum verdict pause_begin(struct exchange *ex, const void *config, void *state_)
{
    struct pause_state *state = state_;
    (void)config;
    state->pauses++;
    return await_delay(ex, &state->delay, PAUSE_MS, STEP(pause_over));
}

static void pause_end(struct exchange *ex, const void *config, void *state)
{
    (void)ex, (void)config;
    CHECK(!((struct pause_state *)state)->ended);
    ((struct pause_state *)state)->ended = true;
}

static const struct policy policy_pause = {
    .name = "fuzz-pause",
    .summary = "Pauses.",
    .stage = STAGE_QUOTA,
    .fields = no_fields,
    .config_size = sizeof(struct no_config),
    .state_size = sizeof(struct pause_state),
    .on_request = pause_begin,
    .on_response = pause_begin,
    .on_end = pause_end,
};

/* --- ask: waits for another service --- */

struct ask_config {
    struct text url;
    struct service *service;
};

struct ask_state {
    struct http_call call;
};

static const struct field ask_fields[] = {
    FIELD_TEXT(struct ask_config, url, "url", REQUIRED, "Whom to ask."),
    FIELD_END,
};

static bool ask_prepare(struct prepare *prepare, void *config_)
{
    struct ask_config *config = config_;
    config->service = prepare_service(prepare, "url", config->url, ASK_MS);
    return config->service;
}

static enum verdict ask_over(struct exchange *ex, const void *config, void *state)
{
    const struct http_call *call = &((struct ask_state *)state)->call;
    (void)config;
    CHECK(call->operation.status != AWAIT_PENDING);
    if (call->operation.status != AWAIT_DONE)
        return exchange_fault(ex, "no answer");
    CHECK(call->status >= 200 && call->body.size <= 1024);
    if (call->status < 300)
        return VERDICT_NEXT;
    return exchange_respond(ex, 403, TEXT("text/plain"), call->body);
}

static enum verdict ask_request(struct exchange *ex, const void *config_, void *state)
{
    const struct ask_config *config = config_;
    struct http_call_request request = {
        .method = METHOD_POST,
        .target = TEXT("/ask"),
        .host = TEXT("asked"),
        .fields = &ex->request.fields,
        .body = ex->request.path,
        .body_bytes_max = 1024,
    };
    return await_http(ex, &((struct ask_state *)state)->call, config->service, &request, ASK_MS,
                      STEP(ask_over));
}

static const struct policy policy_ask = {
    .name = "fuzz-ask",
    .summary = "Asks.",
    .stage = STAGE_IDENTITY,
    .fields = ask_fields,
    .config_size = sizeof(struct ask_config),
    .state_size = sizeof(struct ask_state),
    .prepare = ask_prepare,
    .on_request = ask_request,
};

extern const struct policy policy_cors, policy_headers, policy_key_auth, policy_redirect, policy_request_id,
    policy_respond, policy_security_headers, policy_size_limit;

const struct policy *const policies[] = {
    &policy_cors,
    &policy_headers,
    &policy_key_auth,
    &policy_redirect,
    &policy_request_id,
    &policy_respond,
    &policy_security_headers,
    &policy_size_limit,
    &policy_judge,
    &policy_whole,
    &policy_chew,
    &policy_pause,
    &policy_ask,
};
const size_t policies_count = COUNT_OF(policies);
