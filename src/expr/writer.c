/* Growing texts. */
#include "expr/writer.h"

#include "base/check.h"

bool writer_reserve(struct writer *writer, size_t count)
{
    if (writer->failed || count > SIZE_MAX / 4 || writer->size > SIZE_MAX / 4) {
        writer->failed = true;
        return false;
    }
    size_t room = MAX_OF(writer->size + count, MAX_OF(2 * writer->room, (size_t)64));
    char *to = arena_alloc(writer->arena, room);
    if (!to) {
        writer->failed = true;
        return false;
    }
    if (writer->size)
        memcpy(to, writer->at, writer->size);
    writer->at = to;
    writer->room = room;
    return true;
}
