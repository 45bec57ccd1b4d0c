/* Places in a file: lines as YAML counts them, columns in characters. */
#include "config/source.h"

#include "base/check.h"

static const struct text byte_order_mark = TEXT_INIT("\xef\xbb\xbf");

size_t source_character(struct text t)
{
    unsigned char lead = (unsigned char)t.at[0];
    size_t size = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    return size <= t.size && text_is_utf8(text_slice(t, 0, size)) ? size : 1;
}

size_t source_break(struct text t)
{
    if (!t.size)
        return 0;
    if (t.at[0] == '\n')
        return 1;
    if (t.at[0] == '\r')
        return text_starts_with(t, TEXT("\r\n")) ? 2 : 1;
    if (t.at[0] == '\xc2')
        return text_starts_with(t, TEXT("\xc2\x85")) ? 2 : 0;
    if (t.at[0] == '\xe2')
        return text_starts_with(t, TEXT("\xe2\x80\xa8")) || text_starts_with(t, TEXT("\xe2\x80\xa9")) ? 3 : 0;
    return 0;
}

static struct text after_mark(struct text content)
{
    return text_slice(content, text_starts_with(content, byte_order_mark) ? byte_order_mark.size : 0,
                      content.size);
}

/* Offset of the next line break, or the size. */
static size_t find_break(struct text t, size_t from)
{
    for (size_t at = from; at < t.size; at++) {
        unsigned char c = (unsigned char)t.at[at];
        bool is_first = c == '\n' || c == '\r' || c == 0xc2 || c == 0xe2;
        if (is_first && source_break(text_slice(t, at, t.size)))
            return at;
    }
    return t.size;
}

struct text source_line(const struct source *source, uint32_t number)
{
    struct text content = after_mark(source->content);
    bool is_ahead = source->found_line && source->found_line <= number;
    size_t at = is_ahead ? source->found_offset : 0;
    uint32_t line = is_ahead ? source->found_line : 1;
    for (; line < number && at < content.size; line++) {
        at = find_break(content, at);
        at += source_break(text_slice(content, at, content.size));
    }
    if (line != number || at >= content.size)
        return (struct text){NULL, 0};
    struct source *remembers =
        (struct source *)(uintptr_t)source; /* const to those who read it; made by reading_source() */
    remembers->found_line = line;
    remembers->found_offset = at;
    return text_slice(content, at, find_break(content, at));
}

size_t source_offset(struct text line, uint32_t column)
{
    size_t at = 0;
    for (uint32_t characters = 0; at < line.size; at++) {
        characters += ((unsigned char)line.at[at] & 0xc0) != 0x80;
        if (characters == column)
            break;
    }
    return at;
}

struct place source_place(const struct source *source, size_t offset)
{
    struct text rest = after_mark(text_slice(source->content, 0, offset));
    struct place place = {source, 1, 1};
    while (rest.size) {
        size_t line_break = source_break(rest);
        rest = text_slice(rest, line_break ? line_break : source_character(rest), rest.size);
        place.line += line_break > 0;
        place.column = line_break ? 1 : place.column + 1;
    }
    return place;
}
