/* Signals, requests and the ends of the gateway process, one after the other, in one loop around poll(2). */
#include "control/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/time.h"
#include "control/process_limits.h"
#include "control/supervisor_private.h"

static const int handled_signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGCHLD};

/* --- starting --- */

static void plan_restart(struct supervisor *s, int64_t now, int64_t lived_ns)
{
    int64_t delay_ms = 0;
    if (lived_ns >= s->options.steady_ms * NS_PER_MS)
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
    s->restart_ns = 0;
    s->current = process_start(s, s->options.path, false);
    if (s->current)
        return;
    s->quick_ends = MAX_OF(s->quick_ends, 1u); /* never at once: the machine is out of something */
    plan_restart(s, time_monotonic_ns(), 0);
}

static void say_ready(struct supervisor *s, struct process *process, size_t dropped)
{
    log_info("gateway process ready", LOG_INT("pid", process->pid), LOG_INT("sockets", s->sockets.count),
             LOG_INT("dropped", dropped),
             LOG_INT("after_ms", (time_monotonic_ns() - process->started_ns) / NS_PER_MS));
    service_manager_ready(&s->manager);
    process_watch(s, process);
}

void supervisor_on_ready(struct supervisor *s, struct process *process)
{
    if (process->role != PROCESS_STARTING)
        return;
    process->role = PROCESS_SERVING;
    if (process == s->upgrade.candidate) {
        upgrade_on_ready(s);
        return;
    }
    s->ready_ever = true;
    say_ready(s, process, listening_set_keep(&s->sockets, process->claim));
    processes_tell(s);
    if (s->reload_owed)
        process_signal(process, SIGHUP);
    if (s->reopen_owed)
        process_signal(process, SIGUSR1);
    s->reload_owed = s->reopen_owed = false;
}

/* --- ends --- */

static bool is_crash(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) != 0 : true;
}

static void log_end(const struct process *process, int status, int64_t lived_ns)
{
    const char *signal_name = WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status)) : NULL;
    if (WIFSIGNALED(status))
        log_error("gateway process killed by a signal", LOG_INT("pid", process->pid),
                  LOG_STRING("signal", signal_name ? signal_name : "?"),
                  LOG_INT("core", WCOREDUMP(status) ? 1 : 0), LOG_INT("lived_ms", lived_ns / NS_PER_MS));
    else if (is_crash(status))
        log_error("gateway process failed", LOG_INT("pid", process->pid),
                  LOG_INT("status", WEXITSTATUS(status)), LOG_INT("lived_ms", lived_ns / NS_PER_MS));
    else
        log_info("gateway process ended", LOG_INT("pid", process->pid),
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

static bool is_any_left(const struct supervisor *s)
{
    for (size_t i = 0; i < PROCESSES_MAX; i++)
        if (s->processes[i].pid > 0)
            return true;
    return false;
}

/* The end of the process that serves, or was about to. */
static void on_current_end(struct supervisor *s, int status, int64_t lived_ns, uint64_t claim)
{
    s->current = NULL;
    if (s->stopping)
        return;
    listening_set_leave(&s->sockets, claim);
    if (!s->ready_ever && s->starts == 1 && WIFEXITED(status) && WEXITSTATUS(status) == 1) {
        s->ended = true; /* it has said why: another start would fail likewise */
        s->status = 1;
        return;
    }
    /* In an upgrade the successor is on its way, and may be later than another start. */
    plan_restart(s, time_monotonic_ns(), lived_ns);
}

static void on_gateway_end(struct supervisor *s, struct process *process, int status)
{
    int64_t lived_ns = time_monotonic_ns() - process->started_ns;
    uint64_t claim = process->claim;
    process_read(s, process);
    process_close_link(process);
    if (!s->stopping || !is_asked_end(status))
        log_end(process, status, lived_ns);
    if (s->stopping && !is_asked_end(status))
        s->status = 1;
    process->pid = 0;
    if (process == s->current)
        on_current_end(s, status, lived_ns, claim);
    else
        processes_tell(s);
    if (s->stopping && !is_any_left(s))
        s->ended = true;
}

/* As PID 1 there are orphans of others too. */
static void reap(struct supervisor *s)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct process *process = process_find(s, pid);
        if (process)
            process_read(s, process); /* it may have been ready */
        if (upgrade_on_end(s, pid, status))
            continue;
        if (process)
            on_gateway_end(s, process, status);
    }
}

/* --- signals --- */

static void signal_all(struct supervisor *s, int number)
{
    for (size_t i = 0; i < PROCESSES_MAX; i++)
        if (s->processes[i].pid > 0)
            process_signal(&s->processes[i], number);
}

static void stop(struct supervisor *s, int number)
{
    log_info(number == SIGQUIT ? "stopping" : "draining");
    service_manager_stopping(&s->manager, number == SIGQUIT ? 0 : s->drain_ms);
    upgrade_abandon(s, "the program was told to end");
    s->stopping = true;
    listening_set_release(
        &s->sockets); /* from now on the gateway process alone says how long connections are taken */
    if (!is_any_left(s))
        s->ended = true;
    signal_all(s, number);
    if (number == SIGQUIT && s->kill_ns == 0)
        s->kill_ns = time_monotonic_ns() + s->options.kill_ms * NS_PER_MS;
}

/* Before it is ready the gateway process may have no handler yet, and would die of it. */
static void reload(struct supervisor *s)
{
    service_manager_reloading(&s->manager);
    if (s->current && s->current->role == PROCESS_SERVING)
        process_signal(s->current, SIGHUP);
    else
        s->reload_owed = true;
}

