/* Finds and hides credentials. */
#include "policies/credential_places.h"

#include "http/uri.h"
#include "policies/places.h"
#include "proxy/exchange.h"

static bool check_names(struct prepare *prepare, const char *field, const struct array *names)
{
    const struct text *items = names->items;
    for (size_t i = 0; i < names->count; i++)
        if (!http_is_token(items[i]))
            return bind_error(prepare->binder, item_place(prepare, field, i), field,
                              "`%.*s` is not a name that HTTP allows here", TEXT_ARGS(items[i]));
    return true;
}

static bool check_queries(struct prepare *prepare, const struct array *names)
{
    const struct text *items = names->items;
    for (size_t i = 0; i < names->count; i++)
        if (items[i].size == 0)
            return bind_error(prepare->binder, item_place(prepare, "query", i), "query",
                              "a parameter's name must not be empty");
    return true;
}

bool credential_places_prepare(struct credential_places *places, struct prepare *prepare, const char *what,
                               const char *fields)
{
    const struct text *headers = places->headers.items;
    if (places->headers.count + places->queries.count + places->cookies.count == 0 && !places->bearer)
        return bind_error(prepare->binder, prepare->node, NULL,
                          "there is no place left where a %s could be: set %s", what, fields);
    if (!check_names(prepare, "header", &places->headers) || !check_names(prepare, "cookie", &places->cookies)
        || !check_queries(prepare, &places->queries))
        return false;
    places->header_ids =
        arena_array(prepare->binder->arena, places->headers.count, sizeof *places->header_ids);
    if (!places->header_ids)
        return bind_error(prepare->binder, prepare->node, NULL, "out of memory");
    for (size_t i = 0; i < places->headers.count; i++)
        places->header_ids[i] = field_name_parse(headers[i]);
    return true;
}

static bool is_one_of(struct text name, const struct array *names)
{
    const struct text *items = names->items;
    for (size_t i = 0; i < names->count; i++)
        if (text_equal(name, items[i]))
            return true;
    return false;
}

/* --- finding --- */

static void take(struct credential_found *found, struct text value)
{
    if (value.size == 0)
        return;
    if (!found->value.at)
        found->value = value;
    else if (!text_equal(found->value, value))
        found->several = true;
}

static bool is_named(const struct field_line *line, enum field_name id, struct text name)
{
    return line->id == id && (id != NAME_OTHER || text_equal_nocase(line->name, name));
}

/* The token of "Bearer TOKEN" (RFC 6750 section 2.1); .at NULL: another scheme. */
static struct text bearer_token(struct text value)
{
    if (!text_starts_with_nocase(value, TEXT("Bearer ")))
        return (struct text){NULL, 0};
    return text_trim(text_slice(value, 7, value.size));
}

/* The credential in a field line; .at NULL: there is none. */
static struct text value_of(const struct credential_places *places, const struct field_line *line)
{
    const struct text *headers = places->headers.items;
    struct text token = {NULL, 0};
    if (places->schemes || (places->bearer && line->id == NAME_AUTHORIZATION))
        token = bearer_token(line->value);
    for (size_t i = 0; i < places->headers.count; i++) {
        if (!is_named(line, places->header_ids[i], headers[i]))
            continue;
        bool as_it_is = !places->schemes || line->id != NAME_AUTHORIZATION;
        return token.at && places->schemes ? token : as_it_is ? line->value : token;
    }
    return places->bearer && line->id == NAME_AUTHORIZATION ? token : (struct text){NULL, 0};
}

static bool may_hold(const struct credential_places *places, const struct exchange *ex)
{
    if (places->bearer && fields_may_hold(&ex->request.fields, NAME_AUTHORIZATION))
        return true;
    for (size_t i = 0; i < places->headers.count; i++)
        if (fields_may_hold(&ex->request.fields, places->header_ids[i]))
            return true;
    return false;
}

static void find_in_fields(const struct credential_places *places, struct exchange *ex,
                           struct credential_found *found)
{
    if (!may_hold(places, ex))
        return;
    FIELDS_EACH (line, &ex->request.fields)
        take(found, value_of(places, line));
}

/* Takes "name=value" off a Cookie field (RFC 6265 section 4.2). False at the end. */
static bool next_cookie(struct text *rest, struct text *ret_pair, struct text *ret_name,
                        struct text *ret_value)
{
    if (!rest->at)
        return false;
    *ret_pair = text_trim(text_split(rest, ';'));
    *ret_value = *ret_pair;
    *ret_name = text_split(ret_value, '=');
    return true;
}

