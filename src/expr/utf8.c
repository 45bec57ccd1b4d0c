/* Code points in texts. */
#include "expr/utf8.h"

size_t utf8_decode(struct text t, uint32_t *ret_point)
{
    unsigned char lead = (unsigned char)t.at[0];
    *ret_point = lead;
    if (lead < 0x80)
        return 1;
    size_t size = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    *ret_point = 0xfffd;
    if (size == 0 || size > t.size || !text_is_utf8(text_slice(t, 0, size)))
        return 1;
    uint32_t point = lead & (0x7fu >> size);
    for (size_t i = 1; i < size; i++)
        point = point << 6 | ((unsigned char)t.at[i] & 0x3f);
    *ret_point = point;
    return size;
}

size_t utf8_encode(uint32_t point, char *to)
{
    if (point < 0x80) {
        to[0] = (char)point;
        return 1;
    }
    size_t size = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--, point >>= 6)
        to[i] = (char)(0x80 | (point & 0x3f));
    to[0] = (char)((0xf00u >> size & 0xff) | point);
    return size;
}

bool utf8_is_ascii(struct text t)
{
    size_t i = 0;
    for (uint64_t word; i + sizeof word <= t.size; i += sizeof word) {
        memcpy(&word, t.at + i, sizeof word);
        if (word & 0x8080808080808080u)
            return false;
    }
    for (; i < t.size; i++)
        if (t.at[i] & 0x80)
            return false;
    return true;
}

size_t utf8_count(struct text t)
{
    if (utf8_is_ascii(t))
        return t.size;
    size_t count = 0;
    uint32_t point;
    for (size_t at = 0; at < t.size; count++)
        at += utf8_decode(text_slice(t, at, t.size), &point);
    return count;
}

size_t utf8_offset(struct text t, uint64_t index)
{
    if (utf8_is_ascii(t))
        return index <= t.size ? (size_t)index : TEXT_NONE;
    size_t at = 0;
    uint32_t point;
    for (; at < t.size && index > 0; index--)
        at += utf8_decode(text_slice(t, at, t.size), &point);
    return index == 0 ? at : TEXT_NONE;
}

bool utf8_is_space(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680
           || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f
           || c == 0x3000;
}
