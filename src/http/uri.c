/* The normal form of a path.
 *
 * One spelling for one path: escapes of unreserved characters are decoded, others written in upper case, dot
 * segments removed, repeated slashes merged. What different servers read differently is refused rather than
 * guessed: escapes of control bytes, raw backslashes, ".." above the root, "..;x" (a dot segment to servers
 * with path parameters) and dot parts beside a kept %2F. */
#include "http/uri.h"

#include "base/check.h"
#include "http/scan.h"

static const char hex_upper[] = "0123456789ABCDEF";

/* The byte that "%XX" at `at` stands for, or -1. */
static int escape_value(const char *at, const char *end)
{
    if (end - at < 3 || *at != '%')
        return -1;
    int high = char_hex(at[1]), low = char_hex(at[2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static bool is_slash(int byte)
{
    return byte == '/' || byte == '\\';
}

/* "." or "..", perhaps with path parameters. */
static bool is_dots(const char *at, const char *end)
{
    size_t dots = 0;
    while (at + dots < end && dots < 3 && at[dots] == '.')
        dots++;
    return (dots == 1 || dots == 2) && (at + dots == end || at[dots] == ';');
}

/* May the escape at `at` stay as it is? */
static bool escape_is_normal(const char *at, const char *end)
{
    int byte = escape_value(at, end);
    return byte >= 0x20 && byte != 0x7f && !is_slash(byte) && !char_is((char)byte, CHAR_UNRESERVED)
           && hex_upper[byte >> 4] == at[1] && hex_upper[byte & 15] == at[2];
}

/* After the slash before `at`: does the next segment need the slow way? */
static bool segment_is_plain(const char *at, const char *end, bool merge_slashes)
{
    if (at == end)
        return true;
    if (*at == '/')
        return !merge_slashes;
    return *at != '.' || !is_dots(at, scan_char(at, at, end, '/'));
}

static bool is_normal(struct text path, const struct uri_rules *rules)
{
    const char *end = path.at + path.size;
    for (const char *at = path.at; at < end; at++) {
        if (LIKELY(char_is(*at, CHAR_PATH)))
            continue;
        if (*at == '/' ? !segment_is_plain(at + 1, end, rules->merge_slashes) : !escape_is_normal(at, end))
            return false;
        at += *at == '%' ? 2 : 0;
    }
    return true;
}

/* Writes what the escape at `at` becomes and returns the end of it; NULL: refused. */
static char *decode_escape(const char *at, const char *end, enum encoded_slashes slashes, char *to)
{
    int byte = escape_value(at, end);
    if (byte < 0x20 || byte == 0x7f)
        return NULL;
    if (char_is((char)byte, CHAR_UNRESERVED)) {
        *to++ = (char)byte;
        return to;
    }
    if (is_slash(byte)) {
        switch (slashes) {
        case SLASHES_REJECT: return NULL;
        case SLASHES_DECODE: *to++ = '/'; return to;
        case SLASHES_KEEP: break;
        }
    }
    *to++ = '%', *to++ = hex_upper[byte >> 4], *to++ = hex_upper[byte & 15];
    return to;
}

static bool decode(struct text path, enum encoded_slashes slashes, char *to, size_t *ret_size)
{
    const char *end = path.at + path.size;
    char *start = to;
    for (const char *at = path.at; at < end; at++) {
        if (char_is(*at, CHAR_PATH) || *at == '/') {
            *to++ = *at;
            continue;
        }
        to = decode_escape(at, end, slashes, to);
        if (!to)
            return false;
        at += 2;
    }
    *ret_size = (size_t)(to - start);
    return true;
}

/* Has a segment a part between kept slashes, or before path parameters, that some server takes for a dot
 * segment? */
static bool segment_is_ambiguous(const char *at, const char *end)
{
    for (const char *part = at;; at++) {
        int byte = at < end && *at == '%' ? escape_value(at, end) : 0;
        if (at < end && !is_slash(byte))
            continue;
        if (is_dots(part, at))
            return true;
        if (at == end)
            return false;
        part = at + 3;
        at += 2;
    }
}

/* Takes the last "/segment" off; false: there is none. */
static bool pop_segment(const char *path, size_t *size)
{
    if (*size == 0)
        return false;
    while (path[--*size] != '/')
        ;
    return true;
}

/* Removes dot segments and empty ones in place (RFC 3986 section 5.2.4). `path` begins with '/'. */
static bool remove_dots(char *path, size_t *size, bool merge_slashes)
{
    size_t kept = 0;
    for (size_t at = 1, next = 0; next < *size; at = next + 1) {
        next = (size_t)(scan_char(path, path + at, path + *size, '/') - path);
        size_t length = next - at;
        bool dot = length == 1 && path[at] == '.';
        bool two_dots = length == 2 && path[at] == '.' && path[at + 1] == '.';
        if (two_dots && !pop_segment(path, &kept))
            return false;
        if ((dot || two_dots || (length == 0 && merge_slashes)) && next < *size)
            continue;
        if (dot || two_dots)
            length = 0;
        else if (segment_is_ambiguous(path + at, path + next))
            return false;
        path[kept++] = '/';
        memmove(path + kept, path + at, length);
        kept += length;
    }
    *size = kept;
    return true;
}

bool uri_normalise_path(struct text path, const struct uri_rules *rules, struct arena *arena,
                        struct text *ret_path)
{
    if (path.size == 0 || path.at[0] != '/')
        return false;
    if (LIKELY(is_normal(path, rules))) {
        *ret_path = path;
        return true;
    }
    size_t size = 0;
    char *copy = arena_alloc(arena, path.size);
    if (!copy || !decode(path, rules->encoded_slashes, copy, &size)
        || !remove_dots(copy, &size, rules->merge_slashes))
        return false;
    struct text normal = {copy, size};
    *ret_path = text_equal(path, normal) ? path : normal;
    return true;
}
