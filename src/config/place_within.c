/* Where in the file a character of a scalar's text stands: the way back through quotes, escapes, folding and indentation.
 *
 * Only errors ask, so it reads the source again instead of the tree carrying an offset per character. */
#include "base/check.h"
#include "config/node.h"
#include "config/source.h"

/* A way through the lines of the source, and how far the text has come. */
struct walk {
    const struct source *source;
    struct text rest; /* of the current line */
    struct place place;
    uint32_t line, column; /* in the text, of the character that comes next */
};

static struct text without_blanks_behind(struct text line)
{
    while (line.size && (line.at[line.size - 1] == ' ' || line.at[line.size - 1] == '\t'))
        line.size--;
    return line;
}

static bool next_line(struct walk *walk)
{
    struct text line = source_line(walk->source, walk->place.line + 1);
    if (!line.at)
        return false;
    walk->rest = without_blanks_behind(line);
    walk->place.line++;
    walk->place.column = 1;
    return true;
}

static void skip(struct walk *walk, size_t bytes)
{
    struct text skipped = text_slice(walk->rest, 0, bytes);
    while (skipped.size) {
        skipped = text_slice(skipped, source_character(skipped), skipped.size);
        walk->place.column++;
    }
    walk->rest = text_slice(walk->rest, bytes, walk->rest.size);
}

static void skip_spaces(struct walk *walk)
{
    size_t spaces = 0;
    while (spaces < walk->rest.size && (walk->rest.at[spaces] == ' ' || walk->rest.at[spaces] == '\t'))
        spaces++;
    skip(walk, spaces);
}

static bool is_reached(const struct walk *walk, uint32_t line, uint32_t column)
{
    return walk->line > line || (walk->line == line && walk->column >= column);
}

static void advance(struct walk *walk, bool line_break)
{
    walk->line += line_break;
    walk->column = line_break ? 1 : walk->column + 1;
}

/* Bytes in the source of the next character of a scalar in `quote`s (0: plain), 0 at its end. */
static size_t written_size(const struct walk *walk, char quote, bool *ret_line_break)
{
    struct text rest = walk->rest;
    *ret_line_break = false;
    if (quote == '\'' && rest.at[0] == '\'')
        return text_starts_with(rest, TEXT("''")) ? 2 : 0;
    if (quote == '"' && rest.at[0] == '"')
        return 0;
    if (quote != '"' || rest.at[0] != '\\' || rest.size < 2)
        return source_character(rest);
    *ret_line_break = rest.at[1] == 'n';
    return rest.at[1] == 'x' ? 4 : rest.at[1] == 'u' ? 6 : rest.at[1] == 'U' ? 10 : 2;
}

/* Plain and quoted: a line break of the source is a space of the text, with the blanks around it. No further than the text is long. */
static void walk_flow(struct walk *walk, char quote, size_t characters_max, uint32_t line, uint32_t column)
{
    for (size_t i = 0; i < characters_max && !is_reached(walk, line, column); i++) {
        if (!walk->rest.size) {
            if (!next_line(walk))
                return;
            skip_spaces(walk);
            advance(walk, false);
            continue;
        }
        bool line_break;
        size_t size = written_size(walk, quote, &line_break);
        if (!size)
            return;
        skip(walk, size);
        advance(walk, line_break);
    }
}

/* Blocks: after the header line, each line without the indentation of the first that has text. */
static void walk_block(struct walk *walk, bool folded, uint32_t line, uint32_t column)
{
    size_t indent = 0;
    bool indent_known = false;
    while (next_line(walk)) {
        struct text trimmed = text_trim(walk->rest);
        if (!indent_known && trimmed.size) {
            indent = (size_t)(trimmed.at - walk->rest.at);
            indent_known = true;
        }
        struct text kept = text_slice(walk->rest, indent, walk->rest.size);
        bool here = folded ? walk->column + kept.size >= column : walk->line == line;
        if (here) {
            size_t into = folded ? column - walk->column : column - 1;
            skip(walk, MIN_OF(indent + into, walk->rest.size));
            return;
        }
        walk->line += !folded;
        walk->column += folded ? (uint32_t)kept.size + 1 : 0;
    }
}

struct place node_place_within(const struct node *scalar, uint32_t line, uint32_t column)
{
    struct walk walk = {.source = scalar->place.source, .place = scalar->place, .line = 1, .column = 1};
    if (!walk.source || !walk.place.line || scalar->secret || !line || !column)
        return scalar->place;
    walk.rest = source_line(walk.source, walk.place.line);
    walk.rest = without_blanks_behind(
        text_slice(walk.rest, source_offset(walk.rest, walk.place.column), walk.rest.size));
    if (walk.rest.size && walk.rest.at[0] == '&') { /* an anchor stands before its scalar */
        skip(&walk, MIN_OF(text_find_char(walk.rest, ' '), walk.rest.size));
        skip_spaces(&walk);
    }
    if (!walk.rest.size)
        return scalar->place;
    char first = walk.rest.at[0];
    if (first == '|' || first == '>') {
        walk_block(&walk, first == '>', line, column);
        return walk.place;
    }
    bool is_quoted = first == '"' || first == '\'';
    skip(&walk, is_quoted);
    walk_flow(&walk, is_quoted ? first : 0, scalar->text.size, line, column);
    return walk.place;
}