static void find_in_cookies(const struct credential_places *places, struct exchange *ex,
                            struct credential_found *found)
{
    if (places->cookies.count == 0 || !fields_may_hold(&ex->request.fields, NAME_COOKIE))
        return;
    FIELDS_EACH (line, &ex->request.fields) {
        struct text rest = line->value, pair, name, value;
        while (line->id == NAME_COOKIE && next_cookie(&rest, &pair, &name, &value))
            if (is_one_of(name, &places->cookies))
                take(found, value);
    }
}

void credential_places_find(const struct credential_places *places, struct exchange *ex,
                            struct credential_found *found)
{
    struct text rest = ex->request.query, name, value;
    find_in_fields(places, ex, found);
    find_in_cookies(places, ex, found);
    while (places->queries.count && uri_query_next(&rest, &name, &value)) {
        if (!is_one_of(uri_decode(name, true, &ex->arena), &places->queries))
            continue;
        found->in_query = true;
        take(found, uri_decode(value, true, &ex->arena));
    }
}

/* --- hiding --- */

/* The query without credentials: `instead` stands in their place, or the parameters go where its .at is NULL. Its .at is NULL when nothing is
 * left. */
static struct text query_without(const struct credential_places *places, struct exchange *ex,
                                 struct text query, struct text instead)
{
    struct text rest = query, name, value;
    size_t room = query.size + 1;
    while (uri_query_next(&rest, &name, &value))
        room += 1 + instead.size;
    char *bytes = query.at ? arena_alloc(&ex->arena, room) : NULL, *to = bytes;
    if (!bytes)
        return (struct text){NULL, 0};
    for (rest = query; uri_query_next(&rest, &name, &value);) {
        bool is_credential = is_one_of(uri_decode(name, true, &ex->arena), &places->queries);
        if (is_credential && !instead.at)
            continue;
        if (to > bytes)
            *to++ = '&';
        memcpy(to, name.at, name.size);
        to += name.size;
        if (!is_credential && value.at != name.at + name.size + 1)
            continue; /* written without '=' */
        value = is_credential ? instead : value;
        *to++ = '=';
        memcpy(to, value.at, value.size);
        to += value.size;
    }
    return (struct text){to > bytes ? bytes : NULL, (size_t)(to - bytes)};
}

static void guard_query(const struct credential_places *places, struct exchange *ex, bool hide)
{
    struct text nothing = {NULL, 0}, full = ex->request.query;
    if (hide && ex->forward_path.at) {
        ex->forward_query = query_without(places, ex, ex->forward_query, nothing);
    } else if (!hide && !ex->forward_path.at) {
        ex->forward_path = ex->request.path; /* the service sees all, the log does not */
        ex->forward_query = full;
    }
    ex->request.query = query_without(places, ex, full, hide ? nothing : TEXT("redacted"));
    struct text target = text_slice(ex->request.target, 0, text_find_char(ex->request.target, '?'));
    struct text parts[] = {target, TEXT("?"), ex->request.query};
    ex->request.target = arena_join(&ex->arena, parts, ex->request.query.at ? 3 : 1);
}

static void hide_cookies(const struct credential_places *places, struct exchange *ex, struct field_line *line)
{
    struct text rest = line->value, pair, name, value;
    char *bytes = arena_alloc(&ex->arena, line->value.size + 2), *to = bytes;
    if (!bytes)
        return; /* the driver refuses an exchange whose arena is full */
    while (next_cookie(&rest, &pair, &name, &value)) {
        if (is_one_of(name, &places->cookies) || pair.size == 0)
            continue;
        if (to > bytes) {
            *to++ = ';';
            *to++ = ' ';
        }
        memcpy(to, pair.at, pair.size);
        to += pair.size;
    }
    line->value = (struct text){bytes, (size_t)(to - bytes)};
    line->removed = to == bytes;
}

void credential_places_guard(const struct credential_places *places, struct exchange *ex,
                             const struct credential_found *found, bool hide)
{
    if (found->in_query)
        guard_query(places, ex, hide);
    if (!hide)
        return;
    FIELDS_EACH (line, &ex->request.fields) {
        if (value_of(places, line).at)
            line->removed = true;
        else if (places->cookies.count && line->id == NAME_COOKIE)
            hide_cookies(places, ex, line);
    }
}
