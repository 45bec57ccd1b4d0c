/* Several files become one tree (room-private). */
#pragma once

#include "config/reading.h"

/* The tree of one file, the main one first. */
struct part {
    struct part *next;
    struct node root; /* a map */
};

/* Joins the parts by top-level key: maps entry by entry, anything else may be in one file only. False: the report says why. */
bool merge_documents(struct reading *reading, const struct part *parts, struct node *ret_root);
