/* Text as code points. A byte that is no part of a well-formed sequence counts as one character of its own. */
#pragma once

#include "base/text.h"

/* The bytes of the character at the front of `t` (which is not empty); `*ret_point` is its code point, or 0xFFFD for a stray byte. */
size_t utf8_decode(struct text t, uint32_t *ret_point);

/* Writes a code point (below 0x110000, no surrogate); returns the bytes written, at most 4. */
size_t utf8_encode(uint32_t point, char *to);

size_t utf8_count(struct text t);

/* The offset of the character with this index; `index` equal to the count gives the size; TEXT_NONE: beyond. */
size_t utf8_offset(struct text t, uint64_t index);

/* No byte above 0x7f. */
bool utf8_is_ascii(struct text t);

/* White space by Unicode's property White_Space. */
bool utf8_is_space(uint32_t point);
