/* Ranges, and the set of ranges against a plain loop. */
#include "net_test.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/random.h"
#include "net/address.h"

static struct ip ip_of(const char *text)
{
    struct ip ip;
    assert_true(ip_parse(text_of(text), &ip));
    return ip;
}

static void ranges_hold_what_they_say(void **state)
{
    (void)state;
    static const struct {
        const char *range, *inside, *outside;
    } cases[] = {
        {"10.0.0.0/8", "10.255.1.2", "11.0.0.0"},
        {"10.0.0.0/8", "::ffff:10.1.1.1", "::10.1.1.1"},
        {"192.168.1.128/25", "192.168.1.200", "192.168.1.127"},
        {"1.2.3.4", "1.2.3.4", "1.2.3.5"},
        {"1.2.3.4/32", "1.2.3.4", "1.2.3.5"},
        {"0.0.0.0/0", "255.255.255.255", "::1"},
        {"0.0.0.0/1", "127.255.255.255", "128.0.0.0"},
        {"::1/128", "::1", "::2"},
        {"::1", "::1", "::"},
        {"2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"},
        {"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"},
        {"::ffff:0:0/96", "1.1.1.1", "::1"},
        {"::/1", "7fff::", "8000::"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct cidr cidr;
        if (!cidr_parse(text_of(cases[i].range), &cidr))
            fail_msg("not read: %s", cases[i].range);
        assert_true(cidr_contains(&cidr, ip_of(cases[i].inside)));
        assert_false(cidr_contains(&cidr, ip_of(cases[i].outside)));
    }
    struct cidr all;
    assert_true(cidr_parse(TEXT("::/0"), &all));
    assert_true(cidr_contains(&all, ip_of("::1")) && cidr_contains(&all, ip_of("1.2.3.4")));
}

static void what_is_no_range_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {"",
                                        "/",
                                        "10.0.0.0/",
                                        "/8",
                                        "10.0.0.0/33",
                                        "10.0.0.1/8",
                                        "10.0.0.0/08",
                                        "10.0.0/8",
                                        "10.0.0.0/-1",
                                        "10.0.0.0/+8",
                                        "10.0.0.0/8/8",
                                        "10.0.0.0/ 8",
                                        "::1/129",
                                        "::1/127",
                                        "[::1]/128",
                                        "::/1000",
                                        "10.0.0.0 /8",
                                        "all",
                                        "1.0.0.0/0",
                                        "8000::/0",
                                        "10.0.0.0/0x8",
                                        "::1%lo/128",
                                        "10.0.0.0/255.0.0.0"};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct cidr cidr;
        if (cidr_parse(text_of(cases[i]), &cidr))
            fail_msg("read: %s", cases[i]);
    }
}

/* Crowded into few bits, so that ranges overlap, touch and contain one another. */
static struct ip crowded_ip(void)
{
    struct ip ip = {.bytes = {0}};
    ip.bytes[0] = random_below(4) ? 0 : 0xff;
    ip.bytes[14] = (uint8_t)random_below(3);
    ip.bytes[15] = (uint8_t)random_below(256);
    return ip;
}

static struct cidr crowded_range(void)
{
    struct cidr cidr = {.base = crowded_ip(),
                        .bits = (uint8_t)(random_below(20) ? 118 + random_below(11) : random_below(129))};
    for (unsigned bit = cidr.bits; bit < 128; bit++)
        cidr.base.bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
    return cidr;
}

static void set_agrees_with_a_linear_scan(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0, 0);
    random_seed(3);
    for (int round = 0; round < 300; round++) {
        struct cidr ranges[40];
        size_t count = random_below(COUNT_OF(ranges) + 1);
        for (size_t i = 0; i < count; i++)
            ranges[i] = crowded_range();
        struct cidr_set *set = cidr_set_new(&arena, ranges, count);
        assert_non_null(set);
        for (int i = 0; i < 200; i++) {
            struct ip ip = crowded_ip();
            bool wanted = false;
            for (size_t j = 0; j < count; j++)
                wanted |= cidr_contains(&ranges[j], ip);
            assert_int_equal(cidr_set_contains(set, ip), wanted);
        }
        arena_reset(&arena);
    }
    arena_release(&arena);
}

static void set_holds_the_highest_and_the_lowest_address(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0, 0);
    struct cidr ranges[2];
    assert_true(cidr_parse(TEXT("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), &ranges[0])
                && cidr_parse(TEXT("::"), &ranges[1]));
    struct cidr_set *set = cidr_set_new(&arena, ranges, 2);
    assert_true(cidr_set_contains(set, ranges[0].base) && cidr_set_contains(set, ranges[1].base));
    assert_false(cidr_set_contains(set, ip_of("::1")));
    assert_true(cidr_parse(TEXT("::/0"), &ranges[1]));
    set = cidr_set_new(&arena, ranges, 2);
    assert_true(cidr_set_contains(set, ranges[0].base) && cidr_set_contains(set, ip_of("1.2.3.4")));
    arena_release(&arena);
}

static void set_without_memory_is_null(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 64, 64);
    struct cidr ranges[100] = {{.bits = 1}};
    assert_null(cidr_set_new(&arena, ranges, COUNT_OF(ranges)));
    assert_null(cidr_set_new(&arena, ranges, SIZE_MAX / 16));
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_hold_what_they_say),
        cmocka_unit_test(what_is_no_range_is_refused),
        cmocka_unit_test(set_agrees_with_a_linear_scan),
        cmocka_unit_test(set_holds_the_highest_and_the_lowest_address),
        cmocka_unit_test(set_without_memory_is_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
