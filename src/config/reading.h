/* One reading of a configuration (room-private): what the makers of the tree share. */
#pragma once

#include "base/error.h"
#include "base/table.h"
#include "config/document.h"
#include "config/source.h"

struct reading {
    struct arena *arena;
    struct report *report;
    struct document_limits limits;
    size_t bytes_total;   /* of all files, those of ${file:} included; within limits.bytes_max */
    uint64_t nodes_count; /* of all files, with what aliases stand for */
    uint32_t sources_count;
    struct source *source;      /* the newest */
    struct document_skip *skip; /* NULL: every file is read */
    struct file_stamp *files;   /* watched, absolute */
    size_t files_count, files_capacity;
    struct table files_seen;
};

void reading_init(struct reading *reading, const struct document_limits *limits, struct arena *arena,
                  struct report *report);
void reading_release(struct reading *reading);

/* Adds the absolute form of a path to the watched ones, once, as the file is now. False: no memory. */
bool reading_watch(struct reading *reading, struct text path);

/* Absolute form of `path`, which is relative to `folder` unless it starts with '/'; zero-terminated. Empty: no memory. */
struct text reading_path(struct reading *reading, struct text folder, struct text path);

/* Reads a whole regular file of at most `bytes_max` bytes into the arena; a zero byte follows. False: `*reterr_error` says why. */
bool reading_file(struct reading *reading, struct text path, size_t bytes_max, struct text *ret_content,
                  struct error *reterr_error);

/* A source in the arena, NULL: no memory. */
struct source *reading_source(struct reading *reading, struct text name, struct text folder,
                              struct text content);

/* Parses a source into a tree (yaml.c). False: the report says why, or there is no memory. */
bool tree_build(struct reading *reading, const struct source *source, struct node *ret_root);

/* Resolves the references in a scalar (reference.c). False: the report says why, or there is no memory. */
bool reference_resolve(struct reading *reading, struct node *scalar);

/* Puts in what `<<` keys name (merge_key.c). False: the report says why, or there is no memory. */
bool merge_keys(struct reading *reading, struct node *map);

/* Content hashes (node_hash.c). A key is text, whatever it looks like. */
uint64_t node_hash_key(struct text key);
uint64_t node_hash_scalar(const struct node *scalar);
uint64_t node_hash_children(const struct node *list_or_map);

/* The plain scalars that are null, and those that are null, a boolean or a number, as the core schema of YAML 1.2 has them. */
bool scalar_is_null(struct text plain);
bool scalar_is_typed(struct text plain);
