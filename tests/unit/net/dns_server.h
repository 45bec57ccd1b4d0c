/* A name server for tests: a thread that answers on a UDP port of loopback. The first label of a name says
 * what it does:
 *
 * ok       A 192.0.2.1 (TTL 60) and 192.0.2.2 (TTL 30), AAAA 2001:db8::1 (TTL 90)      v4       A only, no
 * data for AAAA alias    CNAME with TTL 5 to ok, and its A; no data for AAAA                          twice
 * the same A three times many     300 different A records in a message that fits loopback
 * none     no such name empty    no data for both
 * broken   SERVFAIL refused  REFUSED        silent  no answer       garbage  random bytes behind the right id
 * cut      an answer that ends inside a record    tc       the truncation bit, while no TCP port listens loop
 * an answer whose name points at itself */
#pragma once

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct dns_server {
    int fd;
    uint16_t port;
    pthread_t thread;
    _Atomic int queries;
};

enum { DNS_A = 1, DNS_CNAME = 5, DNS_AAAA = 28, DNS_HEAD = 12, DNS_MESSAGE_MAX = 16384 };

struct dns_message {
    uint8_t at[DNS_MESSAGE_MAX];
    size_t size;
    uint16_t answers;
};

static inline void dns_put16(struct dns_message *m, unsigned value)
{
    m->at[m->size++] = (uint8_t)(value >> 8);
    m->at[m->size++] = (uint8_t)value;
}

/* A record whose name is the question's. */
static inline void dns_record(struct dns_message *m, unsigned type, unsigned ttl, const void *data,
                              unsigned size)
{
    dns_put16(m, 0xc000 | DNS_HEAD);
    dns_put16(m, type);
    dns_put16(m, 1);
    dns_put16(m, ttl >> 16);
    dns_put16(m, ttl & 0xffff);
    dns_put16(m, size);
    memcpy(m->at + m->size, data, size);
    m->size += size;
    m->answers++;
}

static inline void dns_address(struct dns_message *m, unsigned ttl, const char *ip)
{
    uint8_t bytes[16];
    bool v6 = strchr(ip, ':');
    inet_pton(v6 ? AF_INET6 : AF_INET, ip, bytes);
    dns_record(m, v6 ? DNS_AAAA : DNS_A, ttl, bytes, v6 ? 16 : 4);
}

static inline bool dns_is(const uint8_t *name, const char *label)
{
    return name[0] == strlen(label) && !memcmp(name + 1, label, name[0]);
}

static inline void dns_good_answers(struct dns_message *m, const uint8_t *name, unsigned type)
{
    if (dns_is(name, "ok") && type == DNS_AAAA)
        dns_address(m, 90, "2001:db8::1");
    if (type != DNS_A)
        return;
    if (dns_is(name, "ok") || dns_is(name, "v4"))
        dns_address(m, 60, "192.0.2.1");
    if (dns_is(name, "ok"))
        dns_address(m, 30, "192.0.2.2");
    for (int i = 0; dns_is(name, "twice") && i < 3; i++)
        dns_address(m, 60, "192.0.2.1");
    for (int i = 0; dns_is(name, "many") && i < 300; i++) {
        uint8_t bytes[4] = {10, 0, (uint8_t)(i >> 8), (uint8_t)i};
        dns_record(m, DNS_A, 60, bytes, 4);
    }
    if (dns_is(name, "alias")) {
        static const uint8_t target[] = "\2ok\4test";
        dns_record(m, DNS_CNAME, 5, target, sizeof target);
        m->at[m->size++] = 2;
        memcpy(m->at + m->size, "ok\4test", 8);
        m->size += 8;
        static const uint8_t rest[] = {0, DNS_A, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7};
        memcpy(m->at + m->size, rest, sizeof rest);
        m->size += sizeof rest;
        m->answers++;
    }
}

static inline void dns_bad_answers(struct dns_message *m, const uint8_t *name, size_t question_end)
{
    if (dns_is(name, "none"))
        m->at[3] |= 3;
    if (dns_is(name, "broken"))
        m->at[3] |= 2;
    if (dns_is(name, "refused"))
        m->at[3] |= 5;
    if (dns_is(name, "tc"))
        m->at[2] |= 2;
    if (dns_is(name, "cut")) {
        dns_address(m, 60, "192.0.2.1");
        m->size -= 3;
    }
    if (dns_is(name, "loop")) {
        m->at[m->size++] = 0xc0;
        m->at[m->size++] = (uint8_t)question_end;
        m->answers++;
    }
    if (dns_is(name, "garbage")) {
        for (size_t i = DNS_HEAD; i < 200; i++)
            m->at[i] = (uint8_t)(i * 37 + 11);
        m->size = 200;
    }
}

/* Turns the question into an answer; 0: say nothing. */
static inline size_t dns_answer(struct dns_message *m)
{
    size_t at = DNS_HEAD;
    while (at < m->size && m->at[at])
        at += m->at[at] + 1u;
    if (at + 5 > m->size)
        return 0;
    unsigned type = (unsigned)m->at[at + 1] << 8 | m->at[at + 2];
    uint8_t name[64];
    memcpy(name, m->at + DNS_HEAD, sizeof name);
    if (dns_is(name, "silent"))
        return 0;
    m->size = at + 5;
    m->answers = 0;
    m->at[2] = 0x81;
    m->at[3] = 0x80;
    memset(m->at + 6, 0, 6);
    dns_good_answers(m, name, type);
    dns_bad_answers(m, name, at + 5);
    m->at[6] = (uint8_t)(m->answers >> 8);
    m->at[7] = (uint8_t)m->answers;
    return m->size;
}

static inline void *dns_serve(void *argument)
{
    struct dns_server *server = argument;
    for (;;) {
        struct dns_message m = {.size = 0};
        struct sockaddr_in from;
        socklen_t from_size = sizeof from;
        ssize_t got = recvfrom(server->fd, m.at, 512, 0, (struct sockaddr *)&from, &from_size);
        if (got < DNS_HEAD)
            return NULL;
        atomic_fetch_add(&server->queries, 1);
        m.size = (size_t)got;
        size_t size = dns_answer(&m);
        if (size)
            (void)sendto(server->fd, m.at, size, 0, (struct sockaddr *)&from,
                         from_size); /* a lost one is asked again */
    }
}

static inline bool dns_server_start(struct dns_server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    server->queries = 0;
    server->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (server->fd < 0 || bind(server->fd, (struct sockaddr *)&address, size)
        || getsockname(server->fd, (struct sockaddr *)&address, &size))
        return false;
    server->port = ntohs(address.sin_port);
    return !pthread_create(&server->thread, NULL, dns_serve, server);
}

/* A message too short for a question ends the thread. */
static inline void dns_server_stop(struct dns_server *server)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(server->port)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)sendto(fd, "x", 1, 0, (struct sockaddr *)&address,
                 sizeof address); /* loopback with an empty queue */
    close(fd);
    pthread_join(server->thread, NULL);
    close(server->fd);
}
