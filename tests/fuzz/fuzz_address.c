/* Addresses and ranges from hostile bytes: what is read can be written and read again, and says the same. */
#include "fuzz.h"

#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "net/address.h"

static void check_address(struct text t)
{
    struct address address, again;
    struct sockaddr_storage storage;
    char written[ADDRESS_TEXT_SIZE], ip[IP_TEXT_SIZE];
    if (!address_parse(t, &address))
        return;
    size_t size = address_write(&address, written);
    CHECK(size > 0 && size < sizeof written);
    CHECK(address_write_ip(&address, ip) <= sizeof ip);
    CHECK(address_to_socket(&address, &storage) <= sizeof storage);
    CHECK(address_equal(&address, &address));
    CHECK(address_parse((struct text){written, size}, &again));
    struct ip a = address_ip(&address), b = address_ip(&again);
    CHECK(!memcmp(a.bytes, b.bytes, sizeof a.bytes));
    CHECK(address_port(&address) == address_port(&again));
}

static void check_range(struct text t)
{
    struct cidr cidr;
    struct ip ip;
    if (ip_parse(t, &ip))
        CHECK(cidr_parse(t, &cidr) && cidr.bits == 128 && cidr_contains(&cidr, ip));
    if (!cidr_parse(t, &cidr))
        return;
    CHECK(cidr.bits <= 128 && cidr_contains(&cidr, cidr.base));
    for (unsigned bit = 0; bit < 128; bit++) {
        struct ip other = cidr.base;
        other.bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
        CHECK(cidr_contains(&cidr, other) == (bit >= cidr.bits));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = memory_alloc(size + 1); /* unix addresses want a zero byte behind them */
    if (!copy)
        return 0;
    if (size)
        memcpy(copy, data, size);
    copy[size] = 0;
    struct text t = {copy, size};
    check_address(t);
    check_range(t);
    memory_free(copy);
    return 0;
}
