/* Paths, authorities, URIs and query strings: normalising twice changes nothing, and no normal form has a
 * second spelling. The first byte chooses the rules. */
#include "fuzz.h"

#include "base/check.h"
#include "http/uri.h"

static bool is_unreserved(int c)
{
    return c < 0x80
           && (char_is_alpha((char)c) || char_is_digit((char)c) || c == '-' || c == '.' || c == '_'
               || c == '~');
}

static void check_escapes(struct text path, const struct uri_rules *rules)
{
    for (size_t i = 0; i < path.size; i++) {
        CHECK(path.at[i] > 0x20 && path.at[i] < 0x7f && path.at[i] != '\\' && path.at[i] != '?'
              && path.at[i] != '#');
        if (path.at[i] != '%')
            continue;
        CHECK(i + 2 < path.size);
        int high = char_hex(path.at[i + 1]), low = char_hex(path.at[i + 2]);
        CHECK(high >= 0 && low >= 0);
        CHECK(path.at[i + 1] == "0123456789ABCDEF"[high] && path.at[i + 2] == "0123456789ABCDEF"[low]);
        int byte = high << 4 | low;
        CHECK(byte >= 0x20 && byte != 0x7f && !is_unreserved(byte));
        CHECK(rules->encoded_slashes == SLASHES_KEEP || (byte != '/' && byte != '\\'));
    }
}

static void check_segments(struct text path, const struct uri_rules *rules)
{
    CHECK(path.size && path.at[0] == '/');
    struct text rest = text_slice(path, 1, path.size);
    while (rest.at) {
        struct text segment = text_split(&rest, '/');
        CHECK(!rules->merge_slashes || segment.size || !rest.at);
        struct text name = text_split(&segment, ';');
        CHECK(!text_equal(name, TEXT(".")) && !text_equal(name, TEXT("..")));
    }
}

static void check_path(struct text input, const struct uri_rules *rules, struct arena *arena)
{
    struct text path, again;
    if (!uri_normalise_path(input, rules, arena, &path))
        return;
    CHECK(path.size <= input.size);
    check_escapes(path, rules);
    check_segments(path, rules);
    CHECK(uri_normalise_path(path, rules, arena, &again) && again.at == path.at && again.size == path.size);
}

static void check_authority(struct text input, struct arena *arena)
{
    struct text host, again;
    uint16_t port, port_again;
    if (!uri_parse_authority(input, arena, &host, &port))
        return;
    CHECK(host.size && host.size <= 255 && host.at[host.size - 1] != '.');
    for (size_t i = 0; i < host.size; i++)
        CHECK(host.at[i] == char_lower(host.at[i]) && host.at[i] > 0x20 && host.at[i] < 0x7f
              && !strchr("@/?#%,", host.at[i]));
    CHECK(uri_parse_authority(host, arena, &again, &port_again) && text_equal(host, again)
          && port_again == 0);
}

static void check_uri(struct text input)
{
    struct uri uri;
    if (!uri_parse(input, &uri))
        return;
    CHECK(uri.port && uri.host.size && (uri.path.size == 0 || uri.path.at[0] == '/'));
    size_t size =
        uri.scheme.size + 3 + uri.authority.size + uri.path.size + (uri.query.at ? uri.query.size + 1 : 0);
    CHECK(size == input.size);
}

static void check_query(struct text input, struct arena *arena)
{
    struct text rest = input, name, value;
    while (uri_query_next(&rest, &name, &value)) {
        CHECK(text_find_char(name, '&') == TEXT_NONE && text_find_char(value, '&') == TEXT_NONE);
        struct text plain = uri_decode(name, true, arena);
        CHECK(plain.size <= name.size && uri_query_get(input, plain, arena).at);
    }
    struct text encoded = uri_encode(input, false, arena);
    CHECK(text_equal(uri_decode(encoded, false, arena), input));
    CHECK(text_equal(uri_decode(uri_encode(input, true, arena), true, arena), input));
    (void)cookie_get(input, TEXT("a")); /* only that it stays inside */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct uri_rules rules = {.merge_slashes = data[0] & 1,
                              .encoded_slashes = (enum encoded_slashes)((data[0] >> 1) % 3)};
    struct text input = {(const char *)data + 1, size - 1};
    struct arena arena;
    arena_init(&arena, 0, 1 << 20);
    check_path(input, &rules, &arena);
    check_authority(input, &arena);
    check_uri(input);
    if (size < 1000)
        check_query(input, &arena);
    arena_release(&arena);
    return 0;
}
