/* Messages between supervisor and gateway process. */
#include "control/supervisor_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "unit.h"

static int pair[2];
static struct wire_message got;

static int set_up(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int tear_down(void **state)
{
    (void)state;
    close(pair[0]);
    return pair[1] >= 0 ? close(pair[1]) : 0;
}

static void fields_arrive_as_they_were_sent(void **state)
{
    (void)state;
    const struct text fields[WIRE_FIELDS_MAX] = {TEXT("listen"), TEXT(""), TEXT("unix:/run/a b"), TEXT("")};
    assert_int_equal(wire_send(pair[0], fields, -1, 0), 0);
    assert_int_equal(wire_receive(pair[1], &got, 0), 1);
    assert_int_equal(got.fd, -1);
    for (size_t i = 0; i < WIRE_FIELDS_MAX; i++)
        assert_true(text_equal(got.fields[i], fields[i]));
    assert_int_equal(got.fields[2].at[got.fields[2].size], 0);
}

static void descriptor_comes_along(void **state)
{
    (void)state;
    int pipe_ends[2];
    char byte = 0;
    assert_int_equal(pipe(pipe_ends), 0);
    assert_int_equal(wire_send(pair[0], (struct text[WIRE_FIELDS_MAX]){TEXT("ok")}, pipe_ends[1], 0), 0);
    close(pipe_ends[1]);
    assert_int_equal(wire_receive(pair[1], &got, 0), 1);
    assert_true(got.fd >= 0);
    assert_true(fcntl(got.fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(write(got.fd, "x", 1), 1);
    assert_int_equal(read(pipe_ends[0], &byte, 1), 1);
    assert_int_equal(byte, 'x');
    close(got.fd);
    close(pipe_ends[0]);
}

/* How many descriptors of this process are open, below a number that it does not reach. */
static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void descriptors_beyond_the_first_are_closed(void **state)
{
    (void)state;
    char bytes[] = "ok\n\n\n", space[CMSG_SPACE(2 * sizeof(int))] = {0};
    int both[2] = {pair[0], pair[1]};
    struct iovec part = {bytes, strlen(bytes)};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof both);
    memcpy(CMSG_DATA(header), both, sizeof both);
    int before = open_descriptors();
    assert_true(sendmsg(pair[0], &message, 0) > 0);
    (void)wire_receive(pair[1], &got, 0); /* taken or refused: the kernel may have cut the second one off */
    if (got.fd >= 0)
        close(got.fd);
    assert_int_equal(open_descriptors(), before);
}

static void separators_and_long_fields_are_refused(void **state)
{
    (void)state;
    static char large[WIRE_MESSAGE_SIZE];
    memset(large, 'a', sizeof large);
    assert_int_equal(wire_send(pair[0], (struct text[WIRE_FIELDS_MAX]){TEXT("a\nb")}, -1, 0), -EINVAL);
    assert_int_equal(wire_send(pair[0], (struct text[WIRE_FIELDS_MAX]){TEXT("a\0b")}, -1, 0), -EINVAL);
    assert_int_equal(wire_send(pair[0], (struct text[WIRE_FIELDS_MAX]){{large, sizeof large}}, -1, 0),
                     -EMSGSIZE);
    assert_int_equal(wire_receive(pair[1], &got, MSG_DONTWAIT), -EAGAIN);
}

static void messages_of_others_are_refused(void **state)
{
    (void)state;
    static char large[WIRE_MESSAGE_SIZE + 100];
    memset(large, 'a', sizeof large);
    assert_int_equal(send(pair[0], large, sizeof large, 0), sizeof large);
    assert_int_equal(wire_receive(pair[1], &got, 0), -EBADMSG);
    assert_int_equal(send(pair[0], "a\nb\nc\nd\ne", 9, 0), 9);
    assert_int_equal(wire_receive(pair[1], &got, 0), -EBADMSG);
    assert_int_equal(send(pair[0], "a\0b", 3, 0), 3);
    assert_int_equal(wire_receive(pair[1], &got, 0), -EBADMSG);
}

static void end_is_told_from_silence(void **state)
{
    (void)state;
    assert_int_equal(wire_receive(pair[0], &got, MSG_DONTWAIT), -EAGAIN);
    close(pair[1]);
    pair[1] = -1;
    assert_int_equal(wire_receive(pair[0], &got, MSG_DONTWAIT), 0);
    assert_int_equal(wire_send(pair[0], (struct text[WIRE_FIELDS_MAX]){TEXT("ready")}, -1, 0), -EPIPE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(fields_arrive_as_they_were_sent),         TEST(descriptor_comes_along),
        TEST(descriptors_beyond_the_first_are_closed), TEST(separators_and_long_fields_are_refused),
        TEST(messages_of_others_are_refused),          TEST(end_is_told_from_silence),
    };
    return RUN_TESTS(tests);
}
