/* Collecting findings. Without memory for one it still counts, so that a failure is never taken for success. */
#include "config/report.h"

#include <stdarg.h>

#include "base/check.h"

enum { SAID_BYTES_MAX = 1000, HIDDEN_GAP_LINES = 8 };

void report_init(struct report *report, struct arena *arena)
{
    *report = (struct report){.arena = arena};
}

static void add(struct report *report, enum severity severity, struct place place, struct text path,
                struct text said)
{
    bool is_warning = severity == SEVERITY_WARNING;
    struct finding *finding = ARENA_NEW(report->arena, struct finding);
    if (!finding) {
        report->dropped++;
        return;
    }
    *finding = (struct finding){
        .severity = severity,
        .place = place,
        .path = arena_copy(report->arena, path),
        .said = arena_copy(report->arena, said),
    };
    *(report->last ? &report->last->next : &report->first) = finding;
    report->last = finding;
    report->kept++;
    report->kept_warnings += is_warning;
}

__attribute__((format(printf, 5, 0))) static void add_formatted(struct report *report, enum severity severity,
                                                                struct place place, struct text path,
                                                                const char *format, va_list arguments)
{
    char said[SAID_BYTES_MAX];
    int size = vsnprintf(said, sizeof said, format, arguments);
    size_t kept = size < 0 ? 0 : MIN_OF((size_t)size, sizeof said - 1);
    while (kept && (size_t)size > kept && ((unsigned char)said[kept - 1] & 0x80))
        kept--; /* cut, and perhaps within a character */
    add(report, severity, place, path, (struct text){said, kept});
}

void report_error(struct report *report, struct place place, struct text path, const char *format, ...)
{
    report->errors++;
    if (report->kept >= REPORT_FINDINGS_MAX) {
        report->dropped++;
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    add_formatted(report, SEVERITY_ERROR, place, path, format, arguments);
    va_end(arguments);
}

void report_warning(struct report *report, struct place place, struct text path, const char *format, ...)
{
    report->warnings++;
    if (report->kept >= REPORT_FINDINGS_MAX || report->kept_warnings >= REPORT_WARNINGS_MAX) {
        report->dropped++;
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    add_formatted(report, SEVERITY_WARNING, place, path, format, arguments);
    va_end(arguments);
}

/* Neighbours share an entry, lines between them included: a million consumers have a million secrets. */
void report_hide_line(struct report *report, struct place place)
{
    struct report_hidden *last = report->hidden;
    if (!place.source)
        return;
    if (last && last->source == place.source && place.line >= last->first_line
        && place.line <= (uint64_t)last->last_line + HIDDEN_GAP_LINES) {
        last->last_line = MAX_OF(last->last_line, place.line);
        return;
    }
    struct report_hidden *hidden = ARENA_NEW(report->arena, struct report_hidden);
    if (!hidden)
        return; /* the reading fails, and its report with it */
    *hidden = (struct report_hidden){last, place.source, place.line, place.line};
    report->hidden = hidden;
}
