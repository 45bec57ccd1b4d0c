/* Listening sockets, held by address for as long as they are wanted: in the supervisor, or in a gateway process that runs without one.
 *
 * The same address gives the same socket. With port 0 the kernel chooses a port; there the listener's name tells sockets apart, so that
 * each gets its own port and keeps it. Unix sockets' files are removed when their socket is dropped.
 *
 * A socket stays while a process claims it. In an upgrade two processes do: the one that serves and its successor; a process that crashed
 * leaves its claims behind until a successor is ready. Sockets that a service manager passed are matched by address, or else by the name
 * that the manager gave them, and stay until the end: the manager holds them too. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/list.h"
#include "base/text.h"
#include "net/address.h"

enum {
    LISTENING_MAX = 1024,      /* sockets in a set */
    LISTENING_BACKLOG = 4096,  /* connections that wait; the kernel caps it at net.core.somaxconn */
    LISTENING_NAME_SIZE = 256, /* of listeners, with a zero byte */
    LISTENING_CLAIMS_MAX =
        3, /* on one socket: of a process that ended, of the one that serves, of its successor */
};

/* Who claims: a number for each gateway process, from 1. */
enum { LISTENING_LEFT = 0 };

struct listening_claim {
    bool held;
    uint64_t by;
    char name[LISTENING_NAME_SIZE]; /* of the listener */
};

/* One socket. Only supervisor_state.c looks inside, to hand it on. */
struct listening {
    struct list link;
    int fd;
    struct address address; /* as asked for; the path is `written` */
    char written[ADDRESS_TEXT_SIZE];
    struct listening_claim claims[LISTENING_CLAIMS_MAX];
    bool passed; /* by the service manager */
    char passed_name[LISTENING_NAME_SIZE];
    dev_t device; /* of a unix socket's file: another one in its place is not ours to remove */
    ino_t inode;
};

struct listening_set {
    struct list all; /* struct listening */
    size_t count;
};

void listening_set_init(struct listening_set *set);
void listening_set_release(struct listening_set *set); /* drops all */

/* The socket for an address ("127.0.0.1:80", "[::1]:0", "unix:/run/x"), bound now or held already; non-blocking, close-on-exec, the set's.
 * It now belongs to the listener `name` as far as `claim` goes. Or NULL and what to do about it. */
struct listening *listening_set_open(struct listening_set *set, struct text name, struct text address,
                                     uint64_t claim, struct error *reterr);

/* Takes back a claim, and closes the socket if it was the last one. A socket that the same process claimed for another listener meanwhile
 * stays: a listener may be renamed in a reload. */
void listening_set_drop(struct listening_set *set, struct text name, struct text address, uint64_t claim);

/* A process has taken over: no claim but its own counts any more. Returns how many sockets that closed; who waits on them is refused. */
size_t listening_set_keep(struct listening_set *set, uint64_t claim);

/* A process has failed to take over: its claims go, and what only it had. */
void listening_set_forget(struct listening_set *set, uint64_t claim);

/* A process has ended, and its successor will want the same. */
void listening_set_leave(struct listening_set *set, uint64_t claim);

/* Takes a socket that a service manager passed under a name ("" for none). False, and a reason: it is none to accept connections from, and was
 * closed. */
bool listening_set_pass(struct listening_set *set, int fd, struct text name, struct error *reterr);

/* Takes a socket that this program, before an upgrade, held at that address. NULL: it is not one. The caller adds the claims. */
struct listening *listening_set_restore(struct listening_set *set, int fd, struct text address);
