/* The supervisor with a scripted gateway process: this program itself, started with other arguments. What the fake gateway does and gets comes
 * back as lines on a pipe that it inherits through the supervisor.
 *
 * It is long because both sides of the play are here. */
#include "control/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/time.h"
#include "control/supervisor_link.h"
#include "control/supervisor_wire.h"
#include "unit.h"

enum { DEADLINE_MS = 20000 };

/* --- the fake gateway: PROGRAM fake-gateway EVENTS_FD MODE ADDRESS [SECOND_ADDRESS] --- */

static int events_fd;

__attribute__((format(printf, 1, 2))) static void event(const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    line[size++] = '\n';
    if (write(events_fd, line, (size_t)size) != size)
        _exit(9);
}

static bool mode_is(char **argv, const char *mode)
{
    return text_equal(text_of(argv[3]), text_of(mode));
}

static int fake_listen(struct supervisor_link *link, const char *name, const char *address)
{
    struct address actual;
    struct error error;
    char written[ADDRESS_TEXT_SIZE];
    bool passed;
    int fd = supervisor_link_listen(link, text_of(name), text_of(address), &actual, &passed, &error);
    if (fd < 0) {
        event("error %s", error.said);
        _exit(1);
    }
    int size = (int)address_write(&actual, written);
    event("listening %.*s", size, written);
    return fd;
}

/* A connection says what to do in one byte. */
static void fake_serve(int listener, struct supervisor_link *link, char **argv)
{
    char command = 0, pid[16];
    int size = snprintf(pid, sizeof pid, "%d", (int)getpid());
    int fd = accept(listener, NULL, NULL);
    if (fd < 0 || read(fd, &command, 1) != 1)
        _exit(8);
    if (command == 'k')
        raise(SIGKILL);
    if (command == 'e')
        _exit(3);
    if (command == 'z')
        _exit(0);
    if (command == 'r')
        supervisor_link_release(link, TEXT("second"), text_of(argv[5]));
    if (command == 'o' && fork() == 0) { /* an orphan: nobody but a reaper waits for it */
        event("orphan %d", (int)fork());
        _exit(0);
    }
    if (write(fd, pid, (size_t)size) != size)
        _exit(7);
    close(fd);
}

