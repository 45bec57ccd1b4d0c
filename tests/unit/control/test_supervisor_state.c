/* What a supervisor hands to the next one. */
#include "control/supervisor_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/check.h"
#include "unit.h"

static struct supervisor before, after;

static int set_up(void **state)
{
    (void)state;
    memset(&before, 0, sizeof before);
    memset(&after, 0, sizeof after);
    listening_set_init(&before.sockets);
    listening_set_init(&after.sockets);
    before.starts = 7;
    before.upgrade.done = 2;
    before.processes[0] = (struct process){
        .pid = 100, .link = -1, .claim = 6, .role = PROCESS_SERVING, .connections = -1, .version = "1.2"};
    before.processes[3] = (struct process){.pid = 101, .link = -1, .claim = 5, .role = PROCESS_RETIRING};
    before.current = &before.processes[0];
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    LIST_EACH (link, &after.sockets.all)
        CONTAINER_OF(link, struct listening, link)->fd = -1; /* the same as before */
    listening_set_release(&after.sockets);
    listening_set_release(&before.sockets);
    return 0;
}

static bool hand_on(bool only_ask, struct error *reterr)
{
    int fd = supervisor_state_write(&before);
    assert_true(fd >= 0);
    bool fine = supervisor_state_read(&after, fd, only_ask, reterr);
    close(fd);
    return fine;
}

static bool read_text(const char *text, struct error *reterr)
{
    int fd = memfd_create("state", MFD_CLOEXEC);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    bool fine = supervisor_state_read(&after, fd, true, reterr);
    close(fd);
    return fine;
}

static void processes_and_counts_arrive(void **state)
{
    (void)state;
    struct error error;
    snprintf(before.upgrade.said, sizeof before.upgrade.said, "it ended, with many words");
    snprintf(before.level, sizeof before.level, "info");
    snprintf(before.format, sizeof before.format, "text");
    assert_true(hand_on(false, &error));
    assert_int_equal(after.starts, 7);
    assert_int_equal(after.upgrade.done, 2);
    assert_string_equal(after.upgrade.said, "it ended, with many words");
    assert_int_equal(after.current->pid, 100);
    assert_string_equal(after.current->version, "1.2");
    assert_int_equal(process_find(&after, 101)->role, PROCESS_RETIRING);
}

static void sockets_arrive_with_their_claims(void **state)
{
    (void)state;
    struct error error;
    struct listening *one =
        listening_set_open(&before.sockets, TEXT("a name"), TEXT("127.0.0.1:0"), 6, &error);
    assert_non_null(one);
    assert_true(hand_on(false, &error));
    struct listening *same =
        listening_set_open(&after.sockets, TEXT("a name"), TEXT("127.0.0.1:0"), 6, &error);
    assert_int_equal(same->fd, one->fd);
    assert_true(fcntl(one->fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(listening_set_keep(&after.sockets, 6), 0);
}

static void who_is_only_asked_looks_at_no_descriptor(void **state)
{
    (void)state;
    struct error error;
    struct listening *one = listening_set_open(&before.sockets, TEXT("a"), TEXT("127.0.0.1:0"), 6, &error);
    assert_non_null(one);
    fcntl(one->fd, F_SETFD, 0);
    assert_true(hand_on(true, &error));
    assert_int_equal(after.sockets.count, 0);
    assert_int_equal(fcntl(one->fd, F_GETFD), 0);
}

static void descriptor_that_is_no_socket_is_refused(void **state)
{
    (void)state;
    struct error error;
    struct listening *one = listening_set_open(&before.sockets, TEXT("a"), TEXT("127.0.0.1:0"), 6, &error);
    assert_non_null(one);
    int right = one->fd;
    one->fd = open("/dev/null", O_RDONLY);
    assert_false(hand_on(false, &error));
    assert_non_null(strstr(error.said, "\"socket "));
    close(one->fd);
    one->fd = right;
}

static void what_is_not_understood_is_refused(void **state)
{
    (void)state;
#define HEAD    "turnpike-supervisor-state 1\n"
#define PROCESS "process 100 -1 6 1 0 0 -1 1.2\n"
    static const char *const texts[] = {
        "",
        "x",
        "turnpike-supervisor-state 2\n" PROCESS "end\n",
        HEAD "end\n",                                /* nobody serves */
        HEAD PROCESS,                                /* cut */
        HEAD PROCESS "end\nmore\n",                  /* more than all */
        HEAD PROCESS "colour blue\nend\n",           /* a line of a later version */
        HEAD PROCESS "starts 1 2\nend\n",            /* a word of a later version */
        HEAD PROCESS "starts x\nend\n",              /* no number */
        HEAD PROCESS "claim 1 a\nend\n",             /* on nothing */
        HEAD "process 0 -1 6 1 0 0 -1 1.2\nend\n",   /* no process */
        HEAD "process 100 -1 6 9 0 0 -1 1.2\nend\n", /* no role */
        HEAD PROCESS "socket 3 0 0\nend\n",          /* half */
        HEAD PROCESS "log loud text\nend\n",         /* no level */
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct error error = {.said = ""};
        memset(&after, 0, sizeof after);
        listening_set_init(&after.sockets);
        if (read_text(texts[i], &error))
            fail_msg("taken: %s", texts[i]);
        assert_string_not_equal(error.said, "");
    }
    struct error error;
    memset(&after, 0, sizeof after);
    listening_set_init(&after.sockets);
    assert_true(read_text(HEAD PROCESS "end\n", &error));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(processes_and_counts_arrive),
        TEST(sockets_arrive_with_their_claims),
        TEST(who_is_only_asked_looks_at_no_descriptor),
        TEST(descriptor_that_is_no_socket_is_refused),
        TEST(what_is_not_understood_is_refused),
    };
    return RUN_TESTS(tests);
}
