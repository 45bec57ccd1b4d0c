/* Reads `retry` of a service. */
#include "base/check.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/states.h"
#include "upstream/retry.h"

static bool add_reason(struct binder *binder, const struct field *field, const struct node *node,
                       struct retry_on_config *on)
{
    static const struct {
        const char *word;
        enum retry_on reason;
    } words[] = {
        {"connect-failure", RETRY_CONNECT_FAILURE}, {"reset", RETRY_RESET}, {"timeout", RETRY_TIMEOUT}};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (node->kind == NODE_SCALAR && text_equal(node->text, text_of(words[i].word))) {
            if (on->on & words[i].reason)
                return bind_error(binder, node, NULL, "`%s` is listed twice", words[i].word);
            on->on |= words[i].reason;
            return true;
        }
    }
    struct status_set statuses;
    if (node->kind != NODE_SCALAR || node->text.size == 0 || node->text.at[0] < '0' || node->text.at[0] > '9')
        return bind_error(binder, node, NULL,
                          "wants `connect-failure`, `reset`, `timeout`, or statuses such as `503` or `5xx`");
    if (!status_set_bind(binder, field, node, &statuses))
        return false;
    for (size_t i = 0; i < COUNT_OF(statuses.bits); i++)
        on->statuses.bits[i] |= statuses.bits[i];
    on->on |= RETRY_STATUS;
    return true;
}

static bool bind_on(struct binder *binder, const struct field *field, const struct node *node, void *at)
{
    bool fine = true;
    if (node->kind != NODE_LIST)
        return add_reason(binder, field, node, at);
    for (uint32_t i = 0; i < node->count; i++) {
        struct text before = bind_enter_index(binder, i);
        fine &= add_reason(binder, field, &node->items[i], at);
        bind_leave(binder, before);
    }
    return fine;
}

#define REASON                                                                                               \
    "{\"anyOf\":[{\"enum\":[\"connect-failure\",\"reset\",\"timeout\"]},"                                    \
    "{\"type\":[\"integer\",\"string\"],\"pattern\":"                                                        \
    "\"^([1-5][xX][xX]|[1-5][0-9][0-9](-[1-5][0-9][0-9])?)$\"}]}"

static const struct field backoff_fields[] = {
    FIELD_DURATION(struct retry_backoff_config, base_ms, "base", "25ms", 0, 60000,
                   "Longest wait before the second try; it doubles with each further one."),
    FIELD_DURATION(
        struct retry_backoff_config, max_ms, "max", "1s", 0, 3600000,
        "Longest wait at all. A `Retry-After` up to this is waited for; an answer with a longer one is final."),
    FIELD_END,
};

static const struct field budget_fields[] = {
    {FIELD_MEMBER_(struct retry_budget_config, share, "share", FIELD_KIND_PERCENT, "20%",
                   "Most retries, as a share of the requests in the window."),
     .flags = FIELD_SHORTHAND},
    FIELD_INTEGER(struct retry_budget_config, min, "min", "10", 0, 1000000000,
                  "Retries in a window that are allowed however few requests there are."),
    FIELD_DURATION(struct retry_budget_config, window_ms, "window", "10s", 1000, 3600000,
                   "The window, in tenths of which requests and retries are counted."),
    FIELD_END,
};

const struct field retry_fields[] = {
    FIELD_INTEGER(struct retry_config, attempts, "attempts", "1", 0, 10,
                  "Further tries after the first; 0 turns retries off."),
    FIELD_CUSTOM(
        struct retry_config, on, "on", "[connect-failure, reset]", bind_on,
        "{\"anyOf\":[" REASON ",{\"type\":\"array\",\"items\":" REASON "}]}",
        "What is retried. `connect-failure`: nothing was sent yet. `reset`: the connection was closed before the "
        "first byte of an answer. `timeout`: no answer within `timeouts.response` or `try`, or the request was not "
        "taken within `timeouts.send`. Statuses of the answer: `503`, `500-504`, `5xx`."),
    FIELD_EXPRESSION(struct retry_config, when, "when", OPTIONAL, EXPR_BOOL,
                     "An answer for which this is true is retried too, such as "
                     "`response.status == 500 && response.headers[\"x-error\"] == \"busy\"`."),
    FIELD_BOOL(
        struct retry_config, unsafe, "unsafe", "false",
        "Retry methods that are not idempotent (POST, PATCH) as well, where more than connecting failed. The service must "
        "be able to see the same request twice."),
    FIELD_DURATION(struct retry_config, try_ms, "try", "0", 0, 86400000,
                   "For each try, from its start to the head of its answer; 0 is no limit of its own."),
    FIELD_STRUCT(struct retry_config, backoff, "backoff", "{}", backoff_fields,
                 "How long to wait before a further try: a random time up to the longest."),
    FIELD_SIZE(
        struct retry_config, body, "body", "64KiB", 0, 1 << 30,
        "Largest request body that is kept for another try; with a larger one, the try that sends it is the last."),
    FIELD_STRUCT(struct retry_config, budget, "budget", "{}", budget_fields,
                 "Bounds the retries (and hedges) of this node, so that they cannot become a storm."),
    FIELD_END,
};

static void *new_budget(void *argument)
{
    (void)argument;
    struct retry_budget *budget = memory_aligned(alignof(struct retry_budget), sizeof *budget);
    return budget ? memset(budget, 0, sizeof *budget) : NULL;
}

bool retry_rules_build(struct binder *binder, struct states *states, struct text service,
                       const struct retry_config *config, const struct node *node, struct retry_rules *rules)
{
    *rules = (struct retry_rules){
        .attempts = (uint8_t)config->attempts,
        .on = config->on.on | (config->when ? RETRY_CONDITION : 0),
        .statuses = config->on.statuses,
        .when = config->when,
        .unsafe = config->unsafe,
        .try_timeout_ms = config->try_ms,
        .backoff_base_ms = config->backoff.base_ms,
        .backoff_max_ms = config->backoff.max_ms,
        .body_bytes_max = config->body,
        .budget_share = config->budget.share,
        .budget_min = (uint64_t)config->budget.min,
        .budget_window_ms = config->budget.window_ms,
    };
    if (config->backoff.base_ms > config->backoff.max_ms)
        return bind_error(binder, node, "retry.backoff.base", "cannot be longer than `max`");
    rules->budget = states_claim(states, binder->arena, "retry-budget", service,
                                 hash_mix((uint64_t)rules->budget_window_ms), new_budget, memory_free, NULL);
    return rules->budget || bind_error(binder, node, NULL, "out of memory");
}

struct retry_rules retry_rules_of_calls(void)
{
    return (struct retry_rules){.attempts = 1, .on = RETRY_CONNECT_FAILURE | RETRY_RESET};
}
