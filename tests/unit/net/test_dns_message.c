/* Answers of name servers: what is read of good ones, and that bad ones are refused without a byte read beyond them. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>

#include "base/memory.h"
#include "base/random.h"
#include "net/dns_message.h"

struct message {
    uint8_t at[16384];
    size_t size;
};

static void put(struct message *m, const void *data, size_t size)
{
    memcpy(m->at + m->size, data, size);
    m->size += size;
}

static void put16(struct message *m, unsigned value)
{
    put(m, (const uint8_t[]){(uint8_t)(value >> 8), (uint8_t)value}, 2);
}

/* "\1a\4test" without its final zero, as labels. */
#define NAME(labels) put(&m, labels, sizeof labels)

static struct message begin(unsigned type, unsigned answers, unsigned authorities)
{
    struct message m = {.size = 0};
    put16(&m, 7);
    put16(&m, 0x8180);
    put16(&m, 1);
    put16(&m, answers);
    put16(&m, authorities);
    put16(&m, 0);
    NAME("\1a\4test");
    put16(&m, type);
    put16(&m, 1);
    return m;
}

static void record(struct message *m, const void *name, size_t name_size, unsigned type, unsigned ttl,
                   const void *data, size_t size)
{
    put(m, name, name_size);
    put16(m, type);
    put16(m, 1);
    put16(m, ttl >> 16);
    put16(m, ttl & 0xffff);
    put16(m, (unsigned)size);
    put(m, data, size);
}

#define OF_QUESTION "\xc0\x0c", 2

static void test_addresses_with_the_smallest_time_to_live(void **state)
{
    struct dns_answer answer;
    (void)state;
    struct message m = begin(DNS_TYPE_A, 3, 0);
    record(&m, OF_QUESTION, DNS_TYPE_A, 60, "\xc0\0\2\1", 4);
    record(&m, OF_QUESTION, DNS_TYPE_A, 30, "\xc0\0\2\2", 4);
    record(&m, OF_QUESTION, DNS_TYPE_A, 90, "\xc0\0\2\1", 4); /* again: counts once */
    assert_int_equal(dns_answer_read(m.at, m.size, DNS_TYPE_A, &answer), 0);
    char text[ADDRESS_TEXT_SIZE];
    assert_int_equal(answer.count, 2);
    assert_int_equal(answer.ttl_s, 30);
    size_t size = address_write(&answer.addresses[1], text);
    assert_int_equal(size, 11);
    assert_memory_equal(text, "192.0.2.2:0", size);
    dns_answer_release(&answer);
}

/* In any order: the alias may come after what it leads to. */
static void test_aliases_are_followed(void **state)
{
    struct dns_answer answer;
    (void)state;
    struct message m = begin(DNS_TYPE_A, 3, 0);
    record(&m, "\1c\4test", 8, DNS_TYPE_A, 60, "\xc0\0\2\3", 4);
    record(&m, "\1b\4test", 8, DNS_TYPE_CNAME, 20, "\1c\4test", 8);
    record(&m, OF_QUESTION, DNS_TYPE_CNAME, 40, "\1B\4test", 8);
    assert_int_equal(dns_answer_read(m.at, m.size, DNS_TYPE_A, &answer), 0);
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.ttl_s, 20);
    dns_answer_release(&answer);
}

/* Whoever makes a long answer with an alias at its end does not have it read sixteen times. */
static void test_a_long_answer_in_disorder_is_read_once(void **state)
{
    struct dns_answer answer;
    (void)state;
    for (unsigned others = 10; others <= 300; others += 290) {
        struct message m = begin(DNS_TYPE_A, others + 2, 0);
        record(&m, "\1b\4test", 8, DNS_TYPE_A, 60, "\xc0\0\2\3", 4);
        for (unsigned i = 0; i < others; i++)
            record(&m, "\1x\4test", 8, DNS_TYPE_A, 60, "\xc0\0\2\3", 4);
        record(&m, OF_QUESTION, DNS_TYPE_CNAME, 40, "\1b\4test", 8);
        assert_int_equal(dns_answer_read(m.at, m.size, DNS_TYPE_A, &answer), 0);
        assert_int_equal(answer.count, others == 10);
        dns_answer_release(&answer);
    }
}

static void test_records_of_other_names_and_types_are_not_taken(void **state)
{
    struct dns_answer answer;
    (void)state;
    struct message m = begin(DNS_TYPE_A, 2, 0);
    record(&m, "\1x\4test", 8, DNS_TYPE_A, 60, "\xc0\0\2\3", 4);
    record(&m, OF_QUESTION, DNS_TYPE_AAAA, 60, "0123456789abcdef", 16);
    assert_int_equal(dns_answer_read(m.at, m.size, DNS_TYPE_A, &answer), 0);
    assert_int_equal(answer.count, 0);
    dns_answer_release(&answer);
}

