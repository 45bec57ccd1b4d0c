/* When an idempotent request that waits for its answer is sent to another endpoint as well: after a fixed time, or after the time in which a share
 * of the answers comes, as it was lately. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "config/field.h"

struct states;

enum { HEDGE_BUCKETS = 128 };

/* How long answers took, for all workers; claimed by the service's name. Old ones fade: counts are halved now and then. */
struct hedge_times {
    _Atomic uint32_t buckets[HEDGE_BUCKETS]; /* four to a doubling, from a microsecond on */
    _Atomic uint32_t count;
    _Atomic int64_t known_ms,
        computed_ms; /* the percentile, and when it was computed; 0 and -1: not known yet */
    _Atomic uint64_t begun, won;
};

struct hedge_rules {
    int64_t after_ms;          /* 0: by `percentile` */
    double percentile;         /* 0 to 1; both 0: no hedging */
    int64_t min_ms;            /* of a percentile */
    struct hedge_times *times; /* NULL: no hedging */
};

struct hedge_config {
    struct hedge_after {
        int64_t ms;
        double percentile;
    } after;
    int64_t min_ms;
};
extern const struct field hedge_fields[];
bool hedge_rules_build(struct binder *binder, struct states *states, struct text service,
                       const struct hedge_config *config, const struct node *node, struct hedge_rules *rules);

/* How long to wait for the answer before a hedge; -1: there is none, or too little is known. Any worker. */
int64_t hedge_after_ms(const struct hedge_rules *rules, int64_t now_ms);

/* An answer took so long. Any worker. */
void hedge_answered(const struct hedge_rules *rules, int64_t took_ns);
