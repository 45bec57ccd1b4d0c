/* Tokens, read and checked: the input as a token; the input as the payload of a token that is signed well; the input as its header. What is
 * accepted must have been signed, and a token that was verified has claims that can be read again. */
#include "fuzz.h"

#include "base/check.h"
#include "policies/jwt_cache.h"

enum { SIGNED_BYTES_MAX = JWT_BYTES_MAX };

static const struct text header = TEXT_INIT("{\"alg\":\"HS256\"}");
static const struct text payload = TEXT_INIT("{\"exp\":4000000000,\"aud\":\"a\",\"scope\":\"r\"}");
static struct jwt_key key;

static size_t encode(struct text from, char *to)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t size = 0;
    uint32_t group = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < from.size; i++) {
        group = group << 8 | (uint8_t)from.at[i];
        for (bits += 8; bits >= 6; bits -= 6)
            to[size++] = digits[group >> (bits - 6) & 63];
    }
    if (bits)
        to[size++] = digits[group << (6 - bits) & 63];
    return size;
}

static struct text sign(struct text head, struct text body, char *to)
{
    uint8_t signature[JWT_HMAC_SIZE_MAX];
    size_t size = encode(head, to);
    to[size++] = '.';
    size += encode(body, to + size);
    size_t signature_size = jwt_hmac_make(&key.hmac, (struct text){to, size}, signature);
    to[size++] = '.';
    size += encode((struct text){(char *)signature, signature_size}, to + size);
    return (struct text){to, size};
}

static enum jwt_problem check(struct text token, const struct jwt_rules *rules, struct arena *arena)
{
    struct jwt_verified verified;
    int64_t now_ns = 1700000000ll * 1000000000;
    enum jwt_problem problem = jwt_verify(rules, token, now_ns, arena, &verified);
    CHECK(problem >= JWT_GOOD && problem < JWT_PROBLEMS_COUNT && jwt_problem_text(problem).size);
    if (problem != JWT_GOOD)
        return problem;
    CHECK(verified.from_ns <= now_ns && now_ns < verified.until_ns);
    const struct value_map *again = jwt_claims_later(token, arena);
    CHECK(again && again->size(again) == verified.claims->size(verified.claims));
    return problem;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text input = {(const char *)data, size};
    static struct text words[] = {TEXT_INIT("a"), TEXT_INIT("r")};
    static char signed_token[2 * SIGNED_BYTES_MAX];
    struct arena arena;
    struct jwt_rules rules = {.keys = {&key, 1}, .audiences = {&words[0], 1}, .scopes = {&words[1], 1}};
    static bool has_key;
    if (!has_key)
        jwt_key_init_secret(&key, JWT_HS256, TEXT("nobody would guess this secret!!"));
    has_key = true;
    arena_init(&arena, 0, 1 << 22);
    CHECK(check(input, &rules, &arena) != JWT_GOOD); /* nobody can sign without the secret */
    if (size < SIGNED_BYTES_MAX / 2) {
        (void)check(sign(header, input, signed_token), &rules, &arena); /* any outcome is fine */
        (void)check(sign(input, payload, signed_token), &rules, &arena);
        rules = (struct jwt_rules){
            .keys = {&key, 1}, .leeway_ms = 3600000, .max_age_ms = 1, .require_expiry = true};
        (void)check(sign(header, input, signed_token), &rules, &arena);
    }
    CHECK(check(sign(header, payload, signed_token), &(struct jwt_rules){.keys = {&key, 1}}, &arena)
              == JWT_GOOD
          || arena.failed);
    arena_release(&arena);
    return 0;
}
