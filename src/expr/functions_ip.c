/* IP addresses and networks. IPv4 within IPv6 (::ffff:10.0.0.1) is refused, as is a zone: an address has one spelling of its kind. */
#include <arpa/inet.h>
#include <stdio.h>

#include "expr/function.h"

struct ip {
    unsigned char bytes[16];
    uint8_t size; /* 4 or 16 */
};

struct cidr {
    struct ip ip; /* with its host bits as written */
    uint8_t prefix;
};

static bool ip_equal(const void *a, const void *b)
{
    const struct ip *left = a, *right = b;
    return left->size == right->size && !memcmp(left->bytes, right->bytes, left->size);
}

static size_t write_ip(const struct ip *ip, char to[INET6_ADDRSTRLEN])
{
    inet_ntop(ip->size == 4 ? AF_INET : AF_INET6, ip->bytes, to, INET6_ADDRSTRLEN);
    return strlen(to);
}

static struct text ip_write(const void *data, struct arena *arena)
{
    char to[INET6_ADDRSTRLEN];
    size_t size = write_ip(data, to);
    return arena_copy(arena, (struct text){to, size});
}

static bool cidr_equal(const void *a, const void *b)
{
    const struct cidr *left = a, *right = b;
    return left->prefix == right->prefix && ip_equal(&left->ip, &right->ip);
}

static struct text cidr_write(const void *data, struct arena *arena)
{
    const struct cidr *cidr = data;
    char to[INET6_ADDRSTRLEN];
    write_ip(&cidr->ip, to);
    return arena_format(arena, "%s/%u", to, cidr->prefix);
}

static const struct value_host_type ip_type = {"net.IP", "ip", BIT_IP, ip_equal, ip_write};
static const struct value_host_type cidr_type = {"net.CIDR", "cidr", BIT_CIDR, cidr_equal, cidr_write};

static bool ip_parse(struct text t, struct ip *ip)
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    char copy[INET6_ADDRSTRLEN + 1];
    if (t.size == 0 || t.size >= sizeof copy || memchr(t.at, 0, t.size))
        return false;
    memcpy(copy, t.at, t.size);
    copy[t.size] = 0;
    memset(ip, 0, sizeof *ip);
    if (inet_pton(AF_INET, copy, ip->bytes) == 1) {
        ip->size = 4;
        return true;
    }
    if (inet_pton(AF_INET6, copy, ip->bytes) != 1)
        return false;
    ip->size = 16;
    return memcmp(ip->bytes, mapped, sizeof mapped) != 0;
}

static bool cidr_parse(struct text t, struct cidr *cidr)
{
    size_t slash = text_find_char(t, '/');
    uint64_t prefix;
    memset(cidr, 0, sizeof *cidr);
    if (slash == TEXT_NONE || t.size - slash > 4 || !ip_parse(text_slice(t, 0, slash), &cidr->ip))
        return false;
    struct text bits = text_slice(t, slash + 1, t.size);
    if (!text_to_uint64(bits, &prefix) || (bits.size > 1 && bits.at[0] == '0'))
        return false;
    cidr->prefix = (uint8_t)prefix;
    return prefix <= 8u * cidr->ip.size;
}

/* Whether the first `prefix` bits are those of the network. */
static bool in_network(const struct cidr *cidr, const struct ip *ip, unsigned prefix)
{
    unsigned whole = prefix / 8, rest = prefix % 8;
    if (cidr->ip.size != ip->size || memcmp(cidr->ip.bytes, ip->bytes, whole) != 0)
        return false;
    return rest == 0 || ((cidr->ip.bytes[whole] ^ ip->bytes[whole]) >> (8 - rest)) == 0;
}

static bool give(struct call *call, const struct value_host_type *type, const void *data, size_t size,
                 struct value *ret_value)
{
    void *copy = arena_alloc(call->evaluation->arena, size);
    if (!copy)
        return fault_memory(call->evaluation);
    memcpy(copy, data, size);
    *ret_value = (struct value){.kind = VALUE_HOST, .host = {type, copy}};
    return true;
}

