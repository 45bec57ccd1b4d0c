/* The layer at the bottom: a TCP or unix stream socket. */
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "net/layer.h"

/* The C library's recv() and send() are cancellation points, which costs two locked instructions a call in a process with threads. Nothing here is
 * ever cancelled, so the kernel is asked directly; under sanitizers the library's functions are used, which check the memory. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static ssize_t receive(int fd, void *to, size_t room)
{
    return recv(fd, to, room, 0);
}

static ssize_t send_one(int fd, const void *from, size_t size)
{
    return send(fd, from, size, MSG_NOSIGNAL);
}
#else
static ssize_t receive(int fd, void *to, size_t room)
{
    return syscall(SYS_recvfrom, fd, to, room, 0, NULL, NULL);
}

static ssize_t send_one(int fd, const void *from, size_t size)
{
    return syscall(SYS_sendto, fd, from, size, MSG_NOSIGNAL, NULL, 0);
}
#endif

enum { PARTS_MAX = 64 }; /* of one write; far below IOV_MAX */

static struct socket_layer *socket_of(struct layer *layer)
{
    return CONTAINER_OF(layer, struct socket_layer, layer);
}

void socket_layer_init(struct socket_layer *layer, int fd, bool connected)
{
    layer->layer = (struct layer){.type = &socket_layer_type};
    layer->watch.fd = fd;
    layer->readable = layer->writable = layer->connected = connected;
    layer->ended = false;
    layer->error = 0;
}

void socket_layer_event(struct socket_layer *layer, uint32_t events)
{
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        layer->readable = true;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        layer->writable = true;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        layer->ended = true;
}

static struct io_result failed(int error)
{
    return (struct io_result){.status = IO_FAILED, .error = error};
}

static enum layer_progress socket_open(struct layer *layer)
{
    struct socket_layer *s = socket_of(layer);
    if (s->connected)
        return LAYER_DONE;
    if (!s->writable)
        return LAYER_WAIT;
    socklen_t size = sizeof s->error;
    if (getsockopt(s->watch.fd, SOL_SOCKET, SO_ERROR, &s->error, &size))
        s->error = errno;
    if (s->error)
        return LAYER_FAILED;
    s->connected = true;
    return LAYER_DONE;
}

static struct io_result socket_read(struct layer *layer, void *to, size_t room)
{
    struct socket_layer *s = socket_of(layer);
    CHECK(room > 0);
    if (!s->readable)
        return (struct io_result){.status = IO_BLOCKED};
    ssize_t got;
    do
        got = receive(s->watch.fd, to, room);
    while (got < 0 && errno == EINTR);
    if (LIKELY(got > 0)) {
        s->readable = (size_t)got == room || s->ended;
        return (struct io_result){.status = IO_OK, .size = (size_t)got};
    }
    if (got == 0)
        return (struct io_result){.status = IO_END};
    if (errno != EAGAIN)
        return failed(errno);
    s->readable = false;
    return (struct io_result){.status = IO_BLOCKED};
}

static ssize_t send_parts(int fd, const struct iovec *parts, int count)
{
    if (count == 1)
        return send_one(fd, parts->iov_base, parts->iov_len);
    struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

static struct io_result socket_write(struct layer *layer, const struct iovec *parts, int count)
{
    struct socket_layer *s = socket_of(layer);
    if (!s->writable)
        return (struct io_result){.status = IO_BLOCKED};
    count = MIN_OF(count, PARTS_MAX);
    size_t total = 0;
    for (int i = 0; i < count; i++)
        total += parts[i].iov_len;
    if (total == 0)
        return (struct io_result){.status = IO_OK};
    ssize_t sent;
    do
        sent = send_parts(s->watch.fd, parts, count);
    while (sent < 0 && errno == EINTR);
    if (LIKELY(sent >= 0)) {
        s->writable = (size_t)sent == total;
        return (struct io_result){.status = IO_OK, .size = (size_t)sent};
    }
    if (errno != EAGAIN)
        return failed(errno);
    s->writable = false;
    return (struct io_result){.status = IO_BLOCKED};
}

static enum layer_progress socket_shut(struct layer *layer)
{
    return shutdown(socket_of(layer)->watch.fd, SHUT_WR) ? LAYER_FAILED : LAYER_DONE;
}

static void socket_close(struct layer *layer)
{
    struct socket_layer *s = socket_of(layer);
    if (s->watch.fd >= 0)
        close(s->watch.fd);
    s->watch.fd = -1;
    s->readable = s->writable = s->connected = false;
}

static bool socket_pending(const struct layer *layer)
{
    return CONTAINER_OF(layer, const struct socket_layer, layer)->readable;
}

const struct layer_type socket_layer_type = {
    .name = "socket",
    .open = socket_open,
    .read = socket_read,
    .write = socket_write,
    .shut = socket_shut,
    .close = socket_close,
    .pending = socket_pending,
};

static ssize_t move(int from, int to, size_t size)
{
    ssize_t moved;
    do
        moved = splice(from, NULL, to, NULL, size, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    while (moved < 0 && errno == EINTR);
    return moved;
}

struct io_result socket_layer_splice_in(struct socket_layer *from, int pipe_in, size_t size)
{
    CHECK(size > 0);
    if (!from->readable)
        return (struct io_result){.status = IO_BLOCKED};
    ssize_t moved = move(from->watch.fd, pipe_in, size);
    if (moved > 0) /* fewer than asked for says nothing: the pipe may have been full */
        return (struct io_result){.status = IO_OK, .size = (size_t)moved};
    if (moved == 0)
        return (struct io_result){.status = IO_END};
    if (errno != EAGAIN)
        return failed(errno);
    from->readable = false;
    return (struct io_result){.status = IO_BLOCKED};
}

struct io_result socket_layer_splice_out(struct socket_layer *to, int pipe_out, size_t size)
{
    CHECK(size > 0);
    if (!to->writable)
        return (struct io_result){.status = IO_BLOCKED};
    ssize_t moved = move(pipe_out, to->watch.fd, size);
    if (moved > 0)
        return (struct io_result){.status = IO_OK, .size = (size_t)moved};
    if (moved == 0
        || errno != EAGAIN) /* 0: the pipe is empty and its other end closed; the owner's mistake */
        return failed(moved == 0 ? EPIPE : errno);
    to->writable = false;
    return (struct io_result){.status = IO_BLOCKED};
}
