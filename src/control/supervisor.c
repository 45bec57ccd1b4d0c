/* Signals, requests and the ends of the gateway process, one after the other, in one loop around poll(2). */
#include "control/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/time.h"
#include "control/listening.h"
#include "control/supervisor_wire.h"

static const int handled_signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGCHLD};

struct supervisor {
    struct supervisor_options options;
    struct listening_set sockets;
    int signals;     /* signalfd */
    pid_t gateway;   /* 0: none now */
    int link;        /* to it, -1: none */
    uint64_t starts; /* so far: also the claim of the gateway process on sockets */
    int64_t started_ns;
    bool ready, ready_ever;        /* this gateway process; any */
    unsigned quick_ends;           /* in a row, each soon after its start */
    int64_t restart_ns;            /* when to start the next one, 0: not waiting for that */
    int64_t kill_ns;               /* when to lose patience, 0: never */
    bool reload_owed, reopen_owed; /* signals that came while no gateway process was ready */
    bool stopping, ended;
    int status; /* to exit with */
};

/* --- starting --- */

static bool set_up_child(int link, pid_t parent)
{
    char number[12];
    sigset_t none;
    sigemptyset(&none);
    for (size_t i = 0; i < COUNT_OF(handled_signals); i++)
        (void)signal(handled_signals[i], SIG_DFL); /* valid numbers: cannot fail */
    (void)signal(SIGPIPE, SIG_DFL);
    snprintf(number, sizeof number, "%d", link);
    /* A group of its own: Ctrl-C on a terminal goes to the whole group, and the gateway would get it twice. */
    return setpgid(0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == parent
           && fcntl(link, F_SETFD, 0) == 0 && setenv(WIRE_VARIABLE, number, 1) == 0
           && sigprocmask(SIG_SETMASK, &none, NULL) == 0;
}

static _Noreturn void become_gateway(const struct supervisor_options *options, int link, pid_t parent)
{
    if (set_up_child(link, parent))
        execv(options->path, options->arguments);
    log_error("cannot start the gateway process", LOG_STRING("program", options->path),
              LOG_STRING("error", strerror(errno)));
    _exit(1);
}

static void plan_restart(struct supervisor *s, int64_t now)
{
    int64_t delay_ms = 0;
    if (now - s->started_ns >= s->options.steady_ms * NS_PER_MS)
        s->quick_ends = 0;
    if (s->quick_ends > 0)
        delay_ms =
            MIN_OF(s->options.restart_ms_min << MIN_OF(s->quick_ends - 1, 20u), s->options.restart_ms_max);
    s->quick_ends++;
    s->restart_ns = now + delay_ms * NS_PER_MS;
    log_info("the gateway process will be restarted", LOG_INT("delay_ms", delay_ms));
}

static void start(struct supervisor *s)
{
    int pair[2];
    pid_t parent = getpid(), child = -1;
    s->started_ns = time_monotonic_ns();
    s->restart_ns = 0;
    s->starts++;
    s->ready = false;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0) {
        child = fork();
        if (child == 0)
            become_gateway(&s->options, pair[1], parent);
        int code = errno;
        close(pair[1]);
        if (child < 0)
            close(pair[0]);
        errno = code;
    }
    if (child < 0) {
        log_error("cannot start the gateway process", LOG_STRING("error", strerror(errno)));
        s->quick_ends = MAX_OF(s->quick_ends, 1u); /* never at once: the machine is out of something */
        plan_restart(s, s->started_ns);
        return;
    }
    s->gateway = child;
    s->link = pair[0];
    log_info("gateway process started", LOG_INT("pid", child));
}

/* --- requests --- */

static void answer(struct supervisor *s, const struct text fields[WIRE_FIELDS_MAX], int fd)
{
    int code = wire_send(s->link, fields, fd, MSG_DONTWAIT);
    if (code < 0)
        log_warn("cannot answer the gateway process", LOG_TEXT("answer", fields[0]), LOG_INT("errno", -code));
}

static void on_listen(struct supervisor *s, const struct wire_message *request)
{
    const struct text *fields = request->fields;
    struct error error = {.code = 0};
    int fd = listening_set_open(&s->sockets, fields[1], fields[2], s->starts, &error);
    if (fd >= 0) {
        answer(s, (struct text[WIRE_FIELDS_MAX]){TEXT("ok"), fields[3]}, fd);
        return;
    }
    char number[12];
    int size = snprintf(number, sizeof number, "%d", error.code);
    answer(
        s,
        (struct text[WIRE_FIELDS_MAX]){TEXT("error"), fields[3], {number, (size_t)size}, text_of(error.said)},
        -1);
}

