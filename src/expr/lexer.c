/* Source to tokens, on demand. */
#include "base/check.h"
#include "base/memory.h"
#include "expr/ast.h"

static bool is_name_start(char c)
{
    return char_is_alpha(c) || c == '_';
}

static bool is_name_part(char c)
{
    return is_name_start(c) || char_is_digit(c);
}

/* Blanks, line ends and "// comments". */
static size_t skip_blanks(struct text t, size_t at)
{
    for (; at < t.size; at++) {
        char c = t.at[at];
        if (c == '/' && at + 1 < t.size && t.at[at + 1] == '/') {
            size_t end = text_find_char(text_slice(t, at, t.size), '\n');
            if (end == TEXT_NONE)
                return t.size;
            at += end;
        } else if (c != ' ' && (c < '\t' || c > '\r')) {
            break;
        }
    }
    return at;
}

static enum token_kind name_kind(struct text name)
{
    static const struct {
        struct text name;
        enum token_kind kind;
    } words[] = {
        {TEXT_INIT("true"), TOKEN_TRUE},          {TEXT_INIT("false"), TOKEN_FALSE},
        {TEXT_INIT("null"), TOKEN_NULL},          {TEXT_INIT("in"), TOKEN_IN},
        {TEXT_INIT("as"), TOKEN_RESERVED},        {TEXT_INIT("break"), TOKEN_RESERVED},
        {TEXT_INIT("const"), TOKEN_RESERVED},     {TEXT_INIT("continue"), TOKEN_RESERVED},
        {TEXT_INIT("else"), TOKEN_RESERVED},      {TEXT_INIT("for"), TOKEN_RESERVED},
        {TEXT_INIT("function"), TOKEN_RESERVED},  {TEXT_INIT("if"), TOKEN_RESERVED},
        {TEXT_INIT("import"), TOKEN_RESERVED},    {TEXT_INIT("let"), TOKEN_RESERVED},
        {TEXT_INIT("loop"), TOKEN_RESERVED},      {TEXT_INIT("package"), TOKEN_RESERVED},
        {TEXT_INIT("namespace"), TOKEN_RESERVED}, {TEXT_INIT("return"), TOKEN_RESERVED},
        {TEXT_INIT("var"), TOKEN_RESERVED},       {TEXT_INIT("void"), TOKEN_RESERVED},
        {TEXT_INIT("while"), TOKEN_RESERVED},
    };
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (text_equal(words[i].name, name))
            return words[i].kind;
    return TOKEN_NAME;
}

static struct token failed(size_t at)
{
    return (struct token){.kind = TOKEN_FAILED, .at = at, .end = at};
}

/* The end of a string's contents, TEXT_NONE: it has none. `at` is behind the opening quote. */
static size_t string_end(struct text t, size_t at, char quote, bool triple, bool raw)
{
    for (; at < t.size; at++) {
        char c = t.at[at];
        if (c == '\\' && !raw)
            at++;
        else if (!triple && (c == '\n' || c == '\r'))
            return TEXT_NONE;
        else if (c == quote
                 && (!triple || (at + 2 < t.size && t.at[at + 1] == quote && t.at[at + 2] == quote)))
            return at;
    }
    return TEXT_NONE;
}

/* A string or bytes: `at` is at the prefix, `quote` at the quote. */
static struct token lex_string(struct source *source, size_t at, size_t quote, bool bytes, bool raw)
{
    struct text t = source->text;
    char c = t.at[quote];
    bool triple = quote + 2 < t.size && t.at[quote + 1] == c && t.at[quote + 2] == c;
    size_t start = quote + (triple ? 3 : 1), end = string_end(t, start, c, triple, raw);
    if (end == TEXT_NONE)
        return source_fail(source, at, "this string has no end"), failed(at);
    struct text contents = text_slice(t, start, end);
    if (!raw && !literal_unescape(source, start, end, bytes, &contents))
        return failed(at);
    return (struct token){
        .kind = TOKEN_LITERAL,
        .at = at,
        .end = end + (triple ? 3 : 1),
        .value = bytes ? value_bytes(contents) : value_string(contents),
    };
}

/* Whether a string starts at `at`, with its prefix: b, r, br in either case. Returns the offset of its quote, or TEXT_NONE. */
static size_t string_prefix(struct text t, size_t at, bool *ret_bytes, bool *ret_raw)
{
    *ret_bytes = *ret_raw = false;
    if (at < t.size && (t.at[at] == 'b' || t.at[at] == 'B')) {
        *ret_bytes = true;
        at++;
    }
    if (at < t.size && (t.at[at] == 'r' || t.at[at] == 'R')) {
        *ret_raw = true;
        at++;
    }
    return at < t.size && (t.at[at] == '"' || t.at[at] == '\'') ? at : TEXT_NONE;
}

