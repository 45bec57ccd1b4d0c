/* Reads configuration files into one tree: YAML and JSON by libyaml, includes, references, within limits. */
#pragma once

#include "config/node.h"
#include "config/report.h"

struct document_limits {
    size_t bytes_max;   /* of one file; default 256 MiB */
    uint32_t depth_max; /* default 64 */
    uint64_t nodes_max; /* alias expansion included; default 20 million */
};

/* Watched names: every file that was read, globs' folders and ${file:} targets, so that `watch: true` knows what to look at. */
struct document {
    struct node root; /* a map; objects of included files merged into it, a clash reported with both places */
    struct text *files; /* absolute paths */
    size_t files_count;
};

/* Reads `path` and what it includes. References `${env:NAME}`, `${env:NAME:-default}`, `${file:PATH}` (relative to the file that
 * names it; one trailing newline is dropped) are resolved in scalars; `$${` is a literal `${`; other `${...}` are templates and stay.
 * False: the report says why. An empty document is an error. */
bool document_read(const char *path, const struct document_limits *limits, struct arena *arena,
                   struct report *report, struct document *ret_document);

/* The same from memory (name for messages), without includes; for the admin API, tests and fuzzers. */
bool document_parse(struct text yaml, struct text name, const struct document_limits *limits,
                    struct arena *arena, struct report *report, struct document *ret_document);
