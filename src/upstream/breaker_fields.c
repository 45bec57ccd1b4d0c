/* The configuration of breakers: `breaker` and `endpoint_breaker` of a service. */
#include "config/field.h"
#include "upstream/breaker.h"
#include "upstream/fault.h"

static const struct field answer_fields[] = {
    FIELD_INTEGER(struct breaker_rules, status, "status", "503", 400, 599, "Its status."),
    FIELD_TEXT(struct breaker_rules, detail, "detail",
               "The service is failing at the moment. Try again later.",
               "The sentence for the caller in its problem document."),
    FIELD_END,
};

const struct field breaker_fields[] = {
    FIELD_INTEGER(struct breaker_rules, failures, "failures", "0", 0, 60000,
                  "So many failures within `window` open it. 0: not by number."),
    FIELD_PERCENT(
        struct breaker_rules, ratio, "ratio", "0",
        "This share of failures among at least `requests` within `window` opens it. 0: not by share."),
    FIELD_DURATION(struct breaker_rules, slow_ms, "slow", "0", 0, 86400000,
                   "An answer whose head takes longer is slow. 0: none is."),
    FIELD_PERCENT(
        struct breaker_rules, slow_ratio, "slow_ratio", "50%",
        "This share of slow answers among at least `requests` within `window` opens it, where `slow` is set."),
    FIELD_INTEGER(struct breaker_rules, requests, "requests", "20", 1, 1000000,
                  "Requests within `window` below which `ratio` and `slow_ratio` judge nothing."),
    FIELD_DURATION(struct breaker_rules, window_ms, "window", "10s", 10, 86400000,
                   "Time in which requests count together."),
    FIELD_CUSTOM(struct breaker_rules, statuses, "statuses", "[500, 502, 503, 504]", status_set_bind,
                 status_set_schema, "Answers that are failures: `503`, `500-504`, `5xx`, or a list."),
    FIELD_CUSTOM(struct breaker_rules, faults, "errors", FAULT_SET_ALL, fault_set_bind, fault_set_schema,
                 "Errors that are failures, as in `passive.errors`."),
    FIELD_DURATION(struct breaker_rules, open_ms, "open", "10s", 1, 86400000,
                   "How long it lets nothing pass at first. Twice as long with each opening in a row."),
    FIELD_DURATION(struct breaker_rules, open_max_ms, "open_max", "5m", 1, 86400000,
                   "How long at most; `open` if that is longer."),
    FIELD_PERCENT(struct breaker_rules, jitter, "jitter", "10%",
                  "Each opening is made longer by up to this share."),
    FIELD_INTEGER(
        struct breaker_rules, probes, "probes", "1", 1, 1000,
        "Requests that may try at once when `open` is over, all workers together. Those that have no answer after "
        "another `open` are given up, and as many others may try."),
    FIELD_INTEGER(struct breaker_rules, successes, "successes", "1", 1, 1000,
                  "So many of them must succeed to close it. A single failure opens it again."),
    FIELD_BOOL(
        struct breaker_rules, retry_after, "retry_after", "true",
        "Stays open as long as `Retry-After` of the answer that opened it asks for, up to `open_max`."),
    {.name = "answer",
     .kind = FIELD_KIND_STRUCT,
     .size = sizeof(struct breaker_rules),
     .default_value = "{}",
     .fields = answer_fields,
     .about = "What callers get while it is open, with `Retry-After`."},
    FIELD_END,
};

bool breaker_rules_check(struct binder *binder, const struct node *node, const struct breaker_rules *rules)
{
    if (rules->window_ms == 0 || rules->failures || rules->ratio > 0 || rules->slow_ms)
        return true;
    return bind_error(binder, node, NULL,
                      "says nothing about when it opens: add `failures`, `ratio` or `slow`");
}
