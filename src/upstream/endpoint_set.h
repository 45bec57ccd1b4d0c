/* The endpoints of a service at one moment, arranged for choosing: immutable but for a few counters, made by the control thread.
 *
 * Endpoints are divided three times: into subsets by their labels (the first subset is all of them), within these into tiers by
 * priority, within these into groups by zone. An algorithm chooses within one group. */
#pragma once

#include "upstream/balance.h"

/* One endpoint as a service has it. */
struct service_endpoint {
    struct endpoint *endpoint;
    uint32_t weight;   /* 0: drained */
    uint32_t priority; /* 0 first */
    bool drain;
    struct text zone;
    struct array labels; /* struct text_pair */
};

/* Endpoints with the same priority. */
struct tier {
    struct balance_group all;
    struct balance_group *zones; /* where zones count: one for each, in no order */
    uint32_t zones_count;
    int32_t own; /* which of them is the node's own; -1: none */
    uint32_t priority;
    _Atomic int64_t looked_ms; /* loop time when `usable` of the groups was counted */
};

struct known_endpoint {
    uint64_t hash;
    struct endpoint *endpoint;
};

struct subset {
    uint64_t hash; /* of its labels; 0: all endpoints */
    struct tier *tiers;
    uint32_t tiers_count;
    struct known_endpoint *known; /* drained ones too, by hash: for sticky clients */
    uint32_t known_count;
};

enum { GROUPS_SHARED = 16, SUBSETS_MAX = 1024, ZONES_MAX = 64, TIERS_MAX = 256 };

/* State of a service that is shared by its sets, and survives reloads: claimed by the service's name. Groups are numbered in the order in
 * which a set is built; beyond GROUPS_SHARED they share. */
struct service_shared {
    struct group_shared groups[GROUPS_SHARED];
    _Atomic uint64_t endpoints_left_out; /* of the newest set: over the limit */
};

struct endpoint_set {
    const struct balance_rules *rules;
    struct service_shared *shared;
    struct service_endpoint *endpoints;
    uint32_t count;
    struct subset *subsets; /* by hash; the first is all endpoints */
    uint32_t subsets_count;
};

/* Arranges `endpoints` (the array and its texts are kept, not copied) in `arena`. `rules` and `shared` must outlive the set. NULL: no memory, or
 * more than *_MAX of a kind: `*reterr` says which. */
struct endpoint_set *endpoint_set_build(struct arena *arena, const struct balance_rules *rules,
                                        struct service_shared *shared, struct service_endpoint *endpoints,
                                        uint32_t count, struct error *reterr);

/* What was chosen; valid until the end of the loop's turn, the endpoint for as long as a connection in its pool is busy. */
struct picked {
    struct endpoint *endpoint; /* NULL: there is none to choose */
    struct group_shared *shared;
};

/* Chooses: a sticky client's endpoint if it is in service; else the subset, the priority (a part of the requests overflows to the next one when
 * too few are usable), the zone, and within these what the algorithm says. One that was tried is chosen only if there is no
 * other; one that endpoint_usable() does not allow never is. */
struct picked endpoint_set_pick(struct endpoint_set *set, const struct pick *pick, int64_t now_ms);

/* Hash of labels, for subsets: `values` in the order of the rules' labels, empty ones left out; 0: all are empty. */
uint64_t subset_hash(const struct text *values, uint32_t count);
