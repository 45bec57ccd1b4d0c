/* An upgrade: another program takes over from this one without a connection lost, or nothing changes.
 *
 *     1. ask      the new program, as a child: does it understand the state that would be handed on? It ends with UPGRADE_UNDERSTOOD.
 *     2. start    its gateway process, beside the one that serves; both accept once it is ready.
 *     3. replace  this process by the new program (execve keeps pid, children and descriptors), which reads the state,
 *     4. retire   and tells the old gateway process to finish what is under way.
 *
 * What fails in 1 or 2 leaves everything as it was. If the program cannot be executed in 3, its gateway process is retired instead. If it
 * is executed and fails to read what it had understood a moment ago, it executes the old program again, whose file it was given open. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/time.h"
#include "control/supervisor_private.h"

/* Environment of the next supervisor, or of one that is only asked: number of the descriptor of the state. */
#define STATE_VARIABLE "TURNPIKE_STATE_FD"
#define ASK_VARIABLE   "TURNPIKE_STATE_ASK"
/* Number of the descriptor of the old program's file, to go back to; absent in a supervisor that was gone back to. */
#define PROGRAM_VARIABLE "TURNPIKE_STATE_PROGRAM_FD"

/* --- failing --- */

static void fail(struct supervisor *s, const char *format, va_list arguments)
{
    struct upgrade *upgrade = &s->upgrade;
    vsnprintf(upgrade->said, sizeof upgrade->said, format, arguments);
    upgrade->failed++;
    upgrade->phase = UPGRADE_NONE;
    upgrade->candidate = NULL;
    upgrade->asked = 0;
    upgrade->deadline_ns = 0;
    log_error("upgrade failed; the old program goes on", LOG_STRING("program", s->options.program),
              LOG_STRING("reason", upgrade->said));
    service_manager_ready(&s->manager);
    processes_tell(s);
}

void upgrade_abandon(struct supervisor *s, const char *format, ...)
{
    struct upgrade *upgrade = &s->upgrade;
    va_list arguments;
    if (upgrade->phase == UPGRADE_NONE)
        return;
    if (upgrade->asked > 0)
        (void)kill(upgrade->asked, SIGKILL); /* not reaped yet: it is there */
    if (upgrade->candidate) {
        upgrade->candidate->role = PROCESS_RETIRING; /* what it asked for and was not read yet is refused */
        process_signal(upgrade->candidate, SIGKILL);
        listening_set_forget(&s->sockets, upgrade->candidate->claim);
    }
    va_start(arguments, format);
    fail(s, format, arguments);
    va_end(arguments);
}

void upgrade_on_deadline(struct supervisor *s)
{
    if (s->upgrade.phase == UPGRADE_ASKING)
        upgrade_abandon(s, "the new program did not say in time whether it can take over");
    else
        upgrade_abandon(
            s, "the new gateway process was not ready in time; is the configuration large, or a name "
               "server slow? `upgrade.ready_timeout` is how long it may take");
}

/* --- 1: ask --- */

