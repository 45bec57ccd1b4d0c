/* Gathers bytes in one piece. */
#include "net/whole.h"

#include "base/memory.h"

static bool move_to_heap(struct whole *whole, struct buffer_pool *pool, size_t room)
{
    size_t more = whole->buffer ? room : room - whole->room;
    if (!buffer_budget_take(pool->budget, more))
        return false;
    char *larger = memory_resize(whole->buffer ? NULL : whole->at, room);
    if (!larger) {
        buffer_budget_give(pool->budget, more);
        return false;
    }
    if (whole->buffer) {
        memcpy(larger, whole->at, whole->size);
        buffer_give(pool, whole->buffer);
        whole->buffer = NULL;
    }
    whole->at = larger;
    whole->room = room;
    return true;
}

static bool make_room(struct whole *whole, struct buffer_pool *pool, size_t size)
{
    if (!whole->at && size <= BUFFER_ROOM) {
        if (!(whole->buffer = buffer_take(pool)))
            return false;
        whole->at = whole->buffer->at;
        whole->room = BUFFER_ROOM;
        return true;
    }
    size_t room = whole->room > BUFFER_ROOM ? whole->room : BUFFER_SIZE;
    while (room < size && !__builtin_mul_overflow(room, (size_t)2, &room))
        continue;
    return room >= size && move_to_heap(whole, pool, room);
}

bool whole_add(struct whole *whole, struct buffer_pool *pool, struct text piece)
{
    size_t size;
    if (__builtin_add_overflow(whole->size, piece.size, &size))
        return false;
    if ((size > whole->room || !whole->at) && !make_room(whole, pool, size))
        return false;
    if (piece.size)
        memcpy(whole->at + whole->size, piece.at, piece.size);
    whole->size = size;
    return true;
}

void whole_release(struct whole *whole, struct buffer_pool *pool)
{
    if (whole->buffer) {
        buffer_give(pool, whole->buffer);
    } else if (whole->at) {
        buffer_budget_give(pool->budget, whole->room);
        memory_free(whole->at);
    }
    *whole = (struct whole){.at = NULL};
}
