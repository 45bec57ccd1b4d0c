/* Reading and checking tokens. */
#include "policies/jwt_token.h"

#include <math.h>

#include "base/check.h"
#include "base/time.h"
#include "expr/expr.h"

struct text jwt_problem_text(enum jwt_problem problem)
{
    static const struct text texts[] = {
        [JWT_GOOD] = TEXT_INIT("The token is good"),
        [JWT_NO_MEMORY] = TEXT_INIT("The token could not be read"),
        [JWT_TOO_LONG] = TEXT_INIT("The token is too long"),
        [JWT_MALFORMED] = TEXT_INIT("The token is malformed"),
        [JWT_CRITICAL] = TEXT_INIT("The token has critical extensions that are not supported"),
        [JWT_NO_KEY] = TEXT_INIT("The token is signed with an unknown key or algorithm"),
        [JWT_SIGNATURE] = TEXT_INIT("The signature of the token is wrong"),
        [JWT_DATES] = TEXT_INIT("The token has a date that is not a number"),
        [JWT_NO_EXPIRY] = TEXT_INIT("The token has no expiry"),
        [JWT_EXPIRED] = TEXT_INIT("The token has expired"),
        [JWT_NOT_YET] = TEXT_INIT("The token is not valid yet"),
        [JWT_ISSUED_LATER] = TEXT_INIT("The token was issued in the future"),
        [JWT_NOT_ISSUED] = TEXT_INIT("The token does not say when it was issued"),
        [JWT_TOO_OLD] = TEXT_INIT("The token is too old"),
        [JWT_ISSUER] = TEXT_INIT("The issuer of the token is not accepted here"),
        [JWT_AUDIENCE] = TEXT_INIT("The token is meant for another audience"),
        [JWT_SCOPE] = TEXT_INIT("The token lacks a scope that this needs"),
    };
    static_assert(COUNT_OF(texts) == JWT_PROBLEMS_COUNT, "a text for each");
    return texts[problem];
}

/* --- base64url --- */

enum { BAD = 0x80 };
#define DIGITS_10(first)                                                                                     \
    (first), (first) + 1, (first) + 2, (first) + 3, (first) + 4, (first) + 5, (first) + 6, (first) + 7,      \
        (first) + 8, (first) + 9
#define LETTERS_26(first)                                                                                    \
    DIGITS_10(first), DIGITS_10((first) + 10), (first) + 20, (first) + 21, (first) + 22, (first) + 23,       \
        (first) + 24, (first) + 25
#define BAD_4  BAD, BAD, BAD, BAD
#define BAD_16 BAD_4, BAD_4, BAD_4, BAD_4
static const uint8_t values[256] = {
    BAD_16,        BAD_16,                                              /* 0x00 */
    BAD_4,         BAD_4,          BAD_4,  BAD,    62,     BAD,    BAD, /* 0x20: '-' */
    DIGITS_10(52), BAD_4,          BAD,    BAD,                         /* 0x30 */
    BAD,           LETTERS_26(0),  BAD,    BAD,    BAD,    BAD,    63,  /* 0x40: '_' */
    BAD,           LETTERS_26(26), BAD_4,  BAD,                         /* 0x60 */
    BAD_16,        BAD_16,         BAD_16, BAD_16, BAD_16, BAD_16, BAD_16, BAD_16,
};

/* The last one to three characters; their stray bits must be 0. */
static bool decode_rest(const uint8_t *from, size_t count, uint8_t *to)
{
    if (count == 0)
        return true;
    if (count == 1)
        return false;
    uint8_t a = values[from[0]], b = values[from[1]], c = count > 2 ? values[from[2]] : 0;
    to[0] = (uint8_t)(a << 2 | b >> 4);
    if (count == 2)
        return !((a | b) & BAD) && !(b & 15);
    to[1] = (uint8_t)(b << 4 | c >> 2);
    return !((a | b | c) & BAD) && !(c & 3);
}