static _Noreturn void become_asked(const struct supervisor *s, int state, pid_t parent)
{
    char number[12];
    sigset_t none;
    sigemptyset(&none);
    snprintf(number, sizeof number, "%d", state);
    service_manager_forget();
    if (setpgid(0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent
        && fcntl(state, F_SETFD, 0) == 0 && setenv(STATE_VARIABLE, number, 1) == 0
        && setenv(ASK_VARIABLE, "1", 1) == 0 && sigprocmask(SIG_SETMASK, &none, NULL) == 0)
        execv(s->options.program, s->options.again);
    log_error("cannot start the new program", LOG_STRING("program", s->options.program),
              LOG_STRING("error", strerror(errno)));
    _exit(1);
}

static const char *why_not_now(const struct supervisor *s)
{
    if (!s->options.program)
        return "the path of the program is not known; start it by its path";
    if (s->stopping)
        return "the program is ending";
    if (s->upgrade.phase != UPGRADE_NONE)
        return "another upgrade is under way";
    if (!s->current || s->current->role != PROCESS_SERVING)
        return "no gateway process is ready";
    if (!process_is_room(s))
        return "too many gateway processes of earlier upgrades still drain";
    return NULL;
}

void upgrade_begin(struct supervisor *s)
{
    const char *why = why_not_now(s);
    if (why) {
        log_warn("no upgrade now", LOG_STRING("reason", why));
        return;
    }
    struct upgrade *upgrade = &s->upgrade;
    log_info("upgrade begins", LOG_STRING("program", s->options.program));
    service_manager_status(&s->manager, "Upgrading");
    upgrade->said[0] = '\0';
    upgrade->phase = UPGRADE_ASKING;
    upgrade->deadline_ns = time_monotonic_ns() + s->options.ask_ms * NS_PER_MS;
    pid_t parent = getpid(), child = -1;
    int state = supervisor_state_write(s);
    if (state >= 0)
        child = fork();
    if (child == 0)
        become_asked(s, state, parent);
    int code = errno;
    if (state >= 0)
        close(state);
    if (child > 0)
        upgrade->asked = child;
    else
        upgrade_abandon(s, "cannot start the new program: %s", strerror(code));
}

/* --- 2: start --- */

static void start_candidate(struct supervisor *s)
{
    struct upgrade *upgrade = &s->upgrade;
    int64_t patience_ms = s->ready_ms > 0 ? s->ready_ms : s->options.ready_ms;
    upgrade->asked = 0;
    upgrade->phase = UPGRADE_STARTING;
    upgrade->deadline_ns = time_monotonic_ns() + patience_ms * NS_PER_MS;
    upgrade->candidate = process_start(s, s->options.program, true);
    if (upgrade->candidate)
        processes_tell(s);
    else
        upgrade_abandon(s, "the new gateway process cannot be started");
}

static void write_end(int status, char to[48])
{
    if (WIFSIGNALED(status))
        snprintf(to, 48, "was killed by signal %d", WTERMSIG(status));
    else
        snprintf(to, 48, "ended with status %d", WEXITSTATUS(status));
}

bool upgrade_on_end(struct supervisor *s, pid_t pid, int status)
{
    struct upgrade *upgrade = &s->upgrade;
    char end[48];
    write_end(status, end);
    if (upgrade->asked == pid && upgrade->phase == UPGRADE_ASKING) {
        upgrade->asked = 0;
        if (WIFEXITED(status) && WEXITSTATUS(status) == UPGRADE_UNDERSTOOD)
            start_candidate(s);
        else
            upgrade_abandon(s,
                            "the new program cannot take over from this one: asked, it %s; what it said is "
                            "in the log; a restart works",
                            end);
        return true;
    }
    if (upgrade->candidate && upgrade->candidate->pid == pid) {
        struct process *process = upgrade->candidate;
        process_close_link(process);
        process->pid = 0;
        upgrade->candidate = NULL;
        listening_set_forget(&s->sockets, process->claim);
        upgrade_abandon(s,
                        "the new gateway process %s before it was ready; what it said is in the log: does "
                        "`check` of the new program accept the configuration?",
                        end);
        return true;
    }
    return false;
}

/* --- 3: replace --- */

/* Across execve: what is held for others. */
static void set_inherited(const struct supervisor *s, bool inherited)
{
    int flags = inherited ? 0 : FD_CLOEXEC;
    /* Fails for no open descriptor. */
    LIST_EACH (link, &s->sockets.all)
        (void)fcntl(CONTAINER_OF(link, struct listening, link)->fd, F_SETFD, flags);
    for (size_t i = 0; i < PROCESSES_MAX; i++)
        if (s->processes[i].pid > 0 && s->processes[i].link >= 0)
            (void)fcntl(s->processes[i].link, F_SETFD, flags);
}

/* Comes back only if it failed; errno says why. */
static void become_next(struct supervisor *s)
{
    char state_number[12], program_number[12];
    int program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int state = supervisor_state_write(s);
    snprintf(state_number, sizeof state_number, "%d", state);
    snprintf(program_number, sizeof program_number, "%d", program);
    if (program >= 0 && state >= 0 && setenv(STATE_VARIABLE, state_number, 1) == 0
        && setenv(PROGRAM_VARIABLE, program_number, 1) == 0) {
        set_inherited(s, true);
        (void)fcntl(state, F_SETFD, 0); /* two open descriptors */
        (void)fcntl(program, F_SETFD, 0);
        execv(s->options.program, s->options.again);
        int code = errno;
        set_inherited(s, false);
        errno = code;
    }
    int code = errno;
    if (state >= 0)
        close(state);
    if (program >= 0)
        close(program);
    (void)unsetenv(STATE_VARIABLE); /* fails only for a name that is none */
    (void)unsetenv(PROGRAM_VARIABLE);
    errno = code;
}

/* Two gateway processes are serving now. */
void upgrade_on_ready(struct supervisor *s)
{
    struct process *old = s->current, *candidate = s->upgrade.candidate;
    enum process_role old_role = old ? old->role : PROCESS_SERVING;
    struct upgrade before = s->upgrade;
    s->upgrade.phase = UPGRADE_NONE;
    s->upgrade.candidate = NULL;
    s->upgrade.deadline_ns = 0;
    s->upgrade.done++;
    s->current = candidate;
    if (old)
        old->role = PROCESS_RETIRING; /* is told by the next supervisor */
    become_next(s);
    int code = errno;
    s->upgrade = before;
    s->current = old;
    if (old)
        old->role = old_role;
    process_retire(candidate);
    listening_set_forget(&s->sockets, candidate->claim);
    s->upgrade.candidate = NULL;
    upgrade_abandon(s, "the new program cannot be executed in place of this one: %s", strerror(code));
}

/* --- 4: take over --- */

/* The descriptor whose number the environment says; -1: none. */
static int take_descriptor(const char *variable)
{
    const char *said = getenv(variable);
    uint64_t fd;
    bool found = said && text_to_uint64(text_of(said), &fd) && fd <= INT32_MAX
                 && fcntl((int)fd, F_SETFD, FD_CLOEXEC) == 0;
    (void)unsetenv(variable); /* fails only for a name that is none */
    return found ? (int)fd : -1;
}

/* The program that handed on goes on; comes back if even that fails. */
static void go_back(const struct supervisor *s, int state, int program)
{
    char number[12];
    snprintf(number, sizeof number, "%d", state);
    log_error("the old program will be executed again");
    set_inherited(s, true);
    if (fcntl(state, F_SETFD, 0) == 0 && setenv(STATE_VARIABLE, number, 1) == 0)
        fexecve(program, s->options.again, environ);
    log_error("the old program cannot be executed", LOG_STRING("error", strerror(errno)));
}

static void retire_others(struct supervisor *s)
{
    for (size_t i = 0; i < PROCESSES_MAX; i++)
        if (s->processes[i].pid > 0 && s->processes[i].role == PROCESS_RETIRING)
            process_retire(&s->processes[i]); /* once more for those of earlier upgrades: they do not mind */
}

/* This is the old program again: the gateway process that was to retire serves on, and the new one retires. */
static void swap_back(struct supervisor *s)
{
    struct process *newest = NULL;
    for (size_t i = 0; i < PROCESSES_MAX; i++) {
        struct process *process = &s->processes[i];
        if (process->pid > 0 && process->role == PROCESS_RETIRING
            && (!newest || process->claim > newest->claim))
            newest = process;
    }
    s->upgrade.done--;
    s->upgrade.failed++;
    snprintf(s->upgrade.said, sizeof s->upgrade.said,
             "the new program could not read the state that it was handed; what it said is in the log");
    if (!newest)
        return; /* the old gateway process has ended meanwhile: the new one serves */
    s->current->role = PROCESS_RETIRING;
    s->current = newest;
    newest->role = PROCESS_SERVING;
}

enum upgrade_arrival upgrade_arrive(struct supervisor *s)
{
    bool only_asked = getenv(ASK_VARIABLE) != NULL;
    int state = take_descriptor(STATE_VARIABLE), program = take_descriptor(PROGRAM_VARIABLE);
    bool went_back = state >= 0 && program < 0;
    struct error error = {.code = 0};
    if (state < 0)
        return ARRIVAL_NONE;
    bool fine = supervisor_state_read(s, state, only_asked, &error);
    if (!fine)
        log_error("cannot take over from the program before", LOG_STRING("reason", error.said));
    if (!fine && program >= 0)
        go_back(s, state, program);
    close(state);
    if (program >= 0)
        close(program);
    if (!fine || only_asked)
        return fine ? ARRIVAL_ONLY_ASKED : ARRIVAL_FAILED;
    if (went_back)
        swap_back(s);
    s->ready_ever = true;
    size_t dropped = listening_set_keep(&s->sockets, s->current->claim);
    log_info(went_back ? "upgrade undone" : "upgrade done", LOG_INT("pid", s->current->pid),
             LOG_STRING("version", s->current->version), LOG_INT("sockets", s->sockets.count),
             LOG_INT("dropped", dropped));
    retire_others(s);
    service_manager_ready(&s->manager);
    process_watch(s, s->current);
    processes_tell(s);
    return ARRIVAL_TOOK_OVER;
}
