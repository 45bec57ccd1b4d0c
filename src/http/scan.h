/* Searches over raw bytes, sixteen at a time where the machine has SSE2 (every x86-64 does). Each returns the
 * first byte it looks for in [at, end), or `end`, and reads nothing outside of [from, end): with 16 bytes
 * there, even a short rest is one step. */
#pragma once

#include <stddef.h>

#include "base/check.h"
#include "http/chars.h"

#ifdef __SSE2__
#include <emmintrin.h>

static inline __m128i scan_load(const char *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

/* Bytes that no field value may hold: below 0x20 but tab, and 0x7f. */
static inline unsigned scan_control_mask(__m128i bytes)
{
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
    __m128i tab = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t'));
    __m128i del = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, low), del));
}

/* What may be one of those, or is obs-text, in one comparison: 0x7f + 1 is the lowest signed byte. */
static inline unsigned scan_unusual_mask(__m128i bytes)
{
    __m128i next = _mm_add_epi8(bytes, _mm_set1_epi8(1));
    return (unsigned)_mm_movemask_epi8(_mm_cmplt_epi8(next, _mm_set1_epi8(0x21)));
}

/* Bytes that are not visible ASCII; the comparison is signed, so those from 0x80 are below. */
static inline unsigned scan_invisible_mask(__m128i bytes)
{
    __m128i visible = _mm_cmpgt_epi8(bytes, _mm_set1_epi8(0x20));
    __m128i del = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
    return (unsigned)_mm_movemask_epi8(_mm_andnot_si128(del, visible)) ^ 0xffff;
}
#endif

#ifdef __SSE2__
/* Searches with a mask function of one block; the last block may overlap what was searched. */
#define SCAN(mask_of, from, at, end)                                                                         \
    do {                                                                                                     \
        for (; (end) - (at) >= 16; (at) += 16) {                                                             \
            unsigned found_ = mask_of(scan_load(at));                                                        \
            if (found_)                                                                                      \
                return (at) + __builtin_ctz(found_);                                                         \
        }                                                                                                    \
        if ((end) - (from) >= 16 && (at) < (end)) {                                                          \
            unsigned found_ = mask_of(scan_load((end)-16)) >> (16 - ((end) - (at)));                         \
            return found_ ? (at) + __builtin_ctz(found_) : (end);                                            \
        }                                                                                                    \
    } while (0)
#else
#define SCAN(mask_of, from, at, end) (void)(from)
#endif

/* The end of a field value: the first control byte but tab. */
static inline const char *scan_control(const char *from, const char *at, const char *end)
{
#define SCAN_VALUE_MASK(block) (LIKELY(!scan_unusual_mask(block)) ? 0 : scan_control_mask(block))
    SCAN(SCAN_VALUE_MASK, from, at, end);
#undef SCAN_VALUE_MASK
    while (at < end && char_is(*at, CHAR_VALUE))
        at++;
    return at;
}

/* The end of a request-target: the first byte that is not visible ASCII. */
static inline const char *scan_invisible(const char *from, const char *at, const char *end)
{
    SCAN(scan_invisible_mask, from, at, end);
    while (at < end && (unsigned char)(*at - '!') <= '~' - '!')
        at++;
    return at;
}

/* The first `c`; for short distances, where the call of memchr() would cost more than the search. */
static inline const char *scan_char(const char *from, const char *at, const char *end, char c)
{
#define SCAN_CHAR_MASK(block) (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8((block), _mm_set1_epi8(c)))
    SCAN(SCAN_CHAR_MASK, from, at, end);
#undef SCAN_CHAR_MASK
    while (at < end && *at != c)
        at++;
    return at;
}

/* The first byte that is in none of `classes`. */
static inline const char *scan_class_end(const char *at, const char *end, unsigned classes)
{
    while (at < end && char_is(*at, classes))
        at++;
    return at;
}