static void fake_signal(int signals, char **argv, bool *term)
{
    struct signalfd_siginfo info;
    if (read(signals, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    int number = (int)info.ssi_signo;
    event("signal %s", sigabbrev_np(number));
    *term = *term || number == SIGTERM;
    if (number == SIGQUIT && !mode_is(argv, "stubborn"))
        _exit(0);
    if (number == SIGTERM && mode_is(argv, "crash-in-drain"))
        raise(SIGSEGV);
    if (number == SIGTERM && !mode_is(argv, "stubborn") && !mode_is(argv, "linger"))
        _exit(0);
}

/* False: there is nobody any more. */
static bool fake_listen_to(struct supervisor_link *link)
{
    struct wire_message message;
    int code = wire_receive(link->fd, &message, MSG_DONTWAIT);
    if (code > 0 && text_equal(message.fields[0], TEXT("retire"))) {
        event("retire");
        _exit(0);
    }
    if (code > 0 && text_equal(message.fields[0], TEXT("upgrades")) && message.fields[3].size > 0)
        event("upgrade failed %.*s", TEXT_ARGS(message.fields[3]));
    return code > 0 || code == -EAGAIN;
}

static void fake_loop(struct supervisor_link *link, int signals, int listener, char **argv)
{
    bool term = false, gone = false;
    while (!(term && gone)) {
        struct pollfd fds[] = {
            {signals, POLLIN, 0}, {listener, POLLIN, 0}, {gone ? -1 : link->fd, POLLIN, 0}};
        poll(fds, COUNT_OF(fds), -1);
        if (fds[0].revents)
            fake_signal(signals, argv, &term);
        if (fds[1].revents)
            fake_serve(listener, link, argv);
        if (fds[2].revents && !fake_listen_to(link)) {
            gone = true;
            event("supervisor gone");
        }
    }
}

static int fake_gateway(char **argv)
{
    struct supervisor_link link;
    sigset_t wanted;
    sigemptyset(&wanted);
    static const int handled[] = {SIGHUP, SIGUSR1, SIGUSR2, SIGTERM, SIGINT, SIGQUIT};
    for (size_t i = 0; i < COUNT_OF(handled); i++)
        sigaddset(&wanted, handled[i]);
    if (!mode_is(argv, "deaf"))
        sigprocmask(SIG_BLOCK, &wanted, NULL);
    signal(SIGSEGV, SIG_DFL);
    int signals = signalfd(-1, &wanted, SFD_CLOEXEC);
    events_fd = (int)strtol(argv[2], NULL, 10);
    int fd = supervisor_link_inherit().fd;
    event("start %d", (int)getpid());
    if (fd < 0 || supervisor_link_open(&link, fd) < 0)
        _exit(6);
    if (mode_is(argv, "refuse"))
        return 1;
    if (mode_is(argv, "die"))
        raise(SIGKILL);
    if (mode_is(argv, "json"))
        supervisor_link_log(&link, LOG_DEBUG, LOG_FORMAT_JSON);
    int listener = fake_listen(&link, "main", argv[4]);
    char until[200];
    snprintf(until, sizeof until, "%s.wanted", argv[5] ? argv[5] + 5 : "");
    if (argv[5] && access(until, F_OK) == 0)
        fake_listen(&link, "second", argv[5]);
    if (mode_is(argv, "deaf")) { /* not ready until a client says so; a signal before would kill it */
        struct pollfd waiting = {listener, POLLIN, 0};
        poll(&waiting, 1, -1);
        sigprocmask(SIG_BLOCK, &wanted, NULL);
    }
    supervisor_link_ready(&link);
    event("ready");
    fake_loop(&link, signals, listener, argv);
    return 0;
}

/* The next supervisor: PROGRAM fake-supervisor, and then as the fake gateway. */
static int fake_supervisor(char **argv)
{
    char *arguments[] = {argv[0], (char *)"fake-gateway", argv[2], argv[3], argv[4], argv[5], NULL};
    bool asked = getenv("TURNPIKE_STATE_ASK"), went_back = !getenv("TURNPIKE_STATE_PROGRAM_FD");
    if (asked && mode_is(argv, "ignorant"))
        return 0;
    if (asked && mode_is(argv, "mute"))
        for (;;)
            pause();
    if (!asked && mode_is(argv, "forgetful") && !went_back)
        memory_fail_at(1); /* what it understood a moment ago it cannot read now */
    return supervisor_run(&(struct supervisor_options){
        .path = "/proc/self/exe", .arguments = arguments, .program = "/proc/self/exe", .again = argv});
}

/* --- the test's side --- */

static struct {
    pid_t supervisor;
    int events, log;  /* read ends */
    char lines[8192]; /* of events, not read yet */
    size_t lines_size;
    char said[65536]; /* the supervisor's log so far */
    size_t said_size;
    char address[64]; /* that the fake gateway got */
    char folder[64], second[128], wanted[160];
} play;

static struct supervisor_options timing;

static int set_up(void **state)
{
    (void)state;
    memset(&play, 0, sizeof play);
    timing = (struct supervisor_options){.restart_ms_min = 20, .restart_ms_max = 80};
    snprintf(play.folder, sizeof play.folder, "/tmp/supervisor_XXXXXX");
    assert_non_null(mkdtemp(play.folder));
    snprintf(play.second, sizeof play.second, "unix:%s/x", play.folder);
    snprintf(play.wanted, sizeof play.wanted, "%s/x.wanted", play.folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (play.supervisor > 0) {
        kill(play.supervisor, SIGQUIT);
        waitpid(play.supervisor, NULL, 0);
    }
    close(play.events);
    close(play.log);
    unlink(play.wanted);
    unlink(play.second + 5);
    return rmdir(play.folder);
}

static void begin(const char *mode, const char *address)
{
    int events[2], log[2];
    char number[12];
    assert_int_equal(pipe2(events, O_CLOEXEC), 0);
    assert_int_equal(pipe2(log, O_CLOEXEC), 0);
    snprintf(number, sizeof number, "%d", events[1]);
    char *arguments[] = {
        (char *)"fake", (char *)"fake-gateway", number, (char *)mode, (char *)address, play.second, NULL};
    play.supervisor = fork();
    assert_true(play.supervisor >= 0);
    if (play.supervisor == 0) {
        fcntl(events[1], F_SETFD, 0);
        dup2(log[1], STDERR_FILENO);
        prctl(PR_SET_CHILD_SUBREAPER, 1); /* orphans come to it, as to PID 1 */
        signal(SIGCHLD, SIG_IGN);         /* as a careless parent may leave it */
        char *again[] = {(char *)"fake",
                         (char *)"fake-supervisor",
                         number,
                         (char *)mode,
                         (char *)address,
                         play.second,
                         NULL};
        timing.path = timing.program = "/proc/self/exe";
        timing.arguments = arguments;
        timing.again = again;
        _exit(supervisor_run(&timing));
    }
    close(events[1]);
    close(log[1]);
    play.events = events[0];
    play.log = log[0];
}

static size_t read_more(int fd, char *to, size_t size, size_t room, const char *wanted)
{
    struct pollfd ready = {fd, POLLIN, 0};
    if (poll(&ready, 1, DEADLINE_MS) <= 0)
        fail_msg("waited in vain for: %s", wanted);
    ssize_t n = read(fd, to + size, room - size);
    if (n <= 0)
        fail_msg("ended without: %s\nlog: %.*s", wanted, (int)play.said_size, play.said);
    return size + (size_t)n;
}

/* The rest of the next event, which must begin with `wanted`; valid until the next call. */
static const char *expect(const char *wanted)
{
    static char line[512];
    char *end;
    while (!(end = memchr(play.lines, '\n', play.lines_size)))
        play.lines_size = read_more(play.events, play.lines, play.lines_size, sizeof play.lines, wanted);
    size_t size = (size_t)(end - play.lines);
    assert_true(size < sizeof line);
    memcpy(line, play.lines, size);
    line[size] = '\0';
    play.lines_size -= size + 1;
    memmove(play.lines, end + 1, play.lines_size);
    if (!text_starts_with(text_of(line), text_of(wanted)))
        fail_msg("got \"%s\", wanted \"%s\"", line, wanted);
    return line + strlen(wanted);
}

/* Reads the supervisor's log until it holds `wanted`; forgets all up to that. */
static void expect_log(const char *wanted)
{
    size_t at;
    while ((at = text_find((struct text){play.said, play.said_size}, text_of(wanted))) == TEXT_NONE)
        play.said_size = read_more(play.log, play.said, play.said_size, sizeof play.said, wanted);
    at += strlen(wanted);
    play.said_size -= at;
    memmove(play.said, play.said + at, play.said_size);
}

static pid_t expect_start(void)
{
    return (pid_t)strtol(expect("start "), NULL, 10);
}

static pid_t expect_serving(void)
{
    pid_t pid = expect_start();
    snprintf(play.address, sizeof play.address, "%s", expect("listening "));
    return pid;
}

static pid_t expect_ready(void)
{
    pid_t pid = expect_serving();
    expect("ready");
    return pid;
}

static int expect_exit(void)
{
    int status = -1;
    assert_int_equal(waitpid(play.supervisor, &status, 0), play.supervisor);
    play.supervisor = 0;
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int connect_to(const char *written)
{
    struct address address;
    struct sockaddr_storage storage;
    assert_true(address_parse(text_of(written), &address));
    socklen_t size = address_to_socket(&address, &storage);
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&storage, size) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int command(char letter)
{
    int fd = connect_to(play.address);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, &letter, 1), 1);
    return fd;
}

/* Who answered. */
static pid_t answer(int fd)
{
    char pid[16] = "";
    struct pollfd ready = {fd, POLLIN, 0};
    assert_int_equal(poll(&ready, 1, DEADLINE_MS), 1);
    assert_true(read(fd, pid, sizeof pid - 1) > 0);
    close(fd);
    return (pid_t)strtol(pid, NULL, 10);
}

/* --- starts, crashes, restarts --- */

static void gateway_serves_on_a_port_of_the_kernel(void **state)
{
    (void)state;
    begin("", "127.0.0.1:0");
    pid_t gateway = expect_ready();
    assert_true(text_starts_with(text_of(play.address), TEXT("127.0.0.1:")));
    assert_int_equal(answer(command('p')), gateway);
    expect_log("gateway process ready");
}

static void successor_of_a_crashed_gateway_has_the_same_socket(void **state)
{
    (void)state;
    char before[64];
    begin("", "127.0.0.1:0");
    pid_t first = expect_ready();
    memcpy(before, play.address, sizeof before);
    close(command('k'));
    pid_t second = expect_ready();
    assert_int_not_equal(first, second);
    assert_string_equal(play.address, before);
    assert_int_equal(answer(command('p')), second);
    expect_log("killed by a signal");
}

static void queued_connection_is_served_by_the_successor(void **state)
{
    (void)state;
    begin("", "127.0.0.1:0");
    pid_t first = expect_ready();
    assert_int_equal(kill(first, SIGSTOP), 0);
    int queued = command('p');
    assert_int_equal(kill(first, SIGKILL), 0);
    pid_t second = expect_ready();
    assert_int_equal(answer(queued), second);
}

static void exit_status_that_is_not_zero_is_a_crash(void **state)
{
    (void)state;
    begin("", "127.0.0.1:0");
    expect_ready();
    close(command('e'));
    expect_ready();
    expect_log("status=3");
}

static void end_that_nobody_asked_for_is_followed_by_a_start(void **state)
{
    (void)state;
    begin("", "127.0.0.1:0");
    expect_ready();
    close(command('z'));
    expect_ready();
}

static void quick_deaths_in_a_row_back_off(void **state)
{
    (void)state;
    static const char *const delays[] = {"delay_ms=0\n", "delay_ms=20\n", "delay_ms=40\n", "delay_ms=80\n",
                                         "delay_ms=80\n"};
    int64_t before = time_monotonic_ns();
    begin("die", "127.0.0.1:0");
    expect_start();
    for (size_t i = 0; i < COUNT_OF(delays); i++) {
        expect_log(delays[i]);
        expect_start();
    }
    assert_true(time_monotonic_ns() - before >= 220 * NS_PER_MS);
}

static void death_after_a_steady_life_is_followed_at_once(void **state)
{
    (void)state;
    timing.steady_ms = 1;
    begin("", "127.0.0.1:0");
    expect_ready();
    for (int i = 0; i < 3; i++) {
        int64_t until =
            time_monotonic_ns() + 2 * NS_PER_MS; /* the process has lived longer than a millisecond */
        while (time_monotonic_ns() < until)
            assert_true(answer(command('p')) > 0);
        close(command('k'));
        expect_log("delay_ms=0\n");
        expect_ready();
    }
}

static void stop_during_back_off_ends_at_once(void **state)
{
    (void)state;
    timing.restart_ms_min = timing.restart_ms_max = 3600 * MS_PER_SECOND;
    begin("die", "127.0.0.1:0");
    expect_start();
    expect_start();
    expect_log("delay_ms=3600000");
    kill(play.supervisor, SIGTERM);
    assert_int_equal(expect_exit(), 0);
}

static void refused_configuration_at_the_first_start_ends_all(void **state)
{
    (void)state;
    begin("refuse", "127.0.0.1:0");
    expect_start();
    assert_int_equal(expect_exit(), 1);
}

static void program_that_is_not_there_ends_all(void **state)
{
    (void)state;
    play.supervisor = fork();
    if (play.supervisor == 0) {
        char *arguments[] = {(char *)"none", NULL};
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        _exit(supervisor_run(
            &(struct supervisor_options){.path = "/nonexistent/program", .arguments = arguments}));
    }
    assert_int_equal(expect_exit(), 1);
}

/* --- sockets --- */

static void taken_port_is_said_with_the_remedy(void **state)
{
    (void)state;
    struct supervisor_link other;
    struct address actual;
    char written[ADDRESS_TEXT_SIZE], wanted[256];
    assert_int_equal(supervisor_link_open(&other, -1), 0);
    bool passed;
    int fd = supervisor_link_listen(&other, TEXT("a"), TEXT("127.0.0.1:0"), &actual, &passed, NULL);
    assert_true(fd >= 0);
    written[address_write(&actual, written)] = '\0';
    begin("", written);
    expect_start();
    snprintf(wanted, sizeof wanted, "error cannot listen on %s: another process uses the port", written);
    assert_true(text_ends_with(text_of(expect(wanted)), TEXT("stop it, or change the listener's address")));
    assert_int_equal(expect_exit(), 1);
    close(fd);
    supervisor_link_close(&other);
}

static void want_second(void)
{
    int fd = open(play.wanted, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static void unix_socket_survives_a_crash_and_not_the_end(void **state)
{
    (void)state;
    begin("", play.second);
    expect_ready();
    assert_string_equal(play.address, play.second);
    close(command('k'));
    pid_t second = expect_ready();
    assert_int_equal(answer(command('p')), second);
    kill(play.supervisor, SIGTERM);
    assert_int_equal(expect_exit(), 0);
    assert_int_equal(access(play.second + 5, F_OK), -1);
}

static void socket_that_the_successor_does_not_want_is_closed(void **state)
{
    (void)state;
    want_second();
    begin("", "127.0.0.1:0");
    expect_serving();
    assert_string_equal(expect("listening "), play.second);
    expect("ready");
    unlink(play.wanted);
    close(command('k'));
    expect_ready();
    expect_log("dropped=1");
    assert_int_equal(connect_to(play.second), -1);
}

static void released_socket_is_closed(void **state)
{
    (void)state;
    want_second();
    begin("", "127.0.0.1:0");
    expect_serving();
    expect("listening ");
    expect("ready");
    assert_true(answer(command('r')) > 0);
    unlink(play.wanted);
    close(command('k'));
    expect_ready();
    expect_log("dropped=0"); /* of the first process */
    expect_log("dropped=0"); /* of the second: nothing was left over */
    assert_int_equal(connect_to(play.second), -1);
}

/* --- signals --- */

static void term_drains(void **state)
{
    (void)state;
    begin("", "127.0.0.1:0");
    expect_ready();
    kill(play.supervisor, SIGTERM);
    expect("signal TERM");
    assert_int_equal(expect_exit(), 0);
}

static void interrupt_drains_too(void **state)
{
    (void)state;
    begin("", "127.0.0.1:0");
    expect_ready();
    kill(play.supervisor, SIGINT);
    expect("signal TERM");
    assert_int_equal(expect_exit(), 0);
}

static void drain_is_waited_for_and_can_be_cut_short(void **state)
{
    (void)state;
    timing.kill_ms = 10;
    begin("stubborn", "127.0.0.1:0");
    expect_ready();
    kill(play.supervisor, SIGTERM);
    expect("signal TERM");
    kill(play.supervisor, SIGTERM);
    expect("signal TERM");
    assert_int_equal(waitpid(play.supervisor, NULL, WNOHANG), 0);
    kill(play.supervisor, SIGQUIT);
    expect("signal QUIT");
    expect_log("did not stop in time");
    assert_int_equal(expect_exit(), 0);
}

static void crash_in_a_drain_is_told(void **state)
{
    (void)state;
    begin("crash-in-drain", "127.0.0.1:0");
    expect_ready();
    kill(play.supervisor, SIGTERM);
    assert_int_equal(expect_exit(), 1);
    expect_log("killed by a signal");
}

static void quit_stops(void **state)
{
    (void)state;
    timing.kill_ms = 3600 * MS_PER_SECOND;
    begin("", "127.0.0.1:0");
    expect_ready();
    kill(play.supervisor, SIGQUIT);
    expect("signal QUIT");
    assert_int_equal(expect_exit(), 0);
}

static void reload_and_reopen_are_forwarded(void **state)
{
    (void)state;
    begin("", "127.0.0.1:0");
    expect_ready();
    expect_log("gateway process ready");
    kill(play.supervisor, SIGHUP);
    expect("signal HUP");
    kill(play.supervisor, SIGUSR1);
    expect("signal USR1");
}

static void reload_waits_until_the_gateway_is_ready(void **state)
{
    (void)state;
    begin("deaf", "127.0.0.1:0");
    pid_t gateway = expect_serving();
    kill(play.supervisor, SIGHUP);
    kill(play.supervisor, SIGUSR2);
    expect_log("no upgrade now"); /* the supervisor has taken both */
    int fd = command('p');
    expect("ready");
    expect("signal HUP");
    assert_int_equal(answer(fd), gateway);
}

static void gateway_drains_when_the_supervisor_is_killed(void **state)
{
    (void)state;
    begin("linger", "127.0.0.1:0");
    expect_ready();
    kill(play.supervisor, SIGKILL);
    waitpid(play.supervisor, NULL, 0);
    play.supervisor = 0;
    bool term_first = text_starts_with(text_of(expect("s")), TEXT("ignal TERM")); /* the two have no order */
    expect(term_first ? "supervisor gone" : "signal TERM");
}

/* --- upgrades (with the real gateway: tests/gateway/test_program_upgrade.py) --- */

static void upgrade_replaces_the_gateway_and_then_retires_the_old_one(void **state)
{
    (void)state;
    char before[64];
    begin("", "127.0.0.1:0");
    pid_t first = expect_ready();
    memcpy(before, play.address, sizeof before);
    kill(play.supervisor, SIGUSR2);
    pid_t second = expect_ready();
    assert_int_not_equal(first, second);
    assert_string_equal(play.address, before);
    expect("retire");
    expect_log("upgrade done");
    assert_int_equal(answer(command('p')), second);
    kill(play.supervisor, SIGTERM);
    expect("signal TERM");
    assert_int_equal(expect_exit(), 0);
}

static void upgrade_to_a_program_that_does_not_understand_is_none(void **state)
{
    (void)state;
    begin("ignorant", "127.0.0.1:0");
    pid_t first = expect_ready();
    kill(play.supervisor, SIGUSR2);
    expect("upgrade failed the new program cannot take over");
    assert_int_equal(answer(command('p')), first);
}

static void upgrade_to_a_program_that_does_not_answer_is_none(void **state)
{
    (void)state;
    timing.ask_ms = 50;
    begin("mute", "127.0.0.1:0");
    pid_t first = expect_ready();
    kill(play.supervisor, SIGUSR2);
    expect("upgrade failed the new program did not say in time");
    assert_int_equal(answer(command('p')), first);
}

static void supervisor_that_cannot_read_goes_back_to_the_old_program(void **state)
{
    (void)state;
    begin("forgetful", "127.0.0.1:0");
    pid_t first = expect_ready();
    kill(play.supervisor, SIGUSR2);
    expect_ready();
    expect_log("the old program will be executed again");
    expect_log("upgrade undone");
    const char *said = expect(""); /* two processes: either may be first */
    bool retired = text_equal(text_of(said), TEXT("retire"));
    expect(retired ? "upgrade failed" : "retire");
    assert_int_equal(answer(command('p')), first);
}

static void crash_in_an_upgrade_is_followed_by_a_start(void **state)
{
    (void)state;
    begin("", "127.0.0.1:0");
    pid_t first = expect_ready();
    kill(first, SIGKILL);
    kill(play.supervisor, SIGUSR2);
    expect_ready();
    assert_true(answer(command('p')) > 0);
}

/* --- duties --- */

static void orphans_are_reaped(void **state)
{
    (void)state;
    begin("", "127.0.0.1:0");
    expect_ready();
    close(command('o'));
    pid_t orphans[2] = {(pid_t)strtol(expect("orphan "), NULL, 10),
                        (pid_t)strtol(expect("orphan "), NULL, 10)};
    pid_t orphan = MAX_OF(orphans[0], orphans[1]); /* the other is 0: said by the orphan itself */
    int64_t until = time_monotonic_ns() + DEADLINE_MS * NS_PER_MS;
    while (kill(orphan, 0) == 0) {
        assert_true(time_monotonic_ns() < until);
        sched_yield();
    }
    assert_int_equal(errno, ESRCH);
}

static void log_follows_the_configuration(void **state)
{
    (void)state;
    begin("json", "127.0.0.1:0");
    expect_ready();
    expect_log("\n{\"time\":");
    expect_log("\"message\":\"gateway process ready\"");
}

int main(int argc, char **argv)
{
    if (argc > 1 && text_equal(text_of(argv[1]), TEXT("fake-gateway")))
        return fake_gateway(argv);
    if (argc > 1 && text_equal(text_of(argv[1]), TEXT("fake-supervisor")))
        return fake_supervisor(argv);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(gateway_serves_on_a_port_of_the_kernel),
        TEST(successor_of_a_crashed_gateway_has_the_same_socket),
        TEST(queued_connection_is_served_by_the_successor),
        TEST(exit_status_that_is_not_zero_is_a_crash),
        TEST(end_that_nobody_asked_for_is_followed_by_a_start),
        TEST(quick_deaths_in_a_row_back_off),
        TEST(death_after_a_steady_life_is_followed_at_once),
        TEST(stop_during_back_off_ends_at_once),
        TEST(refused_configuration_at_the_first_start_ends_all),
        TEST(program_that_is_not_there_ends_all),
        TEST(taken_port_is_said_with_the_remedy),
        TEST(unix_socket_survives_a_crash_and_not_the_end),
        TEST(socket_that_the_successor_does_not_want_is_closed),
        TEST(released_socket_is_closed),
        TEST(term_drains),
        TEST(interrupt_drains_too),
        TEST(drain_is_waited_for_and_can_be_cut_short),
        TEST(crash_in_a_drain_is_told),
        TEST(quit_stops),
        TEST(reload_and_reopen_are_forwarded),
        TEST(reload_waits_until_the_gateway_is_ready),
        TEST(gateway_drains_when_the_supervisor_is_killed),
        TEST(upgrade_replaces_the_gateway_and_then_retires_the_old_one),
        TEST(upgrade_to_a_program_that_does_not_understand_is_none),
        TEST(upgrade_to_a_program_that_does_not_answer_is_none),
        TEST(supervisor_that_cannot_read_goes_back_to_the_old_program),
        TEST(crash_in_an_upgrade_is_followed_by_a_start),
        TEST(orphans_are_reaped),
        TEST(log_follows_the_configuration),
    };
    return RUN_TESTS(tests);
}
