/* From configuration to keys: inline, from files, from JSON Web Key Sets. */
#include "policies/jwt_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "expr/base64.h"
#include "policies/places.h"

enum { FILE_BYTES_MAX = 1 << 20 };
enum { ENCODING_TEXT, ENCODING_BASE64 };

static const char *const encoding_choices[] = {"text", "base64", NULL};

static const struct field jwt_key_fields[] = {
    FIELD_CHOICE(struct jwt_key_config, algorithm, "alg", REQUIRED, jwt_algorithm_names,
                 "The algorithm of this key. Tokens that name another one are not checked with it."),
    FIELD_SECRET(
        struct jwt_key_config, secret, "secret", OPTIONAL,
        "For `HS256`, `HS384`, `HS512`: the shared secret, of at least as many bytes as the hash has."),
    FIELD_CHOICE(struct jwt_key_config, encoding, "encoding", "text", encoding_choices,
                 "How the secret is written; `base64` takes both alphabets, with and without padding."),
    FIELD_TEXT(struct jwt_key_config, key, "key", OPTIONAL,
               "For all others: a public key or a certificate in PEM, or the path of a file with one."),
    FIELD_TEXT(struct jwt_key_config, kid, "kid", OPTIONAL,
               "The key's id. Tokens with another `kid` are not checked with it; without it any token is."),
    FIELD_END,
};
const struct field jwt_key_item = ITEM_STRUCT(struct jwt_key_config, jwt_key_fields);

/* --- files --- */

static const char *read_all(int fd, struct arena *arena, struct text *ret_content)
{
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size > FILE_BYTES_MAX)
        return "it is not a regular file of at most 1 MiB";
    size_t size = 0, room = (size_t)status.st_size;
    char *bytes = arena_alloc(arena, room + 1);
    while (bytes && size < room) {
        ssize_t got = read(fd, bytes + size, room - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return "it could not be read";
        if (got == 0)
            break;
        size += (size_t)got;
    }
    *ret_content = (struct text){bytes, size};
    return bytes ? NULL : "out of memory";
}

