/* What the control thread of a gateway process holds. Private to src/control. */
#pragma once

#include "control/supervisor_link.h"
#include "net/resolver.h"
#include "net/thread_pool.h"
#include "proxy/listener_socket.h"
#include "proxy/snapshot.h"
#include "proxy/worker.h"

/* An access log that snapshots share: freed with the last one that writes to it. */
struct shared_log {
    struct text path;
    struct log_file *file;
    unsigned claims;
    struct list link; /* in the gateway's list */
};

/* A task that a worker runs to show that it goes round. */
struct ping {
    struct task task;
    _Atomic bool under_way;
};

struct gateway {
    const char *config_path;
    struct supervisor_link supervisor;
    struct worker
        control; /* the control thread is a worker too: its loop, and the admin listener's exchanges */
    struct worker workers[WORKERS_MAX];
    struct worker *all[WORKERS_MAX + 1]; /* the workers, then the control thread */
    unsigned workers_count;
    struct upstream_worker *upstreams[WORKERS_MAX + 1];
    struct buffer_budget budget;
    struct thread_pool *threads;
    struct resolver *resolver;
    struct endpoints *endpoints;
    struct discovery *discovery;
    struct health_checker *checker;
    struct states *states;
    struct metrics *metrics;
    struct snapshot_builder builder;
    struct snapshot *snapshot; /* the newest */
    unsigned snapshots_alive;
    struct snapshot *admin; /* of the admin listener; NULL: none */
    struct list sockets;    /* struct socket_claim */
    struct list logs; /* struct shared_log: the newest snapshot's, and those that older ones still write to */
    struct log_file_stats logs_closed; /* what others before them counted */
    struct watch signals;
    struct timer settle, exit_check;
    struct watcher *watcher;
    struct certificate_keeper *keeper;
    unsigned drained; /* workers that have finished */
    bool draining, ready;
    bool is_successor; /* another gateway process serves until this one is ready */
    bool told_to_stop; /* by a signal, or by the end of the supervisor */
    bool retiring;     /* draining because a successor serves: the sockets are shared with it */
    struct task retire;
    struct timer report, watch;
    int64_t watch_ms;
    struct ping pings[WORKERS_MAX];
    char processes[1024]; /* as the supervisor tells: supervisor_wire.h */
    uint64_t upgrades_done, upgrades_failed;
    char upgrade_failure[256];
    int64_t began_ns, reload_ns; /* wall clock */
    uint64_t reloads, failures;
    struct load *load;        /* under way; NULL: none */
    bool reload_again;        /* after it */
    uint64_t applied_version; /* of the newest snapshot that all workers have adopted */
    int64_t read_ns;          /* spent on the files at the last reload */
    int64_t apply_ns;         /* from the first change of the router to the adoption by the last worker */
    char data_dir[512];
    char last_failure[1024];
};

/* --- gateway.c --- */

/* A successor serves: accepts no more, and lets what is connected finish, idle connections too. */
void gateway_retire(struct gateway *gateway);

/* --- gateway_told.c --- */
void gateway_listen_to_supervisor(struct gateway *gateway);
void gateway_stop_timers(struct gateway *gateway);
int64_t gateway_connections(
    const struct gateway *gateway); /* of clients, on all listeners of the newest snapshot */

/* --- gateway_reload.c --- */

/* Builds and publishes what was read at start. False: said on standard error. */
bool gateway_load_first(struct gateway *gateway, const struct document *document);
/* Reads the configuration on another thread, then builds and publishes it. What is wrong is said on standard error; the old one stays in force. */
void gateway_reload(struct gateway *gateway);
/* Forgets a load whose thread has ended. */
void gateway_reload_stop(struct gateway *gateway);

/* --- gateway_publish.c --- */

/* NULL: the report says why, or as snapshot_build() has it. Publish it before the next is built. */
struct snapshot *gateway_build(struct gateway *gateway, const struct document *document,
                               struct report *report);
void gateway_publish(struct gateway *gateway, struct snapshot *snapshot);
/* What the supervisor has to know of the settings in force. */
void gateway_tell_settings(struct gateway *gateway);
void gateway_snapshot_unused(struct snapshot *snapshot);
void gateway_snapshot_adopted(struct snapshot *snapshot);
void gateway_unpin(struct snapshot *snapshot);
extern struct gateway *gateway_of_process; /* the only one: for callbacks without a context */

/* --- gateway_sockets.c --- */
bool gateway_open_sockets(struct gateway *gateway, struct snapshot *snapshot, struct report *report);
/* Sockets of older snapshots listen no more; who is connected stays. */
void gateway_refuse_on_old_sockets(struct gateway *gateway);
void gateway_drop_sockets(struct gateway *gateway, struct snapshot *snapshot);
void gateway_write_addresses(const struct gateway *gateway);

/* --- admin.c --- */
/* The admin listener, as the newest snapshot says; none is fine. False: said in the log. */
bool gateway_open_admin(struct gateway *gateway);
void gateway_close_admin(struct gateway *gateway);

/* --- log_sink.c --- */
void log_sink_install(struct loop *control);
void log_sink_remove(void);

/* --- certificate_keeper.c --- */

/* Looks after the newest snapshot's certificates from now on, every second. NULL: no memory. */
struct certificate_keeper *certificate_keeper_new(struct gateway *gateway);
void certificate_keeper_stop(struct certificate_keeper *keeper); /* before the newest snapshot goes */
void certificate_keeper_free(struct certificate_keeper *keeper); /* after the thread pool has ended */

/* --- watcher.c --- */

/* Calls `changed` (on the loop) a little after one of the files changed, was replaced, or came: a file's name may be a pattern of fnmatch(3).
 * What else happens in their folders is no change. The files stay valid until the next call. */
struct watcher *watcher_new(struct loop *loop, void (*changed)(void *argument), void *argument,
                            struct error *reterr);
void watcher_set(struct watcher *watcher, const struct file_stamp *files, size_t count);
void watcher_free(struct watcher *watcher);
