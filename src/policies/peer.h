/* What a proxy in front of this gateway says about the client, as far as the listener trusts it. */
#pragma once

#include "proxy/connection.h"

/* Is the connection's other end one of the listener's `trusted_proxies`? */
static inline bool peer_is_trusted(const struct exchange *ex)
{
    const struct cidr_set *trusted = ex->connection->listener->config->trusted_set;
    return trusted && cidr_set_contains(trusted, address_ip(&ex->connection->peer));
}

/* "http" or "https": how the client came, seen through trusted proxies. */
static inline struct text peer_scheme(const struct exchange *ex)
{
    struct text said = fields_get_known(&ex->request.fields, NAME_X_FORWARDED_PROTO);
    if (said.at && peer_is_trusted(ex))
        return text_equal_nocase(said, TEXT("https")) ? TEXT("https") : TEXT("http");
    return ex->request.scheme;
}
