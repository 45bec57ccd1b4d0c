/* Host and path patterns. */
#include "proxy/router_pattern.h"

#include <errno.h>
#include <string.h>

#include "proxy/router_regex.h"

/* How far a pattern is read. */
struct reading {
    struct text path;
    size_t at, literal; /* next byte; start of the literal before it */
    struct route_pattern *pattern;
    struct error *reterr;
};

static bool refuse(struct reading *r, const char *why)
{
    error_set(r->reterr, -EINVAL, "path '%.*s', at its byte %zu: %s", TEXT_ARGS(text_slice(r->path, 0, 100)),
              r->at + 1, why);
    return false;
}

static void add_step(struct route_pattern *pattern, struct text key, enum route_slot slot)
{
    pattern->steps[pattern->steps_count++] = (struct route_step){key, slot};
}

static struct text turn_round(struct text t, char *to)
{
    for (size_t i = 0; i < t.size; i++)
        to[i] = t.at[t.size - 1 - i];
    return (struct text){to, t.size};
}

static bool is_name(struct text t)
{
    if (t.size == 0 || t.size > UINT8_MAX || char_is_digit(t.at[0]))
        return false;
    for (size_t i = 0; i < t.size; i++) {
        if (!char_is_alpha(t.at[i]) && !char_is_digit(t.at[i]) && t.at[i] != '_')
            return false;
    }
    return true;
}

static bool add_name(struct reading *r, struct text name)
{
    struct route_pattern *pattern = r->pattern;
    if (!is_name(name))
        return refuse(r,
                      "a capture's name is made of letters, digits and '_', and does not begin with a digit");
    if (pattern->names_count == ROUTER_CAPTURES_MAX)
        return refuse(r, "too many captures");
    for (size_t i = 0; i < pattern->names_count; i++) {
        if (text_equal(pattern->names[i], name))
            return refuse(r, "two captures have the same name");
    }
    pattern->names[pattern->names_count++] = name;
    return true;
}

/* "{name...}": the last of a pattern, a segment of its own. */
static bool read_rest(struct reading *r, struct text name, size_t end)
{
    if (end != r->path.size)
        return refuse(r, "nothing may follow '{name...}'");
    if (r->path.at[r->at - 1] != '/')
        return refuse(r, "'{name...}' must follow a '/'");
    if (!add_name(r, name))
        return false;
    add_step(r->pattern, text_slice(r->path, r->literal, r->at), SLOT_REST);
    r->at = r->literal = end;
    return true;
}

static bool read_suffix(struct reading *r, struct text *ret_suffix)
{
    size_t from = r->at;
    for (; r->at < r->path.size && r->path.at[r->at] != '/'; r->at++) {
        if (r->path.at[r->at] == '*')
            return refuse(r, "'*' must not follow a capture in the same segment");
        if (r->path.at[r->at] == '{')
            return refuse(r, "a segment has at most one capture");
        if (strchr("}?#", r->path.at[r->at]) || (unsigned char)r->path.at[r->at] <= ' ')
            return refuse(r, "this byte must not stand in a path pattern");
    }
    *ret_suffix = text_slice(r->path, from, r->at);
    return true;
}

static bool read_capture(struct reading *r)
{
    struct route_pattern *pattern = r->pattern;
    size_t size = text_find_char(text_slice(r->path, r->at, r->path.size), '}');
    if (size == TEXT_NONE)
        return refuse(r, "'{' without '}'");
    struct text name = text_slice(r->path, r->at + 1, r->at + size);
    pattern->form = PATH_TEMPLATE;
    if (text_ends_with(name, TEXT("...")))
        return read_rest(r, text_slice(name, 0, name.size - 3), r->at + size + 1);
    if (!add_name(r, name))
        return false;
    struct text literal = text_slice(r->path, r->literal, r->at), suffix;
    r->at += size + 1;
    if (!read_suffix(r, &suffix))
        return false;
    add_step(pattern, literal, suffix.size ? SLOT_SUFFIXES : SLOT_CAPTURE);
    if (suffix.size) {
        add_step(pattern, turn_round(suffix, pattern->bytes + pattern->bytes_size), SLOT_RAW);
        pattern->bytes_size += suffix.size;
    }
    r->literal = r->at;
    return true;
}

