/* The row without locks. */
#include "upstream/row.h"

#include "base/check.h"

void row_init(struct row *row, struct row_cell *cells, uint32_t count)
{
    CHECK(count > 0 && (count & (count - 1)) == 0);
    row->cells = cells;
    row->mask = count - 1;
    atomic_init(&row->head, 0);
    atomic_init(&row->tail, 0);
    for (uint32_t i = 0; i < count; i++)
        atomic_init(&cells[i].turn, i);
}

bool row_push(struct row *row, uint32_t value)
{
    uint32_t at = atomic_load_explicit(&row->tail, memory_order_relaxed);
    for (;;) { /* each round that fails is another thread's success */
        struct row_cell *cell = &row->cells[at & row->mask];
        int32_t ahead = (int32_t)(atomic_load_explicit(&cell->turn, memory_order_acquire) - at);
        if (ahead < 0)
            return false;
        if (ahead > 0) {
            at = atomic_load_explicit(&row->tail, memory_order_relaxed);
        } else if (atomic_compare_exchange_weak_explicit(&row->tail, &at, at + 1, memory_order_relaxed,
                                                         memory_order_relaxed)) {
            atomic_store_explicit(&cell->value, value, memory_order_relaxed);
            atomic_store_explicit(&cell->turn, at + 1, memory_order_release);
            return true;
        }
    }
}

bool row_pop_if(struct row *row, bool (*wanted)(uint32_t value, void *context), void *context,
                uint32_t *ret_value)
{
    uint32_t at = atomic_load_explicit(&row->head, memory_order_relaxed);
    for (;;) {
        struct row_cell *cell = &row->cells[at & row->mask];
        int32_t ahead = (int32_t)(atomic_load_explicit(&cell->turn, memory_order_acquire) - (at + 1));
        uint32_t value = atomic_load_explicit(&cell->value, memory_order_relaxed);
        if (ahead < 0)
            return false;
        if (ahead > 0) {
            at = atomic_load_explicit(&row->head, memory_order_relaxed);
        } else if (wanted && !wanted(value, context)) {
            return false;
        } else if (atomic_compare_exchange_weak_explicit(&row->head, &at, at + 1, memory_order_relaxed,
                                                         memory_order_relaxed)) {
            *ret_value = value; /* nobody took it meanwhile, so it is what was looked at */
            atomic_store_explicit(&cell->turn, at + row->mask + 1, memory_order_release);
            return true;
        }
    }
}

bool row_pop(struct row *row, uint32_t *ret_value)
{
    return row_pop_if(row, NULL, NULL, ret_value);
}

bool row_is_empty(const struct row *row)
{
    return atomic_load(&row->head) == atomic_load(&row->tail);
}
