/* Files, pipes, terminals, sockets and datagrams behind one write that does not wait.
 *
 * Standard output is shared with whoever else has it, so its descriptor must not be made non-blocking: it is
 * opened a second time by way of /proc. Where that is not allowed (a container's pipe that belongs to another
 * user), the descriptor is asked before each write, which is then small enough not to block. */
#include "telemetry/log_output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/text.h"

enum { PARTS_MAX = 64, DATAGRAMS_MAX = 64 };

static int open_standard(struct log_output *output, int standard_fd)
{
    struct stat about;
    if (fstat(standard_fd, &about))
        return -errno;
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", standard_fd);
    output->kind = LOG_OUTPUT_FILE;
    output->fd =
        S_ISSOCK(about.st_mode) ? -1 : open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (output->fd >= 0)
        return 0;
    output->kind = S_ISSOCK(about.st_mode) ? LOG_OUTPUT_STREAM : LOG_OUTPUT_SHARED;
    output->fd = fcntl(standard_fd, F_DUPFD_CLOEXEC, 3);
    return output->fd < 0 ? -errno : 0;
}

static int open_datagram(struct log_output *output, const char *path)
{
    struct text to = text_of(path);
    if (to.size == 0 || to.size >= sizeof output->to.sun_path)
        return -ENAMETOOLONG;
    output->kind = LOG_OUTPUT_DATAGRAM;
    output->to = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(output->to.sun_path, to.at, to.size);
    output->to_size = sizeof output->to;
    output->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return output->fd < 0 ? -errno : 0;
}

static int open_file(struct log_output *output, const char *path)
{
    output->kind = LOG_OUTPUT_FILE;
    output->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0640);
    return output->fd < 0 ? -errno : 0;
}

int log_output_open(struct log_output *output, const char *path, struct error *reterr)
{
    static const char datagram[] = "unix-datagram:";
    struct log_output opened = {.fd = -1};
    int error;
    if (!strcmp(path, "stdout"))
        error = open_standard(&opened, STDOUT_FILENO);
    else if (!strcmp(path, "stderr"))
        error = open_standard(&opened, STDERR_FILENO);
    else if (!strncmp(path, datagram, sizeof datagram - 1))
        error = open_datagram(&opened, path + sizeof datagram - 1);
    else
        error = open_file(&opened, path);
    if (error == -ENXIO)
        return error_set(reterr, error, "cannot write to %s: nobody reads from this pipe", path);
    if (error)
        return error_system(reterr, error, "cannot write to %s", path);
    *output = opened;
    return 0;
}

void log_output_close(struct log_output *output)
{
    if (output->fd >= 0)
        close(output->fd);
    output->fd = -1;
}

/* Copies parts up to `bytes_max` in all; how many there are then. */
static int cut(const struct iovec *parts, int count, size_t bytes_max, struct iovec *to)
{
    int kept = 0;
    for (; kept < count && bytes_max > 0; kept++) {
        to[kept] = parts[kept];
        to[kept].iov_len = MIN_OF(parts[kept].iov_len, bytes_max);
        bytes_max -= to[kept].iov_len;
    }
    return kept;
}

static ssize_t write_shared(int fd, const struct iovec *parts, int count)
{
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    if (poll(&ready, 1, 0) == 0) {
        errno = EAGAIN;
        return -1;
    }
    struct iovec small[PARTS_MAX];
    return writev(fd, small,
                  cut(parts, count, PIPE_BUF, small)); /* a pipe that is ready has that much room */
}

/* The lines of a batch, without their newlines, and how many bytes each takes from it. */
struct lines {
    struct iovec parts[DATAGRAMS_MAX];
    size_t sizes[DATAGRAMS_MAX];
    unsigned count;
};

static void find_lines(const struct iovec *parts, int count, struct lines *ret_lines)
{
    ret_lines->count = 0;
    for (int i = 0; i < count; i++) {
        struct text rest = {parts[i].iov_base, parts[i].iov_len};
        while (rest.size > 0 && ret_lines->count < DATAGRAMS_MAX) {
            size_t newline = text_find_char(rest, '\n');
            struct text line = text_slice(rest, 0, newline);
            rest = newline == TEXT_NONE ? TEXT("") : text_slice(rest, newline + 1, rest.size);
            ret_lines->parts[ret_lines->count] = (struct iovec){(char *)line.at, line.size};
            ret_lines->sizes[ret_lines->count++] = line.size + (newline != TEXT_NONE);
        }
    }
}

static ssize_t write_datagrams(struct log_output *output, const struct iovec *parts, int count)
{
    struct lines lines;
    struct mmsghdr messages[DATAGRAMS_MAX];
    find_lines(parts, count, &lines);
    for (unsigned i = 0; i < lines.count; i++)
        messages[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &output->to,
                                                   .msg_namelen = output->to_size,
                                                   .msg_iov = &lines.parts[i],
                                                   .msg_iovlen = 1}};
    int sent = sendmmsg(output->fd, messages, lines.count, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EMSGSIZE) {
        output->bytes_refused += lines.sizes[0];
        output->lines_refused++;
        return (ssize_t)lines.sizes[0];
    }
    size_t taken = 0;
    for (int i = 0; i < sent; i++)
        taken += lines.sizes[i];
    return sent < 0 ? -1 : (ssize_t)taken;
}

ssize_t log_output_write(struct log_output *output, const struct iovec *parts, int count)
{
    count = MIN_OF(count, PARTS_MAX);
    struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};
    ssize_t taken = -1;
    do {
        switch (output->kind) {
        case LOG_OUTPUT_FILE: taken = writev(output->fd, parts, count); break;
        case LOG_OUTPUT_SHARED: taken = write_shared(output->fd, parts, count); break;
        case LOG_OUTPUT_STREAM: taken = sendmsg(output->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL); break;
        case LOG_OUTPUT_DATAGRAM: taken = write_datagrams(output, parts, count); break;
        }
    } while (taken < 0 && errno == EINTR);
    if (taken >= 0)
        return taken;
    return errno == ENOBUFS ? -EAGAIN : -errno;
}
