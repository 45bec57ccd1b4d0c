/* What the programs of the benchmark share: sockets on 127.0.0.1 and the few things that they read in an HTTP/1.1 head. They know the
 * traffic of the benchmark and trust it: nothing here is fit for anything else. */
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DESCRIPTORS_MAX = 2048, EVENTS_MAX = 256, BACKLOG = 4096 };

static inline void give_up(const char *what)
{
    perror(what);
    exit(1);
}

static inline struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static inline void set_no_delay(int fd)
{
    int one = 1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one))
        give_up("TCP_NODELAY");
}

/* Listens on a port that the kernel chooses, and prints it. */
static inline int loopback_listen(void)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) || listen(fd, BACKLOG)
        || getsockname(fd, (struct sockaddr *)&address, &size))
        give_up("listen");
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

/* A connection that does not block once it stands. */
static inline int loopback_connect(uint16_t port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) || fcntl(fd, F_SETFL, O_NONBLOCK))
        give_up("connect");
    set_no_delay(fd);
    return fd;
}

static inline void watch(int poller, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (fd >= DESCRIPTORS_MAX || epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event))
        give_up("epoll_ctl");
}

/* The size of the head at the start of `bytes` with its empty line; 0: it is not whole yet. */
static inline size_t head_size(const char *bytes, size_t size)
{
    const char *end = memmem(bytes, size, "\r\n\r\n", 4);
    return end ? (size_t)(end - bytes) + 4 : 0;
}

/* The Content-Length of a whole head; 0 where there is none. */
static inline uint64_t content_length(const char *head, size_t size)
{
    static const char name[] = "\r\ncontent-length:";
    for (const char *at = head, *end = head + size; (at = memchr(at, '\r', (size_t)(end - at))); at++)
        if ((size_t)(end - at) > sizeof name && !strncasecmp(at, name, sizeof name - 1))
            return strtoull(at + sizeof name - 1, NULL, 10);
    return 0;
}
