/* Datagrams to NOTIFY_SOCKET, descriptors from LISTEN_FDS. */
#include "control/service_manager.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/time.h"

enum { FIRST_PASSED_FD = 3, MESSAGE_SIZE = 512, DRAIN_SPARE_MS = 5000 };

/* --- the environment --- */

static const char *const told_variables[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"};
static const char *const passed_variables[] = {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES",
                                               "LISTEN_PIDFDID"};

void service_manager_forget(void)
{
    for (size_t i = 0; i < COUNT_OF(told_variables); i++)
        (void)unsetenv(told_variables[i]); /* fails only for names that are none */
}

static bool read_number(const char *variable, uint64_t *ret_number)
{
    const char *said = getenv(variable);
    return said && text_to_uint64(text_of(said), ret_number);
}

/* --- sockets --- */

static void take_sockets(struct listening_set *sockets)
{
    uint64_t pid, count;
    const char *names = getenv("LISTEN_FDNAMES");
    struct text rest = names ? text_of(names) : (struct text){0};
    if (!read_number("LISTEN_PID", &pid) || pid != (uint64_t)getpid() || !read_number("LISTEN_FDS", &count))
        return; /* none, or for another process */
    for (int i = 0; i < (int)MIN_OF(count, (uint64_t)LISTENING_MAX); i++) {
        struct error error = {.code = 0};
        struct text name = rest.at ? text_split(&rest, ':') : TEXT("");
        if (!listening_set_pass(sockets, FIRST_PASSED_FD + i, name, &error))
            log_warn("a socket that the service manager passed is not used",
                     LOG_INT("descriptor", FIRST_PASSED_FD + i), LOG_TEXT("name", name),
                     LOG_STRING("reason", error.said));
    }
}

/* --- telling --- */

static void tell(struct service_manager *manager, const char *message)
{
    if (manager->fd < 0)
        return;
    ssize_t sent = sendto(manager->fd, message, strlen(message), MSG_NOSIGNAL | MSG_DONTWAIT,
                          (const struct sockaddr *)&manager->to, manager->to_size);
    if (sent < 0)
        log_warn("the service manager cannot be told", LOG_STRING("reason", strerror(errno)));
}

/* A path, or '@' and an abstract name. */
static bool find_manager(struct service_manager *manager, const char *where)
{
    struct address address = {.any = {.sa_family = AF_UNIX}, .path = where};
    if ((where[0] != '/' && where[0] != '@') || strlen(where) >= sizeof((struct sockaddr_un *)0)->sun_path)
        return false;
    manager->to_size = address_to_socket(&address, &manager->to);
    manager->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return manager->fd >= 0;
}

void service_manager_init(struct service_manager *manager, struct listening_set *sockets)
{
    const char *where = getenv("NOTIFY_SOCKET");
    uint64_t microseconds, pid = (uint64_t)getpid();
    *manager = (struct service_manager){.fd = -1};
    take_sockets(sockets);
    for (size_t i = 0; i < COUNT_OF(passed_variables); i++)
        (void)unsetenv(
            passed_variables[i]); /* as above: an upgrade executes this program again, with them taken */
    if (where && *where && !find_manager(manager, where))
        log_warn("NOTIFY_SOCKET is no socket that can be used", LOG_STRING("socket", where));
    (void)read_number("WATCHDOG_PID", &pid); /* stays ours if it is not said */
    if (read_number("WATCHDOG_USEC", &microseconds) && pid == (uint64_t)getpid()
        && microseconds < (uint64_t)INT64_MAX / 1000)
        manager->watchdog_ns = (int64_t)microseconds * 1000;
}

void service_manager_release(struct service_manager *manager)
{
    if (manager->fd >= 0)
        close(manager->fd);
    manager->fd = -1;
}

void service_manager_ready(struct service_manager *manager)
{
    char message[MESSAGE_SIZE];
    snprintf(message, sizeof message, "READY=1\nMAINPID=%d\nSTATUS=Serving", (int)getpid());
    manager->reloading = false;
    tell(manager, message);
}

void service_manager_reloading(struct service_manager *manager)
{
    char message[MESSAGE_SIZE];
    snprintf(message, sizeof message, "RELOADING=1\nMONOTONIC_USEC=%" PRId64 "\nSTATUS=Reloading",
             time_monotonic_ns() / 1000);
    manager->reloading = true;
    tell(manager, message);
}

void service_manager_reloaded(struct service_manager *manager, struct text said)
{
    char message[MESSAGE_SIZE];
    snprintf(message, sizeof message, "%sSTATUS=Serving; last reload: %.*s",
             manager->reloading ? "READY=1\n" : "", (int)MIN_OF(said.size, (size_t)400), said.at);
    manager->reloading = false;
    tell(manager, message);
}

void service_manager_status(struct service_manager *manager, const char *said)
{
    char message[MESSAGE_SIZE];
    snprintf(message, sizeof message, "STATUS=%s", said);
    tell(manager, message);
}

/* A drain may last longer than the manager would wait. */
void service_manager_stopping(struct service_manager *manager, int64_t drain_ms)
{
    char message[MESSAGE_SIZE];
    snprintf(message, sizeof message, "STOPPING=1\nSTATUS=%s\nEXTEND_TIMEOUT_USEC=%" PRId64,
             drain_ms ? "Draining" : "Stopping", (drain_ms + DRAIN_SPARE_MS) * 1000);
    tell(manager, message);
}

int64_t service_manager_alive(struct service_manager *manager, int64_t now_ns)
{
    if (manager->watchdog_ns == 0 || manager->fd < 0)
        return 0;
    if (now_ns >= manager->next_ns) {
        tell(manager, "WATCHDOG=1");
        manager->next_ns = now_ns + manager->watchdog_ns / 2;
    }
    return manager->next_ns;
}
