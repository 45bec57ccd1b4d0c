/* A bounded first-in-first-out row of numbers for many threads without locks (Vyukov's bounded MPMC queue): each cell has a turn, that says
 * whose it is. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct row_cell {
    _Atomic uint32_t turn;
    _Atomic uint32_t value;
};

struct row {
    struct row_cell *cells;
    uint32_t mask; /* cells less one; a power of two less one */
    _Alignas(64) _Atomic uint32_t head;
    _Alignas(64) _Atomic uint32_t tail;
};

void row_init(struct row *row, struct row_cell *cells, uint32_t count); /* a power of two */
bool row_push(struct row *row, uint32_t value);                         /* false: full */
bool row_pop(struct row *row, uint32_t *ret_value);                     /* false: empty */

/* Pops the first one if it is wanted. False: it is not, or there is none. */
bool row_pop_if(struct row *row, bool (*wanted)(uint32_t value, void *context), void *context,
                uint32_t *ret_value);
bool row_is_empty(const struct row *row);
