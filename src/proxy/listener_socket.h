/* A listening socket that snapshots share: opened by the control thread when a snapshot is published, closed when the last one that has it is
 * freed. The descriptor is the same in all workers. */
#pragma once

#include "base/text.h"
#include "net/address.h"

struct listener_socket {
    struct text key;       /* address as configured */
    struct address actual; /* with the port that the kernel chose, where the configured one is 0 */
    int fd;
    bool passed;     /* by a service manager, which has it too: never shut down */
    unsigned claims; /* of snapshots; control thread */
};

static inline int listener_socket_fd(const struct listener_socket *socket)
{
    return socket->fd;
}
