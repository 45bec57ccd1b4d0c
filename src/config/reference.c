/* References in scalars: ${env:NAME}, ${env:NAME:-default} and ${file:PATH} become what they name.
 *
 * Other `${...}` are template expressions and stay; `$${` is a literal `${`. What a reference brings in is literal too: where its text holds a
 * `${`, the node keeps a second form for templates, so that a password is never taken for an expression. */
#include <stdlib.h>

#include "base/check.h"
#include "base/error.h"
#include "base/memory.h"
#include "config/reading.h"

enum { FILE_BYTES_MAX = 1 << 20, NAME_BYTES_MAX = 255 };

struct buffer {
    char *at;
    size_t size, capacity;
    bool failed;
};

struct resolving {
    struct reading *reading;
    struct node *scalar;
    struct buffer plain, template;
};

static void append(struct buffer *buffer, struct text text)
{
    if (buffer->failed || !text.size)
        return;
    if (text.size > buffer->capacity - buffer->size) {
        size_t larger = 2 * (buffer->size + text.size);
        char *moved = memory_resize(buffer->at, larger);
        buffer->failed = !moved;
        if (!moved)
            return;
        buffer->at = moved;
        buffer->capacity = larger;
    }
    memcpy(buffer->at + buffer->size, text.at, text.size);
    buffer->size += text.size;
}

static void discard(struct buffer *buffer)
{
    if (buffer->at)
        memory_wipe(buffer->at, buffer->capacity);
    memory_free(buffer->at);
}

/* Text that is literal: in the template form every `${` gets its second dollar. */
static void append_literal(struct resolving *r, struct text text)
{
    append(&r->plain, text);
    for (size_t at; (at = text_find(text, TEXT("${"))) != TEXT_NONE;) {
        append(&r->template, text_slice(text, 0, at));
        append(&r->template, TEXT("$${"));
        text = text_slice(text, at + 2, text.size);
    }
    append(&r->template, text);
}

static bool is_name(struct text name)
{
    bool fits = name.size && name.size <= NAME_BYTES_MAX && !char_is_digit(name.at[0]);
    for (size_t i = 0; fits && i < name.size; i++)
        fits = char_is_alpha(name.at[i]) || char_is_digit(name.at[i]) || name.at[i] == '_';
    return fits;
}

static bool complain(struct resolving *r, const char *said, struct text what)
{
    report_error(r->reading->report, r->scalar->place, TEXT(""), "`%.*s`: %s",
                 (int)MIN_OF(what.size, (size_t)200), what.at, said);
    return false;
}

static bool resolve_env(struct resolving *r, struct text inside)
{
    size_t dash = text_find(inside, TEXT(":-"));
    struct text name = text_slice(inside, 0, dash);
    if (!is_name(name))
        return complain(
            r, "not the name of an environment variable (write ${env:NAME} or ${env:NAME:-default})", name);
    char zero_terminated[NAME_BYTES_MAX + 1] = {0};
    memcpy(zero_terminated, name.at, name.size);
    const char *value = getenv(zero_terminated);
    if (dash != TEXT_NONE && (!value || !*value)) {
        append_literal(r, text_slice(inside, dash + 2, inside.size));
        return true;
    }
    if (!value)
        return complain(
            r,
            "this environment variable is not set, and the reference has no default (${env:NAME:-default})",
            name);
    if (!text_is_utf8(text_of(value)))
        return complain(r, "the value of this environment variable is not UTF-8", name);
    append_literal(r, text_of(value));
    r->scalar->secret = true;
    return true;
}

static bool resolve_file(struct resolving *r, struct text path)
{
    struct reading *reading = r->reading;
    struct error error;
    struct text content, full = reading_path(reading, r->scalar->place.source->folder, path);
    if (!path.size)
        return complain(r, "a path is missing (write ${file:PATH})", TEXT("${file:}"));
    if (!full.size || !reading_watch(reading, full))
        return false;
    if (!reading_file(reading, full, FILE_BYTES_MAX, &content, &error))
        return complain(r, error.said, full);
    if (text_find_char(content, 0) != TEXT_NONE || !text_is_utf8(content))
        return complain(r, "the file holds binary data, not UTF-8 text", full);
    if (text_ends_with(content, TEXT("\n")))
        content.size--;
    if (text_ends_with(content, TEXT("\r")))
        content.size--;
    append_literal(r, content);
    r->scalar->secret = true;
    return true;
}

/* `text` starts with "${"; *ret_size is how much of it was dealt with. */
static bool resolve_one(struct resolving *r, struct text text, size_t *ret_size)
{
    static const struct text env = TEXT_INIT("${env:"), file = TEXT_INIT("${file:"),
                             vault = TEXT_INIT("${vault:");
    bool is_env = text_starts_with(text, env), is_file = text_starts_with(text, file);
    *ret_size = 2;
    if (!is_env && !is_file && !text_starts_with(text, vault)) {
        append(&r->plain, TEXT("${"));
        append(&r->template, TEXT("${"));
        return true;
    }
    size_t end = text_find_char(text, '}');
    if (end == TEXT_NONE)
        return complain(r, "a reference without its `}`", text);
    *ret_size = end + 1;
    if (*ret_size == r->scalar->text.size)
        r->scalar->quoted = false; /* a reference alone may stand for a number */
    if (!is_env)
        r->reading->source->has_file_references = true;
    if (is_env)
        return resolve_env(r, text_slice(text, env.size, end));
    if (is_file)
        return resolve_file(r, text_slice(text, file.size, end));
    return complain(r, "no vault is configured", text_slice(text, 0, end + 1));
}

static bool resolve_all(struct resolving *r)
{
    struct text rest = r->scalar->text;
    bool resolved = true;
    for (size_t at; (at = text_find(rest, TEXT("${"))) != TEXT_NONE;) {
        size_t size = 2;
        bool is_literal = at > 0 && rest.at[at - 1] == '$';
        struct text before = text_slice(rest, 0, at - is_literal);
        append(&r->plain, before);
        append(&r->template, before);
        rest = text_slice(rest, at, rest.size);
        if (is_literal)
            append_literal(r, TEXT("${"));
        else if (!resolve_one(r, rest, &size))
            resolved = false; /* the others may be wrong as well */
        rest = text_slice(rest, size, rest.size);
    }
    append(&r->plain, rest);
    append(&r->template, rest);
    return resolved && !r->plain.failed && !r->template.failed;
}

static bool keep(struct resolving *r)
{
    struct arena *arena = r->reading->arena;
    struct text plain = {r->plain.at, r->plain.size}, template = {r->template.at, r->template.size};
    bool differs = !text_equal(plain, template);
    if (differs) {
        struct node *form = ARENA_NEW(arena, struct node);
        if (!form)
            return false;
        form->kind = NODE_SCALAR;
        form->text = arena_copy(arena, template);
        form->hash = node_hash_key(template);
        r->scalar->items = form;
    }
    r->scalar->text = arena_copy(arena, plain);
    r->scalar->hash = node_hash_scalar(r->scalar);
    return !arena->failed;
}

bool reference_resolve(struct reading *reading, struct node *scalar)
{
    struct resolving resolving = {.reading = reading, .scalar = scalar};
    bool resolved = resolve_all(&resolving) && keep(&resolving);
    discard(&resolving.plain);
    discard(&resolving.template);
    return resolved;
}
