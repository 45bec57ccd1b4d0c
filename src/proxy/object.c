/* Making and freeing objects. */
#include "proxy/object.h"

#include "base/memory.h"

struct object *object_new(struct text name, uint64_t hash, uint64_t serial, size_t block_size)
{
    struct object *object = memory_zero(sizeof *object);
    if (!object)
        return NULL;
    arena_init(&object->arena, block_size, 0);
    object->hash = hash;
    object->serial = serial;
    object->refs = 1;
    object->name = arena_copy(&object->arena, name);
    list_init(&object->link);
    return object;
}

void object_unref(struct object *object)
{
    if (!object || --object->refs > 0)
        return;
    arena_release(&object->arena);
    memory_free(object);
}

bool object_is_current(const struct object *object, uint64_t hash)
{
    if (object->hash != hash || !object->value)
        return false;
    for (const struct file_stamp *stamp = object->files; stamp; stamp = stamp->next)
        if (!stamp->is_settled || !file_stamp_is_current(stamp))
            return false;
    return true;
}

size_t object_bytes(const struct object *object)
{
    return sizeof *object + object->arena.used;
}
