/* Hosts, ports and whole URIs (RFC 3986 section 3.2). */
#include "http/uri.h"

#include <arpa/inet.h>

#include "http/scan.h"

enum { HOST_SIZE_MAX = 255, IPV6_SIZE_MAX = 45 };

static bool parse_port(struct text digits, uint16_t *ret_port)
{
    uint64_t port = 0;
    if (digits.size && (!text_to_uint64(digits, &port) || port == 0 || port > UINT16_MAX))
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

/* The end of an IPv6 literal with its brackets, NULL: not one. */
static const char *ipv6_end(const char *at, const char *end)
{
    char copy[IPV6_SIZE_MAX + 1] = {0};
    struct in6_addr address;
    const char *close = memchr(at, ']', (size_t)(end - at));
    if (!close || close - at - 1 > IPV6_SIZE_MAX)
        return NULL;
    size_t size = (size_t)(close - at - 1);
    memcpy(copy, at + 1, size);
    return strlen(copy) == size && inet_pton(AF_INET6, copy, &address) == 1 ? close + 1 : NULL;
}

/* The end of a name: letters, digits and "-._~" in labels that are not empty; NULL: not one. Escapes and
 * sub-delims, which RFC 3986 would allow, are in no name that is registered anywhere, and would be a second
 * spelling for a host. */
static const char *name_end(const char *at, const char *end)
{
    unsigned before = CHAR_DOT, twice = 0;
    for (; at < end && char_is(*at, CHAR_HOST); at++) {
        unsigned classes = char_classes[(unsigned char)*at];
        twice |= classes & before;
        before = classes;
    }
    return twice & CHAR_DOT ? NULL : at;
}

/* The host without a final dot, as written. */
static bool parse_authority(struct text authority, struct text *ret_host, uint16_t *ret_port)
{
    const char *at = authority.at, *end = at + authority.size;
    if (authority.size == 0)
        return false;
    const char *host_end = *at == '[' ? ipv6_end(at, end) : name_end(at, end);
    if (!host_end || host_end == at || host_end - at > HOST_SIZE_MAX || (host_end < end && *host_end != ':'))
        return false;
    struct text port = {host_end + 1, host_end < end ? (size_t)(end - host_end - 1) : 0};
    if (!parse_port(port, ret_port))
        return false;
    *ret_host = (struct text){at, (size_t)(host_end - at - (host_end[-1] == '.'))};
    return true;
}

static bool has_upper(struct text t)
{
    unsigned classes = 0;
    for (size_t i = 0; i < t.size; i++)
        classes |= char_classes[(unsigned char)t.at[i]];
    return classes & CHAR_UPPER;
}

bool uri_parse_authority(struct text authority, struct arena *arena, struct text *ret_host,
                         uint16_t *ret_port)
{
    struct text host;
    uint16_t port;
    if (!parse_authority(authority, &host, &port))
        return false;
    if (has_upper(host)) {
        char *lower = arena_alloc(arena, host.size);
        if (!lower)
            return false;
        for (size_t i = 0; i < host.size; i++)
            lower[i] = char_lower(host.at[i]);
        host.at = lower;
    }
    *ret_host = host;
    *ret_port = port;
    return true;
}

static bool parse_scheme(struct text uri, struct uri *parsed)
{
    if (text_starts_with_nocase(uri, TEXT("http://")))
        parsed->scheme = text_slice(uri, 0, 4), parsed->port = 80;
    else if (text_starts_with_nocase(uri, TEXT("https://")))
        parsed->scheme = text_slice(uri, 0, 5), parsed->port = 443;
    else
        return false;
    return true;
}

static bool is_path(struct text path)
{
    const char *end = path.at + path.size, *at = path.at;
    while ((at = scan_class_end(at, end, CHAR_PATH)) < end) {
        bool escape = *at == '%' && end - at >= 3 && char_hex(at[1]) >= 0 && char_hex(at[2]) >= 0;
        if (!escape && *at != '/')
            return false;
        at += escape ? 3 : 1;
    }
    return true;
}

static bool is_query(struct text query)
{
    return query.size == 0
           || scan_class_end(query.at, query.at + query.size, CHAR_QUERY) == query.at + query.size;
}

bool uri_parse(struct text uri, struct uri *ret_uri)
{
    struct uri parsed = {0};
    if (!parse_scheme(uri, &parsed))
        return false;
    struct text rest = text_slice(uri, parsed.scheme.size + 3, uri.size);
    size_t size = 0;
    while (size < rest.size && rest.at[size] != '/' && rest.at[size] != '?')
        size++;
    parsed.authority = text_slice(rest, 0, size);
    struct text path = text_slice(rest, size, rest.size);
    size_t mark = text_find_char(path, '?');
    if (mark != TEXT_NONE)
        parsed.query = text_slice(path, mark + 1, path.size);
    parsed.path = text_slice(path, 0, mark);

    uint16_t port;
    if (!parse_authority(parsed.authority, &parsed.host, &port) || !is_path(parsed.path)
        || !is_query(parsed.query))
        return false;
    if (port)
        parsed.port = port;
    *ret_uri = parsed;
    return true;
}
