/* Packing, unpacking, and descriptors by SCM_RIGHTS. */
#include "control/supervisor_wire.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"

union ancillary {
    struct cmsghdr header; /* for the alignment */
    char bytes[CMSG_SPACE(sizeof(int))];
};

static int pack(const struct text fields[WIRE_FIELDS_MAX], char to[WIRE_MESSAGE_SIZE])
{
    size_t size = 0, count = WIRE_FIELDS_MAX;
    while (count > 1 && fields[count - 1].size == 0)
        count--;
    for (size_t i = 0; i < count; i++) {
        if (text_find_char(fields[i], '\n') != TEXT_NONE || text_find_char(fields[i], '\0') != TEXT_NONE)
            return -EINVAL;
        if (fields[i].size >= WIRE_MESSAGE_SIZE - size)
            return -EMSGSIZE;
        if (i > 0)
            to[size++] = '\n';
        if (fields[i].size > 0)
            memcpy(to + size, fields[i].at, fields[i].size);
        size += fields[i].size;
    }
    return (int)size;
}

int wire_send(int socket, const struct text fields[WIRE_FIELDS_MAX], int fd, int flags)
{
    char bytes[WIRE_MESSAGE_SIZE];
    int size = pack(fields, bytes);
    if (size < 0)
        return size;
    struct iovec part = {.iov_base = bytes, .iov_len = (size_t)size};
    union ancillary room = {.bytes = {0}};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        message.msg_control = room.bytes;
        message.msg_controllen = sizeof room.bytes;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    ssize_t sent;
    do
        sent = sendmsg(socket, &message, flags | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno == ECONNRESET)
        return -EPIPE; /* gone with a message of ours unread: gone all the same */
    return sent < 0 ? -errno : 0;
}

/* The first descriptor of a message, -1: none. A peer may send more than the one that is asked for; they are closed, or they would stay open for
 * good. */
static int descriptor_of(struct msghdr *message)
{
    int first = -1;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
            if (first < 0)
                first = fd;
            else
                close(fd);
        }
    }
    return first;
}

static bool unpack(struct wire_message *message, size_t size)
{
    message->bytes[size] = '\0';
    struct text rest = {message->bytes, size};
    if (text_find_char(rest, '\0') != TEXT_NONE)
        return false;
    for (size_t i = 0; i < WIRE_FIELDS_MAX; i++)
        message->fields[i] = rest.at ? text_split(&rest, '\n') : TEXT("");
    for (size_t i = 0; i < size; i++)
        if (message->bytes[i] == '\n')
            message->bytes[i] = '\0';
    return !rest.at;
}

int wire_receive(int socket, struct wire_message *ret_message, int flags)
{
    struct iovec part = {.iov_base = ret_message->bytes, .iov_len = sizeof ret_message->bytes - 1};
    union ancillary room;
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof room.bytes};
    ssize_t size;
    do
        size = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
    while (size < 0 && errno == EINTR);
    if (size <= 0)
        return size < 0 && errno != ECONNRESET ? -errno : 0;
    int fd = descriptor_of(&message);
    if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || !unpack(ret_message, (size_t)size)) {
        if (fd >= 0)
            close(fd);
        return -EBADMSG;
    }
    ret_message->fd = fd;
    return 1;
}
