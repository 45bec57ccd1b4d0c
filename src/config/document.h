/* Reads configuration files into one tree: YAML and JSON by libyaml, includes, references, within limits. */
#pragma once

#include "config/file_stamp.h"
#include "config/node.h"
#include "config/report.h"

struct document_limits {
    size_t bytes_max;   /* of one file; default 256 MiB */
    uint32_t depth_max; /* default 64 */
    uint64_t nodes_max; /* alias expansion included; default 20 million */
};

/* One file of a document: the main one first, then the included ones in their order. */
struct document_part {
    struct text path;            /* as it was opened */
    const struct source *source; /* of its nodes' places; NULL: skipped */
    struct file_stamp stamp;     /* taken before it was read */
    bool
        depends_on_itself_alone; /* included, and no ${file:} or ${vault:} in it: the same file gives the same nodes */
    struct text only_key; /* at its top level; .at NULL: there are several, or none */
};

/* Watched names: every file that was read, the patterns of `include` (up to the first part with a special character) and ${file:} targets, each
 * as it was before it was read, so that `watch: true` knows what to look at. */
struct document {
    struct node root; /* a map; objects of included files merged into it, a clash reported with both places */
    struct file_stamp *files; /* absolute paths */
    size_t files_count;
    struct document_part *parts;
    size_t parts_count;
};

/* For a reader who knows what is in some included files. True: `path` need not be read, its objects are as they were. */
struct document_skip {
    bool (*may)(const void *context, struct text path);
    const void *context;
    size_t
        skipped_count; /* files that were left out, set by the reading, which may have failed for other reasons */
};

/* Reads `path` and what it includes. References `${env:NAME}`, `${env:NAME:-default}`, `${file:PATH}` (relative to the file that
 * names it; one trailing newline is dropped) are resolved in scalars; `$${` is a literal `${`; other `${...}` are templates and stay.
 * False: the report says why. An empty document is an error. */
bool document_read(const char *path, const struct document_limits *limits, struct arena *arena,
                   struct report *report, struct document *ret_document);

/* The same, but for included files that `skip` says may be left out: they are parts without a source, and what is in them is not in the
 * tree, so names that clash with theirs are not found here. */
bool document_read_changed(const char *path, const struct document_limits *limits, struct document_skip *skip,
                           struct arena *arena, struct report *report, struct document *ret_document);

/* One file alone that holds any kind of value, without includes: for lists that are kept outside the configuration. */
bool document_read_value(const char *path, const struct document_limits *limits, struct arena *arena,
                         struct report *report, struct node *ret_root);

/* The same from memory (name for messages), without includes; for the admin API, tests and fuzzers. */
bool document_parse(struct text yaml, struct text name, const struct document_limits *limits,
                    struct arena *arena, struct report *report, struct document *ret_document);
