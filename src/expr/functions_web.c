/* What HTTP carries as text: URL encoding, query strings, cookies, JSON Web Tokens. */
#include "expr/base64.h"
#include "expr/function.h"
#include "expr/json.h"
#include "expr/map.h"
#include "expr/utf8.h"
#include "expr/writer.h"

/* RFC 3986 section 2.3: what need not be encoded. */
static bool is_unreserved(char c)
{
    return char_is_alpha(c) || char_is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

static bool url_encode(struct call *call, const struct value *arguments, struct value *ret_value)
{
    struct text from = arguments[0].text;
    if (!evaluation_charge_bytes(call->evaluation, from.size))
        return false;
    char *to = arena_alloc(call->evaluation->arena, 3 * from.size);
    if (!to)
        return fault_memory(call->evaluation);
    size_t size = 0;
    for (size_t i = 0; i < from.size; i++) {
        unsigned char c = (unsigned char)from.at[i];
        if (is_unreserved((char)c)) {
            to[size++] = (char)c;
            continue;
        }
        to[size++] = '%';
        to[size++] = "0123456789ABCDEF"[c >> 4];
        to[size++] = "0123456789ABCDEF"[c & 15];
    }
    *ret_value = value_string((struct text){to, size});
    return true;
}

/* Resolves %XX, and + as a space where it is one. False: no memory. A stray per cent sign stays (lenient) or ends it (*ret_good). */
static bool percent_decode(struct arena *arena, struct text from, bool plus, struct text *ret_text,
                           bool *ret_good)
{
    char *to = arena_alloc(arena, from.size);
    size_t size = 0;
    *ret_good = true;
    for (size_t i = 0; to && i < from.size; i++) {
        char c = from.at[i];
        bool room = c == '%' && i + 2 < from.size;
        int high = room ? char_hex(from.at[i + 1]) : -1, low = room ? char_hex(from.at[i + 2]) : -1;
        if (high >= 0 && low >= 0) {
            to[size++] = (char)(high << 4 | low);
            i += 2;
            continue;
        }
        *ret_good &= c != '%';
        to[size++] = plus && c == '+' ? ' ' : c;
    }
    *ret_text = (struct text){to, size};
    return to;
}

static bool url_decode(struct call *call, const struct value *arguments, struct value *ret_value)
{
    bool good;
    ret_value->kind = VALUE_STRING;
    if (!evaluation_charge_bytes(call->evaluation, arguments[0].text.size))
        return false;
    if (!percent_decode(call->evaluation->arena, arguments[0].text, false, &ret_value->text, &good))
        return fault_memory(call->evaluation);
    if (!good)
        return fault_text(call->evaluation, "malformed URL encoding", arguments[0].text);
    return text_is_utf8(ret_value->text) || fault_set(call->evaluation, "not valid UTF-8");
}

/* The same with stray bytes as U+FFFD, as forms are decoded. False: no memory. */
static bool form_decode(struct arena *arena, struct text from, struct text *ret_text)
{
    bool good;
    if (!percent_decode(arena, from, true, ret_text, &good))
        return false;
    if (text_is_utf8(*ret_text))
        return true;
    struct writer writer = {.arena = arena};
    for (size_t at = 0; at < ret_text->size;) {
        uint32_t point;
        char encoded[4];
        at += utf8_decode(text_slice(*ret_text, at, ret_text->size), &point);
        writer_put(&writer, (struct text){encoded, utf8_encode(point, encoded)});
    }
    return writer_text(&writer, ret_text);
}

/* Puts a pair into a map that keeps the first value of each name. */
static bool put_first(struct call *call, struct map *map, struct text name, struct text text)
{
    return evaluation_charge(call->evaluation, 1)
           && (map_put(map, value_string(name), value_string(text), false, call->evaluation->arena)
                   != MAP_NO_MEMORY
               || fault_memory(call->evaluation));
}

static bool parse_query(struct call *call, const struct value *arguments, struct value *ret_value)
{
    struct arena *arena = call->evaluation->arena;
    struct map *map = map_new(arena, 0);
    struct text rest = arguments[0].text;
    if (rest.size && rest.at[0] == '?')
        rest = text_slice(rest, 1, rest.size);
    if (!map)
        return fault_memory(call->evaluation);
    while (rest.at) {
        struct text pair = text_split(&rest, '&'), name, text;
        size_t equals = text_find_char(pair, '=');
        if (pair.size == 0)
            continue;
        if (!form_decode(arena, text_slice(pair, 0, equals), &name)
            || !form_decode(arena, text_slice(pair, equals == TEXT_NONE ? pair.size : equals + 1, pair.size),
                            &text))
            return fault_memory(call->evaluation);
        if (!put_first(call, map, name, text))
            return false;
    }
    *ret_value = value_of_map(&map->map);
    return true;
}

/* A Cookie field (RFC 6265 section 4.2); quotes around a value are dropped. */
static bool parse_cookies(struct call *call, const struct value *arguments, struct value *ret_value)
{
    struct map *map = map_new(call->evaluation->arena, 0);
    struct text rest = arguments[0].text;
    if (!map)
        return fault_memory(call->evaluation);
    while (rest.at) {
        struct text pair = text_split(&rest, ';');
        size_t equals = text_find_char(pair, '=');
        if (equals == TEXT_NONE)
            continue;
        struct text name = text_trim(text_slice(pair, 0, equals)),
                    text = text_trim(text_slice(pair, equals + 1, pair.size));
        if (text.size >= 2 && text.at[0] == '"' && text.at[text.size - 1] == '"')
            text = text_slice(text, 1, text.size - 1);
        if (name.size && !put_first(call, map, name, text))
            return false;
    }
    *ret_value = value_of_map(&map->map);
    return true;
}

/* One part of a token: base64url of JSON. False: the fault is set. */
static bool token_part(struct call *call, struct text part, struct value *ret_value)
{
    struct text json;
    size_t at;
    char *to = arena_alloc(call->evaluation->arena, part.size);
    if (!to)
        return fault_memory(call->evaluation);
    json.at = to;
    if (!base64_read(part, BASE64_URL, to, &json.size)
        || json_parse(json, call->evaluation->arena, ret_value, &at) || ret_value->kind != VALUE_MAP)
        return call->evaluation->arena->failed ? fault_memory(call->evaluation)
                                               : fault_set(call->evaluation, "malformed token");
    return true;
}

static bool decode_token(struct call *call, const struct value *arguments, struct value *ret_value)
{
    struct text rest = arguments[0].text;
    struct arena *arena = call->evaluation->arena;
    if (text_starts_with_nocase(rest, TEXT("bearer ")))
        rest = text_trim(text_slice(rest, 7, rest.size));
    if (!evaluation_charge(call->evaluation, rest.size / 16))
        return false;
    struct text header = text_split(&rest, '.'), claims = rest.at ? text_split(&rest, '.') : rest;
    if (!rest.at || text_find_char(rest, '.') != TEXT_NONE)
        return fault_set(call->evaluation, "malformed token");
    struct value parts[2];
    struct map *map = map_new(arena, 3);
    if (!token_part(call, header, &parts[0]) || !token_part(call, claims, &parts[1]))
        return false;
    if (!map || map_put(map, value_string(TEXT("header")), parts[0], false, arena) != MAP_PUT
        || map_put(map, value_string(TEXT("claims")), parts[1], false, arena) != MAP_PUT
        || map_put(map, value_string(TEXT("signature")), value_string(rest), false, arena) != MAP_PUT)
        return fault_memory(call->evaluation);
    *ret_value = value_of_map(&map->map);
    return true;
}

static const struct function rows[] = {
    {"url.encode",
     FUNCTION_GLOBAL,
     {SIG_STRING},
     SIG_STRING,
     url_encode,
     "With all but letters, digits and -._~ as %XX.",
     2,
     .example = "url.encode('a b/c') => \"a%20b%2Fc\""},
    {"url.decode",
     FUNCTION_GLOBAL,
     {SIG_STRING},
     SIG_STRING,
     url_decode,
     "With %XX resolved.",
     2,
     .example = "url.decode('a%20b%2Fc') => \"a b/c\""},
    {"url.query",
     FUNCTION_GLOBAL,
     {SIG_STRING},
     SIG_MAP_STRING,
     parse_query,
     "The parameters of a query string; the first of each name.",
     10,
     .example = "url.query('a=1&b=x+y').b => \"x y\"",
     .usual = BYTES_PER_STEP / 2},
    {"cookie.parse",
     FUNCTION_GLOBAL,
     {SIG_STRING},
     SIG_MAP_STRING,
     parse_cookies,
     "The cookies of a Cookie header; the first of each name.",
     10,
     .example = "cookie.parse('theme=dark; id=7').id => \"7\"",
     .usual = BYTES_PER_STEP / 2},
    {"jwt.decode",
     FUNCTION_GLOBAL,
     {SIG_STRING},
     SIG_MAP_DYN,
     decode_token,
     "Header, claims and signature of a JSON Web Token, which is not verified.",
     40,
     .example = "jwt.decode('eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.').claims.sub => \"alice\"",
     .usual = BYTES_PER_STEP / 16},
};

const struct function_group functions_web = FUNCTION_GROUP("Web", rows);
