/* Where endpoints come from when they are not written down: names, service records, files. Control thread.
 *
 * A source is asked once for the whole node, however many services and snapshots use it, and lives as long as one does. What it found last
 * stays when asking fails: an error never empties a service. How a kind of source asks is its own file's business (discover_*.c). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "net/address.h"
#include "net/loop.h"

struct discovery;
struct source_type;
struct endpoint_spec;
struct resolver;

struct discovery_options {
    int64_t ttl_min_ms, ttl_max_ms; /* bounds of what an answer says of its own life */
    int64_t negative_ms;            /* longest time after a failure until a name is asked for again */
    int64_t hold_ms;                /* how long an address is kept after it was last in an answer */
    int64_t file_ms;                /* how often files are looked at */
};

enum source_kind { SOURCE_DNS, SOURCE_SRV, SOURCE_FILE };

/* One endpoint that a source knows. Of a name: addresses alone, without ports. */
struct found {
    struct address address;
    struct text host;  /* of a service record: the target, which has this address */
    uint16_t priority; /* of a service record */
    uint32_t weight;   /* above 0 */
    int64_t seen_ms;   /* when it was last in an answer */
};

enum { SOURCE_REASON_SIZE = 240, FOUND_MAX = 4096 };

struct source {
    const struct source_type *type;
    struct discovery *discovery;
    struct text key;  /* "dns:orders.example" */
    struct text name; /* the part after the colon, zero-terminated */
    struct list link, users;
    unsigned claims;

    struct found *found; /* DNS and SRV; heap, with texts of its own kind */
    uint32_t found_count;
    const struct endpoint_spec *specs; /* FILE */
    uint32_t specs_count;

    bool settled;        /* it has answered or failed at least once */
    int64_t answered_ms; /* loop time of the last good answer; 0: none yet */
    int64_t changed_ms;  /* when what it found was last different */
    int64_t next_ms;     /* when it is asked again; 0: it is being asked */
    uint64_t answers, failures, changes;
    unsigned failures_in_a_row;
    char reason[SOURCE_REASON_SIZE]; /* of the last failure; empty: the last answer was good */
};

/* Whoever wants to know of changes. `changed` may not claim or release sources of its own: it posts a task for that. */
struct source_use {
    struct list link;
    void (*changed)(struct source_use *use);
};

/* `resolver` may be NULL (tests, `turnpike check`): names are then never asked for. `options` are copied. */
struct discovery *discovery_new(struct loop *control, struct resolver *resolver,
                                const struct discovery_options *options);
void discovery_free(struct discovery *discovery); /* after the last release */
void discovery_configure(struct discovery *discovery, const struct discovery_options *options);
extern const struct discovery_options discovery_defaults;

/* Finds or makes a source, and asks it: a file at once, names on the loop. NULL: no memory. */
struct source *source_claim(struct discovery *discovery, enum source_kind kind, struct text name,
                            struct source_use *use);
void source_release(struct source *source, struct source_use *use);

/* True when every source has answered or failed at least once. */
bool discovery_settled(const struct discovery *discovery);

/* Walks for status pages: NULL at the end. */
const struct source *discovery_next(const struct discovery *discovery, const struct source *previous);
const struct source *discovery_find(const struct discovery *discovery, struct text key);
