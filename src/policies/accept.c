/* See the header. */
#include "policies/accept.h"

struct text media_type(struct text content_type)
{
    return text_trim(text_split(&content_type, ';'));
}

bool media_type_is_valid(struct text type)
{
    struct text rest = type, main = text_split(&rest, '/');
    return rest.at && http_is_token(main) && http_is_token(rest);
}

/* qvalue of RFC 9110 section 12.4.2 in thousandths; what is none counts as 0: a range that cannot be understood asks for nothing. */
static unsigned parse_quality(struct text t)
{
    unsigned quality = 0, unit = 100;
    if (t.size == 0 || t.size > 5 || (t.at[0] != '0' && t.at[0] != '1') || (t.size > 1 && t.at[1] != '.'))
        return 0;
    for (size_t i = 2; i < t.size; i++, unit /= 10) {
        if (!char_is_digit(t.at[i]))
            return 0;
        quality += (unsigned)(t.at[i] - '0') * unit;
    }
    return t.at[0] == '0' ? quality : quality == 0 ? 1000 : 0;
}

static unsigned detail_of(struct text range, struct text type)
{
    if (text_equal(range, TEXT("*/*")))
        return 1;
    if (text_ends_with(range, TEXT("/*")))
        return text_starts_with_nocase(type, text_slice(range, 0, range.size - 1)) ? 2 : 0;
    return text_equal_nocase(range, type) ? 3 : 0;
}

/* One of the list: `text/html;level=1;q=0.5`. */
static struct accept_rank rank_by(struct text range, struct text type)
{
    struct text rest = range;
    struct accept_rank rank = {1000, detail_of(text_trim(text_split(&rest, ';')), type)};
    while (rank.detail && rest.at) {
        struct text value = text_split(&rest, ';'), name = text_trim(text_split(&value, '='));
        if (value.at && text_equal_nocase(name, TEXT("q")))
            rank.quality = parse_quality(text_trim(value));
    }
    return rank;
}

struct accept_rank accept_rank(const struct fields *request, struct text type)
{
    struct accept_rank best = {0, 0};
    bool said = false;
    FIELDS_EACH (line, request) {
        if (line->id != NAME_ACCEPT)
            continue;
        said = true;
        for (struct text rest = line->value; rest.at;) {
            struct accept_rank rank = rank_by(text_split(&rest, ','), type);
            if (rank.detail == 0)
                continue;
            if (rank.detail > best.detail || (rank.detail == best.detail && rank.quality > best.quality))
                best = rank;
        }
    }
    return said ? best : (struct accept_rank){1000, 1};
}

bool accept_is_better(struct accept_rank a, struct accept_rank b)
{
    return a.quality != b.quality ? a.quality > b.quality : a.detail > b.detail;
}
