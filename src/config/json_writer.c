/* Commas, indentation and escapes. */
#include "config/json_writer.h"

#include "base/check.h"
#include "base/log.h"
#include "config/reading.h"

enum { ESCAPED_ROOM = 16384 };

static void write_escaped(struct json_writer *json, struct text text)
{
    char escaped[ESCAPED_ROOM];
    size_t size = log_escape_json(text, escaped, sizeof escaped);
    fprintf(json->to, "\"%.*s\"", (int)size, escaped);
}

static void start(struct json_writer *json, struct text key)
{
    if (!json->is_fresh)
        fputc(',', json->to);
    fprintf(json->to, "\n%*s", 2 * json->indent, "");
    if (key.at) {
        write_escaped(json, key);
        fputs(": ", json->to);
    }
    json->is_fresh = false;
}

static struct text key_text(const char *key)
{
    return key ? text_of(key) : (struct text){NULL, 0};
}

static void open_at(struct json_writer *json, struct text key, char bracket)
{
    start(json, key);
    fputc(bracket, json->to);
    json->indent++;
    json->is_fresh = true;
}

void json_open(struct json_writer *json, const char *key, char bracket)
{
    open_at(json, key_text(key), bracket);
}

void json_close(struct json_writer *json, char bracket)
{
    json->indent--;
    if (!json->is_fresh)
        fprintf(json->to, "\n%*s", 2 * json->indent, "");
    fputc(bracket, json->to);
    json->is_fresh = false;
}

void json_text(struct json_writer *json, const char *key, struct text value)
{
    start(json, key_text(key));
    write_escaped(json, value);
}

void json_integer(struct json_writer *json, const char *key, int64_t value)
{
    start(json, key_text(key));
    fprintf(json->to, "%lld", (long long)value);
}

void json_raw(struct json_writer *json, const char *key, const char *value)
{
    start(json, key_text(key));
    fputs(value, json->to);
}

static size_t skip_digits(struct text t, size_t at)
{
    while (at < t.size && char_is_digit(t.at[at]))
        at++;
    return at;
}

/* A number as JSON writes them (RFC 8259 section 6). */
static bool is_json_number(struct text t)
{
    size_t at = text_starts_with(t, TEXT("-")), digits = skip_digits(t, at);
    if (digits == at || (digits > at + 1 && t.at[at] == '0'))
        return false;
    if (digits < t.size && t.at[digits] == '.') {
        at = digits + 1;
        digits = skip_digits(t, at);
        if (digits == at)
            return false;
    }
    if (digits < t.size && char_lower(t.at[digits]) == 'e') {
        at = digits + 1;
        at += at < t.size && (t.at[at] == '+' || t.at[at] == '-');
        digits = skip_digits(t, at);
        if (digits == at)
            return false;
    }
    return digits == t.size;
}

static void write_scalar(struct json_writer *json, struct text key, const struct node *node, bool is_text)
{
    start(json, key);
    bool is_bare = !node->quoted && !is_text
                   && (is_json_number(node->text) || text_equal(node->text, TEXT("true"))
                       || text_equal(node->text, TEXT("false")));
    if (is_bare)
        fprintf(json->to, "%.*s", TEXT_ARGS(node->text));
    else
        write_escaped(json, node->text);
}

/* Recursion is as deep as the tree, which the limits of a document bound. */
static void write_node(struct json_writer *json, struct text key, const struct node *node, bool is_text)
{
    switch (node->kind) {
    case NODE_NULL:
        start(json, key);
        fputs("null", json->to);
        return;
    case NODE_SCALAR: write_scalar(json, key, node, is_text); return;
    case NODE_LIST:
    case NODE_MAP:
        open_at(json, key, node->kind == NODE_MAP ? '{' : '[');
        for (uint32_t i = 0; i < node->count; i++)
            write_node(json, node->kind == NODE_MAP ? node->keys[i].text : (struct text){NULL, 0},
                       &node->items[i], is_text);
        json_close(json, node->kind == NODE_MAP ? '}' : ']');
        return;
    }
}

void json_node(struct json_writer *json, const char *key, const struct node *node, bool is_text)
{
    write_node(json, key_text(key), node, is_text);
}
