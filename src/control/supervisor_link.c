/* Requests to the supervisor, and the same without one. */
#include "control/supervisor_link.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/check.h"
#include "control/supervisor_wire.h"

enum { ANSWER_SECONDS_MAX = 10 };

static bool is_packet_socket(int fd)
{
    int type = 0;
    socklen_t size = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

struct supervisor_legacy supervisor_link_inherit(void)
{
    const char *said = getenv(WIRE_VARIABLE);
    uint64_t fd = 0;
    bool found = said && text_to_uint64(text_of(said), &fd) && fd <= INT32_MAX && is_packet_socket((int)fd);
    (void)unsetenv(WIRE_VARIABLE); /* fails only for a name that is none */
    bool is_successor = getenv(WIRE_SUCCESSOR_VARIABLE) != NULL;
    (void)unsetenv(WIRE_SUCCESSOR_VARIABLE);
    return (struct supervisor_legacy){found ? (int)fd : -1, found && is_successor};
}

/* Reports have no answer. One that cannot be sent means that the supervisor is gone or stuck: the watch tells about the former. */
static void report(struct supervisor_link *link, struct text verb, struct text first, struct text second)
{
    if (link->fd < 0)
        return;
    int code = wire_send(link->fd, (struct text[WIRE_FIELDS_MAX]){verb, first, second}, -1, MSG_DONTWAIT);
    if (code < 0 && code != -EPIPE)
        log_warn("cannot report to the supervisor", LOG_TEXT("message", verb), LOG_INT("errno", -code));
}

int supervisor_link_open(struct supervisor_link *link, int fd)
{
    *link = (struct supervisor_link){.fd = fd};
    listening_set_init(&link->own);
    if (fd < 0)
        return 0;
    struct timeval patience = {.tv_sec = ANSWER_SECONDS_MAX};
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0
        || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0
        || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0)
        return -errno;
    supervisor_link_renew(link);
    report(link, TEXT("version"), TEXT(TURNPIKE_VERSION), TEXT(""));
    return 0;
}

void supervisor_link_renew(const struct supervisor_link *link)
{
    if (link->fd >= 0)
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* if it fails the watch still tells */
}

void supervisor_link_unwatch(struct supervisor_link *link)
{
    if (link->loop)
        loop_remove(link->loop, &link->watch);
    link->loop = NULL;
}

static void hang_up(struct supervisor_link *link)
{
    if (link->fd < 0)
        return;
    supervisor_link_unwatch(link);
    close(link->fd);
    link->fd = -1;
}

void supervisor_link_close(struct supervisor_link *link)
{
    hang_up(link);
    listening_set_release(&link->own);
}

/* A message that is not the answer that is awaited: said unasked, or an answer to a request that was given up. */
static void take_other(struct supervisor_link *link, const struct wire_message *message)
{
    struct text verb = message->fields[0];
    if (message->fd >= 0)
        close(message->fd);
    if (link->on_told && !text_equal(verb, TEXT("ok")) && !text_equal(verb, TEXT("error")))
        link->on_told(link, message);
}

/* Answers are taken where they are awaited: what is left to see here is what the supervisor says unasked, late answers, and the end. */
static void on_ready(struct watch *watch, uint32_t events)
{
    struct supervisor_link *link = CONTAINER_OF(watch, struct supervisor_link, watch);
    struct wire_message message;
    int code;
    (void)events;
    while ((code = wire_receive(link->fd, &message, MSG_DONTWAIT)) > 0)
        take_other(link, &message);
    if (code == -EAGAIN || code == -EINTR || code == -EBADMSG)
        return;
    hang_up(link);
    link->on_gone(link);
}

int supervisor_link_watch(struct supervisor_link *link, struct loop *loop,
                          void (*on_gone)(struct supervisor_link *link))
{
    if (link->fd < 0)
        return 0;
    link->watch = (struct watch){.fd = link->fd, .on_ready = on_ready};
    link->on_gone = on_gone;
    int code = loop_add(loop, &link->watch, EPOLLIN | EPOLLRDHUP);
    if (code == 0)
        link->loop = loop;
    return code;
}

/* As wire_receive(). */
static int receive_answer(struct supervisor_link *link, struct text number, struct wire_message *ret_answer)
{
    for (;;) {
        int code = wire_receive(link->fd, ret_answer, 0);
        bool is_answer = code > 0
                         && (text_equal(ret_answer->fields[0], TEXT("ok"))
                             || text_equal(ret_answer->fields[0], TEXT("error")));
        if (code <= 0 || (is_answer && text_equal(ret_answer->fields[1], number)))
            return code;
        take_other(link, ret_answer);
    }
}