static bool read_star(struct reading *r)
{
    struct route_pattern *pattern = r->pattern;
    if (r->at + 1 != r->path.size)
        return refuse(r, "'*' may only be the last byte of a path; elsewhere {name} stands for a segment");
    bool segments = r->path.at[r->at - 1] == '/';
    add_step(pattern, text_slice(r->path, r->literal, r->at - segments), segments ? SLOT_SEGMENTS : SLOT_RAW);
    if (pattern->form == PATH_EXACT)
        pattern->form = segments ? PATH_SEGMENT_PREFIX : PATH_RAW_PREFIX;
    return true;
}

static bool read_path(struct reading *r)
{
    struct text path = r->path;
    r->pattern->form = PATH_EXACT;
    while (r->at < path.size) {
        char c = path.at[r->at];
        if (c == '*')
            return read_star(r);
        if (c == '{') {
            if (!read_capture(r))
                return false;
            continue;
        }
        if (c == '?' || c == '#')
            return refuse(r, "a path has no query and no fragment");
        if (c == '}')
            return refuse(r, "'}' without '{'");
        if ((unsigned char)c <= ' ' || c == 0x7f)
            return refuse(r, "spaces and control bytes must be percent-encoded");
        r->at++;
    }
    if (r->pattern->steps[r->pattern->steps_count - 1].slot != SLOT_REST)
        add_step(r->pattern, text_slice(path, r->literal, path.size), SLOT_EXACT);
    return true;
}

static bool read_regex(struct reading *r)
{
    struct route_pattern *pattern = r->pattern;
    pattern->form = PATH_REGEX;
    pattern->regex = text_trim(text_slice(r->path, 1, r->path.size));
    if (!pattern->regex.size)
        return refuse(r, "'~' without a regular expression");
    pattern->bytes_size = route_regex_literal(pattern->regex, pattern->bytes);
    add_step(pattern, (struct text){pattern->bytes, pattern->bytes_size}, SLOT_REGEX);
    return true;
}

bool route_pattern_parse(struct text path, struct route_pattern *ret_pattern, struct error *reterr)
{
    struct reading r = {.path = path, .pattern = ret_pattern, .reterr = reterr};
    ret_pattern->regex = (struct text){NULL, 0};
    ret_pattern->names_count = 0;
    ret_pattern->bytes_size = 0;
    ret_pattern->steps[0] = (struct route_step){{NULL, 0}, SLOT_EXACT};
    ret_pattern->steps_count = 1;
    if (!path.at) {
        ret_pattern->form = PATH_ANY;
        add_step(ret_pattern, path, SLOT_RAW);
        return true;
    }
    if (path.size > ROUTER_PATTERN_MAX)
        return refuse(&r, "the pattern is too long");
    if (path.size && path.at[0] == '~')
        return read_regex(&r);
    if (!path.size || path.at[0] != '/')
        return refuse(&r, "a path begins with '/', a regular expression with '~'");
    return read_path(&r);
}

bool route_host_parse(struct text host, char to[ROUTE_HOST_MAX], struct route_step *ret_step,
                      struct error *reterr)
{
    bool wildcard = text_starts_with(host, TEXT("*."));
    struct text fixed = text_slice(host, wildcard, host.size);
    if (host.size == 0 || host.size > ROUTE_HOST_MAX || (wildcard && fixed.size == 1)) {
        error_set(reterr, -EINVAL, "host '%.*s': a host has 1 to %d bytes",
                  TEXT_ARGS(text_slice(host, 0, 100)), ROUTE_HOST_MAX);
        return false;
    }
    if (text_find_char(fixed, '*') != TEXT_NONE) {
        error_set(reterr, -EINVAL, "host '%.*s': '*' may only be the first label, as in '*.example.com'",
                  TEXT_ARGS(host));
        return false;
    }
    *ret_step = (struct route_step){turn_round(fixed, to), wildcard ? SLOT_RAW : SLOT_EXACT};
    return true;
}
