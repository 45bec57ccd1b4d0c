/* The gateway process's side, without a supervisor and with a scripted one. (With the real one: test_supervisor.c.) */
#include "control/supervisor_link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>

#include "control/supervisor_wire.h"
#include "unit.h"

static void alone_it_binds_here(void **state)
{
    (void)state;
    struct supervisor_link link;
    struct address first, again, other;
    struct error error;
    bool passed;
    assert_int_equal(supervisor_link_open(&link, -1), 0);
    int fd = supervisor_link_listen(&link, TEXT("a"), TEXT("127.0.0.1:0"), &first, &passed, &error);
    assert_true(fd >= 0);
    assert_int_not_equal(address_port(&first), 0);
    close(fd);
    fd = supervisor_link_listen(&link, TEXT("a"), TEXT("127.0.0.1:0"), &again, &passed, &error);
    assert_true(fd >= 0);
    assert_true(address_equal(&first, &again));
    close(fd);
    supervisor_link_release(&link, TEXT("a"), TEXT("127.0.0.1:0"));
    assert_int_equal(supervisor_link_listen(&link, TEXT("a"), TEXT("nowhere"), &other, &passed, &error),
                     -EINVAL);
    supervisor_link_ready(&link);
    supervisor_link_reloaded(&link, false, TEXT("two\nlines"));
    supervisor_link_close(&link);
}

static void unix_address_is_returned_as_asked(void **state)
{
    (void)state;
    struct supervisor_link link;
    struct address actual;
    struct error error;
    bool passed;
    char address[64];
    snprintf(address, sizeof address, "unix:@turnpike-test-%d", (int)getpid());
    assert_int_equal(supervisor_link_open(&link, -1), 0);
    int fd = supervisor_link_listen(&link, TEXT("a"), text_of(address), &actual, &passed, &error);
    assert_true(fd >= 0);
    assert_string_equal(actual.path, address + 5);
    close(fd);
    supervisor_link_close(&link);
}

static void late_answer_is_skipped(void **state)
{
    (void)state;
    struct supervisor_link link;
    struct address actual;
    struct error error;
    bool passed;
    int pair[2], late = open("/dev/null", O_RDONLY);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    assert_int_equal(supervisor_link_open(&link, pair[0]), 0);
    assert_int_equal(wire_send(pair[1], (struct text[WIRE_FIELDS_MAX]){TEXT("ok"), TEXT("0")}, late, 0), 0);
    assert_int_equal(
        wire_send(pair[1],
                  (struct text[WIRE_FIELDS_MAX]){TEXT("error"), TEXT("1"), TEXT("-98"), TEXT("it is taken")},
                  -1, 0),
        0);
    assert_int_equal(supervisor_link_listen(&link, TEXT("a"), TEXT("127.0.0.1:80"), &actual, &passed, &error),
                     -98);
    assert_string_equal(error.said, "it is taken");
    close(late);
    close(pair[1]);
    assert_int_equal(supervisor_link_listen(&link, TEXT("a"), TEXT("127.0.0.1:80"), &actual, &passed, &error),
                     -EPIPE);
    supervisor_link_close(&link);
}

static struct loop loop;
static int gone;

static void on_gone(struct supervisor_link *link)
{
    gone++;
    assert_int_equal(link->fd, -1);
    loop_stop(&loop);
}

static void watch_tells_once_that_the_supervisor_is_gone(void **state)
{
    (void)state;
    struct supervisor_link link;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    assert_int_equal(loop_init(&loop), 0);
    assert_int_equal(supervisor_link_open(&link, pair[0]), 0);
    assert_int_equal(supervisor_link_watch(&link, &loop, on_gone), 0);
    loop_turn(&loop, 0);
    assert_int_equal(gone, 0);
    close(pair[1]);
    loop_run(&loop);
    assert_int_equal(gone, 1);
    supervisor_link_close(&link);
    loop_release(&loop);
}

static void descriptor_in_the_environment_is_checked(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "x", "0", "99999", "-1", "4294967296"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        setenv(WIRE_VARIABLE, wrong[i], 1);
        assert_int_equal(supervisor_link_inherit().fd, -1);
        assert_null(getenv(WIRE_VARIABLE));
    }
    int pair[2];
    char number[12];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    snprintf(number, sizeof number, "%d", pair[0]);
    setenv(WIRE_VARIABLE, number, 1);
    assert_int_equal(supervisor_link_inherit().fd, pair[0]);
    assert_null(getenv(WIRE_VARIABLE));
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alone_it_binds_here),
        cmocka_unit_test(unix_address_is_returned_as_asked),
        cmocka_unit_test(late_answer_is_skipped),
        cmocka_unit_test(watch_tells_once_that_the_supervisor_is_gone),
        cmocka_unit_test(descriptor_in_the_environment_is_checked),
    };
    return RUN_TESTS(tests);
}
