/* When a request is tried again: the rules of a service, and the budget that keeps retries from becoming a storm.
 *
 * The budget is a share of the requests of a sliding window, with a minimum, for the whole node: workers count requests apart from each other,
 * so that they do not get in each other's way, and retries together, so that the bound holds. */
#pragma once

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/field.h"
#include "upstream/status_set.h"

struct states;

/* Reasons, and what an entry of `on` switches on. */
enum retry_on {
    RETRY_CONNECT_FAILURE = 1, /* nothing was sent */
    RETRY_RESET = 2,           /* the connection was closed before the first byte of an answer */
    RETRY_TIMEOUT = 4,         /* no answer in time, or the request was not taken in time */
    RETRY_STATUS = 8,          /* the answer's status is in `statuses` */
    RETRY_CONDITION = 16,      /* `when` holds for the answer */
};

enum { RETRY_BUDGET_SLOTS = 10, RETRY_BUDGET_SHARDS = 16 };

/* A count of one tenth of a window: 24 bits of the tenth's number, 40 bits of count. */
typedef _Atomic uint64_t retry_count;

/* Shared by all workers, claimed by the service's name. */
struct retry_budget {
    struct {
        alignas(64) retry_count slots[RETRY_BUDGET_SLOTS];
    } requests[RETRY_BUDGET_SHARDS];
    alignas(64) retry_count retries[RETRY_BUDGET_SLOTS];
    _Atomic uint64_t made, refused; /* since the service exists */
};

struct retry_rules {
    uint8_t attempts; /* further tries after the first; 0: none */
    unsigned on;      /* of enum retry_on */
    struct status_set statuses;
    const struct expr *when; /* about the answer; NULL: none */
    bool unsafe;             /* methods that are not idempotent too */
    int64_t try_timeout_ms;  /* for each try, to the head of its answer; 0: none */
    int64_t backoff_base_ms, backoff_max_ms;
    int64_t body_bytes_max; /* of a body that is kept for another try */
    double budget_share;
    uint64_t budget_min; /* retries in a window that are always allowed */
    int64_t budget_window_ms;
    struct retry_budget *budget;
};

/* Configuration, bound with retry_fields. */
struct retry_backoff_config {
    int64_t base_ms, max_ms;
};
struct retry_budget_config {
    double share;
    int64_t min, window_ms;
};
struct retry_on_config {
    unsigned on;
    struct status_set statuses;
};
struct retry_config {
    int64_t attempts;
    struct retry_on_config on;
    const struct expr *when;
    bool unsafe;
    int64_t try_ms;
    struct retry_backoff_config backoff;
    int64_t body;
    struct retry_budget_config budget;
};

/* Fills `*rules` from `retry` of a service and claims the budget. False: reported. */
extern const struct field retry_fields[];
bool retry_rules_build(struct binder *binder, struct states *states, struct text service,
                       const struct retry_config *config, const struct node *node, struct retry_rules *rules);

/* The rules where nothing is configured, without a budget: for calls that the gateway makes itself. */
struct retry_rules retry_rules_of_calls(void);

/* Counts a request that may be retried. `worker` is the counting worker's number. */
void retry_count_request(const struct retry_rules *rules, unsigned worker, int64_t now_ms);

/* Takes one retry (or hedge) from the budget. False: it is used up, which is counted. */
bool retry_take(const struct retry_rules *rules, int64_t now_ms);

/* How long to wait before the try after `tries` have failed: anything between nothing and what doubles with each try, up to the limit
 * (full jitter, after Brooker 2015). */
int64_t retry_backoff_ms(const struct retry_rules *rules, unsigned tries);
