/* An origin for the benchmark that costs next to nothing: one thread, edge-triggered epoll, no heap.
 *
 * Every request gets 200 with 1 KiB, /bytes/N gets N bytes. Request bodies with a Content-Length are read and dropped.
 *
 *     origin      listens on a port of the kernel's choice on 127.0.0.1, prints it, and runs until it is ended */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "loopback.h"

enum { INPUT_MAX = 8192, HEAD_MAX = 160, SINK_SIZE = 1 << 18, BODY_MAX = 16 << 20, BODY_DEFAULT = 1024 };

static struct client {
    uint64_t drop;       /* bytes of the request's body still to come */
    uint64_t answer;     /* bytes of the body asked for */
    size_t sent;         /* bytes of the answer, its head included, that are sent */
    bool answering;      /* the request's head is read; the answer follows when its body is */
    size_t filled, head; /* bytes of input; of the answer's head */
    char input[INPUT_MAX], output[HEAD_MAX];
} clients[DESCRIPTORS_MAX];

static char *body, sink[SINK_SIZE];

static void take_request(struct client *client, size_t head)
{
    static const char prefix[] = "/bytes/";
    const char *target = memchr(client->input, ' ', head);
    bool sized = target && !strncmp(target + 1, prefix, sizeof prefix - 1);
    client->answer = sized ? strtoull(target + sizeof prefix, NULL, 10) : BODY_DEFAULT;
    if (client->answer > BODY_MAX)
        client->answer = BODY_MAX;
    client->drop = content_length(client->input, head);
    client->answering = true;
    client->sent = 0;
    int size = snprintf(client->output, HEAD_MAX,
                        "HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Type: application/octet-stream\r\n"
                        "Content-Length: %llu\r\n\r\n",
                        (unsigned long long)client->answer);
    client->head = (size_t)size;
    client->filled -= head;
    memmove(client->input, client->input + head, client->filled);
}

static void drop_body(struct client *client)
{
    size_t here = client->drop < client->filled ? (size_t)client->drop : client->filled;
    client->drop -= here;
    client->filled -= here;
    memmove(client->input, client->input + here, client->filled);
}

/* 1: sent; 0: the socket is full; -1: it failed. */
static int send_answer(int fd, struct client *client)
{
    size_t whole = client->head + client->answer;
    while (client->sent < whole) {
        bool in_head = client->sent < client->head;
        size_t of_body = in_head ? 0 : client->sent - client->head;
        struct iovec parts[2] = {{client->output + client->sent, in_head ? client->head - client->sent : 0},
                                 {body + of_body, client->answer - of_body}};
        ssize_t n = writev(fd, parts, 2);
        if (n < 0)
            return errno == EAGAIN ? 0 : -1;
        client->sent += (size_t)n;
    }
    client->answering = false;
    return 1;
}

/* Reads once. False: the peer has closed. */
static bool read_once(int fd, struct client *client, bool *dry)
{
    bool dropping = client->drop > 0;
    char *to = dropping ? sink : client->input + client->filled;
    size_t room = dropping ? SINK_SIZE : INPUT_MAX - client->filled;
    if (dropping && client->drop < room)
        room = (size_t)client->drop;
    ssize_t n = recv(fd, to, room, 0);
    if (n <= 0) {
        *dry = true;
        return n < 0 && errno == EAGAIN;
    }
    *dry = (size_t)n < room;
    if (dropping)
        client->drop -= (uint64_t)n;
    else
        client->filled += (size_t)n;
    return true;
}

/* Serves until the socket has nothing to give or no room. False: close it. */
static bool serve(int fd, struct client *client)
{
    for (bool dry = false;;) {
        size_t head;
        if (client->answering) {
            drop_body(client);
            int sent = client->drop ? 1 : send_answer(fd, client);
            if (sent <= 0)
                return sent == 0;
            if (!client->answering)
                continue;
        } else if ((head = head_size(client->input, client->filled)) > 0) {
            take_request(client, head);
            continue;
        }
        if (dry)
            return true;
        if (!read_once(fd, client, &dry))
            return false;
    }
}

static void accept_all(int poller, int listener)
{
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        set_no_delay(fd);
        watch(poller, fd, EPOLLIN | EPOLLOUT | EPOLLET);
        memset(&clients[fd], 0, sizeof clients[fd] - sizeof clients[fd].output);
    }
}

int main(void)
{
    struct epoll_event events[EVENTS_MAX];
    signal(SIGPIPE, SIG_IGN); /* a load that ends closes under us */
    body = mmap(NULL, BODY_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (body == MAP_FAILED)
        give_up("mmap");
    memset(body, 'x', BODY_MAX);
    int listener = loopback_listen(), poller = epoll_create1(EPOLL_CLOEXEC);
    watch(poller, listener, EPOLLIN);
    for (;;) {
        int count = epoll_wait(poller, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener)
                accept_all(poller, listener);
            else if (!serve(fd, &clients[fd]))
                close(fd);
        }
    }
}