static bool ip_from_string(struct call *call, const struct value *arguments, struct value *ret_value)
{
    struct ip ip;
    if (!ip_parse(arguments[0].text, &ip))
        return fault_text(call->evaluation, "not an IP address", arguments[0].text);
    return give(call, &ip_type, &ip, sizeof ip, ret_value);
}

static bool cidr_from_string(struct call *call, const struct value *arguments, struct value *ret_value)
{
    struct cidr cidr;
    if (!cidr_parse(arguments[0].text, &cidr))
        return fault_text(call->evaluation, "not a network", arguments[0].text);
    return give(call, &cidr_type, &cidr, sizeof cidr, ret_value);
}

static bool is_ip(struct call *call, const struct value *arguments, struct value *ret_value)
{
    struct ip ip;
    (void)call; /* cannot fail */
    *ret_value = value_bool(ip_parse(arguments[0].text, &ip));
    return true;
}

/* Whether string() gives it back as it is. */
static bool is_canonical(struct call *call, const struct value *arguments, struct value *ret_value)
{
    struct ip ip;
    char written[INET6_ADDRSTRLEN];
    if (!ip_parse(arguments[0].text, &ip))
        return fault_text(call->evaluation, "not an IP address", arguments[0].text);
    size_t size = write_ip(&ip, written);
    *ret_value = value_bool(text_equal(arguments[0].text, (struct text){written, size}));
    return true;
}

static bool is_cidr(struct call *call, const struct value *arguments, struct value *ret_value)
{
    struct cidr cidr;
    (void)call; /* cannot fail */
    *ret_value = value_bool(cidr_parse(arguments[0].text, &cidr));
    return true;
}

/* IPv4: by RFC 1122, 3927, 5771 and 1918; IPv6: by RFC 4291 and 4193. */
#define IP_FUNCTION(name, result, v4, v6)                                                                    \
    static bool name(struct call *call, const struct value *arguments, struct value *ret_value)              \
    {                                                                                                        \
        const struct ip *ip = arguments[0].host.data;                                                        \
        const unsigned char *b = ip->bytes;                                                                  \
        (void)call; /* cannot fail */                                                                        \
        *ret_value = result(ip->size == 4 ? (v4) : (v6));                                                    \
        return true;                                                                                         \
    }

static bool is_zero(const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i])
            return false;
    return true;
}

static bool family(struct call *call, const struct value *arguments, struct value *ret_value)
{
    (void)call; /* cannot fail */
    *ret_value = value_int(((const struct ip *)arguments[0].host.data)->size == 4 ? 4 : 6);
    return true;
}
IP_FUNCTION(is_unspecified, value_bool, is_zero(b, 4), is_zero(b, 16))
IP_FUNCTION(is_loopback, value_bool, b[0] == 127, is_zero(b, 15) && b[15] == 1)
IP_FUNCTION(is_private, value_bool,
            b[0] == 10 || (b[0] == 172 && b[1] >> 4 == 1) || (b[0] == 192 && b[1] == 168),
            (b[0] & 0xfe) == 0xfc)
IP_FUNCTION(is_link_local, value_bool, b[0] == 169 && b[1] == 254, b[0] == 0xfe && (b[1] & 0xc0) == 0x80)
IP_FUNCTION(is_multicast, value_bool, b[0] >> 4 == 14, b[0] == 0xff)
IP_FUNCTION(is_link_local_multicast, value_bool, b[0] == 224 && b[1] == 0 && b[2] == 0,
            b[0] == 0xff && (b[1] & 15) == 2)
IP_FUNCTION(is_global_unicast, value_bool,
            !is_zero(b, 4) && b[0] != 127 && b[0] >> 4 != 14 && !(b[0] == 169 && b[1] == 254)
                && !(b[0] == 255 && b[1] == 255 && b[2] == 255 && b[3] == 255),
            !is_zero(b, 15) && b[0] != 0xff && !(b[0] == 0xfe && (b[1] & 0xc0) == 0x80))

