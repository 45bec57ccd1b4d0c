/* The path to what is being bound, for messages: "routes.read-order.policies[1].limit".
 *
 * It grows in place in one buffer, because it changes with every field of a million consumers and is read only when something is wrong. */
#include <stdio.h>

#include "base/check.h"
#include "config/bind_private.h"

enum { ROOM_MIN = 256, KEY_BYTES_MAX = 100 };

/* Room for `more` bytes behind the path; NULL: no memory, and the path stays shorter than it should be. */
static char *make_room(struct binder *binder, size_t more)
{
    struct text path = binder->path;
    bool is_here =
        binder->path_buffer && path.size + more <= binder->path_room
        && (path.at == binder->path_buffer || !path.size || !memcmp(binder->path_buffer, path.at, path.size));
    if (!is_here) {
        size_t room = MAX_OF((size_t)ROOM_MIN, 2 * (path.size + more));
        char *buffer = arena_alloc(binder->report->arena, room);
        if (!buffer)
            return NULL;
        if (path.size)
            memcpy(buffer, path.at, path.size);
        binder->path_buffer = buffer;
        binder->path_room = room;
    }
    return binder->path_buffer + path.size;
}

static struct text add(struct binder *binder, const char *before, struct text key)
{
    struct text path = binder->path;
    size_t before_size = strlen(before);
    char *to = make_room(binder, before_size + key.size);
    if (to) {
        memcpy(to, before, before_size);
        if (key.size)
            memcpy(to + before_size, key.at, key.size);
        binder->path = (struct text){binder->path_buffer, path.size + before_size + key.size};
    }
    return path;
}

struct text bind_enter(struct binder *binder, struct text key)
{
    size_t end = MIN_OF(key.size, (size_t)KEY_BYTES_MAX);
    while (end < key.size && end > 0 && ((unsigned char)key.at[end] & 0xc0) == 0x80)
        end--; /* not within a character */
    return add(binder, binder->path.size ? "." : "", text_slice(key, 0, end));
}

struct text bind_enter_index(struct binder *binder, size_t index)
{
    char digits[32];
    int size = snprintf(digits, sizeof digits, "[%zu]", index);
    return add(binder, "", (struct text){digits, (size_t)size});
}

void bind_leave(struct binder *binder, struct text path_before)
{
    binder->path = path_before;
}
