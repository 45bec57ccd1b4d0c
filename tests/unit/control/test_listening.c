/* The set of listening sockets. */
#include "control/listening.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "net/address.h"
#include "unit.h"

static struct listening_set set;
static char folder[64], path[128], unix_address[160];

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/listening_XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/x.sock", folder);
    snprintf(unix_address, sizeof unix_address, "unix:%s", path);
    listening_set_init(&set);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    listening_set_release(&set);
    unlink(path);
    return rmdir(folder);
}

static int open_one(const char *name, const char *address, uint64_t claim)
{
    struct error error = {.said = ""};
    struct listening *one = listening_set_open(&set, text_of(name), text_of(address), claim, &error);
    if (!one)
        print_error("%s\n", error.said);
    assert_non_null(one);
    return one->fd;
}

static unsigned port_of(int fd)
{
    struct sockaddr_storage storage;
    socklen_t size = sizeof storage;
    struct address address;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&storage, &size), 0);
    address_from_socket(&storage, &address);
    return address_port(&address);
}

/* An address with a port that was free a moment ago. */
static const char *concrete(const char *host)
{
    static char address[64];
    int fd = open_one("probe", "127.0.0.1:0", 1);
    snprintf(address, sizeof address, "%s:%u", host, port_of(fd));
    listening_set_drop(&set, TEXT("probe"), TEXT("127.0.0.1:0"), 1);
    return address;
}

static void same_address_gives_same_socket(void **state)
{
    (void)state;
    const char *address = concrete("127.0.0.1");
    int fd = open_one("a", address, 1);
    assert_int_equal(open_one("b", address, 1), fd);
    assert_int_equal(set.count, 1);
}

static void another_spelling_is_the_same_address(void **state)
{
    (void)state;
    const char *address = concrete("0.0.0.0");
    int fd = open_one("a", address, 1);
    assert_int_equal(open_one("a", strrchr(address, ':'), 1), fd);
}

static void port_zero_goes_by_name(void **state)
{
    (void)state;
    int one = open_one("one", "127.0.0.1:0", 1), two = open_one("two", "127.0.0.1:0", 1);
    assert_int_not_equal(port_of(one), port_of(two));
    assert_int_equal(open_one("one", "127.0.0.1:0", 1), one);
    assert_int_equal(open_one("two", "127.0.0.1:0", 1), two);
}