static int ask_for_socket(struct supervisor_link *link, struct text name, struct text address,
                          bool *ret_passed, struct error *reterr)
{
    char digits[24];
    struct wire_message answer;
    struct text number = {digits, (size_t)snprintf(digits, sizeof digits, "%" PRIu64, ++link->requests)};
    int code =
        wire_send(link->fd, (struct text[WIRE_FIELDS_MAX]){TEXT("listen"), name, address, number}, -1, 0);
    if (code < 0)
        return error_system(reterr, code, "cannot ask the supervisor for a listening socket");
    code = receive_answer(link, number, &answer);
    if (code <= 0)
        return error_system(reterr, code < 0 ? code : -EPIPE, "the supervisor did not answer");
    if (text_equal(answer.fields[0], TEXT("ok")) && answer.fd >= 0) {
        *ret_passed = text_equal(answer.fields[2], TEXT("passed"));
        return answer.fd;
    }
    if (answer.fd >= 0)
        close(answer.fd);
    int64_t reason = 0;
    if (!text_to_int64(answer.fields[2], &reason) || reason >= 0 || reason < -4095)
        reason = -EIO;
    return error_set(reterr, (int)reason, "%.*s", TEXT_ARGS(answer.fields[3]));
}

static int open_here(struct supervisor_link *link, struct text name, struct text address,
                     struct error *reterr)
{
    struct error error = {.code = 0};
    const struct listening *one = listening_set_open(&link->own, name, address, 1, &error);
    if (!one)
        return error_set(reterr, error.code, "%s", error.said);
    int fd = fcntl(one->fd, F_DUPFD_CLOEXEC, 3);
    return fd < 0 ? error_system(reterr, -errno, "cannot listen on %.*s", TEXT_ARGS(address)) : fd;
}

int supervisor_link_listen(struct supervisor_link *link, struct text name, struct text address,
                           struct address *ret_actual, bool *ret_passed, struct error *reterr)
{
    struct address asked, actual;
    if (!address_parse(address, &asked))
        return error_set(reterr, -EINVAL, "\"%.*s\" is no address to listen on", TEXT_ARGS(address));
    bool passed = false;
    int fd = link->fd >= 0 ? ask_for_socket(link, name, address, &passed, reterr)
                           : open_here(link, name, address, reterr);
    if (fd < 0)
        return fd;
    struct sockaddr_storage storage;
    socklen_t size = sizeof storage;
    if (getsockname(fd, (struct sockaddr *)&storage, &size) < 0) {
        int code = error_system(reterr, -errno, "no usable socket for %.*s", TEXT_ARGS(address));
        close(fd);
        return code;
    }
    address_from_socket(&storage, &actual);
    *ret_actual = asked.any.sa_family == AF_UNIX ? asked : actual;
    *ret_passed = passed;
    return fd;
}

void supervisor_link_release(struct supervisor_link *link, struct text name, struct text address)
{
    listening_set_drop(&link->own, name, address, 1);
    report(link, TEXT("release"), name, address);
}

void supervisor_link_ready(struct supervisor_link *link)
{
    report(link, TEXT("ready"), TEXT(""), TEXT(""));
}

void supervisor_link_reloaded(struct supervisor_link *link, bool ok, struct text said)
{
    char line[WIRE_MESSAGE_SIZE / 2];
    size_t size = MIN_OF(said.size, sizeof line);
    for (size_t i = 0; i < size; i++)
        line[i] = (unsigned char)said.at[i] < ' ' ? ' ' : said.at[i];
    report(link, TEXT("reloaded"), ok ? TEXT("ok") : TEXT("failed"), (struct text){line, size});
}

void supervisor_link_log(struct supervisor_link *link, enum log_level level, enum log_format format)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    report(link, TEXT("log"), text_of(levels[level]),
           format == LOG_FORMAT_JSON ? TEXT("json") : TEXT("text"));
}

static struct text write_number(char to[24], int64_t number)
{
    return (struct text){to, (size_t)snprintf(to, 24, "%" PRId64, number)};
}

void supervisor_link_settings(struct supervisor_link *link, int64_t ready_ms, int64_t drain_ms)
{
    char ready[24], drain[24];
    report(link, TEXT("settings"), write_number(ready, ready_ms), write_number(drain, drain_ms));
}

void supervisor_link_left(struct supervisor_link *link, int64_t connections)
{
    char number[24];
    report(link, TEXT("left"), write_number(number, connections), TEXT(""));
}

void supervisor_link_alive(struct supervisor_link *link)
{
    report(link, TEXT("alive"), TEXT(""), TEXT(""));
}
