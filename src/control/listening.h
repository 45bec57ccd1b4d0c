/* Listening sockets, held by address for as long as they are wanted: in the supervisor, or in a gateway process that runs without one.
 *
 * The same address gives the same socket. With port 0 the kernel chooses a port; there the listener's name tells sockets apart, so that
 * each gets its own port and keeps it. Unix sockets' files are removed when their socket is dropped. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"
#include "base/text.h"

enum {
    LISTENING_MAX = 1024,      /* sockets in a set */
    LISTENING_BACKLOG = 4096,  /* connections that wait; the kernel caps it at net.core.somaxconn */
    LISTENING_NAME_SIZE = 256, /* of listeners, with a zero byte */
};

struct listening_set {
    struct list all; /* struct listening */
    size_t count;
};

void listening_set_init(struct listening_set *set);
void listening_set_release(struct listening_set *set); /* drops all */

/* The socket for an address ("127.0.0.1:80", "[::1]:0", "unix:/run/x"), bound now or held already; non-blocking, close-on-exec, the set's.
 * It now belongs to the listener `name` and counts as claimed by `claim`. Or a negative errno and what to do about it. */
int listening_set_open(struct listening_set *set, struct text name, struct text address, uint64_t claim,
                       struct error *reterr);

/* Closes the socket for an address. One that another listener opened meanwhile stays: a listener may be renamed in a reload. */
void listening_set_drop(struct listening_set *set, struct text name, struct text address);

/* Closes those whose last claim is another one; returns how many. */
size_t listening_set_drop_unclaimed(struct listening_set *set, uint64_t claim);
