/* Hashes, as lower-case hexadecimal. */
#include "expr/digest.h"
#include "expr/function.h"

static bool give(struct call *call, bool good, const unsigned char *hash, size_t size,
                 struct value *ret_value)
{
    if (!good)
        return fault_set(call->evaluation, "this hash is not available");
    char *to = arena_alloc(call->evaluation->arena, 2 * size);
    if (!to)
        return fault_memory(call->evaluation);
    text_hex(hash, size, to);
    *ret_value = value_string((struct text){to, 2 * size});
    return true;
}

static bool hash(struct call *call, const struct value *arguments, enum digest digest,
                 struct value *ret_value)
{
    unsigned char to[DIGEST_BYTES_MAX];
    size_t size = 0;
    if (!evaluation_charge_bytes(call->evaluation, arguments[0].text.size))
        return false;
    bool good = digest_make(digest, &arguments[0].text, 1, to, &size);
    return give(call, good, to, size, ret_value);
}

static bool hmac(struct call *call, const struct value *arguments, enum digest digest,
                 struct value *ret_value)
{
    unsigned char to[DIGEST_BYTES_MAX];
    size_t size = 0;
    if (!evaluation_charge_bytes(call->evaluation, arguments[0].text.size + arguments[1].text.size))
        return false;
    bool good = digest_hmac(digest, arguments[0].text, arguments[1].text, to, &size);
    return give(call, good, to, size, ret_value);
}

#define HASH_FUNCTION(name, by, digest)                                                                      \
    static bool name(struct call *call, const struct value *arguments, struct value *ret_value)              \
    {                                                                                                        \
        return by(call, arguments, digest, ret_value);                                                       \
    }

HASH_FUNCTION(hash_md5, hash, DIGEST_MD5)
HASH_FUNCTION(hash_sha1, hash, DIGEST_SHA1)
HASH_FUNCTION(hash_sha256, hash, DIGEST_SHA256)
HASH_FUNCTION(hash_sha384, hash, DIGEST_SHA384)
HASH_FUNCTION(hash_sha512, hash, DIGEST_SHA512)
HASH_FUNCTION(hmac_sha1, hmac, DIGEST_SHA1)
HASH_FUNCTION(hmac_sha256, hmac, DIGEST_SHA256)
HASH_FUNCTION(hmac_sha384, hmac, DIGEST_SHA384)
HASH_FUNCTION(hmac_sha512, hmac, DIGEST_SHA512)

/* A hash of a string, and of bytes; `first` are the first bytes that the example gives. */
#define HASH_ROWS(name, run, text, first)                                                                    \
    {name,                                                                                                   \
     FUNCTION_GLOBAL,                                                                                        \
     {SIG_STRING},                                                                                           \
     SIG_STRING,                                                                                             \
     run,                                                                                                    \
     text " of a string, in hexadecimal.",                                                                   \
     10,                                                                                                     \
     .ready = digest_ready,                                                                                  \
     .example = name "('abc').substring(0, 8) => \"" first "\""},                                            \
    {                                                                                                        \
        name, FUNCTION_GLOBAL, {SIG_BYTES}, SIG_STRING, run, text " of bytes, in hexadecimal.", 10,          \
            .ready = digest_ready                                                                            \
    }

#define HMAC_ROW(name, run, key, message, text, ...)                                                         \
    {                                                                                                        \
        name, FUNCTION_GLOBAL, {key, message}, SIG_STRING, run, text, 20, .ready = digest_ready, __VA_ARGS__ \
    }

/* Key and message, each a string or bytes. */
#define HMAC_ROWS(name, run, text, first)                                                                    \
    HMAC_ROW(name, run, SIG_STRING, SIG_STRING, text ", of key and message, in hexadecimal.",                \
             .example = name "('key', 'message').substring(0, 8) => \"" first "\""),                         \
        HMAC_ROW(name, run, SIG_STRING, SIG_BYTES, "The same."),                                             \
        HMAC_ROW(name, run, SIG_BYTES, SIG_STRING, "The same."),                                             \
        HMAC_ROW(name, run, SIG_BYTES, SIG_BYTES, "The same.")

static const struct function rows[] = {
    HASH_ROWS("hash.md5", hash_md5, "MD5, for old interfaces only,", "90015098"),
    HASH_ROWS("hash.sha1", hash_sha1, "SHA-1, for old interfaces only,", "a9993e36"),
    HASH_ROWS("hash.sha256", hash_sha256, "SHA-256", "ba7816bf"),
    HASH_ROWS("hash.sha384", hash_sha384, "SHA-384", "cb00753f"),
    HASH_ROWS("hash.sha512", hash_sha512, "SHA-512", "ddaf35a1"),
    HMAC_ROWS("hmac.sha1", hmac_sha1, "HMAC with SHA-1, for old interfaces only", "2088df74"),
    HMAC_ROWS("hmac.sha256", hmac_sha256, "HMAC with SHA-256", "6e9ef29b"),
    HMAC_ROWS("hmac.sha384", hmac_sha384, "HMAC with SHA-384", "0fd3ae32"),
    HMAC_ROWS("hmac.sha512", hmac_sha512, "HMAC with SHA-512", "e477384d"),
};

const struct function_group functions_hash = FUNCTION_GROUP("Hashes", rows);