static bool contains_ip(struct call *call, const struct value *arguments, struct value *ret_value)
{
    const struct cidr *cidr = arguments[0].host.data;
    (void)call; /* cannot fail */
    *ret_value = value_bool(in_network(cidr, arguments[1].host.data, cidr->prefix));
    return true;
}

static bool contains_ip_text(struct call *call, const struct value *arguments, struct value *ret_value)
{
    const struct cidr *cidr = arguments[0].host.data;
    struct ip ip;
    if (!ip_parse(arguments[1].text, &ip))
        return fault_text(call->evaluation, "not an IP address", arguments[1].text);
    *ret_value = value_bool(in_network(cidr, &ip, cidr->prefix));
    return true;
}

static bool contains_cidr(struct call *call, const struct value *arguments, struct value *ret_value)
{
    const struct cidr *cidr = arguments[0].host.data, *inner = arguments[1].host.data;
    (void)call; /* cannot fail */
    *ret_value = value_bool(inner->prefix >= cidr->prefix && in_network(cidr, &inner->ip, cidr->prefix));
    return true;
}

static bool contains_cidr_text(struct call *call, const struct value *arguments, struct value *ret_value)
{
    struct cidr inner;
    if (!cidr_parse(arguments[1].text, &inner))
        return fault_text(call->evaluation, "not a network", arguments[1].text);
    struct value both[] = {arguments[0], {.kind = VALUE_HOST, .host = {&cidr_type, &inner}}};
    return contains_cidr(call, both, ret_value);
}

static bool cidr_ip(struct call *call, const struct value *arguments, struct value *ret_value)
{
    const struct cidr *cidr = arguments[0].host.data;
    return give(call, &ip_type, &cidr->ip, sizeof cidr->ip, ret_value);
}

static bool cidr_masked(struct call *call, const struct value *arguments, struct value *ret_value)
{
    struct cidr masked = *(const struct cidr *)arguments[0].host.data;
    for (unsigned bit = masked.prefix; bit < 8u * masked.ip.size; bit++)
        masked.ip.bytes[bit / 8] &= (unsigned char)~(0x80u >> bit % 8);
    return give(call, &cidr_type, &masked, sizeof masked, ret_value);
}

static bool cidr_prefix(struct call *call, const struct value *arguments, struct value *ret_value)
{
    (void)call; /* cannot fail */
    *ret_value = value_int(((const struct cidr *)arguments[0].host.data)->prefix);
    return true;
}

