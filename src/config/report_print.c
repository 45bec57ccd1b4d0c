/* Findings for people and for programs. */
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "config/report.h"
#include "config/source.h"

enum { QUOTED_COLUMNS_MAX = 100, ESCAPED_ROOM = 8192 };

static int compare_places(const struct finding *a, const struct finding *b)
{
    uint64_t x[] = {a->place.source ? a->place.source->order + 1u : 0, a->place.line, a->place.column};
    uint64_t y[] = {b->place.source ? b->place.source->order + 1u : 0, b->place.line, b->place.column};
    for (size_t i = 0; i < COUNT_OF(x); i++)
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    return 0;
}

/* The findings in the order of the files; `sorted` has room for all. An insertion sort: they are few, and nearly sorted. */
static size_t sort(const struct report *report, const struct finding *sorted[REPORT_FINDINGS_MAX])
{
    size_t count = 0;
    for (const struct finding *finding = report->first; finding; finding = finding->next) {
        size_t at = count++;
        for (; at > 0 && compare_places(sorted[at - 1], finding) > 0; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = finding;
    }
    return count;
}

/* Keys and values come from files, perhaps of others: no control characters on a terminal, no second line in a log. */
static void print_safely(FILE *to, struct text text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c == '\n')
            fputs("\\n", to);
        else if (c == '\t')
            fputc(' ', to);
        else if (c < 0x20 || c == 0x7f)
            fprintf(to, "\\x%02x", c);
        else
            fputc(c, to);
    }
}

static bool is_hidden(const struct report *report, struct place place)
{
    for (const struct report_hidden *hidden = report->hidden; hidden; hidden = hidden->next)
        if (hidden->source == place.source && hidden->first_line <= place.line
            && place.line <= hidden->last_line)
            return true;
    return false;
}

static void print_line(FILE *to, struct place place)
{
    struct text line = source_line(place.source, place.line);
    size_t column = place.column - 1,
           from = column < QUOTED_COLUMNS_MAX - 20 ? 0 : column - QUOTED_COLUMNS_MAX / 2;
    if (!line.at || !text_trim(line).size)
        return;
    line = text_slice(line, source_offset(line, (uint32_t)from + 1), line.size);
    fprintf(to, "%6u | ", place.line);
    print_safely(to, text_slice(line, 0, source_offset(line, QUOTED_COLUMNS_MAX + 1)));
    fprintf(to, "\n       | %*s^\n", (int)(column - from), "");
}

static void print_finding(const struct report *report, const struct finding *finding, bool quote_lines,
                          FILE *to)
{
    struct place place = finding->place;
    struct text name = source_name(place.source);
    print_safely(to, name);
    if (name.size && place.line)
        fprintf(to, ":%u:%u", place.line, place.column);
    if (name.size)
        fputs(": ", to);
    fputs(finding->severity == SEVERITY_ERROR ? "error: " : "warning: ", to);
    if (finding->path.size) {
        print_safely(to, finding->path);
        fputs(": ", to);
    }
    print_safely(to, finding->said);
    fputc('\n', to);
    if (quote_lines && place.source && place.line && place.column && !is_hidden(report, place))
        print_line(to, place);
}

void report_print_lines(const struct report *report, bool quote_lines, FILE *to)
{
    const struct finding *sorted[REPORT_FINDINGS_MAX];
    size_t count = sort(report, sorted);
    for (size_t i = 0; i < count; i++)
        print_finding(report, sorted[i], quote_lines, to);
    if (report->dropped)
        fprintf(to, "and %u more\n", report->dropped);
}

void report_print(const struct report *report, FILE *to)
{
    report_print_lines(report, fileno(to) >= 0 && isatty(fileno(to)), to);
}

static void print_json_text(FILE *to, const char *name, struct text text)
{
    char escaped[ESCAPED_ROOM];
    size_t size = log_escape_json(text, escaped, sizeof escaped);
    fprintf(to, "\"%s\":\"%.*s\"", name, (int)size, escaped);
}

void report_print_json(const struct report *report, FILE *to)
{
    const struct finding *sorted[REPORT_FINDINGS_MAX];
    size_t count = sort(report, sorted);
    fputc('[', to);
    for (size_t i = 0; i < count; i++) {
        const struct finding *finding = sorted[i];
        fputs(i ? ",\n {" : "\n {", to);
        print_json_text(to, "file", source_name(finding->place.source));
        fprintf(to, ",\"line\":%u,\"column\":%u,\"severity\":\"%s\",", finding->place.line,
                finding->place.column, finding->severity == SEVERITY_ERROR ? "error" : "warning");
        print_json_text(to, "path", finding->path);
        fputc(',', to);
        print_json_text(to, "message", finding->said);
        fputc('}', to);
    }
    fputs("\n]\n", to);
}
