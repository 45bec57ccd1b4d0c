/* Base64 (RFC 4648), standard with padding and for URLs without. For this room and those above it. */
#pragma once

#include "base/text.h"

enum base64_alphabet { BASE64_STANDARD, BASE64_URL };

/* Bytes that base64_write() may need for `size` bytes. */
static inline size_t base64_size(size_t size)
{
    return (size + 2) / 3 * 4;
}

/* Returns what it wrote; the URL form has no padding. */
size_t base64_write(struct text from, enum base64_alphabet alphabet, char *to);

/* Decodes into `to`, which has room for 3/4 of the size. Padding may be missing, stray bits may not be set. False: malformed. */
bool base64_read(struct text from, enum base64_alphabet alphabet, char *to, size_t *ret_size);
