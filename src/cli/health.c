/* turnpike health: asks a gateway on this machine whether it takes requests; for health checks of containers, which have no other client. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/time.h"
#include "cli/cli.h"
#include "net/address.h"

enum { TIMEOUT_MS = 5000 };

static const struct cli_usage usage = {
    .command = "health",
    .arguments = "[ADDRESS]",
    .summary = "ask a running gateway whether it takes requests",
    .more = "ADDRESS is that of its admin listener: 127.0.0.1:9000 unless given, or unix:/PATH.\n"
            "Status 0 if it is ready, 1 if it is not, or does not answer.\n",
    .arguments_max = 1,
};

static bool wait_for(int fd, short events, int64_t deadline_ns)
{
    int64_t left_ms = (deadline_ns - time_monotonic_ns()) / NS_PER_MS;
    struct pollfd ready = {.fd = fd, .events = events};
    return left_ms > 0 && poll(&ready, 1, (int)left_ms) == 1;
}

/* What comes until the head's first line is there. */
static size_t read_answer(int fd, char *to, size_t room, int64_t deadline_ns)
{
    size_t size = 0;
    while (size < room && !memchr(to, '\n', size) && wait_for(fd, POLLIN, deadline_ns)) {
        ssize_t got = read(fd, to + size, room - size);
        if (got <= 0)
            break;
        size += (size_t)got;
    }
    return size;
}

/* The three digits of the status; 0: no answer. */
static unsigned ask(const struct address *address)
{
    static const char request[] = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    char answer[512];
    uint64_t status = 0;
    int64_t deadline_ns = time_monotonic_ns() + TIMEOUT_MS * NS_PER_MS;
    int fd = socket_connect(address, NULL);
    if (fd < 0)
        return 0;
    bool sent = wait_for(fd, POLLOUT, deadline_ns)
                && send(fd, request, sizeof request - 1, MSG_NOSIGNAL) == (ssize_t)sizeof request - 1;
    struct text rest = {answer, sent ? read_answer(fd, answer, sizeof answer, deadline_ns) : 0};
    close(fd);
    if (!text_starts_with(rest, TEXT("HTTP/1.1 ")))
        return 0;
    (void)text_to_uint64(text_slice(rest, 9, 12), &status); /* stays 0 if it is no number */
    return (unsigned)status;
}

int cli_health(int argc, char **argv)
{
    struct address address;
    const struct cli_option options[] = {CLI_END};
    int status = cli_parse(&usage, options, &argc, argv);
    if (status != CLI_GO)
        return status;
    const char *given = argc > 1 ? argv[1] : "127.0.0.1:9000";
    if (!address_parse(text_of(given), &address))
        return cli_misused(&usage, "\"%s\" is no address", given);
    unsigned answered = ask(&address);
    if (answered == 200) {
        printf("ready\n");
        return CLI_OK;
    }
    if (answered == 503)
        printf("not ready\n");
    else
        fprintf(stderr,
                "turnpike health: no good answer from %s; is `admin.address` of the configuration that?\n",
                given);
    return CLI_BAD;
}