static void sockets_do_not_block_and_are_not_inherited(void **state)
{
    (void)state;
    int fd = open_one("a", "127.0.0.1:0", 1);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void renamed_listener_keeps_its_socket(void **state)
{
    (void)state;
    const char *address = concrete("127.0.0.1");
    int fd = open_one("old", address, 1);
    assert_int_equal(open_one("new", address, 1), fd);
    listening_set_drop(&set, TEXT("old"), text_of(address), 1);
    assert_int_equal(open_one("new", address, 1), fd);
    listening_set_drop(&set, TEXT("new"), text_of(address), 1);
    assert_int_equal(set.count, 0);
}

static void dropping_what_is_not_there_does_nothing(void **state)
{
    (void)state;
    listening_set_drop(&set, TEXT("a"), TEXT("127.0.0.1:1"), 1);
    listening_set_drop(&set, TEXT("a"), TEXT("nonsense"), 1);
    assert_int_equal(set.count, 0);
}

static void unclaimed_sockets_are_dropped(void **state)
{
    (void)state;
    open_one("a", "127.0.0.1:0", 1);
    int kept = open_one("b", "127.0.0.1:0", 1);
    assert_int_equal(open_one("b", "127.0.0.1:0", 2), kept);
    assert_int_equal(listening_set_keep(&set, 2), 1);
    assert_int_equal(set.count, 1);
    assert_int_equal(open_one("b", "127.0.0.1:0", 2), kept);
}

static void socket_of_two_processes_stays_until_both_have_gone(void **state)
{
    (void)state;
    const char *address = concrete("127.0.0.1");
    int fd = open_one("a", address, 1);
    assert_int_equal(open_one("renamed", address, 2), fd);
    listening_set_drop(&set, TEXT("a"), text_of(address), 2); /* a name that the second does not use */
    listening_set_drop(&set, TEXT("a"), text_of(address), 1);
    assert_int_equal(set.count, 1);
    listening_set_drop(&set, TEXT("renamed"), text_of(address), 2);
    assert_int_equal(set.count, 0);
}

static void failed_successor_leaves_what_its_predecessor_has(void **state)
{
    (void)state;
    const char *address = concrete("127.0.0.1");
    int fd = open_one("a", address, 1);
    assert_int_equal(open_one("renamed", address, 2), fd);
    open_one("new", "127.0.0.1:0", 2);
    listening_set_forget(&set, 2);
    assert_int_equal(set.count, 1);
    listening_set_drop(&set, TEXT("a"), text_of(address), 1); /* it is still known by that name */
    assert_int_equal(set.count, 0);
}

static void sockets_of_a_process_that_ended_wait_for_the_next(void **state)
{
    (void)state;
    int fd = open_one("a", "127.0.0.1:0", 1);
    open_one("b", "127.0.0.1:0", 1);
    listening_set_leave(&set, 1);
    open_one("a", "127.0.0.1:0", 2);
    listening_set_leave(&set, 2);
    assert_int_equal(open_one("a", "127.0.0.1:0", 3), fd);
    assert_int_equal(listening_set_keep(&set, 3), 1);
    assert_int_equal(set.count, 1);
}

/* A socket as a service manager makes it: blocking, and without close-on-exec. */
static int made_elsewhere(int type, bool listens)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, type, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    if (listens)
        assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static void passed_socket_is_found_by_its_address(void **state)
{
    (void)state;
    struct error error;
    char address[64];
    int fd = made_elsewhere(SOCK_STREAM, true);
    snprintf(address, sizeof address, "127.0.0.1:%u", port_of(fd));
    assert_true(listening_set_pass(&set, fd, TEXT("turnpike.socket"), &error));
    assert_int_equal(open_one("a", address, 1), fd);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void passed_socket_is_found_by_its_name(void **state)
{
    (void)state;
    struct error error;
    int fd = made_elsewhere(SOCK_STREAM, true);
    assert_true(listening_set_pass(&set, fd, TEXT("public"), &error));
    assert_int_not_equal(open_one("other", "127.0.0.1:0", 1), fd);
    assert_int_equal(open_one("public", "0.0.0.0:1", 1), fd);
}

static void passed_socket_is_never_closed_before_the_end(void **state)
{
    (void)state;
    struct error error;
    int fd = made_elsewhere(SOCK_STREAM, true);
    assert_true(listening_set_pass(&set, fd, TEXT("public"), &error));
    open_one("public", "127.0.0.1:1", 1);
    listening_set_drop(&set, TEXT("public"), TEXT("127.0.0.1:1"), 1);
    assert_int_equal(listening_set_keep(&set, 2), 0);
    assert_int_equal(open_one("public", "127.0.0.1:1", 2), fd);
}

static void passed_descriptor_that_does_not_listen_is_refused(void **state)
{
    (void)state;
    struct error error;
    assert_false(listening_set_pass(&set, made_elsewhere(SOCK_STREAM, false), TEXT("a"), &error));
    assert_false(listening_set_pass(&set, made_elsewhere(SOCK_DGRAM, false), TEXT("a"), &error));
    assert_false(listening_set_pass(&set, open("/dev/null", O_RDONLY), TEXT("a"), &error));
    assert_int_equal(set.count, 0);
}

static void passed_unix_socket_keeps_its_file(void **state)
{
    (void)state;
    struct error error;
    struct address address;
    struct sockaddr_storage storage;
    assert_true(address_parse(text_of(unix_address), &address));
    socklen_t size = address_to_socket(&address, &storage);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&storage, size), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_true(listening_set_pass(&set, fd, TEXT(""), &error));
    assert_int_equal(open_one("a", unix_address, 1), fd);
    listening_set_release(&set);
    assert_int_equal(access(path, F_OK), 0);
}

static void unix_socket_leaves_no_file(void **state)
{
    (void)state;
    struct stat about;
    open_one("a", unix_address, 1);
    assert_int_equal(stat(path, &about), 0);
    assert_true(S_ISSOCK(about.st_mode));
    listening_set_drop(&set, TEXT("a"), text_of(unix_address), 1);
    assert_int_equal(stat(path, &about), -1);
}

static void file_in_place_of_the_socket_is_not_removed(void **state)
{
    (void)state;
    char other[160];
    open_one("a", unix_address, 1);
    snprintf(other, sizeof other, "%s/other", folder);
    int fd = open(other, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(rename(other, path), 0);
    listening_set_drop(&set, TEXT("a"), text_of(unix_address), 1);
    assert_int_equal(access(path, F_OK), 0);
}

static void taken_port_is_explained(void **state)
{
    (void)state;
    struct listening_set other;
    struct error error;
    char address[64], named[128];
    listening_set_init(&other);
    snprintf(address, sizeof address, "127.0.0.1:%u", port_of(open_one("a", "127.0.0.1:0", 1)));
    assert_null(listening_set_open(&other, TEXT("b"), text_of(address), 1, &error));
    assert_int_equal(error.code, -EADDRINUSE);
    snprintf(named, sizeof named, "cannot listen on %s: another process", address);
    assert_true(text_starts_with(text_of(error.said), text_of(named)));
    assert_true(text_ends_with(text_of(error.said), TEXT("change the listener's address")));
    assert_int_equal(other.count, 0);
}

static void own_overlap_is_explained(void **state)
{
    (void)state;
    struct error error;
    char wide[64];
    const char *address = concrete("127.0.0.1");
    open_one("a", address, 1);
    snprintf(wide, sizeof wide, "0.0.0.0%s", strchr(address, ':'));
    assert_null(listening_set_open(&set, TEXT("b"), text_of(wide), 1, &error));
    assert_int_equal(error.code, -EADDRINUSE);
    assert_true(text_find(text_of(error.said), TEXT("this gateway itself listens on")) != TEXT_NONE);
    assert_true(text_find(text_of(error.said), text_of(address)) != TEXT_NONE);
}

static void longest_sentence_is_not_cut(void **state)
{
    (void)state;
    struct listening_set other;
    struct error error;
    char address[128];
    listening_set_init(&other);
    int size = snprintf(address, sizeof address, "unix:%s/", folder);
    memset(address + size, 'x', 112 - (size_t)size);
    address[112] = '\0';
    open_one("a", address, 1);
    assert_null(listening_set_open(&other, TEXT("b"), text_of(address), 1, &error));
    assert_int_equal(error.code, -EADDRINUSE);
    assert_true(text_ends_with(text_of(error.said), TEXT("change the listener's address")));
}

static void bad_addresses_and_names_are_refused(void **state)
{
    (void)state;
    struct error error;
    char name[LISTENING_NAME_SIZE + 1];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_null(listening_set_open(&set, TEXT("a"), TEXT("localhost:80"), 1, &error));
    assert_int_equal(error.code, -EINVAL);
    assert_true(text_starts_with(text_of(error.said), TEXT("\"localhost:80\" is no address")));
    assert_null(listening_set_open(&set, text_of(name), TEXT("127.0.0.1:0"), 1, &error));
    assert_int_equal(error.code, -ENAMETOOLONG);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(same_address_gives_same_socket),
        TEST(another_spelling_is_the_same_address),
        TEST(port_zero_goes_by_name),
        TEST(sockets_do_not_block_and_are_not_inherited),
        TEST(renamed_listener_keeps_its_socket),
        TEST(dropping_what_is_not_there_does_nothing),
        TEST(unclaimed_sockets_are_dropped),
        TEST(socket_of_two_processes_stays_until_both_have_gone),
        TEST(failed_successor_leaves_what_its_predecessor_has),
        TEST(sockets_of_a_process_that_ended_wait_for_the_next),
        TEST(passed_socket_is_found_by_its_address),
        TEST(passed_socket_is_found_by_its_name),
        TEST(passed_socket_is_never_closed_before_the_end),
        TEST(passed_descriptor_that_does_not_listen_is_refused),
        TEST(passed_unix_socket_keeps_its_file),
        TEST(unix_socket_leaves_no_file),
        TEST(file_in_place_of_the_socket_is_not_removed),
        TEST(taken_port_is_explained),
        TEST(own_overlap_is_explained),
        TEST(longest_sentence_is_not_cut),
        TEST(bad_addresses_and_names_are_refused),
    };
    return RUN_TESTS(tests);
}