bool jwt_decode(struct text encoded, char *to, size_t *ret_size)
{
    const uint8_t *from = (const uint8_t *)encoded.at;
    uint8_t *out = (uint8_t *)to, seen = 0;
    size_t groups = encoded.size / 4, rest = encoded.size % 4;
    for (size_t i = 0; i < groups; i++, from += 4, out += 3) {
        uint8_t a = values[from[0]], b = values[from[1]], c = values[from[2]], d = values[from[3]];
        seen |= a | b | c | d;
        out[0] = (uint8_t)(a << 2 | b >> 4);
        out[1] = (uint8_t)(b << 4 | c >> 2);
        out[2] = (uint8_t)(c << 6 | d);
    }
    *ret_size = groups * 3 + (rest ? rest - 1 : 0);
    return !(seen & BAD) && decode_rest(from, rest, out);
}

bool jwt_split(struct text token, struct jwt_parts *ret_parts)
{
    size_t first = text_find_char(token, '.'), last = text_find_last_char(token, '.');
    if (first == TEXT_NONE || first == last)
        return false;
    *ret_parts = (struct jwt_parts){
        .header = text_slice(token, 0, first),
        .payload = text_slice(token, first + 1, last),
        .signature = text_slice(token, last + 1, token.size),
        .message = text_slice(token, 0, last),
    };
    return true; /* another dot is a character that no part may hold */
}

/* --- JSON --- */

/* Members of all objects in well-formed JSON: each has one colon outside of strings. */
static size_t count_members(struct text json)
{
    size_t count = 0;
    for (size_t i = 0; i < json.size; i++) {
        count += json.at[i] == ':';
        if (json.at[i] != '"')
            continue;
        for (i++; json.at[i] != '"'; i++)
            i += json.at[i] == '\\';
    }
    return count;
}

static size_t count_entries(struct value value, struct arena *arena)
{
    size_t count = 0, cursor = 0;
    struct value key, item;
    if (value.kind == VALUE_LIST)
        for (size_t i = 0; i < value.list->count; i++)
            count += count_entries(value.list->items[i], arena);
    if (value.kind == VALUE_MAP)
        for (count = value.map->size(value.map); value.map->next(value.map, &cursor, arena, &key, &item);)
            count += count_entries(item, arena);
    return count;
}

enum jwt_problem jwt_object(struct text encoded, struct arena *arena, const struct value_map **ret_map)
{
    char *bytes = arena_alloc(arena, encoded.size);
    struct text json = {bytes, 0};
    struct value value;
    if (encoded.size == 0)
        return JWT_MALFORMED;
    if (!bytes)
        return JWT_NO_MEMORY;
    if (!jwt_decode(encoded, bytes, &json.size))
        return JWT_MALFORMED;
    if (!value_from_json(json, arena, &value, NULL))
        return arena->failed ? JWT_NO_MEMORY : JWT_MALFORMED;
    if (value.kind != VALUE_MAP || count_members(json) != count_entries(value, arena))
        return JWT_MALFORMED; /* a name that comes twice means one thing here and perhaps another to the service */
    *ret_map = value.map;
    return JWT_GOOD;
}

static bool find(const struct value_map *map, struct text name, struct arena *arena, struct value *ret_value)
{
    return map->get(map, value_string(name), arena, ret_value);
}

/* --- the claims --- */

static bool is_in(struct text word, const struct array *list)
{
    const struct text *items = list->items;
    for (size_t i = 0; i < list->count; i++)
        if (text_equal(word, items[i]))
            return true;
    return false;
}

/* A NumericDate (RFC 7519 section 2), possibly with a fraction, in nanoseconds; far ones are cut. False: it is no number. */
static bool read_date(struct value value, int64_t *ret_ns)
{
    double seconds;
    if (value.kind == VALUE_INT) {
        if (__builtin_mul_overflow(value.integer, NS_PER_SECOND, ret_ns))
            *ret_ns = value.integer < 0 ? INT64_MIN : INT64_MAX;
        return true;
    }
    if (value.kind != VALUE_DOUBLE || isnan(value.number))
        return false;
    seconds = value.number;
    *ret_ns = seconds >= 9.2e9 ? INT64_MAX : seconds <= -9.2e9 ? INT64_MIN : (int64_t)(seconds * 1e9);
    return true;
}

