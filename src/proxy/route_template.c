/* Path templates. */
#include "proxy/route_template.h"

#include <errno.h>

#include "base/check.h"
#include "expr/pattern.h"
#include "http/uri.h"

bool route_literal_normal(struct arena *arena, struct text literal, struct text *ret_literal)
{
    static const struct uri_rules rules = {.merge_slashes = true, .encoded_slashes = SLASHES_KEEP};
    return uri_normalise_path(literal, &rules, arena, ret_literal);
}

/* Literal text after a capture (`before`, a byte that stands for it; 0: there is none) and before one (`after`): what begins or ends within a
 * segment is read as such. */
static bool normal_between(struct arena *arena, struct text literal, char before, bool after,
                           struct text *ret_normal)
{
    char start[] = {'/', before, 0};
    struct text normal,
        whole = arena_format(arena, "%s%.*s%s", before ? start : "", TEXT_ARGS(literal), after ? "x" : "");
    if (!route_literal_normal(arena, whole, &normal))
        return false;
    *ret_normal = text_slice(normal, 0, normal.size - after);
    return true;
}

static bool add_literal(struct arena *arena, struct route_template *to, struct text literal, bool first,
                        bool last, struct error *reterr)
{
    struct text normal, other;
    bool fine = normal_between(arena, literal, first ? 0 : 'x', !last, &normal);
    if (fine
        && !first) { /* dot segments must leave the capture before them: what stands for it is still there */
        fine = normal_between(arena, literal, 'y', !last, &other) && normal.size >= 2 && normal.at[1] == 'x'
               && other.at[1] == 'y';
        normal = text_slice(normal, MIN_OF(normal.size, (size_t)2), normal.size);
    }
    if (!fine) {
        error_set(reterr, -EINVAL, "`%.*s` is no part of a valid path", TEXT_ARGS(literal));
        return false;
    }
    to->path = arena_format(arena, "%.*s%.*s", TEXT_ARGS(to->path), TEXT_ARGS(normal));
    return true;
}

static bool set_type(struct arena *arena, struct route_capture *capture, struct text type,
                     struct error *reterr)
{
    struct error error = {0};
    struct capture_place *place = &capture->place;
    if (text_equal(type, TEXT("int"))) {
        place->type = CAPTURE_INT;
        return true;
    }
    if (text_equal(type, TEXT("uuid"))) {
        place->type = CAPTURE_UUID;
        return true;
    }
    if (!text_starts_with(type, TEXT("~")) || type.size < 2) {
        error_set(
            reterr, -EINVAL,
            "the capture `%.*s` has no known type: there are `int`, `uuid`, and `~` with a regular expression",
            TEXT_ARGS(capture->written));
        return false;
    }
    place->type = CAPTURE_REGEX;
    struct text whole = arena_format(arena, "^(?:%.*s)\\z", TEXT_ARGS(text_slice(type, 1, type.size)));
    place->pattern = pattern_compile(arena, whole, &error);
    if (!place->pattern)
        error_set(reterr, -EINVAL, "the regular expression of the capture `%.*s` is bad: %s",
                  TEXT_ARGS(capture->written), error.said);
    return place->pattern;
}

static bool add_capture(struct arena *arena, struct arena *drafts, struct route_template *to,
                        struct text written, struct error *reterr)
{
    struct text type = text_slice(written, 1, written.size - 1), name = text_split(&type, ':');
    if (to->captures_count == ROUTER_CAPTURES_MAX) {
        error_set(reterr, -EINVAL, "it has more than %d captures", ROUTER_CAPTURES_MAX);
        return false;
    }
    struct route_capture *capture = &to->captures[to->captures_count++];
    *capture = (struct route_capture){.written = written, .name = name};
    size_t slashes = 0, begin = 0;
    for (size_t i = 0; i < to->path.size; i++) {
        if (to->path.at[i] == '/') {
            slashes++;
            begin = i + 1;
        }
    }
    capture->place.segment = (uint16_t)(slashes - 1);
    capture->place.before = (uint16_t)(to->path.size - begin);
    to->path = arena_format(drafts, "%.*s{%.*s}", TEXT_ARGS(to->path), TEXT_ARGS(name));
    if (type.at && text_ends_with(name, TEXT("..."))) {
        error_set(reterr, -EINVAL, "the capture `%.*s` takes all that is left and has no type",
                  TEXT_ARGS(written));
        return false;
    }
    return !type.at || set_type(arena, capture, type, reterr);
}

/* How far "{...}" reaches: braces may stand in its regular expression, in pairs or behind a backslash. 0: it does not end. */
static size_t capture_size(struct text t)
{
    size_t depth = 0;
    for (size_t i = 0; i < t.size; i++) {
        if (t.at[i] == '\\')
            i++;
        else if (t.at[i] == '{')
            depth++;
        else if (t.at[i] == '}' && --depth == 0)
            return i + 1;
    }
    return 0;
}

/* What follows the last capture up to the end of its segment. */
static void set_after(struct route_template *template, size_t literal_at)
{
    struct text literal = text_slice(template->path, literal_at, template->path.size);
    struct route_capture *capture = &template->captures[template->captures_count - 1];
    capture->place.after = (uint16_t)text_split(&literal, '/').size;
}

bool route_template_read(struct arena *arena, struct arena *drafts, struct text written,
                         struct route_template *ret_template, struct error *reterr)
{
    struct text rest = written;
    *ret_template = (struct route_template){.path = TEXT("")};
    if (written.size > ROUTER_PATTERN_MAX || !text_starts_with(written, TEXT("/"))) {
        error_set(reterr, -EINVAL, "a path begins with '/', and has at most %d bytes", ROUTER_PATTERN_MAX);
        return false;
    }
    for (bool first = true;; first = false) {
        size_t brace = text_find_char(rest, '{'), literal_at = ret_template->path.size;
        bool last = brace == TEXT_NONE;
        struct text literal = last ? rest : text_slice(rest, 0, brace);
        if (!add_literal(drafts, ret_template, literal, first, last, reterr))
            return false;
        if (!first)
            set_after(ret_template, literal_at);
        if (last)
            return true;
        rest = text_slice(rest, brace, rest.size);
        size_t size = capture_size(rest);
        if (size == 0) {
            error_set(reterr, -EINVAL, "'{' without '}'");
            return false;
        }
        if (!add_capture(arena, drafts, ret_template, text_slice(rest, 0, size), reterr))
            return false;
        rest = text_slice(rest, size, rest.size);
    }
}