static void reopen_logs(struct supervisor *s)
{
    for (size_t i = 0; i < PROCESSES_MAX; i++)
        if (s->processes[i].pid > 0 && s->processes[i].role != PROCESS_STARTING)
            process_signal(&s->processes[i], SIGUSR1);
    if (!s->current || s->current->role == PROCESS_STARTING)
        s->reopen_owed = true;
}

static void on_signal(struct supervisor *s, int number)
{
    switch (number) {
    case SIGTERM:
    case SIGINT: stop(s, SIGTERM); break;
    case SIGQUIT: stop(s, SIGQUIT); break;
    case SIGHUP: reload(s); break;
    case SIGUSR1: reopen_logs(s); break;
    case SIGUSR2: upgrade_begin(s); break;
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
    const int64_t times[] = {s->restart_ns, s->kill_ns, s->upgrade.deadline_ns, s->watchdog_ns};
    int64_t due = INT64_MAX;
    for (size_t i = 0; i < COUNT_OF(times); i++)
        if (times[i] > 0)
            due = MIN_OF(due, times[i]);
    if (due == INT64_MAX)
        return -1;
    return due <= now ? 0 : (int)MIN_OF((due - now) / NS_PER_MS + 1, (int64_t)INT32_MAX);
}

/* The manager watches this process; this one watches the gateway process, which it can replace without losing the sockets. The signal
 * leaves a crash report. */
static void watch_gateway(struct supervisor *s, int64_t now)
{
    struct process *process = s->current;
    int64_t period_ns = s->manager.watchdog_ns;
    s->watchdog_ns = service_manager_alive(&s->manager, now);
    if (s->watchdog_ns == 0 || s->stopping || !process || process->role != PROCESS_SERVING)
        return;
    if (now - process->heard_ns <= period_ns)
        return;
    log_error("the gateway process does not go round any more; ending it", LOG_INT("pid", process->pid),
              LOG_INT("silent_ms", (now - process->heard_ns) / NS_PER_MS));
    process->heard_ns = now; /* once: it ends now, or is killed in the next period */
    process_signal(process, process->hung ? SIGKILL : SIGABRT);
    process->hung = true;
}

static void run_timers(struct supervisor *s)
{
    int64_t now = time_monotonic_ns();
    if (s->restart_ns > 0 && now >= s->restart_ns && !s->stopping)
        start(s);
    if (s->kill_ns > 0 && now >= s->kill_ns) {
        log_warn("the gateway process did not stop in time; killing it");
        s->kill_ns = 0;
        signal_all(s, SIGKILL);
    }
    if (s->upgrade.deadline_ns > 0 && now >= s->upgrade.deadline_ns)
        upgrade_on_deadline(s);
    watch_gateway(s, now);
}

static void loop(struct supervisor *s)
{
    while (!s->ended) {
        struct pollfd fds[PROCESSES_MAX + 1] = {{.fd = s->signals, .events = POLLIN}};
        for (size_t i = 0; i < PROCESSES_MAX; i++)
            fds[i + 1] =
                (struct pollfd){.fd = s->processes[i].pid ? s->processes[i].link : -1, .events = POLLIN};
        int count = poll(fds, COUNT_OF(fds), wait_ms(s, time_monotonic_ns()));
        CHECK(count >= 0 || errno == EINTR || errno == ENOMEM);
        for (size_t i = 0; i < PROCESSES_MAX; i++)
            if (s->processes[i].pid > 0)
                process_read(s, &s->processes[i]);
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

static void set_defaults(struct supervisor_options *options)
{
    options->restart_ms_min = or_default(options->restart_ms_min, 100);
    options->restart_ms_max = or_default(options->restart_ms_max, 5 * MS_PER_SECOND);
    options->steady_ms = or_default(options->steady_ms, 10 * MS_PER_SECOND);
    options->kill_ms = or_default(options->kill_ms, 2 * MS_PER_SECOND);
    options->ask_ms = or_default(options->ask_ms, 10 * MS_PER_SECOND);
    options->ready_ms = or_default(options->ready_ms, 60 * MS_PER_SECOND);
}

/* Takes up where another supervisor left off, or begins anew. False: there is nothing to run. */
static bool begin(struct supervisor *s, int *ret_status)
{
    enum upgrade_arrival arrival = upgrade_arrive(s);
    *ret_status = arrival == ARRIVAL_ONLY_ASKED ? UPGRADE_UNDERSTOOD : 1;
    if (arrival == ARRIVAL_ONLY_ASKED || arrival == ARRIVAL_FAILED)
        return false;
    if (!catch_signals(s)) {
        log_error("cannot take charge of signals", LOG_STRING("error", strerror(errno)));
        return false;
    }
    if (arrival == ARRIVAL_NONE)
        start(s);
    else
        reap(s); /* the signal may have been taken before */
    return true;
}

int supervisor_run(const struct supervisor_options *options)
{
    struct supervisor s = {.options = *options};
    int status;
    set_defaults(&s.options);
    process_limits_no_core();
    listening_set_init(&s.sockets);
    service_manager_init(&s.manager, &s.sockets);
    s.watchdog_ns = s.manager.watchdog_ns > 0 ? time_monotonic_ns() : 0;
    if (!begin(&s, &status))
        return status;
    loop(&s);
    for (size_t i = 0; i < PROCESSES_MAX; i++)
        if (s.processes[i].pid > 0)
            process_close_link(&s.processes[i]);
    listening_set_release(&s.sockets);
    close(s.signals);
    service_manager_release(&s.manager);
    return s.status;
}
