/* What a file was like when something was made from it, to know later whether it is still the same. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

struct file_stamp {
    struct file_stamp *next;
    struct text path;   /* followed by a zero byte; the caller's */
    int64_t changed_ns; /* of content or status (ctime), which no one can set back; 0: it is not there */
    uint64_t size, inode;
    bool is_settled; /* it had not changed just before, so a change after this shows in `changed_ns` */
};

/* Looks at the file; a path that leads nowhere gives a stamp too. */
struct file_stamp file_stamp_of(struct text path);

bool file_stamp_is_current(const struct file_stamp *stamp);