static void test_an_alias_that_leads_to_itself_ends(void **state)
{
    struct dns_answer answer;
    (void)state;
    struct message m = begin(DNS_TYPE_A, 1, 0);
    record(&m, OF_QUESTION, DNS_TYPE_CNAME, 40, "\xc0\x0c", 2);
    assert_int_equal(dns_answer_read(m.at, m.size, DNS_TYPE_A, &answer), 0);
    assert_int_equal(answer.count, 0);
    dns_answer_release(&answer);
}

static void test_service_records(void **state)
{
    struct dns_answer answer;
    (void)state;
    struct message m = begin(DNS_TYPE_SRV, 2, 0);
    record(&m, OF_QUESTION, DNS_TYPE_SRV, 60, "\0\12\0\5\x1f\x90\1H\4Test", 14);
    record(&m, OF_QUESTION, DNS_TYPE_SRV, 60, "\0\0\0\0\0\0", 7); /* the root */
    assert_int_equal(dns_answer_read(m.at, m.size, DNS_TYPE_SRV, &answer), 0);
    assert_int_equal(answer.count, 2);
    assert_string_equal(answer.targets[0].name, "h.test");
    assert_int_equal(answer.targets[0].priority, 10);
    assert_int_equal(answer.targets[0].weight, 5);
    assert_int_equal(answer.targets[0].port, 8080);
    assert_string_equal(answer.targets[1].name, "");
    dns_answer_release(&answer);
}

static void test_a_negative_answer_lives_as_its_authority_says(void **state)
{
    struct dns_answer answer;
    (void)state;
    struct message m = begin(DNS_TYPE_A, 0, 1);
    record(&m, OF_QUESTION, DNS_TYPE_SOA, 600, "\0\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\x2a", 22);
    assert_int_equal(dns_answer_read(m.at, m.size, DNS_TYPE_A, &answer), 0);
    assert_int_equal(answer.count, 0);
    assert_int_equal(answer.ttl_s, 42);
    dns_answer_release(&answer);
}

static void test_an_address_of_the_wrong_size_is_malformed(void **state)
{
    struct dns_answer answer;
    (void)state;
    struct message m = begin(DNS_TYPE_A, 1, 0);
    record(&m, OF_QUESTION, DNS_TYPE_A, 60, "\xc0\0\2", 3);
    assert_int_equal(dns_answer_read(m.at, m.size, DNS_TYPE_A, &answer), -EPROTO);
    dns_answer_release(&answer);
}

/* In memory of exactly that size, so that AddressSanitizer sees a byte too many. */
static void read_copy(const uint8_t *at, size_t size, uint16_t type)
{
    struct dns_answer answer;
    uint8_t *copy = memory_alloc(size);
    memcpy(copy, at, size);
    (void)dns_answer_read(copy, size, type, &answer);
    dns_answer_release(&answer);
    memory_free(copy);
}

static void test_cut_and_mangled_messages_are_read_within_their_bounds(void **state)
{
    (void)state;
    random_seed(31);
    struct message m = begin(DNS_TYPE_SRV, 3, 1);
    record(&m, OF_QUESTION, DNS_TYPE_CNAME, 40, "\xc0\x0c", 2);
    record(&m, OF_QUESTION, DNS_TYPE_SRV, 60, "\0\12\0\5\x1f\x90\1h\4test", 14);
    record(&m, OF_QUESTION, DNS_TYPE_A, 60, "\xc0\0\2\1", 4);
    record(&m, OF_QUESTION, DNS_TYPE_SOA, 600, "\0\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\x2a", 22);
    for (size_t size = 0; size <= m.size; size++)
        read_copy(m.at, size, DNS_TYPE_SRV);
    for (int i = 0; i < 20000; i++) {
        struct message mangled = m;
        for (int k = 0; k < 3; k++)
            mangled.at[random_below(mangled.size)] = (uint8_t)random_uint64();
        read_copy(mangled.at, 1 + (size_t)random_below(mangled.size), i % 2 ? DNS_TYPE_SRV : DNS_TYPE_A);
    }
}

static void test_without_memory_there_is_no_answer(void **state)
{
    struct dns_answer answer;
    (void)state;
    struct message m = begin(DNS_TYPE_A, 1, 0);
    record(&m, OF_QUESTION, DNS_TYPE_A, 60, "\xc0\0\2\1", 4);
    memory_fail_at(1);
    assert_int_equal(dns_answer_read(m.at, m.size, DNS_TYPE_A, &answer), -ENOMEM);
    memory_fail_at(0);
    dns_answer_release(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_with_the_smallest_time_to_live),
        cmocka_unit_test(test_aliases_are_followed),
        cmocka_unit_test(test_a_long_answer_in_disorder_is_read_once),
        cmocka_unit_test(test_records_of_other_names_and_types_are_not_taken),
        cmocka_unit_test(test_an_alias_that_leads_to_itself_ends),
        cmocka_unit_test(test_service_records),
        cmocka_unit_test(test_a_negative_answer_lives_as_its_authority_says),
        cmocka_unit_test(test_an_address_of_the_wrong_size_is_malformed),
        cmocka_unit_test(test_cut_and_mangled_messages_are_read_within_their_bounds),
        cmocka_unit_test(test_without_memory_there_is_no_answer),
    };
    return RUN_TESTS(tests);
}
