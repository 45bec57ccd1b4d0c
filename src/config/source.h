/* One file that was read (room-private): its name, its text for as long as the tree lives, and how a place is found in it. */
#pragma once

#include "config/node.h"

struct source {
    struct text name;   /* for messages */
    struct text folder; /* absolute, what relative references are relative to; empty: the working directory */
    struct text content;
    bool has_file_references; /* ${file:} or ${vault:}: what they name may change while the file does not */
    uint32_t order;           /* of reading, for sorting */
    uint32_t
        found_line; /* where source_line() was last, so that a long report does not read a long file for each of its lines */
    size_t found_offset;
};

/* Line `number` (from 1) without its line break; .at NULL: there is none. Lines end where YAML ends them. */
struct text source_line(const struct source *source, uint32_t number);

/* Place of the byte at `offset`. */
struct place source_place(const struct source *source, size_t offset);

/* Bytes before the character at `column` (from 1), or all of them. */
size_t source_offset(struct text line, uint32_t column);

/* Bytes of the UTF-8 character at the start of `t`, which is not empty; 1 for a malformed one. */
size_t source_character(struct text t);

/* Bytes of the line break at the start of `t`: LF, CR, CR LF, NEL, LS or PS (YAML 1.1 section 4.1.4); 0: none. */
size_t source_break(struct text t);