/* a + b, cut to the range. */
static int64_t plus(int64_t a, int64_t b)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return b < 0 ? INT64_MIN : INT64_MAX;
    return sum;
}

struct dates {
    bool has[3];
    int64_t ns[3]; /* exp, nbf, iat */
};

static enum jwt_problem check_dates(const struct jwt_rules *rules, const struct dates *dates, int64_t now_ns,
                                    struct jwt_verified *verified)
{
    int64_t leeway_ns = rules->leeway_ms * NS_PER_MS, expires_ns = plus(dates->ns[0], leeway_ns);
    if (!dates->has[0] && rules->require_expiry)
        return JWT_NO_EXPIRY;
    if (dates->has[0] && now_ns >= expires_ns)
        return JWT_EXPIRED;
    if (dates->has[1] && now_ns < plus(dates->ns[1], -leeway_ns))
        return JWT_NOT_YET;
    if (dates->has[2] && now_ns < plus(dates->ns[2], -leeway_ns))
        return JWT_ISSUED_LATER;
    verified->from_ns = INT64_MIN;
    for (int i = 1; i < 3; i++)
        if (dates->has[i] && plus(dates->ns[i], -leeway_ns) > verified->from_ns)
            verified->from_ns = plus(dates->ns[i], -leeway_ns);
    verified->until_ns = dates->has[0] ? expires_ns : INT64_MAX;
    if (rules->max_age_ms == 0)
        return JWT_GOOD;
    if (!dates->has[2])
        return JWT_NOT_ISSUED;
    int64_t ages_ns = plus(plus(dates->ns[2], rules->max_age_ms * NS_PER_MS), leeway_ns);
    verified->until_ns = MIN_OF(verified->until_ns, ages_ns);
    return now_ns < ages_ns ? JWT_GOOD : JWT_TOO_OLD;
}

static enum jwt_problem read_dates(const struct jwt_rules *rules, const struct value_map *claims,
                                   int64_t now_ns, struct arena *arena, struct jwt_verified *verified)
{
    static const struct text names[] = {TEXT_INIT("exp"), TEXT_INIT("nbf"), TEXT_INIT("iat")};
    struct dates dates = {.has = {false}};
    struct value value;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        dates.has[i] = find(claims, names[i], arena, &value);
        if (dates.has[i] && !read_date(value, &dates.ns[i]))
            return JWT_DATES;
    }
    return check_dates(rules, &dates, now_ns, verified);
}

static bool issuer_fits(const struct jwt_rules *rules, const struct value_map *claims, struct arena *arena)
{
    struct value value;
    return rules->issuers.count == 0
           || (find(claims, TEXT("iss"), arena, &value) && value.kind == VALUE_STRING
               && is_in(value.text, &rules->issuers));
}

/* `aud` is one or several (RFC 7519 section 4.1.3). */
static bool audience_fits(const struct jwt_rules *rules, const struct value_map *claims, struct arena *arena)
{
    struct value value;
    if (rules->audiences.count == 0)
        return true;
    if (!find(claims, TEXT("aud"), arena, &value))
        return false;
    if (value.kind == VALUE_STRING)
        return is_in(value.text, &rules->audiences);
    for (size_t i = 0; value.kind == VALUE_LIST && i < value.list->count; i++)
        if (value.list->items[i].kind == VALUE_STRING && is_in(value.list->items[i].text, &rules->audiences))
            return true;
    return false;
}

/* Scopes are words in a text (RFC 8693 section 4.2), or a list as some issuers write `scp`. */
static bool has_scope(struct value value, struct text scope)
{
    if (value.kind == VALUE_STRING) {
        for (struct text rest = value.text; rest.at;)
            if (text_equal(text_split(&rest, ' '), scope))
                return true;
        return false;
    }
    for (size_t i = 0; value.kind == VALUE_LIST && i < value.list->count; i++)
        if (value.list->items[i].kind == VALUE_STRING && text_equal(value.list->items[i].text, scope))
            return true;
    return false;
}

