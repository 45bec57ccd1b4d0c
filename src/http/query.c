/* Percent-encoding of single texts, query strings and cookies. */
#include "http/uri.h"

#include "http/scan.h"

static bool is_escape(const char *at, const char *end)
{
    return end - at >= 3 && *at == '%' && char_hex(at[1]) >= 0 && char_hex(at[2]) >= 0;
}

static bool needs_decoding(struct text t, bool form)
{
    const char *end = t.size ? t.at + t.size : t.at;
    for (const char *at = t.at; at < end; at++)
        if ((form && *at == '+') || is_escape(at, end))
            return true;
    return false;
}

struct text uri_decode(struct text t, bool form, struct arena *arena)
{
    if (!needs_decoding(t, form))
        return t;
    char *decoded = arena_alloc(arena, t.size), *to = decoded;
    if (!decoded)
        return TEXT("");
    const char *end = t.at + t.size;
    for (const char *at = t.at; at < end; at++) {
        if (is_escape(at, end)) {
            *to++ = (char)(char_hex(at[1]) << 4 | char_hex(at[2]));
            at += 2;
        } else {
            *to++ = form && *at == '+' ? ' ' : *at;
        }
    }
    return (struct text){decoded, (size_t)(to - decoded)};
}

static bool stays(char c, bool keep_slash)
{
    return char_is(c, CHAR_UNRESERVED) || (keep_slash && c == '/');
}

struct text uri_encode(struct text t, bool keep_slash, struct arena *arena)
{
    size_t escapes = 0, size;
    for (size_t i = 0; i < t.size; i++)
        escapes += !stays(t.at[i], keep_slash);
    if (escapes == 0)
        return t;
    if (__builtin_mul_overflow(escapes, 2, &size) || __builtin_add_overflow(size, t.size, &size)) {
        arena->failed = true;
        return TEXT("");
    }
    char *encoded = arena_alloc(arena, size), *to = encoded;
    if (!encoded)
        return TEXT("");
    for (size_t i = 0; i < t.size; i++) {
        unsigned char c = (unsigned char)t.at[i];
        if (stays(t.at[i], keep_slash))
            *to++ = t.at[i];
        else
            *to++ = '%', *to++ = "0123456789ABCDEF"[c >> 4], *to++ = "0123456789ABCDEF"[c & 15];
    }
    return (struct text){encoded, size};
}

bool uri_query_next(struct text *rest, struct text *ret_name, struct text *ret_value)
{
    while (rest->at) {
        struct text value = text_split(rest, '&');
        if (value.size == 0)
            continue; /* "a&&b" has two parameters */
        *ret_name = text_split(&value, '=');
        *ret_value = value.at ? value : TEXT("");
        return true;
    }
    return false;
}

struct text uri_query_get(struct text query, struct text name, struct arena *arena)
{
    struct text found, value;
    while (uri_query_next(&query, &found, &value))
        if (text_equal(uri_decode(found, true, arena), name))
            return uri_decode(value, true, arena);
    return (struct text){NULL, 0};
}

struct text cookie_get(struct text cookie_field, struct text name)
{
    while (cookie_field.at) {
        struct text value = text_split(&cookie_field, ';');
        struct text found = text_trim(text_split(&value, '='));
        if (value.at && text_equal(found, name))
            return text_trim(value);
    }
    return (struct text){NULL, 0};
}
