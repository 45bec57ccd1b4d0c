/* What policies may do with an exchange. */
#include "proxy/exchange.h"

#include "base/check.h"
#include "base/random.h"
#include "base/time.h"
#include "proxy/attributes.h"
#include "proxy/body.h"
#include "proxy/chain.h"
#include "proxy/problem.h"
#include "proxy/worker.h"

struct text exchange_error_text(enum exchange_error error)
{
    static const struct text texts[] = {
        TEXT_INIT(""),
#define OUTCOME(identifier, text) TEXT_INIT(text),
#include "proxy/outcome.def"
#undef OUTCOME
    };
    return texts[error];
}

enum verdict exchange_respond(struct exchange *ex, unsigned status, struct text content_type,
                              struct text body)
{
    CHECK(status >= 200 && status <= 599);
    ex->response = (struct response){.status = (uint16_t)status, .version_minor = 1};
    fields_init(&ex->response.fields, &ex->arena);
    if (content_type.at)
        fields_add_known(&ex->response.fields, NAME_CONTENT_TYPE, content_type);
    ex->local = true;
    ex->local_body = body;
    return VERDICT_RESPOND;
}

enum verdict exchange_respond_problem(struct exchange *ex, unsigned status, struct text detail)
{
    exchange_respond(ex, status, TEXT("application/problem+json"), problem_write(ex, status, detail));
    return VERDICT_RESPOND;
}

enum verdict exchange_fault(struct exchange *ex, const char *reason)
{
    const struct policy_instance *entry = chain_current(ex);
    if (worker_may_log(ex->worker))
        log_warn("policy failed", LOG_TEXT("policy", entry ? entry->id : TEXT("")),
                 LOG_TEXT("scope", entry ? entry->scope : TEXT("")), LOG_STRING("reason", reason),
                 LOG_INT("exchange", ex->id));
    return VERDICT_FAULT;
}

struct text exchange_response_body(const struct exchange *ex)
{
    struct text body = body_response_text(ex);
    return body.at ? body : TEXT("");
}

void exchange_identify(struct exchange *ex, const struct consumer *consumer, struct text how)
{
    ex->consumer = consumer;
    ex->credential = how;
    chain_identified(ex);
}

int64_t exchange_age_ns(const struct exchange *ex)
{
    return MAX_OF(ex->loop->now_ns, ex->left_ns) - ex->began_ns;
}

/* RFC 9562 section 5.7: 48 bits of Unix milliseconds, then random bits. */
static struct text make_uuid7(struct exchange *ex)
{
    uint64_t words[2] = {random_uint64(), random_uint64()};
    uint8_t bytes[16];
    uint64_t ms = (uint64_t)(ex->loop->wall_ns / NS_PER_MS);
    memcpy(bytes, words, sizeof bytes);
    for (int i = 0; i < 6; i++)
        bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    bytes[6] = (uint8_t)(0x70 | (bytes[6] & 0x0f));
    bytes[8] = (uint8_t)(0x80 | (bytes[8] & 0x3f));
    char *text = arena_alloc(&ex->arena, 36), hex[32];
    if (!text)
        return TEXT("-");
    text_hex(bytes, 16, hex);
    static const uint8_t groups[] = {8, 4, 4, 4, 12};
    char *to = text;
    for (size_t i = 0, from = 0; i < COUNT_OF(groups); from += groups[i++]) {
        memcpy(to, hex + from, groups[i]);
        to += groups[i];
        if (i + 1 < COUNT_OF(groups))
            *to++ = '-';
    }
    return (struct text){text, 36};
}

struct text exchange_request_id(struct exchange *ex)
{
    if (!ex->request_id.at)
        ex->request_id = make_uuid7(ex);
    return ex->request_id;
}

bool exchange_set_var(struct exchange *ex, struct text name, struct value value)
{
    for (unsigned i = 0; i < ex->vars_count; i++) {
        if (text_equal(ex->vars[i].name, name)) {
            ex->vars[i].value = value;
            return true;
        }
    }
    if (!ex->vars && !(ex->vars = arena_array(&ex->arena, EXCHANGE_VARS_MAX, sizeof *ex->vars)))
        return false;
    if (ex->vars_count == EXCHANGE_VARS_MAX)
        return false;
    ex->vars[ex->vars_count++] = (struct exchange_var){name, value};
    return true;
}

static struct expr_run run_of(struct exchange *ex)
{
    return (struct expr_run){
        .lookup = exchange_lookup, .context = ex, .arena = &ex->arena, .now_ns = ex->loop->wall_ns};
}

static bool failed(struct exchange *ex, const struct expr *expr, const struct expr_error *error)
{
    const struct policy_instance *entry = chain_current(ex);
    if (worker_may_log(ex->worker))
        log_warn("expression failed", LOG_TEXT("expression", expr_source(expr)),
                 LOG_STRING("reason", error->said), LOG_TEXT("policy", entry ? entry->id : TEXT("")),
                 LOG_TEXT("scope", entry ? entry->scope : TEXT("")), LOG_INT("exchange", ex->id));
    return false;
}

bool exchange_eval(struct exchange *ex, const struct expr *expr, struct value *ret_value)
{
    struct expr_run run = run_of(ex);
    struct expr_error error;
    return expr_eval(expr, &run, ret_value, &error) || failed(ex, expr, &error);
}

bool exchange_try_text(struct exchange *ex, const struct expr *expr, struct text *ret_value)
{
    struct expr_run run = run_of(ex);
    return expr_eval_text(expr, &run, ret_value, NULL);
}

bool exchange_eval_bool(struct exchange *ex, const struct expr *expr, bool *ret_value)
{
    struct expr_run run = run_of(ex);
    struct expr_error error;
    return expr_eval_bool(expr, &run, ret_value, &error) || failed(ex, expr, &error);
}

bool exchange_eval_text(struct exchange *ex, const struct expr *expr, struct text *ret_value)
{
    return exchange_eval_escaped(ex, expr, EXPR_ESCAPE_NONE, ret_value);
}

bool exchange_eval_escaped(struct exchange *ex, const struct expr *expr, enum expr_escape escape,
                           struct text *ret_value)
{
    struct expr_run run = run_of(ex);
    run.escape = escape;
    struct expr_error error;
    return expr_eval_text(expr, &run, ret_value, &error) || failed(ex, expr, &error);
}

int64_t exchange_wall_ns(const struct exchange *ex)
{
    return ex->loop->wall_ns;
}

unsigned exchange_worker(const struct exchange *ex)
{
    return ex->worker->index;
}

const struct consumer_set *exchange_consumers(const struct exchange *ex)
{
    return ex->snapshot->consumers;
}
