/* Classes of bytes in HTTP and URIs: one table, one look per byte. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    CHAR_TOKEN = 1 << 0, /* RFC 9110 section 5.6.2 tchar */
    CHAR_VALUE = 1 << 1, /* in field values: tab, space, visible ASCII, obs-text */
    CHAR_PATH = 1 << 2,  /* RFC 3986 pchar without '%' */
    CHAR_QUERY =
        1 << 3, /* pchar, '/', '?', and what browsers and curl send unescaped: " < > [ \ ] ^ ` { | } */
    CHAR_UNRESERVED = 1 << 4, /* RFC 3986 section 2.3 */
    CHAR_HOST = 1 << 5,       /* in host names: unreserved; no registered name has more */
    CHAR_UPPER = 1 << 6,
    CHAR_DOT = 1 << 7,
};

extern const uint8_t char_classes[256];

static inline bool char_is(char c, unsigned classes)
{
    return char_classes[(unsigned char)c] & classes;
}
