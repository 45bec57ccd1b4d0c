/* Answers of name servers (RFC 1035, RFC 2782, RFC 3596): what c-ares received, read with the times to live that its own readers drop.
 * Without I/O. What a server says is not trusted: nothing is read beyond the message, names are followed only so far. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "net/address.h"

enum { DNS_TYPE_A = 1, DNS_TYPE_CNAME = 5, DNS_TYPE_SOA = 6, DNS_TYPE_AAAA = 28, DNS_TYPE_SRV = 33 };
enum { DNS_NAME_SIZE = 256, DNS_RECORDS_MAX = 4096 };

struct dns_target {
    char name[DNS_NAME_SIZE]; /* lower case, without a final dot; "" for the root: there is no such service */
    uint16_t port, priority, weight;
};

/* What one answer holds for the type that was asked for. */
struct dns_answer {
    struct address *addresses;  /* A and AAAA, each once, without ports; heap */
    struct dns_target *targets; /* SRV; heap */
    size_t count;
    int64_t
        ttl_s; /* smallest on the way to the records; of a negative answer what its SOA says; -1: nothing says */
};

/* Fills `*ret_answer`, which is released by the caller in any case. 0, also if there is no such record; -EPROTO: malformed; -ENOMEM. */
int dns_answer_read(const uint8_t *message, size_t size, uint16_t type, struct dns_answer *ret_answer);
void dns_answer_release(struct dns_answer *answer);
