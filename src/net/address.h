/* Socket addresses: IPv4, IPv6 and unix, their text forms, and CIDR ranges. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/error.h"
#include "base/text.h"

/* Compact: unix paths live elsewhere (`path`, owned by whoever made the address). */
struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    const char *path; /* family AF_UNIX: zero-terminated, '@' first for the abstract namespace */
};

enum { ADDRESS_TEXT_SIZE = 128, IP_TEXT_SIZE = 46 };

/* "127.0.0.1:80", "[::1]:80", "unix:/run/x.sock" or "unix:@name"; a bare ":80" is 0.0.0.0. No names, no IPv6
 * zones. `text` must outlive a unix address made from it (a zero byte must follow it). */
bool address_parse(struct text text, struct address *ret_address);

/* IPv4, or IPv6 with or without brackets. */
bool address_parse_ip(struct text ip, uint16_t port, struct address *ret_address);

/* Sizes written; the buffers have the sizes above. IPv4-mapped IPv6 addresses are written as IPv4. */
size_t address_write(const struct address *address, char to[ADDRESS_TEXT_SIZE]);
size_t address_write_ip(const struct address *address, char to[IP_TEXT_SIZE]); /* "unix" for unix sockets */
uint16_t address_port(const struct address *address);
bool address_equal(const struct address *a, const struct address *b);

/* What the kernel wants: a sockaddr in `storage` and its size. */
socklen_t address_to_socket(const struct address *address, struct sockaddr_storage *storage);

/* The other way; a unix address gets the path NULL. */
void address_from_socket(const struct sockaddr_storage *storage, struct address *ret_address);

/* An IP as 16 bytes, IPv4 mapped; for matching and keys. All zero for unix. */
struct ip {
    uint8_t bytes[16];
};
struct ip address_ip(const struct address *address);
bool ip_parse(struct text text, struct ip *ret_ip);

/* A range. "::/0" holds all IPv6 addresses and so, mapped, all IPv4 ones too; "0.0.0.0/0" holds all IPv4 ones
 * alone. */
struct cidr {
    struct ip base;
    uint8_t bits; /* of the 128 */
};

/* "10.0.0.0/8", "::1/128", a bare address; host bits must be zero. */
bool cidr_parse(struct text text, struct cidr *ret_cidr);
bool cidr_contains(const struct cidr *cidr, struct ip ip);

/* A sorted set for many ranges; look-up in O(log n). Immutable once built. */
struct cidr_set;
struct arena;
struct cidr_set *cidr_set_new(struct arena *arena, const struct cidr *ranges, size_t count);
bool cidr_set_contains(const struct cidr_set *set, struct ip ip);

/* Sockets, all non-blocking and close-on-exec; a descriptor or a negative errno with the reason. */

/* TCP: SO_REUSEADDR, no Nagle delay on what is accepted, IPv6 only on an IPv6 address. Unix: the socket file
 * of a listener that is gone is replaced, that of a living one is -EADDRINUSE, and a file that is no socket
 * is left alone (-EEXIST). */
int socket_listen(const struct address *address, int backlog, bool reuse_port, struct error *reterr);

/* A new descriptor, connected or connecting: success or failure shows when it becomes writable
 * (socket_layer's `open`). `local` (or NULL) is where it comes from. Negative errno: it failed at once (for a
 * unix socket -EAGAIN: its backlog is full). */
int socket_connect(const struct address *address, const struct address *local);

/* The next connection of a listener; -EAGAIN: none waits; -EMFILE and its kin: try again later,
 * -ECONNABORTED: at once. */
int socket_accept(int listener_fd, struct address *ret_peer);

/* The local address of a socket: what the kernel chose for port 0, or where a client connected to. 0 or a
 * negative errno. */
int socket_local(int fd, struct address *ret_address);
