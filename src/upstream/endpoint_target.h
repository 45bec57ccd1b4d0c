/* What the URL of an endpoint says: an address, a socket file, a host name, or a service name. */
#pragma once

#include "base/error.h"
#include "net/address.h"

enum target_kind { TARGET_ADDRESS, TARGET_NAME, TARGET_SRV };

struct endpoint_target {
    enum target_kind kind;
    struct address
        address;      /* TARGET_ADDRESS; a unix path points into the URL, which a zero byte must follow */
    struct text name; /* TARGET_NAME, TARGET_SRV: what is asked for; in the URL */
    struct text authority; /* the Host for `host: endpoint` */
    struct text server;    /* the name that TLS asks for: host of the URL */
    uint16_t port;         /* TARGET_NAME */
    bool tls;
};

/* "http://HOST:PORT", "https://HOST:PORT", "unix:/PATH", "srv:NAME" or "srv+https:NAME". False: `*reterr` says what is wrong. */
bool endpoint_target_parse(struct text url, struct endpoint_target *ret_target, struct error *reterr);
