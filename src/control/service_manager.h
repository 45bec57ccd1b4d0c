/* The service manager's side of things, as systemd defines it (sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3)): sockets that it
 * passes, and datagrams that tell it how we are. Without one every call does nothing. The protocol is a few lines of text on a datagram
 * socket, so that no library is needed: docs/adr/0019. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "control/listening.h"
#include "net/address.h"

struct service_manager {
    int fd; /* -1: nobody wants to be told */
    struct sockaddr_storage to;
    socklen_t to_size;
    int64_t watchdog_ns; /* how often it must hear from us; 0: no watchdog */
    int64_t next_ns;     /* monotonic: when to tell next */
    bool reloading;
};

/* Reads the environment and takes the sockets that were passed. */
void service_manager_init(struct service_manager *manager, struct listening_set *sockets);
void service_manager_release(struct service_manager *manager);

/* In a child process: it is none of the manager's. */
void service_manager_forget(void);

void service_manager_ready(struct service_manager *manager);
void service_manager_reloading(struct service_manager *manager);
void service_manager_reloaded(struct service_manager *manager, struct text said); /* one line */
void service_manager_status(struct service_manager *manager, const char *said);
void service_manager_stopping(struct service_manager *manager, int64_t drain_ms);

/* Tells the watchdog if it is time. Returns when to call next, 0: never. */
int64_t service_manager_alive(struct service_manager *manager, int64_t now_ns);