static bool scopes_fit(const struct jwt_rules *rules, const struct value_map *claims, struct arena *arena)
{
    const struct text *scopes = rules->scopes.items;
    struct value scope, scp;
    if (rules->scopes.count == 0)
        return true;
    bool has_first = find(claims, TEXT("scope"), arena, &scope),
         has_second = find(claims, TEXT("scp"), arena, &scp);
    for (size_t i = 0; i < rules->scopes.count; i++)
        if (!(has_first && has_scope(scope, scopes[i])) && !(has_second && has_scope(scp, scopes[i])))
            return false;
    return true;
}

/* --- all of it --- */

struct header {
    enum jwt_algorithm algorithm;
    struct text kid; /* .at NULL: none */
};

static enum jwt_problem read_header(struct text encoded, struct arena *arena, struct header *ret_header)
{
    const struct value_map *map;
    struct value algorithm, kid, critical;
    enum jwt_problem problem = jwt_object(encoded, arena, &map);
    if (problem)
        return problem;
    if (!find(map, TEXT("alg"), arena, &algorithm) || algorithm.kind != VALUE_STRING)
        return JWT_MALFORMED;
    if (find(map, TEXT("crit"), arena, &critical))
        return JWT_CRITICAL;
    *ret_header = (struct header){.algorithm = jwt_algorithm_parse(algorithm.text)};
    if (!find(map, TEXT("kid"), arena, &kid))
        return JWT_GOOD;
    if (kid.kind != VALUE_STRING)
        return JWT_MALFORMED;
    ret_header->kid = kid.text.at ? kid.text : TEXT("");
    return JWT_GOOD;
}

/* Only keys of the token's algorithm are tried, and of those with a `kid` only the token's. */
static enum jwt_problem check_signature(const struct jwt_rules *rules, const struct header *header,
                                        const struct jwt_parts *parts, struct arena *arena)
{
    char *bytes = arena_alloc(arena, parts->signature.size);
    struct text signature = {bytes, 0};
    enum jwt_problem problem = JWT_NO_KEY;
    if (parts->signature.size == 0)
        return JWT_MALFORMED;
    if (!bytes)
        return JWT_NO_MEMORY;
    if (!jwt_decode(parts->signature, bytes, &signature.size))
        return JWT_MALFORMED;
    for (size_t i = 0; i < rules->keys.count; i++) {
        const struct jwt_key *key = &rules->keys.items[i];
        if (key->algorithm != header->algorithm
            || (key->kid.at && header->kid.at && !text_equal(key->kid, header->kid)))
            continue;
        if (jwt_key_verify(key, parts->message, signature))
            return JWT_GOOD;
        problem = JWT_SIGNATURE;
    }
    return problem;
}

static enum jwt_problem check_claims(const struct jwt_rules *rules, const struct value_map *claims,
                                     int64_t now_ns, struct arena *arena, struct jwt_verified *verified)
{
    enum jwt_problem problem = read_dates(rules, claims, now_ns, arena, verified);
    if (problem)
        return problem;
    if (!issuer_fits(rules, claims, arena))
        return JWT_ISSUER;
    if (!audience_fits(rules, claims, arena))
        return JWT_AUDIENCE;
    return scopes_fit(rules, claims, arena) ? JWT_GOOD : JWT_SCOPE;
}

enum jwt_problem jwt_verify(const struct jwt_rules *rules, struct text token, int64_t now_ns,
                            struct arena *arena, struct jwt_verified *ret_verified)
{
    struct jwt_parts parts;
    struct header header;
    struct jwt_verified verified;
    if (token.size > JWT_BYTES_MAX)
        return JWT_TOO_LONG;
    if (!jwt_split(token, &parts))
        return JWT_MALFORMED;
    enum jwt_problem problem = read_header(parts.header, arena, &header);
    problem = problem ? problem : check_signature(rules, &header, &parts, arena);
    problem = problem ? problem : jwt_object(parts.payload, arena, &verified.claims);
    problem = problem ? problem : check_claims(rules, verified.claims, now_ns, arena, &verified);
    if (problem == JWT_GOOD)
        *ret_verified = verified;
    return problem;
}
