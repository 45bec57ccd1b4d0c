/* A snapshot: the whole configuration, compiled and immutable. Workers read it; the control thread makes and frees it.
 *
 * It is made of objects (listeners, services, routes, the consumer set, the gateway's policies): two snapshots share every object
 * whose configuration, and whose parts' configuration, is the same. */
#pragma once

#include <stdatomic.h>

#include "base/table.h"
#include "config/document.h"
#include "config/field.h"
#include "config/schema.h"
#include "http/h1.h"
#include "net/loop.h"
#include "proxy/consumer.h"
#include "proxy/object.h"
#include "proxy/route.h"
#include "proxy/route_book.h"
#include "upstream/discover.h"

struct listener_socket;
struct shared_log;
struct log_template;
struct tls_server;

enum forwarded_mode {
    FORWARDED_APPEND, /* the sender's values are kept, ours is added */
    FORWARDED_SET,    /* the sender's values are dropped, ours stand alone */
    FORWARDED_TRUST,  /* set, but kept as they are from trusted proxies */
    FORWARDED_OFF,
};

struct listener_config {
    struct text name;
    struct text address; /* as written */
    struct h1_limits limits;
    int64_t body_bytes_max;                               /* 0: none */
    int64_t buffered_bytes_max;                           /* of bodies that a policy needs whole */
    uint32_t connections_max, connections_per_client_max; /* 0: none */
    uint32_t requests_max;                                /* on one connection; 0: none */
    int64_t handshake_timeout_ms;                         /* of TLS */
    int64_t head_timeout_ms, body_timeout_ms, idle_timeout_ms, send_timeout_ms;
    int64_t lifetime_ms;   /* of a connection; 0: none */
    int64_t body_rate_min; /* bytes a second; 0: none */
    const struct cidr_set *trusted_set;
    int client_address_from; /* enum client_address_source */
    enum forwarded_mode forwarded;
    bool forwarded_field; /* RFC 7239 Forwarded as well */
    bool via;
    struct text server;           /* Server field of answers made here; empty: none */
    struct listener_state *state; /* shared by workers, survives reloads */
    const struct tls_server *tls; /* NULL: plain */
};

enum client_address_source { CLIENT_FROM_X_FORWARDED_FOR, CLIENT_FROM_FORWARDED, CLIENT_FROM_X_REAL_IP };

enum { WORKERS_MAX = 64 };

struct settings {
    int64_t workers; /* 0: one per core */
    struct text data_dir;
    int log_level, log_format;
    struct text user;
    bool watch;
    struct text access_log_path;            /* empty: none */
    int access_log_format;                  /* enum access_log_format */
    const struct expr *access_log_template; /* for format: template */
    struct text admin_address;              /* empty: none */
    int64_t buffers_bytes_max;
    int64_t drain_ms;
    int64_t core_bytes_max; /* 0: no cores */
    int64_t upgrade_ready_ms, upgrade_drain_ms;
    struct text dns_servers;
    int64_t dns_timeout_ms, dns_tries;
    bool dns_search;
    struct discovery_options discovery;
    struct text zone; /* where the node is; empty: unknown */
    int64_t health_checks_at_once;
    int64_t series_max; /* of metrics */
};

struct snapshot {
    uint64_t version;
    _Atomic unsigned to_adopt; /* workers that have not adopted it yet */
    _Atomic unsigned pins;     /* workers that use it, and the control thread while it is the newest */
    struct settings settings;
    const struct listener_config **listeners;
    size_t listeners_count;
    struct router *router;
    struct route *fallback; /* no route matches: the gateway's policies, then 404 */
    const struct consumer_set *consumers;
    struct file_stamp *files; /* for `watch` */
    size_t files_count;
    int64_t compared_ns;   /* spent on finding and building what changed */
    int64_t edit_began_ns; /* when it was known to be good, and began to be applied; monotonic */
    int64_t objects_built, objects_shared;
    /* The control thread's. */
    size_t routes_count;
    struct table services, listener_objects, certificates; /* name to struct object */
    struct route_edit *route_edit;                         /* until it is committed */
    struct route_generation generation;
    struct object *gateway_policies, *consumer_object, *settings_object;
    struct arena arena;
    struct task free_task, adopted_task;
    struct listener_socket **sockets; /* as many as listeners; set when the snapshot is published */
    struct shared_log *log;           /* control/: where access log lines go; NULL: nowhere */
};

/* What building needs; lives as long as the process. */
struct snapshot_builder {
    struct policy_builder policies;
    struct service_builder services;
    struct metrics *metrics;
    struct route_book routes; /* of the newest committed snapshot */
    uint64_t versions;
    uint64_t serials;
};

/* Builds a snapshot from a document, sharing with `previous`: the newest that was committed, NULL when none is alive. Nothing in force is changed.
 * NULL: the report says why; or, for a document with skipped files and without a word, that they have to be read. */
struct snapshot *snapshot_build(struct snapshot_builder *builder, const struct document *document,
                                struct snapshot *previous, struct report *report);

/* It is the newest now. Cannot fail. Before the next build, or not at all. */
void snapshot_commit(struct snapshot *snapshot);

/* For document_read_changed(): included files that need not be read. */
struct document_skip snapshot_skip(const struct snapshot_builder *builder);
/* Walks the configured services, begun with `*cursor` 0; NULL: no more. */
const struct service *snapshot_next_service(const struct snapshot *snapshot, size_t *cursor);

/* Control thread: when no one pins it any more. */
void snapshot_free(struct snapshot *snapshot);

/* The parts of the configuration file, for schema and manual; `count` of them, the first is the top level. */
extern const struct object_kind snapshot_kinds[];
extern const size_t snapshot_kinds_count;
