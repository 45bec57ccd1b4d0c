/* Gateway processes as the supervisor sees them: started, spoken to, listened to. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/time.h"
#include "control/supervisor_private.h"

/* --- starting --- */

static bool set_up_child(int link, pid_t parent, bool is_successor)
{
    char number[12];
    sigset_t none;
    sigemptyset(&none);
    for (int i = 1; i < NSIG; i++)
        (void)signal(i, SIG_DFL); /* fails for those that cannot be changed anyway */
    snprintf(number, sizeof number, "%d", link);
    service_manager_forget();
    if (is_successor)
        (void)setenv(WIRE_SUCCESSOR_VARIABLE, "1",
                     1); /* without it, it only answers on the admin listener too early */
    /* A group of its own: Ctrl-C on a terminal goes to the whole group, and the gateway would get it twice. */
    return setpgid(0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == parent
           && fcntl(link, F_SETFD, 0) == 0 && setenv(WIRE_VARIABLE, number, 1) == 0
           && sigprocmask(SIG_SETMASK, &none, NULL) == 0;
}

static _Noreturn void become_gateway(const char *program, char *const *arguments, int link, pid_t parent,
                                     bool is_successor)
{
    if (set_up_child(link, parent, is_successor))
        execv(program, arguments);
    log_error("cannot start the gateway process", LOG_STRING("program", program),
              LOG_STRING("error", strerror(errno)));
    _exit(1);
}

static struct process *free_place(struct supervisor *s)
{
    for (size_t i = 0; i < PROCESSES_MAX; i++)
        if (s->processes[i].pid == 0)
            return &s->processes[i];
    return NULL;
}

bool process_is_room(const struct supervisor *s)
{
    size_t count = 0;
    for (size_t i = 0; i < PROCESSES_MAX; i++)
        count += s->processes[i].pid == 0;
    return count >= 2; /* one stays for a restart */
}

struct process *process_start(struct supervisor *s, const char *program, bool is_successor)
{
    int pair[2];
    pid_t parent = getpid(), child = -1;
    struct process *process = free_place(s);
    s->starts++;
    CHECK(process);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0) {
        child = fork();
        if (child == 0)
            become_gateway(program, s->options.arguments, pair[1], parent, is_successor);
        int code = errno;
        close(pair[1]);
        if (child < 0)
            close(pair[0]);
        errno = code;
    }
    if (child < 0) {
        log_error("cannot start the gateway process", LOG_STRING("error", strerror(errno)));
        return NULL;
    }
    *process = (struct process){.pid = child,
                                .link = pair[0],
                                .claim = s->starts,
                                .role = PROCESS_STARTING,
                                .started_ns = time_monotonic_ns(),
                                .since_wall_ns = time_wall_ns(),
                                .connections = -1};
    log_info("gateway process started", LOG_INT("pid", child));
    return process;
}

struct process *process_find(struct supervisor *s, pid_t pid)
{
    for (size_t i = 0; i < PROCESSES_MAX; i++)
        if (s->processes[i].pid == pid)
            return &s->processes[i];
    return NULL;
}

/* --- speaking --- */

void process_close_link(struct process *process)
{
    if (process->link >= 0)
        close(process->link);
    process->link = -1;
}

void process_signal(const struct process *process, int number)
{
    if (kill(process->pid, number) < 0)
        log_warn("cannot signal the gateway process", LOG_INT("signal", number),
                 LOG_STRING("error", strerror(errno)));
}

void process_tell(const struct process *process, const struct text fields[WIRE_FIELDS_MAX])
{
    int code = process->link >= 0 ? wire_send(process->link, fields, -1, MSG_DONTWAIT) : 0;
    if (code < 0 && code != -EPIPE) /* one that is gone will be reaped */
        log_warn("cannot tell the gateway process", LOG_TEXT("message", fields[0]),
                 LOG_INT("pid", process->pid), LOG_INT("errno", -code));
}

void process_retire(struct process *process)
{
    process->role = PROCESS_RETIRING;
    log_info("gateway process retires", LOG_INT("pid", process->pid));
    process_tell(process, (struct text[WIRE_FIELDS_MAX]){TEXT("retire")});
}

void process_watch(struct supervisor *s, struct process *process)
{
    enum { SIGNS = 4 }; /* in the time in which one must come */
    char period[24];
    if (s->manager.watchdog_ns == 0)
        return;
    size_t size = (size_t)snprintf(period, sizeof period, "%" PRId64,
                                   (int64_t)(s->manager.watchdog_ns / NS_PER_MS / SIGNS));
    process->heard_ns = time_monotonic_ns();
    process_tell(process, (struct text[WIRE_FIELDS_MAX]){TEXT("watch"), {period, size}});
}

static void tell_upgrades(const struct supervisor *s, const struct process *process)
{
    char done[24], failed[24];
    size_t done_size = (size_t)snprintf(done, sizeof done, "%" PRIu64, s->upgrade.done);
    size_t failed_size = (size_t)snprintf(failed, sizeof failed, "%" PRIu64, s->upgrade.failed);
    process_tell(process,
                 (struct text[WIRE_FIELDS_MAX]){
                     TEXT("upgrades"), {done, done_size}, {failed, failed_size}, text_of(s->upgrade.said)});
}

