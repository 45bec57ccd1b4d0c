/* Which files an object was made from, and whether they are still the same. */
#include "config/file_stamp.h"

#include <sys/stat.h>

#include "base/time.h"
#include "config/field.h"

/* A file system writes times in steps: two changes within one step have the same time. Kernels step by their tick, old file systems by whole
 * seconds. */
enum { STEP_NS = 20000000 };
#define COARSE_STEP_NS (2 * NS_PER_SECOND)

struct file_stamp file_stamp_of(struct text path)
{
    struct file_stamp stamp = {.path = path, .is_settled = true};
    int64_t now_ns = time_wall_ns();
    struct stat status;
    if (stat(path.at, &status) < 0)
        return stamp;
    bool is_fine = status.st_ctim.tv_nsec % 1000000 != 0;
    stamp.changed_ns = status.st_ctim.tv_sec * NS_PER_SECOND + status.st_ctim.tv_nsec;
    stamp.size = (uint64_t)status.st_size;
    stamp.inode = (uint64_t)status.st_ino;
    stamp.is_settled = now_ns - stamp.changed_ns > (is_fine ? STEP_NS : COARSE_STEP_NS);
    return stamp;
}

void bind_depends_on(struct binder *binder, struct text path)
{
    struct file_stamp *stamp = ARENA_NEW(binder->arena, struct file_stamp);
    if (!stamp)
        return; /* binding fails for want of memory anyway */
    *stamp = file_stamp_of(arena_copy(binder->arena, path));
    stamp->next = binder->files;
    binder->files = stamp;
}

bool file_stamp_is_current(const struct file_stamp *stamp)
{
    struct file_stamp now = file_stamp_of(stamp->path);
    return now.changed_ns == stamp->changed_ns && now.size == stamp->size && now.inode == stamp->inode;
}
