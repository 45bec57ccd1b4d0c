/* What a log file writes to: opened by its name, and never waited for. Used by log_file.c alone. */
#pragma once

#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "base/error.h"

struct log_output {
    int fd;
    enum { LOG_OUTPUT_FILE, LOG_OUTPUT_SHARED, LOG_OUTPUT_STREAM, LOG_OUTPUT_DATAGRAM } kind;
    struct sockaddr_un to; /* datagrams */
    socklen_t to_size;
    /* Of lines too long for a datagram: taken, not sent. The owner zeroes both. */
    uint64_t bytes_refused, lines_refused;
};

/* `path` as in log_file_options. A negative errno: *reterr says why and names the path. */
int log_output_open(struct log_output *output, const char *path, struct error *reterr);
void log_output_close(struct log_output *output);

/* Writes lines, each with its newline: how many bytes were taken, or a negative errno. -EAGAIN: try later.
 * Datagrams take whole lines, and leave their newlines out. */
ssize_t log_output_write(struct log_output *output, const struct iovec *parts, int count);
