/* A breaker: stops asking who fails, and asks again a little at a time (Nygard, Release It!).
 *
 * closed: everything passes and is counted; too many failures or slow answers within a window open it. open: nothing passes until its time
 * is over. half-open: a few requests try; enough successes close it, one failure opens it again for longer.
 *
 * All workers share one. State, time, and the number of those who try are one word that is changed by compare-and-swap: no request more than
 * `probes` passes a half-open breaker, whatever the number of workers. It never sticks: those who try and say nothing (a client
 * that left, an answer that does not end) are given up after the open time, and others may try. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "config/field.h"
#include "upstream/outcome_window.h"
#include "upstream/status_set.h"

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

/* Of a service's configuration. Zeroed: there is no breaker. */
struct breaker_rules {
    int64_t window_ms; /* 0: off */
    int64_t failures;  /* so many within the window open it; 0: not by number */
    double ratio;      /* or this share of at least `requests`; 0: not by share */
    int64_t slow_ms;   /* answers that take longer are slow; 0: none is */
    double slow_ratio; /* share of slow ones among at least `requests` that opens it */
    int64_t requests;
    struct status_set statuses; /* answers that are failures */
    unsigned faults;            /* bits by enum fault: errors that are failures */
    int64_t open_ms, open_max_ms;
    double jitter;
    int64_t probes;     /* at once while it is half-open */
    int64_t successes;  /* that close it */
    bool retry_after;   /* open at least as long as the answer that opened it asks for, up to open_max_ms */
    int64_t status;     /* of the answer while it is open */
    struct text detail; /* a sentence for the caller; empty: the usual one */
};

/* Zeroed is closed. */
struct breaker {
    _Atomic uint64_t word;         /* state, those who try, their successes, until when: see breaker.c */
    _Atomic uint32_t row;          /* openings in a row */
    _Atomic int64_t opened_for_ms; /* the last time */
    _Atomic uint64_t openings, refused;
    _Atomic uint32_t because; /* enum breaker_cause, and the figures of the last opening */
    _Atomic uint32_t because_bad, because_total;
    struct outcome_window window;
};

enum breaker_cause { BREAKER_BY_FAILURES, BREAKER_BY_RATIO, BREAKER_BY_SLOWNESS, BREAKER_BY_PROBE };

/* What a request that passed holds until it is reported. Zeroed: nothing. */
struct breaker_pass {
    int64_t period; /* the half-open period in which it tries; 0: it passed a closed one */
    bool held;
};

/* Would a request pass now? Cheap, changes nothing. */
bool breaker_would_pass(const struct breaker *breaker, const struct breaker_rules *rules, int64_t now_ms);

/* Asks to pass. False: it is refused, and counted. `*ret_pass` must be reported exactly once. */
bool breaker_pass(struct breaker *breaker, const struct breaker_rules *rules, int64_t now_ms,
                  struct breaker_pass *ret_pass);

/* How a request went that had passed. */
enum breaker_result { BREAKER_UNKNOWN, BREAKER_GOOD, BREAKER_BAD, BREAKER_SLOW };

/* Takes the pass back. `retry_after_ms` is what the answer asks for, 0: nothing. True: the state has changed. */
bool breaker_report(struct breaker *breaker, const struct breaker_rules *rules, struct breaker_pass *pass,
                    enum breaker_result result, int64_t retry_after_ms, int64_t now_ms);

/* A request that was reported good has failed after all: its answer broke off. True: the state has changed. */
bool breaker_amend(struct breaker *breaker, const struct breaker_rules *rules, int64_t now_ms);

/* For pages and logs. An open breaker whose time is over is half-open. */
enum breaker_state breaker_state(const struct breaker *breaker, int64_t now_ms);
const char *breaker_state_name(enum breaker_state state);

/* How long until somebody may try; 0: now. */
int64_t breaker_wait_ms(const struct breaker *breaker, int64_t now_ms);

/* Why it opened the last time, as a sentence for a log; into `to`. */
struct text breaker_reason(const struct breaker *breaker, char to[128]);

/* The table that fills a `struct breaker_rules`, and what it cannot check itself. */
extern const struct field breaker_fields[];
bool breaker_rules_check(struct binder *binder, const struct node *node, const struct breaker_rules *rules);
