/* Which files an object was made from, and whether they are still the same. */
#include <sys/stat.h>

#include "base/time.h"
#include "config/field.h"

static bool look(const char *path, struct file_stamp *ret_stamp)
{
    struct stat stat_;
    if (stat(path, &stat_) < 0)
        return false;
    ret_stamp->changed_ns = stat_.st_mtim.tv_sec * NS_PER_SECOND + stat_.st_mtim.tv_nsec;
    ret_stamp->size = (uint64_t)stat_.st_size;
    ret_stamp->inode = (uint64_t)stat_.st_ino;
    return true;
}

void bind_depends_on(struct binder *binder, struct text path)
{
    struct file_stamp *stamp = ARENA_NEW(binder->arena, struct file_stamp);
    if (!stamp)
        return; /* binding fails for want of memory anyway */
    stamp->path = arena_copy(binder->arena, path);
    stamp->next = binder->files;
    binder->files = stamp;
    (void)look(stamp->path.at,
               stamp); /* one that is not there has no size: it is current as long as it is not there */
}

bool file_stamp_is_current(const struct file_stamp *stamp)
{
    struct file_stamp now = {0};
    (void)look(stamp->path.at, &now);
    return now.changed_ns == stamp->changed_ns && now.size == stamp->size && now.inode == stamp->inode;
}
