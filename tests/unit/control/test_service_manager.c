/* A service manager that is played by the test: its socket, its environment. */
#include "control/service_manager.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/time.h"
#include "unit.h"

static int inbox;
static char folder[64], path[80];
static struct listening_set sockets;
static struct service_manager manager;

static int set_up(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(folder, sizeof folder, "/tmp/manager_XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/notify", folder);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    inbox = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(inbox, (struct sockaddr *)&address, sizeof address), 0);
    listening_set_init(&sockets);
    return setenv("NOTIFY_SOCKET", path, 1);
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const variables[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                                            "LISTEN_PID",    "LISTEN_FDS",    "LISTEN_FDNAMES"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        unsetenv(variables[i]);
    service_manager_release(&manager);
    listening_set_release(&sockets);
    close(inbox);
    unlink(path);
    return rmdir(folder);
}

static const char *told(void)
{
    static char message[1024];
    ssize_t size = recv(inbox, message, sizeof message - 1, 0);
    message[size < 0 ? 0 : size] = '\0';
    return message;
}

static void ready_names_the_main_process(void **state)
{
    (void)state;
    char wanted[64];
    service_manager_init(&manager, &sockets);
    service_manager_ready(&manager);
    snprintf(wanted, sizeof wanted, "READY=1\nMAINPID=%d\nSTATUS=Serving", (int)getpid());
    assert_string_equal(told(), wanted);
}

static void reload_begins_and_ends(void **state)
{
    (void)state;
    service_manager_init(&manager, &sockets);
    service_manager_reloading(&manager);
    assert_true(text_starts_with(text_of(told()), TEXT("RELOADING=1\nMONOTONIC_USEC=")));
    service_manager_reloaded(&manager, TEXT("configuration applied"));
    assert_string_equal(told(), "READY=1\nSTATUS=Serving; last reload: configuration applied");
    service_manager_reloaded(&manager, TEXT("a file changed")); /* one that the manager did not ask for */
    assert_string_equal(told(), "STATUS=Serving; last reload: a file changed");
}

static void stopping_asks_for_the_time_of_the_drain(void **state)
{
    (void)state;
    service_manager_init(&manager, &sockets);
    service_manager_stopping(&manager, 30000);
    assert_string_equal(told(), "STOPPING=1\nSTATUS=Draining\nEXTEND_TIMEOUT_USEC=35000000");
}

static void abstract_socket_is_understood(void **state)
{
    (void)state;
    char name[sizeof((struct sockaddr_un *)0)->sun_path + 1];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int size = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "turnpike-test-%d", (int)getpid());
    close(inbox);
    inbox = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(inbox, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)size)),
                     0);
    snprintf(name, sizeof name, "@%s", address.sun_path + 1);
    setenv("NOTIFY_SOCKET", name, 1);
    service_manager_init(&manager, &sockets);
    service_manager_status(&manager, "Upgrading");
    assert_string_equal(told(), "STATUS=Upgrading");
}

static void nobody_is_told_without_a_manager(void **state)
{
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    service_manager_init(&manager, &sockets);
    service_manager_ready(&manager);
    assert_string_equal(told(), "");
    assert_int_equal(service_manager_alive(&manager, time_monotonic_ns()), 0);
}

static void watchdog_is_told_twice_in_its_time(void **state)
{
    (void)state;
    setenv("WATCHDOG_USEC", "2000000", 1);
    service_manager_init(&manager, &sockets);
    assert_int_equal(service_manager_alive(&manager, 5 * NS_PER_SECOND), 6 * NS_PER_SECOND);
    assert_string_equal(told(), "WATCHDOG=1");
    assert_int_equal(service_manager_alive(&manager, 5 * NS_PER_SECOND + 1), 6 * NS_PER_SECOND);
    assert_string_equal(told(), "");
    assert_int_equal(service_manager_alive(&manager, 6 * NS_PER_SECOND), 7 * NS_PER_SECOND);
    assert_string_equal(told(), "WATCHDOG=1");
}

static void watchdog_of_another_process_is_none(void **state)
{
    (void)state;
    setenv("WATCHDOG_USEC", "2000000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    service_manager_init(&manager, &sockets);
    assert_int_equal(service_manager_alive(&manager, 0), 0);
}

/* Descriptors from 3 are the test runner's; a child may overwrite them. */
static void in_child(void (*run)(void))
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        run();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void pass_two(const char *pid)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 1) < 0)
        _exit(1);
    int other = open("/dev/null", O_RDONLY);
    fd = fcntl(fd, F_DUPFD, 100);
    other = fcntl(other, F_DUPFD, 100);
    if (dup2(fd, 3) != 3 || dup2(other, 4) != 4)
        _exit(2);
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", "2", 1);
    setenv("LISTEN_FDNAMES", "public:odd", 1);
}

static void take_two(void)
{
    struct error error;
    char pid[16];
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    pass_two(pid);
    dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
    unsetenv("NOTIFY_SOCKET"); /* its socket would get a number that was closed */
    service_manager_init(&manager, &sockets);
    const struct listening *one =
        listening_set_open(&sockets, TEXT("public"), TEXT("127.0.0.1:80"), 1, &error);
    bool fine = sockets.count == 1 && one && one->fd == 3 && fcntl(4, F_GETFD) < 0 && !getenv("LISTEN_FDS")
                && !getenv("LISTEN_PID") && !getenv("LISTEN_FDNAMES");
    _exit(fine ? 0 : 3);
}

static void take_none(void)
{
    pass_two("1");
    service_manager_init(&manager, &sockets);
    _exit(sockets.count == 0 && fcntl(3, F_GETFD) >= 0 ? 0 : 3);
}

static void sockets_are_taken_and_what_is_none_is_closed(void **state)
{
    (void)state;
    in_child(take_two);
}

static void sockets_for_another_process_are_left_alone(void **state)
{
    (void)state;
    in_child(take_none);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(ready_names_the_main_process),
        TEST(reload_begins_and_ends),
        TEST(stopping_asks_for_the_time_of_the_drain),
        TEST(abstract_socket_is_understood),
        TEST(nobody_is_told_without_a_manager),
        TEST(watchdog_is_told_twice_in_its_time),
        TEST(watchdog_of_another_process_is_none),
        TEST(sockets_are_taken_and_what_is_none_is_closed),
        TEST(sockets_for_another_process_are_left_alone),
    };
    return RUN_TESTS(tests);
}
