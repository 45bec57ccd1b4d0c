/* Hashes by OpenSSL, without an allocation after a thread's first use of each. For this room and those above it. */
#pragma once

#include "base/text.h"

enum digest { DIGEST_MD5, DIGEST_SHA1, DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512, DIGESTS };
enum { DIGEST_BYTES_MAX = 64 };

/* Looks the algorithms up, which takes OpenSSL's locks; the others do it if nobody did. */
bool digest_ready(void);

/* The hash of texts one after the other. False: OpenSSL refused (no memory, or the algorithm is disabled). */
bool digest_make(enum digest digest, const struct text *parts, size_t count,
                 unsigned char to[DIGEST_BYTES_MAX], size_t *ret_size);

/* HMAC (RFC 2104). */
bool digest_hmac(enum digest digest, struct text key, struct text message, unsigned char to[DIGEST_BYTES_MAX],
                 size_t *ret_size);
