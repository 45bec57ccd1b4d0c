/* All that is wrong with a configuration, in one run: errors and warnings with place, path, value and remedy. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "config/node.h"

enum severity { SEVERITY_ERROR, SEVERITY_WARNING };

struct finding {
    struct finding *next;
    enum severity severity;
    struct place place;
    struct text path; /* "routes.read-order.policies[1].rate-limit.limit" */
    struct text said; /* what is wrong and what to do, one or two sentences */
};

/* Lines of a file that are never quoted, because secrets are written on them. */
struct report_hidden {
    struct report_hidden *next;
    const struct source *source;
    uint32_t first_line, last_line;
};

/* Grows in its arena; at most REPORT_FINDINGS_MAX are kept, the rest is counted. Warnings take no more than REPORT_WARNINGS_MAX of
 * them, so that they never crowd out an error. */
struct report {
    struct arena *arena;
    struct finding *first, *last;
    uint32_t errors, warnings, dropped;
    uint32_t kept, kept_warnings;
    struct report_hidden *hidden;
};

enum { REPORT_FINDINGS_MAX = 200, REPORT_WARNINGS_MAX = 50 };

void report_init(struct report *report, struct arena *arena);
void report_error(struct report *report, struct place place, struct text path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void report_warning(struct report *report, struct place place, struct text path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The line of `place` is never quoted by report_print(): binders call it for secrets that are written out in the file. */
void report_hide_line(struct report *report, struct place place);

/* "file:line:column: error: path: said" for people, in the order of the files. On a terminal each comes with its source line and a caret
 * below the cause. Elsewhere it does not: what is broken may hold a secret that no table knows of, and logs are read by others. */
void report_print(const struct report *report, FILE *to);

/* The same, with the choice left to the caller. Lines that were hidden stay so. */
void report_print_lines(const struct report *report, bool quote_lines, FILE *to);

/* A JSON array of {"file","line","column","severity","path","message"} and a newline. */
void report_print_json(const struct report *report, FILE *to);
