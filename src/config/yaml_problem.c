/* libyaml speaks of tokens; people want to know what to change. Each of its usual complaints has our words beside it. */
#include "config/yaml_problem.h"

#include "base/check.h"

static const struct wording {
    const char *problem; /* libyaml's, its beginning */
    const char *said;
} wordings[] = {
    {"mapping values are not allowed",
     "a `:` stands where no key can be: put text that holds `: ` in quotes, or mend the indentation"},
    {"could not find expected ':'",
     "a key without its `:` (write `key: value`), or text over several lines without quotes"},
    {"did not find expected ',' or '}'",
     "a map in `{ }` is not closed here, or a `,` is missing (put text that holds any of `{}[],` in quotes)"},
    {"did not find expected ',' or ']'",
     "a list in `[ ]` is not closed here, or a `,` is missing (put text that holds any of `{}[],` in quotes)"},
    {"did not find expected key",
     "this does not fit the map above: is the indentation right, or text half in quotes?"},
    {"did not find expected '-' indicator",
     "this does not fit the list above: items start with `- ` in one column"},
    {"block sequence entries are not allowed",
     "a list item `- ` cannot stand here: start it on a line of its own"},
    {"did not find expected node content", "a value is missing here"},
    {"found undefined tag handle", "tags such as !name are not used here"},
    {"found unexpected end of stream", "the file ends within text in quotes: the closing quote is missing"},
    {"found unexpected document indicator",
     "`---` stands within text in quotes: the closing quote is missing"},
    {"found unknown escape character",
     "unknown escape after `\\` (use single quotes, where `\\` is plain, or `\\\\`)"},
    {"exceeded max depth", "nested too deeply"},
    {"found undefined alias", "no anchor of this name stands before"},
};

/* The rest of the source at the parser's complaint. */
static struct text rest_at(const struct source *source, yaml_mark_t mark, struct text *ret_before)
{
    struct text line = source_line(source, (uint32_t)mark.line + 1);
    size_t offset = source_offset(line, (uint32_t)mark.column + 1);
    *ret_before = text_slice(line, 0, offset);
    return text_slice(line, offset, line.size);
}

static const char *wording_of(const struct source *source, const yaml_parser_t *parser)
{
    struct text before, rest = rest_at(source, parser->problem_mark, &before);
    if (text_starts_with(rest, TEXT("\t"))
        || text_find_char(before, '\t') < text_find(before, text_trim(before)))
        return "a tab stands here: YAML is indented with spaces";
    if (text_ends_with(text_trim(before), TEXT("$")) && text_starts_with(rest, TEXT("{")))
        return "put text with `${...}` in quotes within `{ }` and `[ ]`";
    if (rest.size && strchr("@`%", rest.at[0]) && strstr(parser->problem, "cannot start any token"))
        return "text that starts with this character needs quotes";
    for (size_t i = 0; i < COUNT_OF(wordings); i++)
        if (!strncmp(parser->problem, wordings[i].problem, strlen(wordings[i].problem)))
            return wordings[i].said;
    return NULL;
}

static void report_bytes(struct reading *reading, const struct source *source, const yaml_parser_t *parser)
{
    size_t mark =
        text_starts_with(source->content, TEXT("\xef\xbb\xbf")) ? 3 : 0; /* tree_build() took it off */
    struct place place = source_place(source, mark + parser->problem_offset);
    if (parser->problem_value == 0)
        report_error(reading->report, place, TEXT(""), "a zero byte: this is not a text file");
    else if (strstr(parser->problem, "UTF-8") || parser->problem_value < 0)
        report_error(reading->report, place, TEXT(""), "this is not UTF-8 text (%s)", parser->problem);
    else
        report_error(reading->report, place, TEXT(""),
                     "the character U+%04X is not allowed here: write it as an escape in double quotes",
                     (unsigned)parser->problem_value);
}

void yaml_problem_report(struct reading *reading, const struct source *source, const yaml_parser_t *parser)
{
    if (parser->error == YAML_MEMORY_ERROR) {
        report_error(reading->report, (struct place){.source = source}, TEXT(""), "out of memory");
        return;
    }
    if (parser->error == YAML_READER_ERROR) {
        report_bytes(reading, source, parser);
        return;
    }
    const char *said = wording_of(source, parser);
    struct place place = yaml_place(source, parser->problem_mark);
    bool elsewhere = parser->context && parser->context_mark.line < parser->problem_mark.line;
    if (elsewhere)
        report_error(reading->report, place, TEXT(""), "%s (%s that begins on line %zu)",
                     said ? said : parser->problem, parser->context, parser->context_mark.line + 1);
    else
        report_error(reading->report, place, TEXT(""), "%s", said ? said : parser->problem);
}
