/* Text as pointer and length. A text owns nothing; whoever holds one says whose memory it points to. It may hold any bytes and
 * is not zero-terminated unless its maker says so. Comparisons without case fold ASCII only (RFC 9110 section 5.1). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text {
    const char *at;
    size_t size;
};

/* From a string literal, also in static initialisers through TEXT_INIT. */
#define TEXT(literal) ((struct text){("" literal), sizeof(literal) - 1})
#define TEXT_INIT(literal)                                                                                   \
    {                                                                                                        \
        ("" literal), sizeof(literal) - 1                                                                    \
    }

/* For "%.*s". */
#define TEXT_ARGS(text) (int)(text).size, (text).at

static inline struct text text_of(const char *zero_terminated)
{
    return (struct text){zero_terminated, strlen(zero_terminated)};
}

static inline bool text_equal(struct text a, struct text b)
{
    return a.size == b.size && (a.size == 0 || !memcmp(a.at, b.at, a.size));
}

static inline bool text_starts_with(struct text t, struct text prefix)
{
    return t.size >= prefix.size && (prefix.size == 0 || !memcmp(t.at, prefix.at, prefix.size));
}

static inline bool text_ends_with(struct text t, struct text suffix)
{
    return t.size >= suffix.size
           && (suffix.size == 0 || !memcmp(t.at + t.size - suffix.size, suffix.at, suffix.size));
}

/* Bytes [from, to) of `t`; both are clamped to it. */
static inline struct text text_slice(struct text t, size_t from, size_t to)
{
    to = to > t.size ? t.size : to;
    from = from > to ? to : from;
    return (struct text){from ? t.at + from : t.at, to - from}; /* no arithmetic on NULL */
}

#define TEXT_NONE SIZE_MAX /* not found */

size_t text_find(struct text t, struct text part);          /* offset of the first, or TEXT_NONE */
size_t text_find_char(struct text t, char c);               /* the same for one byte */
size_t text_find_last_char(struct text t, char c);          /* the last one */
bool text_equal_nocase(struct text a, struct text b);       /* ASCII */
bool text_starts_with_nocase(struct text t, struct text p); /* ASCII */
int text_compare(struct text a, struct text b);             /* by bytes, shorter first: <0, 0, >0 */

/* Compares in a time that depends only on the lengths; for secrets. */
bool text_equal_constant_time(struct text a, struct text b);

/* Without the spaces and tabs at both ends (RFC 9110 OWS). */
struct text text_trim(struct text t);

/* Takes the part up to the first `separator` off the front of `*rest` and returns it; the separator is dropped. When none is left,
 * returns all and leaves `rest->at` NULL: loop while (rest.at). */
struct text text_split(struct text *rest, char separator);

/* Decimal digits only, the whole text, no sign but '-' for the signed one; false: not a number or out of range. */
bool text_to_uint64(struct text t, uint64_t *ret_value);
bool text_to_int64(struct text t, int64_t *ret_value);
bool text_to_double(struct text t, double *ret_value);

/* Lower-case hexadecimal: `to` has room for twice the size. */
void text_hex(const void *data, size_t size, char *to);

/* Well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool text_is_utf8(struct text t);

/* How many single-character edits turn `a` into `b`, counted up to `max`; for near-miss hints. */
unsigned text_distance(struct text a, struct text b, unsigned max);

static inline char char_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static inline bool char_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool char_is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Value of a hexadecimal digit, or -1. */
static inline int char_hex(char c)
{
    return char_is_digit(c)         ? c - '0'
           : (c >= 'a' && c <= 'f') ? c - 'a' + 10
           : (c >= 'A' && c <= 'F') ? c - 'A' + 10
                                    : -1;
}
