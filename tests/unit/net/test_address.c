/* Text forms of addresses, and what is not one. */
#include "net_test.h"

#include <string.h>

#include "base/check.h"
#include "net/address.h"

static void addresses_are_read_and_written(void **state)
{
    (void)state;
    static const struct {
        const char *text, *written, *ip;
        uint16_t port;
    } cases[] = {
        {"127.0.0.1:80", "127.0.0.1:80", "127.0.0.1", 80},
        {"0.0.0.0:0", "0.0.0.0:0", "0.0.0.0", 0},
        {":8080", "0.0.0.0:8080", "0.0.0.0", 8080},
        {"255.255.255.255:65535", "255.255.255.255:65535", "255.255.255.255", 65535},
        {"[::1]:80", "[::1]:80", "::1", 80},
        {"[::]:443", "[::]:443", "::", 443},
        {"[2001:DB8::00ff]:1", "[2001:db8::ff]:1", "2001:db8::ff", 1},
        {"[::ffff:10.1.2.3]:9", "10.1.2.3:9", "10.1.2.3", 9},
        {"[::10.1.2.3]:9", "[::10.1.2.3]:9", "::10.1.2.3", 9},
        {"[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535},
        {"unix:/run/x.sock", "unix:/run/x.sock", "unix", 0},
        {"unix:@abstract name", "unix:@abstract name", "unix", 0},
        {"127.0.0.1:00080", "127.0.0.1:80", "127.0.0.1", 80},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct address address;
        char written[ADDRESS_TEXT_SIZE], ip[IP_TEXT_SIZE];
        if (!address_parse(text_of(cases[i].text), &address))
            fail_msg("not read: %s", cases[i].text);
        struct text again = {written, address_write(&address, written)};
        assert_true(text_equal(again, text_of(cases[i].written)));
        assert_true(text_equal((struct text){ip, address_write_ip(&address, ip)}, text_of(cases[i].ip)));
        assert_int_equal(address_port(&address), cases[i].port);
    }
}

static void what_is_no_address_is_refused(void **state)
{
    (void)state;
    static const struct text cases[] = {
        TEXT_INIT(""),
        TEXT_INIT(":"),
        TEXT_INIT("80"),
        TEXT_INIT("127.0.0.1"),
        TEXT_INIT("127.0.0.1:"),
        TEXT_INIT("127.0.0.1:65536"),
        TEXT_INIT("127.0.0.1:99999999999999999999"),
        TEXT_INIT("127.0.0.1:000080"),
        TEXT_INIT("127.0.0.1:+80"),
        TEXT_INIT("127.0.0.1:-1"),
        TEXT_INIT("127.0.0.1: 80"),
        TEXT_INIT("127.0.0.1:80 "),
        TEXT_INIT(" 127.0.0.1:80"),
        TEXT_INIT("127.0.0.1:8\0"),
        TEXT_INIT("127.0.0.1\0:80"),
        TEXT_INIT("127.0.0:80"),
        TEXT_INIT("127.0.0.0.1:80"),
        TEXT_INIT("127.0.0.256:80"),
        TEXT_INIT("127.0.0.01:80"),
        TEXT_INIT("0x7f.0.0.1:80"),
        TEXT_INIT("2130706433:80"),
        TEXT_INIT("::1:80"),
        TEXT_INIT("[::1]"),
        TEXT_INIT("[::1]80"),
        TEXT_INIT("[::1:80"),
        TEXT_INIT("::1]:80"),
        TEXT_INIT("[]:80"),
        TEXT_INIT("[[::1]]:80"),
        TEXT_INIT("[127.0.0.1]:80"),
        TEXT_INIT("[fe80::1%eth0]:80"),
        TEXT_INIT("[:::]:80"),
        TEXT_INIT("[1:2:3:4:5:6:7:8:9]:80"),
        TEXT_INIT("[::1]]:80"),
        TEXT_INIT("[12345::]:80"),
        TEXT_INIT("localhost:80"),
        TEXT_INIT("*:80"),
        TEXT_INIT("unix:"),
        TEXT_INIT("unix:/"),
        TEXT_INIT("unix:@"),
        TEXT_INIT("unix:relative"),
        TEXT_INIT("unix:/a\0b"),
        TEXT_INIT("UNIX:/a"),
        TEXT_INIT(
            "unix:/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456"
            "7890123456"), /* 108 bytes with the slash: no room for the zero byte */
        TEXT_INIT(
            "[0000000000000000000000000000000000000000000000000000000000000000000000000000000000000001]:80"),
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct address address;
        if (address_parse(cases[i], &address))
            fail_msg("read: %.*s", TEXT_ARGS(cases[i]));
    }
}

static void ip_is_read_with_and_without_brackets(void **state)
{
    (void)state;
    struct address plain, bracketed;
    assert_true(address_parse_ip(TEXT("fe80::1"), 7, &plain));
    assert_true(address_parse_ip(TEXT("[fe80::1]"), 7, &bracketed));
    assert_true(address_equal(&plain, &bracketed));
    assert_false(address_parse_ip(TEXT("[127.0.0.1]"), 7, &plain));
    struct ip ip;
    assert_false(ip_parse(TEXT("[::1]"), &ip));
}

static void equality_sees_family_address_and_port(void **state)
{
    (void)state;
    static const char *const texts[] = {"127.0.0.1:80", "127.0.0.1:81",        "127.0.0.2:80", "[::1]:80",
                                        "[::2]:80",     "[::ffff:1.2.3.4]:80", "unix:/a",      "unix:/b"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        for (size_t j = 0; j < COUNT_OF(texts); j++) {
            struct address a, b;
            assert_true(address_parse(text_of(texts[i]), &a) && address_parse(text_of(texts[j]), &b));
            assert_int_equal(address_equal(&a, &b), i == j);
        }
    }
}

static void socket_form_is_read_back(void **state)
{
    (void)state;
    static const char *const texts[] = {"127.0.0.1:80", "[2001:db8::1]:443"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct address address, again;
        struct sockaddr_storage storage;
        assert_true(address_parse(text_of(texts[i]), &address));
        assert_true(address_to_socket(&address, &storage) > 0);
        address_from_socket(&storage, &again);
        assert_true(address_equal(&address, &again));
    }
}

static void unix_path_becomes_a_socket_address(void **state)
{
    (void)state;
    struct address address, again;
    struct sockaddr_storage storage;
    struct sockaddr_un *un = (struct sockaddr_un *)&storage;
    assert_true(address_parse(TEXT("unix:/run/x"), &address));
    assert_int_equal(address_to_socket(&address, &storage), offsetof(struct sockaddr_un, sun_path) + 7);
    assert_string_equal(un->sun_path, "/run/x");
    assert_true(address_parse(TEXT("unix:@x"), &address));
    assert_int_equal(address_to_socket(&address, &storage), offsetof(struct sockaddr_un, sun_path) + 2);
    assert_memory_equal(un->sun_path, "\0x", 2);
    address_from_socket(&storage, &again);
    char written[ADDRESS_TEXT_SIZE];
    assert_null(again.path);
    assert_int_equal(address_write(&again, written), 5);
}

static void ip_bytes_map_ipv4(void **state)
{
    (void)state;
    struct ip v4, mapped, v6;
    assert_true(ip_parse(TEXT("10.1.2.3"), &v4));
    assert_true(ip_parse(TEXT("::ffff:10.1.2.3"), &mapped));
    assert_true(ip_parse(TEXT("::10.1.2.3"), &v6));
    assert_memory_equal(v4.bytes, mapped.bytes, sizeof v4.bytes);
    assert_memory_not_equal(v4.bytes, v6.bytes, sizeof v4.bytes);
    struct address address;
    static const uint8_t zero[16];
    assert_true(address_parse(TEXT("unix:/a"), &address));
    assert_memory_equal(address_ip(&address).bytes, zero, sizeof zero);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_written),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(ip_is_read_with_and_without_brackets),
        cmocka_unit_test(equality_sees_family_address_and_port),
        cmocka_unit_test(socket_form_is_read_back),
        cmocka_unit_test(unix_path_becomes_a_socket_address),
        cmocka_unit_test(ip_bytes_map_ipv4),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
