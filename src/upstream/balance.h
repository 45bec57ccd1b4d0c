/* Which endpoint is next: the rules as configured, what one choice is made by, and the interface of the algorithms.
 *
 * An algorithm chooses within a group: endpoints of one set that share subset, priority and zone (endpoint_set.h). What it has to
 * remember between choices is shared by all workers, so that they act as one: turns and load in `struct group_shared`, the rest in
 * the endpoints. What can be computed beforehand is a table, made when the set is. */
#pragma once

#include <stdatomic.h>

#include "base/arena.h"
#include "config/field.h"
#include "upstream/endpoint.h"

struct balance_type;

enum { SUBSET_LABELS_MAX = 3, ATTEMPTS_MAX = 16, RAMP_FULL = 1 << 16 };

enum sticky_same_site { SAME_SITE_LAX, SAME_SITE_STRICT, SAME_SITE_NONE };
enum sticky_secure { SECURE_AUTO /* where the client came by https */, SECURE_ALWAYS, SECURE_NEVER };

/* How a client is kept at its endpoint. */
struct sticky_rules {
    struct text cookie, header; /* one of them has a name; neither: not kept */
    const struct text *secrets; /* the first one signs, all of them verify */
    size_t secrets_count;
    int64_t ttl_s; /* of the cookie; 0: until the browser is closed */
    struct text path;
    enum sticky_same_site same_site;
    enum sticky_secure secure;
};

/* Part of a service (`balance` of struct service), immutable. */
struct balance_rules {
    const struct balance_type *type;
    const struct expr *key; /* for consistent hashing */
    double load_factor;  /* bounded load: most load of an endpoint, as a multiple of its share; 0: no bound */
    uint32_t table_size; /* maglev: a prime */
    uint32_t points;     /* ring: points for each unit of weight */
    int64_t decay_ms;    /* peak-ewma */
    double overflow;     /* share of a priority that has to be usable for it to take all requests */
    int64_t slow_start_ms; /* 0: at once */
    bool zones;            /* prefer the node's own zone */
    struct text own_zone;
    double own_share; /* of the requests that enter in the own zone; 0: the same in every zone */
    struct text subset_labels[SUBSET_LABELS_MAX];
    const struct expr *subset_values[SUBSET_LABELS_MAX]; /* NULL: only routes choose */
    uint8_t subset_count;
    bool subset_any; /* where no endpoint has the labels: any endpoint; else none */
    struct sticky_rules sticky;
    bool asks_request; /* key, subset or sticky: there is something in a request to choose by */
};

/* Endpoints that one exchange has tried. */
struct tried {
    uint32_t ids[ATTEMPTS_MAX];
    uint8_t count;
};

/* What one choice is made by, besides the state of the endpoints. Zeroed: nothing is asked for. */
struct pick {
    bool has_key;
    uint64_t key;                          /* hash of the key for consistent hashing */
    uint64_t wanted;                       /* endpoint.hash that a sticky token names; 0: none */
    struct text subset[SUBSET_LABELS_MAX]; /* values of the subset's labels; empty: any */
    struct tried tried;
};

/* An endpoint as algorithms see it: those that are drained are not among them. */
struct candidate {
    struct endpoint *endpoint;
    uint32_t weight; /* above 0 */
};

/* What the workers of the node share about a group; lives as long as a snapshot has the service. */
struct group_shared {
    _Atomic uint64_t turn;
    _Atomic int32_t in_flight;
};

struct balance_group {
    struct candidate *candidates;
    uint32_t count;
    uint64_t weight; /* of all */
    struct group_shared *shared;
    const void *table;       /* of the algorithm */
    _Atomic uint64_t usable; /* weight of those that are usable, as it was when they were last looked at */
};

struct balance_type {
    const char *name; /* as it is configured */
    bool needs_key;
    bool is_timed; /* answers are timed: endpoint_timed() */

    /* Makes `group->table` in `arena`; NULL: there is none. False: no memory. Control thread. */
    bool (*prepare)(struct balance_group *group, const struct balance_rules *rules, struct arena *arena);

    /* Index of a candidate; `group->count` is at least 1. Any worker. */
    uint32_t (*pick)(const struct balance_group *group, const struct balance_rules *rules,
                     const struct pick *pick, int64_t now_ms);
};

extern const struct balance_type balance_round_robin, balance_random, balance_least_requests,
    balance_peak_ewma, balance_maglev, balance_ring;

/* --- for the algorithms --- */

/* How welcome a candidate is: out of service, in service but tried by this exchange, held back by its slow start, welcome. */
enum rank { RANK_UNUSABLE, RANK_TRIED, RANK_HELD, RANK_WELCOME };

enum rank candidate_rank(const struct candidate *candidate, const struct balance_rules *rules,
                         const struct pick *pick, int64_t now_ms);

/* The part of its weight that slow start allows, of RAMP_FULL. */
uint32_t candidate_ramp(const struct candidate *candidate, const struct balance_rules *rules, int64_t now_ms);

/* One of those with the best rank, at random by weight: for when an algorithm's own order met nobody who is welcome. Looks at all. */
uint32_t group_scan(const struct balance_group *group, const struct balance_rules *rules,
                    const struct pick *pick, int64_t now_ms);

/* Is the candidate within its bound of the group's load? Always, where none is configured. */
bool candidate_has_room(const struct balance_group *group, const struct candidate *candidate,
                        const struct balance_rules *rules);

/* One who is welcome and has room, from where the key begins on; if there is none as group_scan(). Looks at all. */
uint32_t group_find_room(const struct balance_group *group, const struct balance_rules *rules,
                         const struct pick *pick, int64_t now_ms);

/* What a key is, for a request without one: random. */
uint64_t pick_key(const struct pick *pick);

bool pick_was_tried(const struct pick *pick, const struct endpoint *endpoint);
void pick_note_tried(struct pick *pick, const struct endpoint *endpoint);

/* One round of smooth weighted round-robin over the candidates (as published with nginx 1.3.1), in `arena`; `*ret_count` turns. Weights
 * are divided by their common divisor and scaled to at most 4,096 turns. NULL: no memory. */
const uint16_t *balance_turns(struct arena *arena, const struct candidate *candidates, uint32_t count,
                              uint32_t *ret_count);

/* --- time of answers, for peak-ewma --- */

/* An endpoint took so long to begin its answer; `failed`: it gave none. Any worker. */
void endpoint_timed(struct endpoint *endpoint, int64_t took_us, bool failed, int64_t decay_ms,
                    int64_t now_ms);

/* Its moving peak in microseconds, 0: nothing is known yet. */
uint32_t endpoint_latency_us(const struct endpoint *endpoint, int64_t decay_ms, int64_t now_ms);
