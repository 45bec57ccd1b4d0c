/* Finding equal keys without a loop in a loop; small maps, which are nearly all, stay on the stack. */
#include "config/key_index.h"

#include "base/memory.h"

bool key_index_init(struct key_index *index, size_t count)
{
    size_t capacity = 2 * KEY_INDEX_FEW;
    index->slots = index->few;
    if (count > KEY_INDEX_FEW) {
        while (capacity < 2 * count)
            capacity *= 2;
        index->slots = memory_array(capacity, sizeof *index->slots);
    } else {
        memset(index->few, 0, sizeof index->few);
    }
    index->mask = capacity - 1;
    return index->slots;
}

void key_index_release(struct key_index *index)
{
    if (index->slots != index->few)
        memory_free(index->slots);
}

const struct node *key_index_put(struct key_index *index, const struct node *key)
{
    size_t at = key->hash & index->mask;
    for (; index->slots[at]; at = (at + 1) & index->mask)
        if (index->slots[at]->hash == key->hash && text_equal(index->slots[at]->text, key->text))
            return index->slots[at];
    index->slots[at] = key;
    return NULL;
}
