/* Finds equal keys among many (room-private): open addressing over the keys' hashes, for one pass. */
#pragma once

#include "config/node.h"

enum { KEY_INDEX_FEW = 16 };

struct key_index {
    const struct node **slots;
    size_t mask;
    const struct node *few[2 * KEY_INDEX_FEW];
};

/* For at most `count` keys. False: no memory. Not to be moved. */
bool key_index_init(struct key_index *index, size_t count);
void key_index_release(struct key_index *index);

/* Puts `key` in and returns NULL, or returns the equal one that is there already. */
const struct node *key_index_put(struct key_index *index, const struct node *key);
