/* See the header: slots in the order of the hash, linear probing. */
#include "proxy/consumer_index.h"

#include "base/check.h"

bool consumer_index_init(struct consumer_index *index, struct arena *arena, size_t count)
{
    if (count > CONSUMER_INDEX_MAX)
        return false;
    size_t capacity = count + count / 2 + 4; /* one slot at least stays free: a walk ends there */
    *index = (struct consumer_index){.slots = arena_array(arena, capacity, sizeof *index->slots),
                                     .capacity = capacity};
    return index->slots != NULL;
}

void consumer_index_put(struct consumer_index *index, uint64_t hash, uint32_t number)
{
    uint64_t at = consumer_index_home(index, hash);
    for (uint64_t tried = 0; index->slots[at] != 0; tried++) {
        CHECK(tried < index->capacity);
        at = at + 1 == index->capacity ? 0 : at + 1;
    }
    index->slots[at] = hash << 32 | (number + 1);
}

uint32_t consumer_index_next(const struct consumer_index *index, struct consumer_walk *walk)
{
    if (index->capacity == 0)
        return UINT32_MAX;
    for (;;) {
        uint64_t slot = index->slots[walk->at];
        if (slot == 0)
            return UINT32_MAX;
        walk->at = walk->at + 1 == index->capacity ? 0 : walk->at + 1;
        if ((uint32_t)(slot >> 32) == walk->tag)
            return (uint32_t)slot - 1;
    }
}
