/* Request targets and their parts (RFC 3986, RFC 9112 section 3.2): one normalisation, before matching and
 * policies, so that no spelling of a path walks around the policy of a route. */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/text.h"

enum encoded_slashes {
    SLASHES_REJECT, /* %2F and %5C in a path are refused */
    SLASHES_KEEP,   /* stay encoded, upper case: not a separator */
    SLASHES_DECODE, /* become separators before dot segments are removed */
};

struct uri_rules {
    bool merge_slashes;
    enum encoded_slashes encoded_slashes;
};

/* The normal form of a path that begins with '/': percent-encoded unreserved characters decoded, other
 * encodings in upper case, dot segments removed (a ".." above the root is refused), repeated slashes merged
 * (as an option), encoded NUL and control bytes refused, bytes outside RFC 3986 pchar refused, backslash
 * refused. What servers read differently is refused too: "..;x" as a segment (a dot segment to those with
 * path parameters), and a dot part beside a kept slash ("..%2Fx"). Returns `path` itself where nothing
 * changes (no copy), else a copy in `arena`. False: refused, or arena->failed. */
bool uri_normalise_path(struct text path, const struct uri_rules *rules, struct arena *arena,
                        struct text *ret_path);

/* RFC 3986 host with optional port; userinfo is refused, and so are escapes and sub-delims in a name, empty
 * labels, port 0 and hosts over 255 bytes. `*ret_host` is lower case without a final dot (in `arena` where it
 * had to change), IPv6 literals keep their brackets; port 0: none given. */
bool uri_parse_authority(struct text authority, struct arena *arena, struct text *ret_host,
                         uint16_t *ret_port);

/* An absolute http or https URI, as in configuration. Texts point into `uri`. */
struct uri {
    struct text scheme, authority, host, path /* perhaps empty */, query /* .at NULL: none */;
    uint16_t port; /* the scheme's where none is given */
};
bool uri_parse(struct text uri, struct uri *ret_uri);

/* Percent-decoding of a whole text, '+' too when `form`; malformed escapes are kept as they are. Result in
 * `arena` where it changes. */
struct text uri_decode(struct text t, bool form, struct arena *arena);

/* Percent-encodes all but unreserved characters, and '/' when `keep_slash`. */
struct text uri_encode(struct text t, bool keep_slash, struct arena *arena);

/* Walks a query string: false at the end. Name and value are still encoded; start with *rest = the query. */
bool uri_query_next(struct text *rest, struct text *ret_name, struct text *ret_value);

/* First value of a query parameter, decoded; .at NULL: absent. */
struct text uri_query_get(struct text query, struct text name, struct arena *arena);

/* Value of a cookie in a Cookie field (RFC 6265 section 5.4), quotes kept; .at NULL: absent. */
struct text cookie_get(struct text cookie_field, struct text name);
