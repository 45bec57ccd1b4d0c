/* One stage of a byte stream: TCP or unix at the bottom, PROXY protocol and TLS above it. A layer knows only
 * the layer below. The same types serve clients and origins. Owners embed the bottom layer, so that a plain
 * connection costs no allocation. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "net/address.h"
#include "net/loop.h"

enum io_status {
    IO_OK,      /* `size` bytes were moved, at least one */
    IO_BLOCKED, /* none now; an event will tell */
    IO_END,     /* the other side ended its direction in good order */
    IO_FAILED,  /* broken; `error` is the errno */
};

struct io_result {
    enum io_status status;
    int error;
    size_t size;
};

enum layer_progress { LAYER_DONE, LAYER_WAIT, LAYER_FAILED };

struct layer;

struct layer_type {
    const char *name;
    enum layer_progress (*open)(struct layer *layer); /* below first, then its own handshake */
    struct io_result (*read)(struct layer *layer, void *to, size_t room);
    struct io_result (*write)(struct layer *layer, const struct iovec *parts, int count);
    enum layer_progress (*shut)(struct layer *layer); /* ends the sending direction */
    void (*close)(struct layer *layer);               /* at once, this and all below */
    bool (*pending)(const struct layer *layer);       /* a read may give something without another event */
};

struct layer {
    const struct layer_type *type;
    struct layer *below;
};

static inline enum layer_progress layer_open(struct layer *layer)
{
    return layer->type->open(layer);
}
static inline struct io_result layer_read(struct layer *layer, void *to, size_t room)
{
    return layer->type->read(layer, to, room);
}
static inline struct io_result layer_write(struct layer *layer, const struct iovec *parts, int count)
{
    return layer->type->write(layer, parts, count);
}
static inline enum layer_progress layer_shut(struct layer *layer)
{
    return layer->type->shut(layer);
}
static inline void layer_close(struct layer *layer)
{
    layer->type->close(layer);
}
static inline bool layer_pending(const struct layer *layer)
{
    return layer->type->pending(layer);
}

/* TCP and unix stream sockets. Readiness is kept as two bits, set by events and cleared when the kernel says
 * that it would block (or a read comes back short), so that no system call is made in vain and none is waited
 * for in vain. */
struct socket_layer {
    struct layer layer;
    struct watch watch; /* its owner's on_ready must first call socket_layer_event() */
    bool readable, writable;
    bool ended;     /* the end or a failure was announced: a read may find it though less than all was read */
    bool connected; /* false: a connect is under way */
    int error;      /* errno of a connect that failed, after `open` returned LAYER_FAILED */
};

extern const struct layer_type socket_layer_type;

/* Takes over a connected (accepted) descriptor or one that is connecting. The caller registers `watch` with
 * the loop, once: EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET. A connected one starts readable and writable
 * (try first); a connecting one is neither until an event, and its `open` waits for that. Reads and writes
 * return IO_BLOCKED without a system call while the bit is not set. After IO_END the bit `readable` stays
 * set: another read finds the end again.
 *
 * `close` closes the descriptor and sets watch.fd to -1, so that the loop delivers no more events (see struct
 * watch). */
void socket_layer_init(struct socket_layer *layer, int fd, bool connected);
void socket_layer_event(struct socket_layer *layer, uint32_t events);

/* Move up to `size` bytes without copying from a socket into a pipe, and from a pipe to a socket; `size` > 0.
 * The pipe is empty when bytes are moved in, and holds at least one when they are moved out: or who would
 * have blocked, the socket or the pipe? Both ends are non-blocking, and the process ignores SIGPIPE (splice
 * has no flag for it). An error of the pipe itself is IO_FAILED too. */
struct io_result socket_layer_splice_in(struct socket_layer *from, int pipe_in, size_t size);
struct io_result socket_layer_splice_out(struct socket_layer *to, int pipe_out, size_t size);
