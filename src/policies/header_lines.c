/* See the header. */
#include "policies/header_lines.h"

#include "policies/places.h"
#include "proxy/exchange.h"

bool header_is_reserved(struct text name)
{
    switch ((int)field_name_parse(name)) {
    case NAME_HOST:
    case NAME_CONNECTION:
    case NAME_CONTENT_LENGTH:
    case NAME_EXPECT:
    case NAME_KEEP_ALIVE:
    case NAME_PROXY_CONNECTION:
    case NAME_TE:
    case NAME_TRAILER:
    case NAME_TRANSFER_ENCODING:
    case NAME_UPGRADE: return true;
    default: return false;
    }
}

bool header_check_name(struct prepare *prepare, const struct node *at, const char *field, struct text name)
{
    if (!http_is_token(name))
        return bind_error(prepare->binder, at, field, "`%.*s` is not a name that HTTP allows for a field",
                          TEXT_ARGS(name));
    if (header_is_reserved(name))
        return bind_error(
            prepare->binder, at, field,
            "`%.*s` belongs to the connection or to the framing of the message: the gateway alone writes it",
            TEXT_ARGS(name));
    return true;
}

bool header_check_patterns(struct prepare *prepare, const char *field, const struct array *patterns)
{
    const struct text *items = patterns->items;
    bool fine = true;
    for (size_t i = 0; i < patterns->count; i++) {
        bool is_prefix = text_ends_with(items[i], TEXT("*"));
        struct text name = is_prefix ? text_slice(items[i], 0, items[i].size - 1) : items[i];
        fine &= header_check_name(prepare, item_place(prepare, field, i), field, name);
    }
    return fine;
}

bool header_check_map(struct prepare *prepare, const struct node *map, const char *field,
                      const struct array *pairs, bool host_too)
{
    const struct template_pair *items = pairs->items;
    bool fine = true;
    for (size_t i = 0; i < pairs->count; i++) {
        const struct node *key = map && map->kind == NODE_MAP ? &map->keys[i] : prepare->node;
        const struct node *at = map && map->kind == NODE_MAP ? &map->items[i] : prepare->node;
        const struct value *constant = expr_constant(items[i].value);
        if (!(host_too && field_name_parse(items[i].key) == NAME_HOST))
            fine &= header_check_name(prepare, key, field, items[i].key);
        if (constant && constant->kind == VALUE_STRING && !http_is_field_value(constant->text))
            fine &= bind_error(prepare->binder, at, field,
                               "a field must not hold line breaks or other control characters");
    }
    return fine;
}

static char folded(char c)
{
    return c == '_' ? '-' : char_lower(c);
}

bool header_is_same(struct text a, struct text b)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++)
        if (folded(a.at[i]) != folded(b.at[i]))
            return false;
    return true;
}

bool header_fits(struct text name, struct text pattern)
{
    if (!text_ends_with(pattern, TEXT("*")))
        return header_is_same(name, pattern);
    size_t size = pattern.size - 1;
    return name.size >= size && header_is_same(text_slice(name, 0, size), text_slice(pattern, 0, size))
           && !header_is_reserved(name);
}

bool header_is_one_of(struct text name, const struct array *patterns)
{
    const struct text *items = patterns->items;
    for (size_t i = 0; i < patterns->count; i++)
        if (header_fits(name, items[i]))
            return true;
    return false;
}

bool header_eval(struct exchange *ex, const struct expr *value, struct text *ret_value)
{
    struct text text;
    if (!exchange_eval_text(ex, value, &text))
        return false;
    text = text_trim(text);
    if (!http_is_field_value(text)) {
        (void)exchange_fault(ex, "a template gave a value with control characters, which no field may hold");
        return false;
    }
    *ret_value = text;
    return true;
}

bool header_eval_all(struct exchange *ex, const struct array *pairs, struct text **ret_values)
{
    const struct template_pair *items = pairs->items;
    struct text *values = pairs->count ? arena_array(&ex->arena, pairs->count, sizeof *values) : NULL;
    for (size_t i = 0; i < pairs->count; i++)
        if (!values || !header_eval(ex, items[i].value, &values[i]))
            return false;
    *ret_values = values;
    return true;
}