static const struct function rows[] = {
    {"ip",
     FUNCTION_GLOBAL,
     {SIG_STRING},
     SIG_IP,
     ip_from_string,
     "An IPv4 or IPv6 address.",
     2,
     .example = "ip('2001:DB8::1').family() => 6"},
    {"cidr",
     FUNCTION_GLOBAL,
     {SIG_STRING},
     SIG_CIDR,
     cidr_from_string,
     "A network: 10.0.0.0/8.",
     2,
     .example = "cidr('10.0.0.0/8').containsIP('10.1.2.3') => true"},
    {"isIP",
     FUNCTION_GLOBAL,
     {SIG_STRING},
     SIG_BOOL,
     is_ip,
     "Whether ip() takes it.",
     2,
     .example = "isIP('10.0.0.256') => false"},
    {"ip.isCanonical",
     FUNCTION_GLOBAL,
     {SIG_STRING},
     SIG_BOOL,
     is_canonical,
     "Whether the address is spelled as string() spells it; an error if it is none.",
     2,
     .example = "ip.isCanonical('2001:DB8::1') => false"},
    {"isCIDR",
     FUNCTION_GLOBAL,
     {SIG_STRING},
     SIG_BOOL,
     is_cidr,
     "Whether cidr() takes it.",
     2,
     .example = "isCIDR('10.0.0.0/8') => true"},
    {"family",
     FUNCTION_RECEIVER,
     {SIG_IP},
     SIG_INT,
     family,
     "4 or 6.",
     1,
     .example = "ip('::1').family() => 6"},
    {"isUnspecified",
     FUNCTION_RECEIVER,
     {SIG_IP},
     SIG_BOOL,
     is_unspecified,
     "0.0.0.0 or ::.",
     1,
     .example = "ip('0.0.0.0').isUnspecified() => true"},
    {"isLoopback",
     FUNCTION_RECEIVER,
     {SIG_IP},
     SIG_BOOL,
     is_loopback,
     "127.0.0.0/8 or ::1.",
     1,
     .example = "ip('127.0.0.1').isLoopback() => true"},
    {"isPrivate",
     FUNCTION_RECEIVER,
     {SIG_IP},
     SIG_BOOL,
     is_private,
     "10/8, 172.16/12, 192.168/16 or fc00::/7.",
     1,
     .example = "ip('192.168.1.1').isPrivate() => true"},
    {"isLinkLocalUnicast",
     FUNCTION_RECEIVER,
     {SIG_IP},
     SIG_BOOL,
     is_link_local,
     "169.254/16 or fe80::/10.",
     1,
     .example = "ip('fe80::1').isLinkLocalUnicast() => true"},
    {"isLinkLocalMulticast",
     FUNCTION_RECEIVER,
     {SIG_IP},
     SIG_BOOL,
     is_link_local_multicast,
     "224.0.0/24 or ff02::/16.",
     1,
     .example = "ip('224.0.0.251').isLinkLocalMulticast() => true"},
    {"isMulticast",
     FUNCTION_RECEIVER,
     {SIG_IP},
     SIG_BOOL,
     is_multicast,
     "224/4 or ff00::/8.",
     1,
     .example = "ip('ff02::1').isMulticast() => true"},
    {"isGlobalUnicast",
     FUNCTION_RECEIVER,
     {SIG_IP},
     SIG_BOOL,
     is_global_unicast,
     "None of unspecified, loopback, link-local, multicast, broadcast.",
     1,
     .example = "ip('127.0.0.1').isGlobalUnicast() => false"},
    {"containsIP",
     FUNCTION_RECEIVER,
     {SIG_CIDR, SIG_IP},
     SIG_BOOL,
     contains_ip,
     "Whether the address is in the network.",
     1,
     .example = "cidr('10.0.0.0/8').containsIP(ip('10.1.2.3')) => true"},
    {"containsIP",
     FUNCTION_RECEIVER,
     {SIG_CIDR, SIG_STRING},
     SIG_BOOL,
     contains_ip_text,
     "The same of an address as text.",
     2,
     .example = "cidr('10.0.0.0/8').containsIP('11.0.0.1') => false"},
    {"containsCIDR",
     FUNCTION_RECEIVER,
     {SIG_CIDR, SIG_CIDR},
     SIG_BOOL,
     contains_cidr,
     "Whether all of the other network is in this one.",
     1,
     .example = "cidr('10.0.0.0/8').containsCIDR(cidr('10.1.0.0/16')) => true"},
    {"containsCIDR",
     FUNCTION_RECEIVER,
     {SIG_CIDR, SIG_STRING},
     SIG_BOOL,
     contains_cidr_text,
     "The same of a network as text.",
     2,
     .example = "cidr('10.1.0.0/16').containsCIDR('10.0.0.0/8') => false"},
    {"ip",
     FUNCTION_RECEIVER,
     {SIG_CIDR},
     SIG_IP,
     cidr_ip,
     "The address of a network as it was written.",
     1,
     .example = "cidr('10.1.2.3/8').ip() => ip(\"10.1.2.3\")"},
    {"masked",
     FUNCTION_RECEIVER,
     {SIG_CIDR},
     SIG_CIDR,
     cidr_masked,
     "The network with its host bits cleared.",
     1,
     .example = "cidr('10.1.2.3/16').masked() => cidr(\"10.1.0.0/16\")"},
    {"prefixLength",
     FUNCTION_RECEIVER,
     {SIG_CIDR},
     SIG_INT,
     cidr_prefix,
     "The bits of the network part.",
     1,
     .example = "cidr('10.0.0.0/8').prefixLength() => 8"},
};

const struct function_group functions_ip = FUNCTION_GROUP("IP addresses", rows);
