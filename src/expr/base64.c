/* Base64. */
#include "expr/base64.h"

static const char digits[2][65] = {
    [BASE64_STANDARD] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    [BASE64_URL] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

size_t base64_write(struct text from, enum base64_alphabet alphabet, char *to)
{
    size_t size = 0;
    const unsigned char *in = (const unsigned char *)from.at;
    for (size_t i = 0; i < from.size; i += 3) {
        size_t left = from.size - i;
        uint32_t group =
            (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) | (left > 2 ? in[i + 2] : 0);
        size_t count = left > 2 ? 4 : left + 1;
        for (size_t k = 0; k < count; k++)
            to[size++] = digits[alphabet][group >> (18 - 6 * k) & 63];
        for (size_t k = count; k < 4 && alphabet == BASE64_STANDARD; k++)
            to[size++] = '=';
    }
    return size;
}

static int digit_value(char c, enum base64_alphabet alphabet)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (char_is_digit(c))
        return c - '0' + 52;
    return c == digits[alphabet][62] ? 62 : c == digits[alphabet][63] ? 63 : -1;
}

bool base64_read(struct text from, enum base64_alphabet alphabet, char *to, size_t *ret_size)
{
    size_t padding = 0, size = 0;
    while (padding < 2 && from.size && from.at[from.size - 1] == '=') {
        from.size--;
        padding++;
    }
    if (from.size % 4 == 1 || (padding && (from.size + padding) % 4))
        return false;
    uint32_t group = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < from.size; i++) {
        int digit = digit_value(from.at[i], alphabet);
        if (digit < 0)
            return false;
        group = group << 6 | (uint32_t)digit;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            to[size++] = (char)(group >> bits);
            group &= (1u << bits) - 1;
        }
    }
    *ret_size = size;
    return group == 0;
}