/* Paths are relative to the configuration file that names them. */
static const char *read_file(struct binder *binder, const struct node *node, struct text path,
                             struct arena *arena, struct text *ret_content)
{
    struct text source = node->place.source ? source_name(node->place.source) : TEXT("");
    size_t slash = text_find_last_char(source, '/');
    struct text folder =
        text_starts_with(path, TEXT("/")) || slash == TEXT_NONE ? TEXT("") : text_slice(source, 0, slash + 1);
    struct text full = arena_format(arena, "%.*s%.*s", TEXT_ARGS(folder), TEXT_ARGS(path));
    if (full.size == 0 || text_find_char(path, 0) != TEXT_NONE)
        return "this is no path";
    bind_depends_on(binder, full);
    int fd = open(full.at, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return errno == ENOENT ? "there is no such file" : "the file could not be opened";
    const char *why = read_all(fd, arena, ret_content);
    (void)close(fd); /* it was only read */
    return why;
}

/* --- single keys --- */

struct entry {
    struct prepare *prepare;
    const struct node *node;
    const struct jwt_key_config *config;
    size_t index;
};

/* Reports "NAME SAID", or "SAID" alone. */
static bool fail(const struct entry *entry, const char *field, const char *name, const char *said)
{
    char child[64];
    snprintf(child, sizeof child, "keys[%zu].%s", entry->index, field);
    const struct node *value = node_get(entry->node, text_of(field));
    return bind_error(entry->prepare->binder, value ? value : entry->node, child, "%s%s%s", name ? name : "",
                      name ? " " : "", said);
}

/* Alphabets may not be mixed: the one for URLs is tried second. In place. */
static bool decode(struct text *secret)
{
    char *bytes = (char *)(uintptr_t)secret->at; /* the configuration's own copy */
    size_t size;
    struct text from = *secret;
    bool is_url = text_find_char(from, '-') != TEXT_NONE || text_find_char(from, '_') != TEXT_NONE;
    bool good = base64_read(from, is_url ? BASE64_URL : BASE64_STANDARD, bytes, &size);
    secret->size = good ? size : secret->size;
    return good && size > 0;
}

static bool add_secret(const struct entry *entry, struct jwt_key *key)
{
    enum jwt_algorithm algorithm = (enum jwt_algorithm)entry->config->algorithm;
    const char *name = jwt_algorithm_names[algorithm];
    struct text secret = entry->config->secret;
    size_t written = secret.size, wanted = jwt_hash_size(algorithm);
    if (entry->config->key.at)
        return fail(entry, "key", name, "wants `secret`; `key` is for public keys");
    if (secret.size == 0)
        return fail(entry, "secret", name, "wants a secret");
    bool good = entry->config->encoding == ENCODING_TEXT || decode(&secret);
    if (good && secret.size < wanted)
        report_warning(
            entry->prepare->binder->report, entry->node->place, entry->prepare->binder->path,
            "the secret has %zu bytes; %s should have %zu or more (RFC 7518 section 3.2): a short one can be found by trying",
            secret.size, name, wanted);
    if (good)
        jwt_key_init_secret(key, algorithm, secret);
    memory_wipe((void *)(uintptr_t)secret.at, written); /* only the hash states are needed from here on */
    return good || fail(entry, "secret", NULL, "it is not base64");
}

static bool add_public(const struct entry *entry, struct jwt_key *key)
{
    enum jwt_algorithm algorithm = (enum jwt_algorithm)entry->config->algorithm;
    struct arena *arena = entry->prepare->binder->arena;
    struct text pem = text_trim(entry->config->key);
    struct error error;
    if (entry->config->secret.at)
        return fail(entry, "secret", jwt_algorithm_names[algorithm],
                    "wants `key`, a public key; `secret` is for HS256, HS384 and HS512");
    if (pem.size == 0)
        return fail(entry, "key", jwt_algorithm_names[algorithm], "wants a public key");
    if (text_find(pem, TEXT("-----BEGIN ")) == TEXT_NONE) {
        const char *why = read_file(entry->prepare->binder, entry->node, pem, arena, &pem);
        if (why)
            return fail(entry, "key", NULL, why);
    }
    return jwt_key_init_pem(key, algorithm, pem, arena, &error) || fail(entry, "key", NULL, error.said);
}

static bool add_entry(const struct entry *entry, struct jwt_keys *keys)
{
    struct jwt_key *key = jwt_keys_add(keys, entry->prepare->binder->arena);
    if (!key)
        return fail(entry, "alg", NULL, "these are too many keys");
    key->kid = entry->config->kid;
    return jwt_algorithm_is_hmac((enum jwt_algorithm)entry->config->algorithm) ? add_secret(entry, key)
                                                                               : add_public(entry, key);
}

/* --- sets --- */

static bool add_set(struct prepare *prepare, struct text jwks, struct jwt_keys *keys)
{
    struct arena *arena = prepare->binder->arena;
    const struct node *node = field_place(prepare, "jwks");
    struct error error;
    struct text json = text_trim(jwks);
    if (text_starts_with_nocase(json, TEXT("http://")) || text_starts_with_nocase(json, TEXT("https://")))
        return bind_error(prepare->binder, node, "jwks",
                          "must be a file: key sets are not fetched from a URL");
    if (!text_starts_with(json, TEXT("{"))) {
        const char *why = read_file(prepare->binder, node, json, arena, &json);
        if (why)
            return bind_error(prepare->binder, node, "jwks", "%s", why);
    }
    return jwt_keys_add_set(keys, json, JWT_RS256, arena, &error)
           || bind_error(prepare->binder, node, "jwks", "%s", error.said);
}

bool jwt_keys_prepare(struct prepare *prepare, const struct array *keys, struct text jwks,
                      struct jwt_keys *ret_keys)
{
    const struct jwt_key_config *configs = keys->items;
    bool fine = true;
    if (keys->count == 0 && !jwks.at)
        return bind_error(prepare->binder, prepare->node, NULL,
                          "there is no key to verify tokens with: set `keys` or `jwks`");
    for (size_t i = 0; i < keys->count; i++) {
        struct entry entry = {prepare, item_place(prepare, "keys", i), &configs[i], i};
        fine &= add_entry(&entry, ret_keys);
    }
    return (!jwks.at || add_set(prepare, jwks, ret_keys)) && fine;
}
