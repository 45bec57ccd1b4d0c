/* Hash table from text to pointer: open addressing, keys are not copied (whoever puts them keeps them alive). Not for the request
 * path of untrusted growth: it has no limit of its own. One thread at a time, or read-only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

struct table_slot {
    struct text key;
    void *value; /* NULL: free */
    size_t hash;
};

struct table {
    struct table_slot *slots;
    size_t count, capacity; /* a power of two, or 0 */
};

void table_init(struct table *table);    /* allocates nothing */
void table_release(struct table *table); /* the values are the caller's */

/* NULL: not there. */
void *table_get(const struct table *table, struct text key);

/* Makes room for `more` keys, so that as many new ones can be put without fail. False: no memory, the table is unchanged. */
bool table_reserve(struct table *table, size_t more);

/* Puts or replaces, the key too; `value` must not be NULL. False: no memory, the table is unchanged. */
bool table_put(struct table *table, struct text key, void *value);

/* Takes a key out and returns its value, NULL if it was not there. */
void *table_remove(struct table *table, struct text key);

/* Walks in no particular order: start with *cursor = 0, NULL at the end. The table must not change meanwhile. */
const struct table_slot *table_next(const struct table *table, size_t *cursor);
