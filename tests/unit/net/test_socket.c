/* Listening, connecting and accepting, with the kernel's own ports. */
#include "net_test.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "net/address.h"

static struct address address_of(const char *text)
{
    struct address address;
    assert_true(address_parse(text_of(text), &address));
    return address;
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof value;
    assert_int_equal(getsockopt(fd, level, name, &value, &size), 0);
    return value;
}

static void wait_for(int fd, short events)
{
    struct pollfd ready = {.fd = fd, .events = events};
    assert_int_equal(poll(&ready, 1, 10000), 1);
}

static void is_polite(int fd)
{
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void connect_and_accept(const char *text)
{
    struct address wanted = address_of(text), bound, peer, local;
    struct error error;
    int listener = socket_listen(&wanted, 16, false, &error);
    if (listener < 0)
        fail_msg("%s", error.said);
    assert_int_equal(socket_accept(listener, &peer), -EAGAIN);
    assert_int_equal(socket_local(listener, &bound), 0);
    assert_true(address_port(&bound) > 0);
    int client = socket_connect(&bound, NULL);
    assert_true(client >= 0);
    wait_for(client, POLLOUT);
    assert_int_equal(option(client, SOL_SOCKET, SO_ERROR), 0);
    wait_for(listener, POLLIN);
    int server = socket_accept(listener, &peer);
    assert_true(server >= 0);
    assert_int_equal(socket_local(client, &local), 0);
    assert_true(address_equal(&local, &peer));
    is_polite(listener);
    is_polite(client);
    is_polite(server);
    assert_true(option(client, IPPROTO_TCP, TCP_NODELAY));
    assert_true(option(server, IPPROTO_TCP, TCP_NODELAY)); /* from the listener */
    close(server);
    close(client);
    close(listener);
}

static void tcp_connection_is_made_over_ipv4(void **state)
{
    (void)state;
    connect_and_accept("127.0.0.1:0");
}

static void tcp_connection_is_made_over_ipv6(void **state)
{
    (void)state;
    int probe = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool there = probe >= 0 && !bind(probe, (struct sockaddr *)&loopback, sizeof loopback);
    if (probe >= 0)
        close(probe);
    if (!there)
        skip();
    connect_and_accept("[::1]:0");
}

static void port_in_use_is_said_in_a_sentence(void **state)
{
    (void)state;
    struct address any = address_of("127.0.0.1:0"), taken;
    struct error error = {0};
    int first = socket_listen(&any, 16, false, &error);
    assert_int_equal(socket_local(first, &taken), 0);
    assert_int_equal(socket_listen(&taken, 16, false, &error), -EADDRINUSE);
    assert_int_equal(error.code, -EADDRINUSE);
    char wanted[128], written[ADDRESS_TEXT_SIZE];
    snprintf(wanted, sizeof wanted, "cannot listen on %.*s: another process listens there already",
             (int)address_write(&taken, written), written);
    assert_string_equal(error.said, wanted);
    close(first);
}

static void reuse_port_shares_a_port(void **state)
{
    (void)state;
    struct address any = address_of("127.0.0.1:0"), taken;
    struct error error;
    int first = socket_listen(&any, 16, true, &error);
    assert_int_equal(socket_local(first, &taken), 0);
    int second = socket_listen(&taken, 16, true, &error);
    assert_true(second >= 0);
    close(first);
    close(second);
}

static void foreign_address_is_explained(void **state)
{
    (void)state;
    struct address foreign = address_of("192.0.2.1:0");
    struct error error = {0};
    assert_int_equal(socket_listen(&foreign, 16, false, &error), -EADDRNOTAVAIL);
    assert_non_null(strstr(error.said, "192.0.2.1:0: this machine has no such address"));
}

static void connection_comes_from_the_local_address(void **state)
{
    (void)state;
    struct address any = address_of("127.0.0.1:0"), bound, from = address_of("127.0.0.9:0"), local;
    struct error error;
    int listener = socket_listen(&any, 16, false, &error);
    assert_int_equal(socket_local(listener, &bound), 0);
    int client = socket_connect(&bound, &from);
    assert_true(client >= 0);
    assert_int_equal(socket_local(client, &local), 0);
    assert_memory_equal(address_ip(&local).bytes, address_ip(&from).bytes, sizeof(struct ip));
    close(client);
    close(listener);
}

static void refused_connection_shows_when_writable(void **state)
{
    (void)state;
    struct address any = address_of("127.0.0.1:0"), bound;
    struct error error;
    int listener = socket_listen(&any, 16, false, &error);
    assert_int_equal(socket_local(listener, &bound), 0);
    close(listener);
    int client = socket_connect(&bound, NULL);
    if (client == -ECONNREFUSED)
        return; /* some kernels know at once */
    assert_true(client >= 0);
    wait_for(client, POLLOUT);
    assert_int_equal(option(client, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
    close(client);
}

struct folder {
    char path[64], address[96];
};

static int make_folder(void **state)
{
    static struct folder folder;
    snprintf(folder.path, sizeof folder.path, "/tmp/turnpike-testXXXXXX");
    *state = &folder;
    if (!mkdtemp(folder.path))
        return -1;
    snprintf(folder.address, sizeof folder.address, "unix:%s/s", folder.path);
    return 0;
}

static int remove_folder(void **state)
{
    struct folder *folder = *state;
    (void)unlink(folder->address + 5); /* may be gone */
    return rmdir(folder->path);
}

static void unix_connection_is_made(void **state)
{
    struct address address = address_of(((struct folder *)*state)->address), peer;
    struct error error;
    int listener = socket_listen(&address, 16, false, &error);
    int client = socket_connect(&address, NULL);
    assert_true(listener >= 0 && client >= 0);
    int server = socket_accept(listener, &peer);
    assert_true(server >= 0);
    assert_int_equal(peer.any.sa_family, AF_UNIX);
    close(server);
    close(client);
    close(listener);
}

static void socket_file_of_a_dead_listener_is_replaced(void **state)
{
    struct address address = address_of(((struct folder *)*state)->address);
    struct error error;
    close(socket_listen(&address, 16, false, &error)); /* leaves its file */
    int second = socket_listen(&address, 16, false, &error);
    if (second < 0)
        fail_msg("%s", error.said);
    assert_int_equal(socket_listen(&address, 16, false, &error), -EADDRINUSE);
    int client = socket_connect(&address, NULL);
    assert_true(client >= 0); /* the living one has kept its file */
    close(client);
    close(second);
}

static void file_in_the_place_of_a_socket_is_left_alone(void **state)
{
    struct folder *folder = *state;
    struct address address = address_of(folder->address);
    int file = open(folder->address + 5, O_CREAT | O_WRONLY, 0600);
    close(file);
    struct error error = {0};
    assert_int_equal(socket_listen(&address, 16, false, &error), -EEXIST);
    assert_non_null(strstr(error.said, "no socket"));
    struct stat about;
    assert_int_equal(stat(folder->address + 5, &about), 0);
}

static void missing_folder_is_an_error_with_the_path(void **state)
{
    (void)state;
    struct address address = address_of("unix:/nonexistent/folder/s");
    struct error error = {0};
    assert_int_equal(socket_listen(&address, 16, false, &error), -ENOENT);
    assert_non_null(strstr(error.said, "unix:/nonexistent/folder/s"));
    assert_int_equal(socket_connect(&address, NULL), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_connection_is_made_over_ipv4),
        cmocka_unit_test(tcp_connection_is_made_over_ipv6),
        cmocka_unit_test(port_in_use_is_said_in_a_sentence),
        cmocka_unit_test(reuse_port_shares_a_port),
        cmocka_unit_test(foreign_address_is_explained),
        cmocka_unit_test(connection_comes_from_the_local_address),
        cmocka_unit_test(refused_connection_shows_when_writable),
        cmocka_unit_test_setup_teardown(unix_connection_is_made, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(socket_file_of_a_dead_listener_is_replaced, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(file_in_the_place_of_a_socket_is_left_alone, make_folder,
                                        remove_folder),
        cmocka_unit_test(missing_folder_is_an_error_with_the_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
