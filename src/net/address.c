/* Addresses and their text forms. */
#include "net/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"

enum { UNIX_PATH_MAX = sizeof((struct sockaddr_un *)0)->sun_path - 1 };

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

/* inet_pton() wants a zero byte at the end, and must not find one sooner. */
static bool parse_with(int family, struct text text, void *to)
{
    char copy[INET6_ADDRSTRLEN];
    if (text.size == 0 || text.size >= sizeof copy || memchr(text.at, 0, text.size))
        return false;
    memcpy(copy, text.at, text.size);
    copy[text.size] = 0;
    return inet_pton(family, copy, to) == 1;
}

bool address_parse_ip(struct text ip, uint16_t port, struct address *ret_address)
{
    struct address parsed = {.v4 = {.sin_family = AF_INET, .sin_port = htons(port)}};
    if (parse_with(AF_INET, ip, &parsed.v4.sin_addr)) {
        *ret_address = parsed;
        return true;
    }
    if (ip.size >= 2 && ip.at[0] == '[' && ip.at[ip.size - 1] == ']')
        ip = text_slice(ip, 1, ip.size - 1);
    parsed = (struct address){.v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)}};
    if (!parse_with(AF_INET6, ip, &parsed.v6.sin6_addr))
        return false;
    *ret_address = parsed;
    return true;
}

static bool parse_unix(struct text path, struct address *ret_address)
{
    if (path.size < 2 || path.size > UNIX_PATH_MAX || (path.at[0] != '/' && path.at[0] != '@')
        || memchr(path.at, 0, path.size))
        return false;
    *ret_address = (struct address){.any = {.sa_family = AF_UNIX}, .path = path.at};
    return true;
}

bool address_parse(struct text text, struct address *ret_address)
{
    if (text_starts_with(text, TEXT("unix:")))
        return parse_unix(text_slice(text, 5, text.size), ret_address);
    size_t colon = text_find_last_char(text, ':');
    if (colon == TEXT_NONE)
        return false;
    struct text ip = text_slice(text, 0, colon), digits = text_slice(text, colon + 1, text.size);
    uint64_t port;
    if (digits.size > 5 || !text_to_uint64(digits, &port) || port > UINT16_MAX)
        return false;
    if (ip.size == 0)
        ip = TEXT("0.0.0.0");
    else if (ip.at[0] != '[' && text_find_char(ip, ':') != TEXT_NONE)
        return false; /* an IPv6 address without brackets: which colon is the port's? */
    return address_parse_ip(ip, (uint16_t)port, ret_address);
}

static size_t write_v4(const uint8_t *bytes, char *to)
{
    char *at = to;
    for (int i = 0; i < 4; i++) {
        unsigned value = bytes[i];
        if (i > 0)
            *at++ = '.';
        if (value >= 100)
            *at++ = (char)('0' + value / 100);
        if (value >= 10)
            *at++ = (char)('0' + value / 10 % 10);
        *at++ = (char)('0' + value % 10);
    }
    return (size_t)(at - to);
}

static bool is_mapped(const struct address *address)
{
    return !memcmp(&address->v6.sin6_addr, mapped_prefix, sizeof mapped_prefix);
}

size_t address_write_ip(const struct address *address, char to[IP_TEXT_SIZE])
{
    if (address->any.sa_family == AF_INET)
        return write_v4((const uint8_t *)&address->v4.sin_addr, to);
    if (address->any.sa_family == AF_INET6 && is_mapped(address))
        return write_v4(address->v6.sin6_addr.s6_addr + sizeof mapped_prefix, to);
    if (address->any.sa_family == AF_INET6 && inet_ntop(AF_INET6, &address->v6.sin6_addr, to, IP_TEXT_SIZE))
        return strlen(to);
    memcpy(to, "unix", 4);
    return 4;
}

size_t address_write(const struct address *address, char to[ADDRESS_TEXT_SIZE])
{
    int size;
    if (address->any.sa_family == AF_INET || address->any.sa_family == AF_INET6) {
        char ip[IP_TEXT_SIZE];
        int ip_size = (int)address_write_ip(address, ip);
        bool brackets = memchr(ip, ':', (size_t)ip_size);
        size = snprintf(to, ADDRESS_TEXT_SIZE, "%s%.*s%s:%u", brackets ? "[" : "", ip_size, ip,
                        brackets ? "]" : "", address_port(address));
    } else {
        size =
            snprintf(to, ADDRESS_TEXT_SIZE, "unix:%.*s", UNIX_PATH_MAX, address->path ? address->path : "");
    }
    return (size_t)size;
}

uint16_t address_port(const struct address *address)
{
    switch (address->any.sa_family) {
    case AF_INET: return ntohs(address->v4.sin_port);
    case AF_INET6: return ntohs(address->v6.sin6_port);
    default: return 0;
    }
}

bool address_equal(const struct address *a, const struct address *b)
{
    if (a->any.sa_family != b->any.sa_family)
        return false;
    switch (a->any.sa_family) {
    case AF_INET: return a->v4.sin_port == b->v4.sin_port && a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    case AF_INET6:
        return a->v6.sin6_port == b->v6.sin6_port && a->v6.sin6_scope_id == b->v6.sin6_scope_id
               && !memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof a->v6.sin6_addr);
    case AF_UNIX: return a->path == b->path || (a->path && b->path && !strcmp(a->path, b->path));
    default: return true;
    }
}

static socklen_t unix_to_socket(const char *path, struct sockaddr_un *un)
{
    size_t size = strlen(path);
    size = MIN_OF(size, (size_t)UNIX_PATH_MAX);
    memcpy(un->sun_path, path, size);
    if (path[0] != '@')
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + 1);
    un->sun_path[0] = 0;
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
}

socklen_t address_to_socket(const struct address *address, struct sockaddr_storage *storage)
{
    memset(storage, 0, sizeof *storage);
    storage->ss_family = address->any.sa_family;
    switch (address->any.sa_family) {
    case AF_INET: memcpy(storage, &address->v4, sizeof address->v4); return sizeof address->v4;
    case AF_INET6: memcpy(storage, &address->v6, sizeof address->v6); return sizeof address->v6;
    case AF_UNIX: return unix_to_socket(address->path ? address->path : "", (struct sockaddr_un *)storage);
    default: return 0;
    }
}

void address_from_socket(const struct sockaddr_storage *storage, struct address *ret_address)
{
    *ret_address = (struct address){.any = {.sa_family = storage->ss_family}};
    if (storage->ss_family == AF_INET)
        memcpy(&ret_address->v4, storage, sizeof ret_address->v4);
    else if (storage->ss_family == AF_INET6)
        memcpy(&ret_address->v6, storage, sizeof ret_address->v6);
}

static struct ip ip_from_v4(struct in_addr v4)
{
    struct ip ip;
    memcpy(ip.bytes, mapped_prefix, sizeof mapped_prefix);
    memcpy(ip.bytes + sizeof mapped_prefix, &v4, sizeof v4);
    return ip;
}

struct ip address_ip(const struct address *address)
{
    struct ip ip = {.bytes = {0}};
    if (address->any.sa_family == AF_INET)
        return ip_from_v4(address->v4.sin_addr);
    if (address->any.sa_family == AF_INET6)
        memcpy(ip.bytes, &address->v6.sin6_addr, sizeof ip.bytes);
    return ip;
}

bool ip_parse(struct text text, struct ip *ret_ip)
{
    struct address parsed;
    if ((text.size > 0 && text.at[0] == '[') || !address_parse_ip(text, 0, &parsed))
        return false;
    *ret_ip = address_ip(&parsed);
    return true;
}