void processes_tell(const struct supervisor *s)
{
    static const char *const states[] = {"starting", "serving", "draining"};
    const struct process *const told[] = {s->current, s->upgrade.candidate};
    char list[WIRE_MESSAGE_SIZE - 32];
    size_t size = 0;
    for (size_t i = 0; i < PROCESSES_MAX; i++) {
        const struct process *process = &s->processes[i];
        if (process->pid == 0)
            continue;
        size += (size_t)snprintf(list + size, sizeof list - size, "%s%d %s %s %" PRId64 " %" PRId64,
                                 size ? ";" : "", (int)process->pid, states[process->role],
                                 process->version[0] ? process->version : "?",
                                 (int64_t)(process->since_wall_ns / NS_PER_MS), process->connections);
        CHECK(size < sizeof list); /* PROCESSES_MAX times less than 90 bytes */
    }
    for (size_t i = 0; i < COUNT_OF(told); i++) {
        if (!told[i])
            continue;
        process_tell(told[i], (struct text[WIRE_FIELDS_MAX]){TEXT("processes"), {list, size}});
        tell_upgrades(s, told[i]);
    }
}

/* --- listening --- */

static void answer(const struct process *process, const struct text fields[WIRE_FIELDS_MAX], int fd)
{
    int code = wire_send(process->link, fields, fd, MSG_DONTWAIT);
    if (code < 0)
        log_warn("cannot answer the gateway process", LOG_TEXT("answer", fields[0]), LOG_INT("errno", -code));
}

static void on_listen(struct supervisor *s, struct process *process, const struct wire_message *request)
{
    const struct text *fields = request->fields;
    struct error error = {.code = -EPERM, .said = "a gateway process that is to end opens no sockets"};
    const struct listening *one =
        process->role != PROCESS_RETIRING && !s->stopping
            ? listening_set_open(&s->sockets, fields[1], fields[2], process->claim, &error)
            : NULL;
    if (one) {
        answer(process,
               (struct text[WIRE_FIELDS_MAX]){TEXT("ok"), fields[3], one->passed ? TEXT("passed") : TEXT("")},
               one->fd);
        return;
    }
    char number[12];
    int size = snprintf(number, sizeof number, "%d", error.code);
    answer(
        process,
        (struct text[WIRE_FIELDS_MAX]){TEXT("error"), fields[3], {number, (size_t)size}, text_of(error.said)},
        -1);
}

static void copy(char *to, size_t room, struct text from)
{
    snprintf(to, room, "%.*s", TEXT_ARGS(from));
}

static void on_log(struct supervisor *s, const struct wire_message *request)
{
    enum log_level level;
    copy(s->level, sizeof s->level, request->fields[1]);
    copy(s->format, sizeof s->format, request->fields[2]);
    if (log_level_parse(request->fields[1], &level))
        log_set_level(level);
    log_set_format(text_equal(request->fields[2], TEXT("json")) ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
}

static void on_settings(struct supervisor *s, const struct wire_message *request)
{
    int64_t ready_ms, drain_ms;
    if (!text_to_int64(request->fields[1], &ready_ms) || !text_to_int64(request->fields[2], &drain_ms))
        return;
    s->ready_ms = ready_ms;
    s->drain_ms = drain_ms;
}

static void on_reloaded(struct supervisor *s, const struct wire_message *request)
{
    log_debug("gateway process reloaded", LOG_TEXT("outcome", request->fields[1]),
              LOG_TEXT("said", request->fields[2]));
    service_manager_reloaded(&s->manager, request->fields[2]);
}

static void on_left(struct supervisor *s, struct process *process, const struct wire_message *request)
{
    if (text_to_int64(request->fields[1], &process->connections))
        processes_tell(s);
}

static void on_request(struct supervisor *s, struct process *process, const struct wire_message *request)
{
    struct text verb = request->fields[0];
    bool in_charge = process == s->current; /* what others say of logs and settings does not count */
    process->heard_ns = time_monotonic_ns();
    if (text_equal(verb, TEXT("listen")))
        on_listen(s, process, request);
    else if (text_equal(verb, TEXT("release")))
        listening_set_drop(&s->sockets, request->fields[1], request->fields[2], process->claim);
    else if (text_equal(verb, TEXT("ready")))
        supervisor_on_ready(s, process);
    else if (text_equal(verb, TEXT("version")))
        copy(process->version, sizeof process->version, request->fields[1]);
    else if (text_equal(verb, TEXT("left")))
        on_left(s, process, request);
    else if (text_equal(verb, TEXT("log")) && in_charge)
        on_log(s, request);
    else if (text_equal(verb, TEXT("settings")) && in_charge)
        on_settings(s, request);
    else if (text_equal(verb, TEXT("reloaded")) && in_charge)
        on_reloaded(s, request);
    else if (in_charge && !text_equal(verb, TEXT("alive")))
        log_warn("unknown message from the gateway process", LOG_TEXT("message", verb));
}

/* At the end of the process this includes its last words. */
void process_read(struct supervisor *s, struct process *process)
{
    struct wire_message request;
    while (process->link >= 0) {
        int code = wire_receive(process->link, &request, MSG_DONTWAIT);
        if (code == -EAGAIN)
            return;
        if (code <= 0) {
            if (code < 0)
                log_warn("bad message from the gateway process; closing the link", LOG_INT("errno", -code));
            process_close_link(process);
            return;
        }
        if (request.fd >= 0)
            close(request.fd); /* nothing that a gateway sends has one */
        on_request(s, process, &request);
    }
}
