/* Several files become one tree (room-private). */
#pragma once

#include "config/reading.h"

/* The tree of one file, the main one first. */
struct part {
    struct part *next;
    struct node root; /* a map, without a source where the file was skipped */
    struct text path;
    struct file_stamp stamp;
};

/* Joins the parts by top-level key: maps entry by entry, anything else may be in one file only. False: the report says why. */
bool merge_documents(struct reading *reading, const struct part *parts, struct node *ret_root);
