/* The control fields of a head: framing, Connection and what it nominates. What is ambiguous here is what
 * request smuggling is made of, so all of it is refused.
 *
 * A client may nominate any field in Connection, also one that a policy reads, such as Authorization (the
 * "hop-by-hop" attack). It gains nothing: nominated fields are gone before the first policy looks and never
 * reach the origin, so both see the same request and an absent credential is refused. Host and the framing
 * fields are taken out before, and the gateway adds its own X-Forwarded-For and the like after, so those
 * cannot be nominated away. */
#include "http/h1_head.h"

#include "base/check.h"

enum { NOMINATIONS_MAX = 32 }; /* each costs a walk over the fields; honest messages have one or two */

static const bool is_control[NAMES_COUNT] = {
    [NAME_HOST] = true,       [NAME_CONTENT_LENGTH] = true, [NAME_TRANSFER_ENCODING] = true,
    [NAME_TE] = true,         [NAME_EXPECT] = true,         [NAME_CONNECTION] = true,
    [NAME_KEEP_ALIVE] = true, [NAME_UPGRADE] = true,        [NAME_PROXY_CONNECTION] = true,
};

static bool list_is_only(struct text value, struct text member)
{
    while (value.at)
        if (!text_equal_nocase(text_trim(text_split(&value, ',')), member))
            return false;
    return true;
}

static void take_line(struct h1_control *control, const struct field_line *line, uint32_t index)
{
    switch (line->id) {
    case NAME_HOST: control->host = line->value, control->hosts_count++; break;
    case NAME_CONTENT_LENGTH: control->length = line->value, control->lengths_count++; break;
    case NAME_TRANSFER_ENCODING: control->encoding = line->value, control->encodings_count++; break;
    case NAME_TE: control->te_trailers |= http_list_contains(line->value, TEXT("trailers")); break;
    case NAME_UPGRADE: control->has_upgrade = true; break;
    case NAME_EXPECT:
        control->has_expect = true;
        control->expects_other |= !list_is_only(line->value, TEXT("100-continue"));
        break;
    case NAME_CONNECTION:
        if (!control->has_connection)
            control->first_connection = index;
        control->has_connection = true;
        break;
    }
}

void h1_take_control(struct fields *fields, struct h1_control *control)
{
    *control = (struct h1_control){0};
    for (uint32_t i = 0; i < fields->count; i++) {
        struct field_line *line = &fields->lines[i];
        if (!is_control[line->id])
            continue;
        take_line(control, line, i);
        line->removed = line->id != NAME_UPGRADE;
    }
}

/* Nearly all write it in lower case. */
static inline bool is_option(struct text option, struct text lower)
{
    return option.size == lower.size
           && (!memcmp(option.at, lower.at, lower.size) || text_equal_nocase(option, lower));
}

/* True: the option nominates a field. */
static bool take_option(struct fields *fields, struct h1_control *control, struct text option)
{
    if (option.size == 0)
        return false;
    if (is_option(option, TEXT("keep-alive"))) {
        control->keep_alive = true;
    } else if (is_option(option, TEXT("close"))) {
        control->close = true;
    } else if (is_option(option, TEXT("upgrade"))) {
        control->upgrade = control->has_upgrade;
    } else {
        fields_remove(fields, option);
        return true;
    }
    return false;
}

enum h1_refusal h1_take_connection(struct fields *fields, struct h1_control *control)
{
    unsigned nominations = 0;
    for (uint32_t i = control->first_connection; control->has_connection && i < fields->count; i++) {
        if (fields->lines[i].id != NAME_CONNECTION)
            continue;
        struct text rest = fields->lines[i].value;
        if (LIKELY(is_option(rest, TEXT("keep-alive")))) {
            control->keep_alive = true;
            continue;
        }
        while (rest.at)
            if (take_option(fields, control, text_trim(text_split(&rest, ',')))
                && ++nominations > NOMINATIONS_MAX)
                return H1_HEAD_TOO_LARGE;
    }
    if (control->has_upgrade && !control->upgrade)
        fields_remove_known(fields, NAME_UPGRADE);
    return H1_FINE;
}

enum h1_refusal h1_read_length(const struct h1_control *control, uint64_t *ret_length)
{
    uint64_t length;
    if (control->lengths_count != 1 || !text_to_uint64(control->length, &length) || length > INT64_MAX)
        return H1_BAD_LENGTH;
    *ret_length = length;
    return H1_FINE;
}

/* Why a Transfer-Encoding that is not "chunked" is refused: a server may answer 501 to a coding that it does
 * not know only where chunked is there once and last, else the length of the body is unknowable (RFC 9112
 * sections 6.1 and 6.3). */
static enum h1_refusal judge_encodings(struct text list)
{
    unsigned chunked_count = 0;
    bool chunked_last = false;
    while (list.at) {
        struct text coding = text_trim(text_split(&list, ','));
        if (coding.size == 0)
            return H1_BAD_ENCODING;
        chunked_last = text_equal_nocase(coding, TEXT("chunked"));
        chunked_count += chunked_last;
    }
    return chunked_last && chunked_count == 1 ? H1_UNKNOWN_ENCODING : H1_BAD_ENCODING;
}

enum h1_refusal h1_check_encoding(const struct h1_control *control, uint8_t version_minor)
{
    if (control->encodings_count != 1 || control->lengths_count || version_minor == 0)
        return H1_BAD_ENCODING;
    if (text_equal_nocase(control->encoding, TEXT("chunked")))
        return H1_FINE;
    return judge_encodings(control->encoding);
}
