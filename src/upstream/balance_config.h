/* How a service's balancing is configured: the tables, and what they make. */
#pragma once

#include "upstream/balance.h"

struct sticky_config {
    struct text cookie, header, path;
    struct array secrets;
    int64_t ttl_ms;
    int same_site, secure;
};

struct subset_config {
    struct array by;   /* struct text */
    struct array from; /* struct text_pair-like: struct subset_value */
    int fallback;
};

struct balance_config {
    int type;
    const struct expr *key;
    double load_factor, overflow, own_share;
    int64_t table, points, decay_ms, slow_start_ms;
    int zones;
    struct subset_config subset;
    struct sticky_config sticky;
};

extern const struct field balance_fields[];

/* Checks what a table cannot, and makes the rules. `node` is the value of `balance`, or the service where it has none. False: the binder's
 * report says why. */
bool balance_rules_make(struct binder *binder, const struct balance_config *config, const struct node *node,
                        struct text own_zone, struct balance_rules *ret_rules);

/* The rules where none are configured: round-robin. */
void balance_rules_default(struct balance_rules *ret_rules);
