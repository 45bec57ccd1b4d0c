/* Bytes that arrive in pieces and are needed in one: a body that is kept whole. What it takes is charged to the budget of the buffers.
 *
 * Small ones live in a buffer of the worker's pool, so that in steady state nothing is allocated; larger ones in memory of their own,
 * which doubles. Zeroed is empty. */
#pragma once

#include <stdbool.h>

#include "base/text.h"
#include "net/buffer_pool.h"

struct whole {
    char *at; /* NULL: nothing was ever kept */
    size_t size, room;
    struct buffer *buffer; /* where `at` is, while it is small */
};

/* Appends. False: the budget is used up, or there is no memory; what was kept before stays. The bytes may move. */
bool whole_add(struct whole *whole, struct buffer_pool *pool, struct text piece);

/* Gives all memory back; it is empty again. */
void whole_release(struct whole *whole, struct buffer_pool *pool);

static inline struct text whole_text(const struct whole *whole)
{
    return whole->at ? (struct text){whole->at, whole->size} : TEXT("");
}
