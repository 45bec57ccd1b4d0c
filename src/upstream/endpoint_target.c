/* Reads the URL of an endpoint. */
#include "upstream/endpoint_target.h"

#include <errno.h>

#include "http/uri.h"

enum { NAME_MAX_BYTES = 253 };

static bool parse_unix(struct text url, struct endpoint_target *target, struct error *reterr)
{
    target->kind = TARGET_ADDRESS;
    target->authority = target->server = TEXT("localhost");
    if (address_parse(url, &target->address))
        return true;
    error_set(reterr, -EINVAL, "the path of a unix socket has at most 107 bytes");
    return false;
}

/* Letters, digits, hyphens and underscores between dots. */
static bool is_name(struct text name)
{
    size_t label = 0;
    for (size_t i = 0; i < name.size; i++) {
        char c = name.at[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-'
                     || c == '_';
        if (!plain && (c != '.' || label == 0))
            return false;
        label = c == '.' ? 0 : label + 1;
        if (label > 63)
            return false;
    }
    return name.size > 0 && name.size <= NAME_MAX_BYTES;
}

static bool parse_srv(struct text name, struct endpoint_target *target, struct error *reterr)
{
    target->kind = TARGET_SRV;
    target->name = name;
    if (is_name(name))
        return true;
    error_set(reterr, -EINVAL, "a service name is written srv:_http._tcp.orders.example");
    return false;
}

static bool parse_http(struct text url, struct endpoint_target *target, struct error *reterr)
{
    struct uri uri;
    if (!uri_parse(url, &uri) || uri.path.size > 1 || uri.query.at) {
        error_set(
            reterr, -EINVAL,
            "an endpoint is http://HOST:PORT or https://HOST:PORT without a path, unix:/PATH or srv:NAME");
        return false;
    }
    target->authority = uri.authority;
    target->name = target->server = uri.host;
    target->tls = text_equal(uri.scheme, TEXT("https"));
    target->port = uri.port;
    target->kind = address_parse_ip(uri.host, uri.port, &target->address) ? TARGET_ADDRESS : TARGET_NAME;
    return true;
}

bool endpoint_target_parse(struct text url, struct endpoint_target *ret_target, struct error *reterr)
{
    *ret_target = (struct endpoint_target){0};
    if (text_starts_with(url, TEXT("unix:/")))
        return parse_unix(url, ret_target, reterr);
    if (text_starts_with(url, TEXT("srv:")))
        return parse_srv(text_slice(url, 4, url.size), ret_target, reterr);
    if (text_starts_with(url, TEXT("srv+https:"))) {
        ret_target->tls = true;
        return parse_srv(text_slice(url, 10, url.size), ret_target, reterr);
    }
    return parse_http(url, ret_target, reterr);
}