static void forward(struct supervisor *s, int number)
{
    if (s->gateway > 0 && kill(s->gateway, number) < 0)
        log_warn("cannot signal the gateway process", LOG_INT("signal", number),
                 LOG_STRING("error", strerror(errno)));
}

static void on_ready(struct supervisor *s)
{
    s->ready = s->ready_ever = true;
    size_t dropped = listening_set_drop_unclaimed(&s->sockets, s->starts);
    log_info("gateway process ready", LOG_INT("pid", s->gateway), LOG_INT("sockets", s->sockets.count),
             LOG_INT("dropped", dropped),
             LOG_INT("after_ms", (time_monotonic_ns() - s->started_ns) / NS_PER_MS));
    if (s->reload_owed)
        forward(s, SIGHUP);
    if (s->reopen_owed)
        forward(s, SIGUSR1);
    s->reload_owed = s->reopen_owed = false;
}

static void on_log(const struct wire_message *request)
{
    enum log_level level;
    if (log_level_parse(request->fields[1], &level))
        log_set_level(level);
    log_set_format(text_equal(request->fields[2], TEXT("json")) ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
}

static void on_request(struct supervisor *s, const struct wire_message *request)
{
    struct text verb = request->fields[0];
    if (text_equal(verb, TEXT("listen")))
        on_listen(s, request);
    else if (text_equal(verb, TEXT("release")))
        listening_set_drop(&s->sockets, request->fields[1], request->fields[2]);
    else if (text_equal(verb, TEXT("ready")))
        on_ready(s);
    else if (text_equal(verb, TEXT("log")))
        on_log(request);
    else if (text_equal(verb, TEXT("reloaded")))
        log_debug("gateway process reloaded", LOG_TEXT("outcome", request->fields[1]),
                  LOG_TEXT("said", request->fields[2]));
    else
        log_warn("unknown message from the gateway process", LOG_TEXT("message", verb));
}

static void close_link(struct supervisor *s)
{
    if (s->link >= 0)
        close(s->link);
    s->link = -1;
}

/* All that has come; at the end of the gateway process this includes its last words. */
static void read_requests(struct supervisor *s)
{
    struct wire_message request;
    while (s->link >= 0) {
        int code = wire_receive(s->link, &request, MSG_DONTWAIT);
        if (code == -EAGAIN)
            return;
        if (code == 0) {
            close_link(s);
            return;
        }
        if (code < 0) {
            log_warn("bad message from the gateway process; closing the link", LOG_INT("errno", -code));
            close_link(s);
            return;
        }
        if (request.fd >= 0)
            close(request.fd); /* nothing that a gateway sends has one */
        on_request(s, &request);
    }
}

/* --- ends --- */

static bool is_crash(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) != 0 : true;
}

static void log_end(const struct supervisor *s, int status, int64_t lived_ns)
{
    const char *signal_name = WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status)) : NULL;
    if (WIFSIGNALED(status))
        log_error("gateway process killed by a signal", LOG_INT("pid", s->gateway),
                  LOG_STRING("signal", signal_name ? signal_name : "?"),
                  LOG_INT("core", WCOREDUMP(status) ? 1 : 0), LOG_INT("lived_ms", lived_ns / NS_PER_MS));
    else if (is_crash(status))
        log_error("gateway process failed", LOG_INT("pid", s->gateway),
                  LOG_INT("status", WEXITSTATUS(status)), LOG_INT("lived_ms", lived_ns / NS_PER_MS));
    else
        log_info("gateway process ended", LOG_INT("pid", s->gateway),
                 LOG_INT("lived_ms", lived_ns / NS_PER_MS));
}

/* An end that one of our own signals explains, even one that came before the gateway had a handler. */
static bool is_asked_end(int status)
{
    if (!WIFSIGNALED(status))
        return !is_crash(status);
    int number = WTERMSIG(status);
    return number == SIGTERM || number == SIGQUIT || number == SIGKILL;
}

static void on_gateway_end(struct supervisor *s, int status)
{
    int64_t now = time_monotonic_ns();
    read_requests(s);
    close_link(s);
    if (!s->stopping || !is_asked_end(status))
        log_end(s, status, now - s->started_ns);
    s->gateway = 0;
    s->ready = false;
    if (s->stopping) {
        s->ended = true;
        s->status = is_asked_end(status) ? 0 : 1;
    } else if (!s->ready_ever && s->starts == 1 && WIFEXITED(status) && WEXITSTATUS(status) == 1) {
        s->ended = true; /* it has said why: another start would fail likewise */
        s->status = 1;
    } else {
        plan_restart(s, now);
    }
}

/* As PID 1 there are orphans of others too. */
static void reap(struct supervisor *s)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == s->gateway)
            on_gateway_end(s, status);
    }
}

