/* One configured thing of a snapshot (a listener, a service, a route, ...), compiled, with the arena that holds it.
 *
 * Objects are immutable once built; snapshots share those whose configuration did not change. The control thread's. */
#pragma once

#include <stdint.h>

#include "base/arena.h"
#include "base/list.h"
#include "config/file_stamp.h"

struct object {
    struct text name;
    uint64_t hash;      /* of its tree and of the objects that it was built from */
    uint64_t serial;    /* unique in the process */
    unsigned refs;      /* snapshots that have it; not for routes: see route_book.h */
    uint32_t seen;      /* the route book's: the last edit that met it */
    struct arena arena; /* holds `value` and all it points to */
    void *value;
    const struct file_stamp *files; /* it was made from these too */
    struct book_file *file;         /* the route book's: where it stands */
    struct list link;               /* the route book's: among those that left */
};

/* With one reference; blocks of the arena have `block_size` bytes. NULL: no memory. */
struct object *object_new(struct text name, uint64_t hash, uint64_t serial, size_t block_size);

/* Frees it with the last reference. NULL is allowed. */
void object_unref(struct object *object);

/* True: nothing that it was made from has changed, if its tree has that hash now. */
bool object_is_current(const struct object *object, uint64_t hash);

size_t object_bytes(const struct object *object);
