/* The gateway process's side of its link to the supervisor. Control thread only: calls wait for the supervisor's answer, which
 * comes at once, for ten seconds at most.
 *
 * Without a supervisor (descriptor -1) the same calls work in this process: sockets are bound here, reports go nowhere. */
#pragma once

#include "base/log.h"
#include "control/listening.h"
#include "net/address.h"
#include "net/loop.h"

struct wire_message;

struct supervisor_link {
    int fd;            /* -1: no supervisor, or no longer */
    uint64_t requests; /* so far */
    struct listening_set own;
    struct loop *loop; /* where `watch` is registered; NULL: nowhere */
    struct watch watch;
    void (*on_gone)(struct supervisor_link *link);
    /* What the supervisor says unasked, perhaps while an answer is awaited; NULL: nothing is of interest. */
    void (*on_told)(struct supervisor_link *link, const struct wire_message *message);
};

/* What the supervisor passed in the environment. */
struct supervisor_legacy {
    int fd;            /* -1: there is none, or it is no socket */
    bool is_successor; /* another gateway process still serves */
};

/* Takes it from the environment: the variables are removed, so that they reach no process that is started from here. Before there are threads. */
struct supervisor_legacy supervisor_link_inherit(void);

/* Takes over the descriptor (or -1), and asks the kernel for SIGTERM when the supervisor dies. 0, or a negative errno. */
int supervisor_link_open(struct supervisor_link *link, int fd);
/* What it says is not heard any more; it can still be told. */
void supervisor_link_unwatch(struct supervisor_link *link);
void supervisor_link_close(struct supervisor_link *link);

/* A change of user or group makes the kernel forget that request: call this on the main thread after privileges were dropped. */
void supervisor_link_renew(const struct supervisor_link *link);

/* Calls `on_gone` once, on the loop, when the supervisor is gone: time to drain. 0, or a negative errno. Without a supervisor: nothing. */
int supervisor_link_watch(struct supervisor_link *link, struct loop *loop,
                          void (*on_gone)(struct supervisor_link *link));

/* A listening socket for the address, which must be followed by a zero byte. Returns a descriptor, the caller's to close (that ends
 * listening here; the supervisor goes on to hold the socket), or a negative errno with a sentence that says what to do.
 *
 * The same address gives the same socket again, after a reload and in the successor of a crashed process; with port 0 it goes by
 * `name` too. *ret_actual has the port in use; for a unix socket its path points into `address`. *ret_passed: it is a service manager's, and will be
 * listened on after this program; never shut it down. */
int supervisor_link_listen(struct supervisor_link *link, struct text name, struct text address,
                           struct address *ret_actual, bool *ret_passed, struct error *reterr);

/* The listener no longer exists: the socket is closed for good, unless a listener of another name has asked for it since. */
void supervisor_link_release(struct supervisor_link *link, struct text name, struct text address);

/* Serving has begun. The supervisor now closes the sockets of a predecessor that were not asked for, and forwards signals. */
void supervisor_link_ready(struct supervisor_link *link);

/* How a reload ended; `said` is one line. */
void supervisor_link_reloaded(struct supervisor_link *link, bool ok, struct text said);

/* The supervisor logs as the configuration says. */
void supervisor_link_log(struct supervisor_link *link, enum log_level level, enum log_format format);

/* How long an upgrade may wait for a new gateway process, and how long a drain takes at most. */
void supervisor_link_settings(struct supervisor_link *link, int64_t ready_ms, int64_t drain_ms);

/* Connections that are left in a gateway process that retires. */
void supervisor_link_left(struct supervisor_link *link, int64_t connections);

/* All threads go round: for the watchdog. */
void supervisor_link_alive(struct supervisor_link *link);
