/* The least that a reverse proxy for HTTP/1.1 can do with epoll: what Turnpike's CPU time is compared with.
 *
 * One thread, no heap. A descriptor is registered once, edge-triggered; a call is tried before it is waited for; connections to the origin
 * are kept and the one used last comes first. It finds the end of a head and its Content-Length and passes the bytes as they are: no check,
 * no log, no limit. With --splice the part of a body that did not come with its head goes through a pipe.
 *
 *     minimal_proxy [--splice] ORIGIN_PORT      listens on a port of the kernel's choice on 127.0.0.1, prints it, runs until it is ended */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>

#include "loopback.h"

enum { BUFFER_SIZE = 1 << 16, PIPE_SIZE = 1 << 20, NOBODY = -1 };

/* One descriptor, and the message that is on its way from it to its partner. */
static struct side {
    int partner; /* NOBODY between exchanges */
    bool open, upstream;
    bool in_message; /* its head is read */
    bool has_pipe;
    uint64_t left;       /* bytes of the body still to be read */
    size_t filled, sent; /* bytes in the buffer; of them, sent */
    size_t piped;
    int pipe[2];
    char buffer[BUFFER_SIZE];
} sides[DESCRIPTORS_MAX];

enum progress { WAITING, WHOLE, FAILED };

static int poller, idle[DESCRIPTORS_MAX], idle_count;
static uint16_t origin_port;
static bool splicing;

static void open_side(int fd, bool upstream)
{
    struct side *side = &sides[fd];
    side->partner = NOBODY;
    side->open = true;
    side->upstream = upstream;
    side->in_message = side->has_pipe = false;
    side->left = 0;
    side->filled = side->sent = side->piped = 0;
    set_no_delay(fd);
    watch(poller, fd, EPOLLIN | EPOLLOUT | EPOLLET);
}

static void close_side(int fd)
{
    struct side *side = &sides[fd];
    for (int i = 0; side->upstream && i < idle_count; i++)
        if (idle[i] == fd)
            idle[i--] = idle[--idle_count];
    if (side->has_pipe) {
        close(side->pipe[0]);
        close(side->pipe[1]);
    }
    side->partner = NOBODY;
    side->open = side->has_pipe = side->in_message = false;
    close(fd);
}

static int take_upstream(void)
{
    if (idle_count > 0)
        return idle[--idle_count];
    int fd = loopback_connect(origin_port);
    open_side(fd, true);
    return fd;
}

static enum progress blocked_or_failed(ssize_t n)
{
    return n < 0 && errno == EAGAIN ? WAITING : FAILED;
}

/* The rest of a body, from socket to pipe to socket. */
static enum progress splice_body(int fd, struct side *side)
{
    if (!side->has_pipe) {
        if (pipe2(side->pipe, O_NONBLOCK | O_CLOEXEC) || fcntl(side->pipe[1], F_SETPIPE_SZ, PIPE_SIZE) < 0)
            return FAILED;
        side->has_pipe = true;
    }
    while (side->left + side->piped > 0) {
        ssize_t n;
        if (side->piped == 0) {
            size_t want = side->left < PIPE_SIZE ? (size_t)side->left : PIPE_SIZE;
            n = splice(fd, NULL, side->pipe[1], NULL, want, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
            if (n <= 0)
                return blocked_or_failed(n);
            side->left -= (uint64_t)n;
            side->piped = (size_t)n;
        }
        n = splice(side->pipe[0], NULL, side->partner, NULL, side->piped, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
        if (n <= 0)
            return blocked_or_failed(n);
        side->piped -= (size_t)n;
    }
    return WHOLE;
}

/* Looks for the head in what is read; finds the message a partner when it is whole. */
static void begin_message(int fd, struct side *side)
{
    size_t head = head_size(side->buffer, side->filled);
    if (head == 0)
        return;
    uint64_t body = content_length(side->buffer, head), here = side->filled - head;
    side->left = body > here ? body - here : 0;
    side->in_message = true;
    if (!side->upstream) {
        side->partner = take_upstream();
        sides[side->partner].partner = fd;
    }
}

static enum progress send_buffer(struct side *side)
{
    while (side->sent < side->filled) {
        ssize_t n = send(side->partner, side->buffer + side->sent, side->filled - side->sent, MSG_NOSIGNAL);
        if (n < 0)
            return blocked_or_failed(n);
        side->sent += (size_t)n;
    }
    side->sent = side->filled = 0;
    return WHOLE;
}

/* Moves a message from `fd` to its partner as far as the sockets allow. */
static enum progress move(int fd, struct side *side)
{
    for (bool dry = false;;) {
        if (side->in_message) {
            enum progress progress = send_buffer(side);
            if (progress == WHOLE && splicing && side->left + side->piped > 0)
                return splice_body(fd, side);
            if (progress != WHOLE || side->left == 0)
                return progress;
        }
        if (dry)
            return WAITING;
        size_t room = BUFFER_SIZE - side->filled;
        ssize_t n = recv(fd, side->buffer + side->filled, room, 0);
        if (n <= 0)
            return blocked_or_failed(n);
        dry = (size_t)n < room;
        side->filled += (size_t)n;
        if (side->in_message)
            side->left -= (uint64_t)n < side->left ? (uint64_t)n : side->left;
        else
            begin_message(fd, side);
    }
}

static void end_exchange(int upstream)
{
    int client = sides[upstream].partner;
    sides[client].partner = sides[upstream].partner = NOBODY;
    sides[client].in_message = sides[upstream].in_message = false;
    idle[idle_count++] = upstream;
}

static bool is_unsent(const struct side *side)
{
    return side->in_message && (side->sent < side->filled || side->piped > 0);
}

/* False: the exchange failed. */
static bool run(int fd)
{
    struct side *side = &sides[fd];
    char byte;
    if (side->upstream && side->partner == NOBODY) /* idle: an edge that came late, or the end */
        return recv(fd, &byte, 1, 0) < 0 && errno == EAGAIN;
    if (side->in_message && side->left == 0 && !is_unsent(side))
        return true; /* the request is on its way; its answer comes first */
    enum progress progress = move(fd, side);
    if (progress == WHOLE && side->upstream)
        end_exchange(fd);
    return progress != FAILED;
}

static void handle(int fd, uint32_t events)
{
    if (!sides[fd].open) /* closed by an event before it in this batch */
        return;
    int partner = sides[fd].partner;
    bool fine = !(events & (EPOLLIN | EPOLLHUP | EPOLLERR)) || run(fd);
    if (fine && (events & EPOLLOUT) && sides[fd].partner != NOBODY && is_unsent(&sides[sides[fd].partner]))
        fine = run(sides[fd].partner);
    if (fine)
        return;
    partner = sides[fd].partner != NOBODY ? sides[fd].partner : partner;
    if (partner != NOBODY)
        close_side(partner);
    close_side(fd);
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS_MAX];
    splicing = argc == 3 && !strcmp(argv[1], "--splice");
    if (argc != 2 + splicing) {
        fputs("usage: minimal_proxy [--splice] ORIGIN_PORT\n", stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN); /* splice() has no MSG_NOSIGNAL */
    origin_port = (uint16_t)strtoul(argv[argc - 1], NULL, 10);
    poller = epoll_create1(EPOLL_CLOEXEC);
    int listener = loopback_listen();
    watch(poller, listener, EPOLLIN);
    for (;;) {
        int count = epoll_wait(poller, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd != listener) {
                handle(events[i].data.fd, events[i].events);
                continue;
            }
            for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;)
                open_side(fd, false);
        }
    }
}