/* --- signals --- */

static void stop(struct supervisor *s, int number)
{
    log_info(number == SIGQUIT ? "stopping" : "draining");
    s->stopping = true;
    listening_set_release(
        &s->sockets); /* from now on the gateway process alone says how long connections are taken */
    if (s->gateway == 0)
        s->ended = true;
    forward(s, number);
    if (number == SIGQUIT && s->kill_ns == 0)
        s->kill_ns = time_monotonic_ns() + s->options.kill_ms * NS_PER_MS;
}

/* Before it is ready the gateway process may have no handler yet, and would die of a reload. */
static void forward_when_ready(struct supervisor *s, int number, bool *owed)
{
    if (s->ready)
        forward(s, number);
    else
        *owed = true;
}

static void on_signal(struct supervisor *s, int number)
{
    switch (number) {
    case SIGTERM:
    case SIGINT: stop(s, SIGTERM); break;
    case SIGQUIT: stop(s, SIGQUIT); break;
    case SIGHUP: forward_when_ready(s, SIGHUP, &s->reload_owed); break;
    case SIGUSR1: forward_when_ready(s, SIGUSR1, &s->reopen_owed); break;
    case SIGUSR2: log_warn("SIGUSR2 (upgrade) is not supported in this version"); break;
    case SIGCHLD: reap(s); break;
    default: break;
    }
}

static void read_signals(struct supervisor *s)
{
    struct signalfd_siginfo info;
    while (!s->ended && read(s->signals, &info, sizeof info) == (ssize_t)sizeof info)
        on_signal(s, (int)info.ssi_signo);
}

/* --- the loop --- */

static int wait_ms(const struct supervisor *s, int64_t now)
{
    int64_t due = INT64_MAX;
    if (s->restart_ns > 0)
        due = s->restart_ns;
    if (s->kill_ns > 0)
        due = MIN_OF(due, s->kill_ns);
    if (due == INT64_MAX)
        return -1;
    return due <= now ? 0 : (int)MIN_OF((due - now) / NS_PER_MS + 1, (int64_t)INT32_MAX);
}

static void run_timers(struct supervisor *s)
{
    int64_t now = time_monotonic_ns();
    if (s->restart_ns > 0 && now >= s->restart_ns && !s->stopping)
        start(s);
    if (s->kill_ns > 0 && now >= s->kill_ns) {
        log_warn("the gateway process did not stop in time; killing it", LOG_INT("pid", s->gateway));
        s->kill_ns = 0;
        forward(s, SIGKILL);
    }
}

static void loop(struct supervisor *s)
{
    while (!s->ended) {
        struct pollfd fds[] = {{.fd = s->link, .events = POLLIN}, {.fd = s->signals, .events = POLLIN}};
        int count = poll(fds, COUNT_OF(fds), wait_ms(s, time_monotonic_ns()));
        CHECK(count >= 0 || errno == EINTR || errno == ENOMEM);
        read_requests(s);
        read_signals(s);
        if (!s->ended)
            run_timers(s);
    }
}

static bool catch_signals(struct supervisor *s)
{
    sigset_t wanted;
    sigemptyset(&wanted);
    for (size_t i = 0; i < COUNT_OF(handled_signals); i++)
        sigaddset(&wanted, handled_signals[i]);
    (void)signal(
        SIGPIPE,
        SIG_IGN); /* a log reader that went away must not end the gateway; valid number: cannot fail */
    (void)signal(SIGCHLD,
                 SIG_DFL); /* whoever started us may have ignored it, and then nothing would be reaped */
    if (sigprocmask(SIG_SETMASK, &wanted, NULL) < 0)
        return false;
    s->signals = signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC);
    return s->signals >= 0;
}

static int64_t or_default(int64_t given, int64_t otherwise)
{
    return given > 0 ? given : otherwise;
}

int supervisor_run(const struct supervisor_options *options)
{
    struct supervisor s = {.options = *options, .link = -1};
    s.options.restart_ms_min = or_default(options->restart_ms_min, 100);
    s.options.restart_ms_max = or_default(options->restart_ms_max, 5 * MS_PER_SECOND);
    s.options.steady_ms = or_default(options->steady_ms, 10 * MS_PER_SECOND);
    s.options.kill_ms = or_default(options->kill_ms, 2 * MS_PER_SECOND);
    listening_set_init(&s.sockets);
    if (!catch_signals(&s)) {
        log_error("cannot take charge of signals", LOG_STRING("error", strerror(errno)));
        return 1;
    }
    start(&s);
    loop(&s);
    close_link(&s);
    listening_set_release(&s.sockets);
    close(s.signals);
    return s.status;
}
