/* Making sockets: listening, connecting, accepting. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/address.h"

static int set_option(int fd, int level, int option)
{
    int one = 1;
    return setsockopt(fd, level, option, &one, sizeof one) ? -errno : 0;
}

static int set_listener_options(int fd, int family, bool reuse_port)
{
    if (family == AF_UNIX)
        return 0;
    int error = set_option(fd, SOL_SOCKET, SO_REUSEADDR);
    if (!error && reuse_port)
        error = set_option(fd, SOL_SOCKET, SO_REUSEPORT);
    if (!error && family == AF_INET6)
        error = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    if (!error)
        error = set_option(fd, IPPROTO_TCP,
                           TCP_NODELAY); /* accepted sockets inherit it: a system call less for each */
    return error;
}

/* Whether someone accepts connections at a unix address. A full backlog is life too. */
static bool is_alive(const struct sockaddr_storage *storage, socklen_t size)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return true;
    bool refused = connect(fd, (const struct sockaddr *)storage, size) && errno == ECONNREFUSED;
    close(fd);
    return !refused;
}

/* Takes a dead listener's socket file away. 0, or why it was left. */
static int remove_stale(const struct address *address, const struct sockaddr_storage *storage, socklen_t size)
{
    struct stat about;
    if (address->path[0] == '@' || lstat(address->path, &about))
        return -EADDRINUSE;
    if (!S_ISSOCK(about.st_mode))
        return -EEXIST;
    if (is_alive(storage, size))
        return -EADDRINUSE;
    return unlink(address->path) ? -errno : 0;
}

static int bind_to(int fd, const struct address *address)
{
    struct sockaddr_storage storage;
    socklen_t size = address_to_socket(address, &storage);
    if (!bind(fd, (struct sockaddr *)&storage, size))
        return 0;
    if (errno != EADDRINUSE || address->any.sa_family != AF_UNIX)
        return -errno;
    int error = remove_stale(address, &storage, size);
    if (error)
        return error;
    return bind(fd, (struct sockaddr *)&storage, size) ? -errno : 0;
}

/* What a person can do about it. */
static int explain(const struct address *address, int error, struct error *reterr)
{
    char written[ADDRESS_TEXT_SIZE];
    int size = (int)address_write(address, written);
    const char *advice = NULL;
    if (error == -EADDRINUSE)
        advice = "another process listens there already";
    else if (error == -EEXIST)
        advice = "a file that is no socket is in its place; remove it or choose another path";
    else if (error == -EADDRNOTAVAIL)
        advice = "this machine has no such address";
    else if (error == -EACCES && address->any.sa_family != AF_UNIX)
        advice = "ports below 1024 need the capability CAP_NET_BIND_SERVICE";
    if (advice)
        return error_set(reterr, error, "cannot listen on %.*s: %s", size, written, advice);
    return error_system(reterr, error, "cannot listen on %.*s", size, written);
}

int socket_listen(const struct address *address, int backlog, bool reuse_port, struct error *reterr)
{
    int family = address->any.sa_family;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return explain(address, -errno, reterr);
    int error = set_listener_options(fd, family, reuse_port);
    if (!error)
        error = bind_to(fd, address);
    if (!error && listen(fd, backlog))
        error = -errno;
    if (!error)
        return fd;
    close(fd);
    return explain(address, error, reterr);
}

static int bind_local(int fd, const struct address *local)
{
    struct sockaddr_storage storage;
    socklen_t size = address_to_socket(local, &storage);
    if (address_port(local) == 0 && local->any.sa_family != AF_UNIX)
        (void)set_option(fd, IPPROTO_IP,
                         IP_BIND_ADDRESS_NO_PORT); /* old kernels choose the port sooner; no harm */
    return bind(fd, (struct sockaddr *)&storage, size) ? -errno : 0;
}

int socket_connect(const struct address *address, const struct address *local)
{
    int family = address->any.sa_family;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int error = family == AF_UNIX ? 0 : set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    if (!error && local)
        error = bind_local(fd, local);
    if (!error) {
        struct sockaddr_storage storage;
        socklen_t size = address_to_socket(address, &storage);
        if (!connect(fd, (struct sockaddr *)&storage, size) || errno == EINPROGRESS || errno == EINTR)
            return fd; /* an interrupted connect goes on */
        error = -errno;
    }
    close(fd);
    return error;
}

int socket_accept(int listener_fd, struct address *ret_peer)
{
    struct sockaddr_storage storage = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof storage;
    int fd;
    do
        fd = accept4(listener_fd, (struct sockaddr *)&storage, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return -errno;
    address_from_socket(&storage, ret_peer);
    return fd;
}

int socket_local(int fd, struct address *ret_address)
{
    struct sockaddr_storage storage = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof storage;
    if (getsockname(fd, (struct sockaddr *)&storage, &size))
        return -errno;
    address_from_socket(&storage, ret_address);
    return 0;
}