static struct token lex_quoted_name(struct source *source, size_t at)
{
    size_t size = text_find_char(text_slice(source->text, at + 1, source->text.size), '`');
    struct text name = text_slice(source->text, at + 1, at + 1 + (size == TEXT_NONE ? 0 : size));
    if (size == TEXT_NONE || size == 0 || text_find_char(name, '\n') != TEXT_NONE)
        return source_fail(source, at, "this quoted name has no end"), failed(at);
    return (struct token){.kind = TOKEN_QUOTED_NAME, .at = at, .end = at + size + 2, .name = name};
}

/* Signs, the longer before its prefix. */
static const struct {
    struct text sign;
    enum token_kind kind;
} signs[] = {
    {TEXT_INIT("||"), TOKEN_OR},
    {TEXT_INIT("&&"), TOKEN_AND},
    {TEXT_INIT("=="), TOKEN_EQUAL},
    {TEXT_INIT("!="), TOKEN_UNEQUAL},
    {TEXT_INIT("<="), TOKEN_LESS_EQUAL},
    {TEXT_INIT("<"), TOKEN_LESS},
    {TEXT_INIT(">="), TOKEN_GREATER_EQUAL},
    {TEXT_INIT(">"), TOKEN_GREATER},
    {TEXT_INIT("+"), TOKEN_PLUS},
    {TEXT_INIT("-"), TOKEN_MINUS},
    {TEXT_INIT("*"), TOKEN_STAR},
    {TEXT_INIT("/"), TOKEN_SLASH},
    {TEXT_INIT("%"), TOKEN_PERCENT},
    {TEXT_INIT("!"), TOKEN_NOT},
    {TEXT_INIT("?"), TOKEN_QUESTION},
    {TEXT_INIT(":"), TOKEN_COLON},
    {TEXT_INIT(","), TOKEN_COMMA},
    {TEXT_INIT("."), TOKEN_DOT},
    {TEXT_INIT("("), TOKEN_OPEN},
    {TEXT_INIT(")"), TOKEN_CLOSE},
    {TEXT_INIT("["), TOKEN_OPEN_BRACKET},
    {TEXT_INIT("]"), TOKEN_CLOSE_BRACKET},
    {TEXT_INIT("{"), TOKEN_OPEN_BRACE},
    {TEXT_INIT("}"), TOKEN_CLOSE_BRACE},
};

static struct token lex_sign(struct source *source, size_t at)
{
    struct text rest = text_slice(source->text, at, source->text.size);
    for (size_t i = 0; i < COUNT_OF(signs); i++)
        if (text_starts_with(rest, signs[i].sign))
            return (struct token){.kind = signs[i].kind, .at = at, .end = at + signs[i].sign.size};
    char c = rest.at[0];
    const char *hint = c == '='   ? "; equality is written =="
                       : c == '&' ? "; and is written &&"
                       : c == '|' ? "; or is written ||"
                                  : "";
    if (c > ' ' && c < 0x7f)
        source_fail(source, at, "'%c' has no meaning here%s", c, hint);
    else
        source_fail(source, at, "a character that has no meaning outside of a string");
    return failed(at);
}

bool lexer_at_digit(const struct source *source, size_t at)
{
    at = skip_blanks(source->text, at);
    return at < source->text.size && char_is_digit(source->text.at[at]);
}

struct token lexer_next(struct source *source, size_t at, bool minus)
{
    struct text t = source->text;
    at = skip_blanks(t, at);
    if (at >= t.size)
        return (struct token){.kind = TOKEN_END, .at = t.size, .end = t.size};
    bool bytes, raw;
    size_t quote = string_prefix(t, at, &bytes, &raw);
    if (quote != TEXT_NONE)
        return lex_string(source, at, quote, bytes, raw);
    char c = t.at[at];
    if (is_name_start(c)) {
        size_t end = at + 1;
        while (end < t.size && is_name_part(t.at[end]))
            end++;
        struct text name = text_slice(t, at, end);
        return (struct token){.kind = name_kind(name), .at = at, .end = end, .name = name};
    }
    if (char_is_digit(c) || (c == '.' && at + 1 < t.size && char_is_digit(t.at[at + 1]))) {
        struct token number = {.kind = TOKEN_LITERAL, .at = at};
        return literal_number(source, &number, minus) ? number : failed(at);
    }
    if (c == '`')
        return lex_quoted_name(source, at);
    return lex_sign(source, at);
}
